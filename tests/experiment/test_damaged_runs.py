"""A damaged run stops no other run, and its encoder is refused in one message."""

from __future__ import annotations

import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

import gwbench
from gwbench.errors import UserError
from gwbench.experiment.record import CONDITIONER, DIAGNOSTICS, PREDICTIONS, RECORD, WEIGHTS, RunRecord
from gwbench.reporting.html.report import render_report
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.compare import compare_runs
from gwbench.reporting.leaderboard.rows import Options
from gwbench.utils.progress import Progress
from tests.conftest import TINY, TINY_OBJECTIVE, Heard


def run(out: Path, changes: dict[str, Any] | None = None, progress: Progress | None = None) -> RunRecord:
    settings = TINY | TINY_OBJECTIVE | (changes or {})
    return gwbench.run(out=out, settings=settings, precision="fp32", device="cpu", progress=progress or Progress())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = run(tmp_path_factory.mktemp("whole")).folder
    assert folder
    return Path(folder)


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "runs" / whole.name))


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edit(name: str, value: Any) -> Callable[[Path], None]:
    """An array of the conditioner replaced, or left out where the value is None."""

    def edited(folder: Path) -> None:
        with np.load(folder / CONDITIONER) as archive:
            arrays = dict(archive)
        arrays[name] = value(arrays[name]) if callable(value) else value
        np.savez(folder / CONDITIONER, **{each: array for each, array in arrays.items() if array is not None})

    return edited


def header(**changes: Any) -> Callable[[Path], None]:
    def changed(array: Any) -> Any:
        return np.frombuffer(json.dumps(json.loads(array.tobytes()) | changes).encode(), np.uint8)

    return edit("header", changed)


