"""A checkpoint that opens and holds something else does not stop a run: it is named, and the run starts anew."""

from __future__ import annotations

import copy
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import gwbench
from gwbench.experiment.record import RunRecord
from tests.conftest import TINY, TINY_OBJECTIVE, Heard

EPOCHS = 3


def run(out: Path, progress: Heard) -> RunRecord:
    settings = TINY | TINY_OBJECTIVE | {"training.epochs": EPOCHS}
    return gwbench.run(out=out, settings=settings, precision="fp32", device="cpu", progress=progress)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path]:
    """A run left alone, and its checkpoint after the second of three epochs."""
    kept = tmp_path_factory.mktemp("kept") / "second.ckpt"
    save = torch.save

    def keep(content: Any, file: Any, *rest: Any, **options: Any) -> None:
        save(content, file, *rest, **options)
        if isinstance(content, dict) and content.get("epoch") == 1:
            kept.write_bytes(file.getvalue())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "save", keep)
        record = run(tmp_path_factory.mktemp("alone"), Heard())
    assert record.folder
    return record, kept


def start_with(
    finished: tuple[RunRecord, Path], out: Path, change: Callable[[Path], object]
) -> tuple[RunRecord, Heard]:
    record, kept = finished
    assert record.folder
    checkpoint = out / Path(record.folder).name / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    shutil.copy(kept, checkpoint)
    change(checkpoint)
    heard = Heard()
    return run(out, heard), heard


def edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], object]:
    def edited(path: Path) -> None:
        content = copy.deepcopy(torch.load(path, weights_only=True))
        changed = change(content)
        torch.save(content if changed is None else changed, path)

    return edited


def put(*keys: Any, value: Any) -> Callable[[Path], object]:
    def change(content: dict[str, Any]) -> None:
        place: Any = content
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return edit(change)


def inflate(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/9999", bytes(64 * 2**20))


def folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


WRONG: dict[str, Callable[[Path], object]] = {
    "a dictionary of other things": edit(lambda _: {"weights": [1, 2, 3], "note": "mine"}),
    "a tensor": edit(lambda _: torch.zeros(3)),
    "no callbacks": edit(lambda content: content.pop("callbacks") and None),
    "no loops": edit(lambda content: content.pop("loops") and None),
    "loops of another kind": put("loops", "fit_loop", value=3),
    "a loop without its counters": put("loops", "fit_loop", "epoch_progress", value={}),
    "other weights": put("state_dict", value={"weight": torch.zeros(2)}),
    "weights of another shape": put("state_dict", "encoder.encoders.0.before.0.bias", value=torch.zeros(7)),
    "weights of another type": put("state_dict", "encoder.encoders.0.before.0.bias", value="text"),
    "infinite weights": put("state_dict", "encoder.encoders.0.before.0.bias", value=torch.full((4,), float("inf"))),
    "no optimiser": put("optimizer_states", value=[]),
    "an optimiser of another network": put("optimizer_states", 0, "state", 0, "exp_avg", value=torch.zeros(9)),
    "an optimiser's groups of another kind": put("optimizer_states", 0, "param_groups", 0, "betas", value="text"),
    "losses of text": put("callbacks", "History", "loss", value=["a", "b"]),
    "too many epochs": put("callbacks", "History", "loss", value=[1.0] * 9),
    "another step": put("global_step", value=3),
    "another epoch": put("epoch", value=17),
    "a schedule of text": put("lr_schedulers", value=["text"]),
    "no zip": lambda path: path.write_bytes(b"\x80\x02}q\x00.") and None,
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-500]) and None,
    "empty": lambda path: path.write_bytes(b"") and None,
    "more than it holds": inflate,
    "a folder": folder,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_checkpoint_of_something_else_is_named_and_the_run_starts_anew(
    finished: tuple[RunRecord, Path], tmp_path: Path, name: str
) -> None:
    record, heard = start_with(finished, tmp_path, WRONG[name])
    assert [line for line in heard.lines if "last.ckpt" in line and "starting over" in line]
    alone = finished[0]
    assert record.training
    assert alone.training
    assert (record.training.resumed_from, record.training.loss) == (0, alone.training.loss)
    assert record.metrics == alone.metrics


def test_a_whole_checkpoint_is_resumed_from(finished: tuple[RunRecord, Path], tmp_path: Path) -> None:
    record, heard = start_with(finished, tmp_path, lambda _: None)
    assert not [line for line in heard.lines if "starting over" in line]
    assert record.training
    assert finished[0].training
    assert (record.training.resumed_from, record.training.loss) == (2, finished[0].training.loss)
    assert record.metrics == finished[0].metrics


def test_what_cannot_be_restored_is_started_over_too(
    finished: tuple[RunRecord, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the check lets something through that Lightning cannot restore."""
    monkeypatch.setattr("gwbench.training.checkpoint_file.check_checkpoint", lambda *_: None)
    record, heard = start_with(finished, tmp_path, put("lr_schedulers", value=["text"]))
    assert [line for line in heard.lines if "last.ckpt" in line and "starting over" in line]
    assert record.metrics == finished[0].metrics