def record(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        document = json.loads((folder / RECORD).read_text())
        change(document)
        (folder / RECORD).write_text(json.dumps(document))

    return changed


def weights(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        arrays = load((folder / WEIGHTS).read_bytes())
        change(arrays)
        (folder / WEIGHTS).write_bytes(save(arrays))

    return changed


def first(arrays: dict[str, Any]) -> str:
    return min(name for name, array in arrays.items() if array.dtype.kind == "f")


def pickled(folder: Path) -> None:
    with zipfile.ZipFile(folder / CONDITIONER, "w") as archive:
        stream = BytesIO()
        np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
        archive.writestr("header.npy", stream.getvalue())


def bomb(folder: Path) -> None:
    with zipfile.ZipFile(folder / CONDITIONER, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.npy", bytes(2**30))


def in_its_place(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    def replaced(folder: Path) -> None:
        (folder / CONDITIONER).unlink()
        make(folder / CONDITIONER)

    return replaced


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "conditioner cut short": (lambda folder: half(folder / CONDITIONER), "conditioner.npz"),
    "conditioner gone": (lambda folder: (folder / CONDITIONER).unlink(), "conditioner.npz"),
    "conditioner a folder": (in_its_place(Path.mkdir), "not a plain file"),
    "conditioner a pipe": (in_its_place(os.mkfifo), "not a plain file"),
    "conditioner pickled": (pickled, "not numbers"),
    "conditioner that inflates": (bomb, "more than it can hold"),
    "empty PSD": (edit("psd", np.zeros((3, 0))), "psd is float64"),
    "empty PSD and frequencies": (
        lambda folder: (edit("psd", np.zeros((3, 0)))(folder), edit("frequencies", np.zeros(0))(folder)),
        "do not rise from 0"),
    "no PSD": (edit("psd", None), "not edges, frequencies, kernel, psd"),
    "PSD of zeros": (edit("psd", np.zeros_like), "zero"),
    "negative PSD": (edit("psd", np.negative), "negative"),
    "NaN in the PSD": (edit("psd", lambda psd: psd * np.nan), "NaN"),
    "infinite kernel": (edit("kernel", lambda kernel: kernel * np.inf), "NaN or infinite"),
    "kernel of another reach": (edit("kernel", lambda kernel: kernel[:, 1:-1]), "kernel is float64"),
    "kernel of whole numbers": (edit("kernel", lambda kernel: kernel.astype(int)), "expected floats"),
    "one detector's filters": (edit("kernel", lambda kernel: kernel[:1]), "kernel is float64"),
    "edges of another margin": (edit("edges", np.zeros((3, 5, 9), np.float32)), "edges is float32"),
    "frequencies of another rate": (edit("frequencies", lambda frequencies: frequencies * 2), "Hz"),
    "frequencies in another order": (edit("frequencies", lambda frequencies: frequencies[::-1]), "equal steps"),
    "header of other detectors": (header(detectors=["H1", "L1"]), "detectors"),
    "header of another rate": (header(sample_rate=4096.0), "sample rate"),
    "header of another band": (header(settings={"method": "whiten", "low": 30.0, "high": 500.0}), "settings"),
    "header of text": (header(window="x"), "header cannot be read"),
    "header without end": (header(window=10**300), "header cannot be read"),
    "header nested": (edit("header", np.frombuffer(b"[" * 100_000, np.uint8)), "nested"),
    "header gone": (edit("header", None), "header"),
    "weights cut short": (lambda folder: half(folder / WEIGHTS), "weights.safetensors"),
    "weights gone": (lambda folder: (folder / WEIGHTS).unlink(), "weights.safetensors"),
    "weights empty": (lambda folder: (folder / WEIGHTS).write_bytes(b""), "damaged"),
    "weights of another type": (
        weights(lambda arrays: arrays.update({first(arrays): arrays[first(arrays)].astype(np.float64)})), "expected"),
    "weights of another shape": (
        weights(lambda arrays: arrays.update({first(arrays): np.zeros(3, np.float32)})), "expected"),
    "weights with one too many": (weights(lambda arrays: arrays.update({"\x1b[2J": np.zeros(3)})), "unknown tensor"),
    "weights with one missing": (weights(lambda arrays: arrays.pop(first(arrays))), "no tensor"),
    "weights that are not finite": (
        weights(lambda arrays: arrays.update({first(arrays): arrays[first(arrays)] * np.nan})), "NaN"),
    "weights far too large": (lambda folder: os.truncate(folder / WEIGHTS, 2**36), "more than"),
    "record nested": (lambda folder: (folder / RECORD).write_text('{"a":' * 100_000), "nested"),
    "record of text": (lambda folder: (folder / RECORD).write_text('"text"'), "no record"),
    "record without epochs": (record(lambda document: document["training"].update(loss=[], collapse=[])), "epoch"),
    "record without monitor": (record(lambda document: document["training"].update(collapse=[{}])), "epoch"),
    "record of another width": (
        record(lambda document: document["spec"]["encoder"]["parameters"].update(width=8)), "weights.safetensors"),
    "record of an absurd width": (
        record(lambda document: document["spec"]["encoder"]["parameters"].update(width=10**12)), "cannot be built"),
    "record of a width of text": (
        record(lambda document: document["spec"]["encoder"]["parameters"].update(width="x")), "width"),
    "record of other detectors": (record(lambda document: document["data"].update(detectors=["H1"])), "detectors"),
    "record of no plugin": (record(lambda document: document["spec"]["encoder"].update(name="\x1b[2J")), "name them"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_encoder_is_one_message(copy: Path, name: str) -> None:
    damage, said = DAMAGE[name]
    damage(copy)
    with pytest.raises(UserError, match=said) as caught:
        gwbench.load_encoder(copy)
    assert len(str(caught.value)) < 1500


def test_the_whole_one_loads_through_links_too(copy: Path, tmp_path: Path) -> None:
    for name in (WEIGHTS, CONDITIONER):
        (copy / name).rename(tmp_path / name)
        (copy / name).symlink_to(tmp_path / name)
    assert gwbench.load_encoder(copy).conditioner.detectors == ("H1", "L1", "V1")


NEIGHBOURS = ["conditioner cut short", "weights cut short", "empty PSD", "record nested", "record without epochs",
              "record of an absurd width"]  # fmt: skip


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_a_damaged_neighbour_is_named_and_the_run_goes_on(copy: Path, name: str) -> None:
    DAMAGE[name][0](copy)
    heard = Heard()
    own = run(copy.parent, {"evaluation.label_fraction": 0.5}, heard)
    assert own.status == "ok"
    assert "pretrained_by" not in own.details
    named = [line for line in heard.lines if str(copy) in line]
    assert len(named) == (0 if name == "record of an absurd width" else 1)  # that is another run's pre-training


def test_a_neighbour_without_times_is_passed_over(copy: Path) -> None:
    record(lambda document: document["phases"].pop("pretrain") and None)(copy)
    heard = Heard()
    own = run(copy.parent, {"evaluation.label_fraction": 0.5}, heard)
    assert "pretrained_by" not in own.details
    assert [line for line in heard.lines if str(copy) in line and "left aside" in line]


def test_a_whole_neighbour_lends_whatever_its_details_say(copy: Path) -> None:
    record(lambda document: document["details"].update(pretrained_by=[EVIL]))(copy)
    own = run(copy.parent, {"evaluation.label_fraction": 0.5})
    assert own.details["pretrained_by"] == json.loads((copy / RECORD).read_text())["run_id"]


EVIL = "\x1b[2J"


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The content truncated, or some bytes of it flipped, zeroed, swapped or doubled."""
    data = bytearray(content)
    start, other, length = rng.randrange(len(data)), rng.randrange(len(data)), rng.choice([1, 8, 64, 512])
    kind = rng.choice(["truncate", "flip", "zero", "swap", "double"])
    if kind == "truncate":
        return content[:start]
    if kind == "flip":
        for _ in range(rng.choice([1, 1, 3, 20])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "zero":
        data[start : start + length] = bytes(len(data[start : start + length]))
    elif kind == "swap":
        data[start : start + length], data[other : other + length] = (
            data[other : other + length], data[start : start + length])  # fmt: skip
    else:
        data[start:start] = data[start : start + length]
    return bytes(data)


def test_whatever_is_done_to_the_files_of_a_run_every_reader_reads_or_says_why(copy: Path, whole: Path) -> None:
    """Several hundred places, one after the other."""
    rng, other = random.Random(0), run(copy.parent, {"encoder.width": 8})
    assert other.folder
    readers: list[tuple[tuple[str, ...], Callable[[], Any]]] = [
        ((RECORD, WEIGHTS, CONDITIONER), lambda: gwbench.load_encoder(copy)),
        ((RECORD, PREDICTIONS), lambda: build([copy.parent], Options())),
        ((RECORD, PREDICTIONS), lambda: compare_runs(str(copy), str(other.folder))),
        ((RECORD, PREDICTIONS, DIAGNOSTICS), lambda: render_report(str(copy), Progress())),
    ]
    outcomes = {"read": 0, "said": 0}
    for number in range(600):
        names, read = readers[number % 3] if number % 30 else readers[3]
        name = rng.choice(names)
        (copy / name).write_bytes(mutated((whole / name).read_bytes(), rng))
        try:
            read()
            outcomes["read"] += 1
        except UserError:
            outcomes["said"] += 1
        shutil.copy(whole / name, copy / name)
    assert min(outcomes.values()) > 50


@pytest.mark.parametrize("kind", ["header that does not parse", "inflates"])
def test_scores_that_cannot_be_read_stop_no_table(copy: Path, kind: str) -> None:
    """A header of an array that Python's own parser trips over, and an archive that declares more than it holds."""
    other = run(copy.parent, {"encoder.width": 8}).folder
    assert other
    with zipfile.ZipFile(copy / PREDICTIONS, "w", zipfile.ZIP_DEFLATED) as archive:
        text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (((((\x00" if kind[0] == "h" else b""
        content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(0 if text else 2**28)
        for name in ("label", "score", "snr", "embedding"):
            archive.writestr(f"{name}.npy", content)
    assert build([copy.parent], Options()).records == 2
    assert compare_runs(str(copy), other).untested
    with pytest.raises(UserError, match=r"predictions\.npz"):
        render_report(str(copy), Progress())
