"""What is killed: one campaign a command.

A further command joins by a `Campaign` in `CAMPAIGNS`.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import gwbench
from gwbench.data.store.reader import verify_store
from gwbench.utils.progress import Progress
from tests.plugins.datasets import test_g2net
from tests.search.strain import GPS, noise, write_segments
from tests.suite.tiny import write_suite

TIMES = ("created", "phases", "peak_memory")
"""Fields of a record that may differ from one run to the next."""

SIZES = ("dataset.train=192", "dataset.val=96", "dataset.test=128", "dataset.snr=12,20")
NETWORK = ("encoder.width=4", "encoder.embed_dim=8", "encoder.stride=8", "objective.hidden_dim=16",
           "objective.output_dim=16", "training.epochs=4", "training.batch_size=32")  # fmt: skip


@dataclass(frozen=True)
class Campaign:
    """A command that is killed.

    Attributes:
        name: of the campaign.
        words: the command's words after `gwbench`, by the folder that it works in and the one of its inputs.
        results: what it came to in its folder: by name, values that must be those of a command left alone.
        prepare: writes its inputs into a folder.
        share: of all kills.
        serves: whether it needs a server, whose address is in $GWBENCH_GWOSC_HOST.
    """

    name: str
    words: Callable[[Path, Path], list[str]]
    results: Callable[[Path], Mapping[str, Any]]
    prepare: Callable[[Path], object] = lambda _: None
    share: float = 1.0
    serves: bool = False


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def arrays(path: Path) -> str:
    """A digest of all numbers in an npz."""
    with np.load(path) as archive:
        parts = [f"{name} {archive[name].dtype} {archive[name].shape}".encode() for name in sorted(archive)]
        return digest(b"".join(parts + [archive[name].tobytes() for name in sorted(archive)]))


def figures(path: Path) -> list[list[str]]:
    """Step, loss and epoch of every row that the csv logger wrote."""
    with path.open(newline="") as file:
        kept = ("step", "pretrain/loss", "pretrain/epoch", "test/auc")
        return [[row.get(name) or "" for name in kept] for row in csv.DictReader(file)]


def runs(folder: Path) -> dict[str, Any]:
    """Every run's record but its times, its weights, numbers and logged figures."""
    found: dict[str, Any] = {}
    for path in sorted((folder / "runs").glob("*/record.json")):
        record = json.loads(path.read_text())
        for field in TIMES:
            record.pop(field)
        record["environment"].pop("git_commit")  # of a checkout in which somebody works on
        if record["training"]:
            record["training"].pop("resumed_from")
        name = path.parent.name
        found[name] = record
        for file in sorted(path.parent.glob("*.npz")):
            found[f"{name}/{file.name}"] = arrays(file)
        for file in path.parent.glob("*.safetensors"):
            found[f"{name}/{file.name}"] = digest(file.read_bytes())
        for file in path.parent.glob("logs/csv/metrics.csv"):
            found[f"{name}/{file.name}"] = figures(file)
    return found | stores(folder)


def stores(folder: Path) -> dict[str, Any]:
    """The content hash of every data file, computed anew."""
    found = {}
    for path in sorted((folder / "cache").glob("*.h5")):
        verification = verify_store(path, Progress())
        found[path.name] = verification.computed if verification.ok else "damaged"
    return found


def fetched(folder: Path) -> dict[str, Any]:
    """The digest of every strain file, and what the folder says of them."""
    files = {path.name: digest(path.read_bytes()) for path in sorted((folder / "strain").glob("*.hdf5"))}
    said = {name: json.loads((folder / "strain" / name).read_text()) for name in ("fetched.json", "events.json")}
    return files | said


def settings(*pairs: str) -> list[str]:
    return [word for pair in pairs for word in ("--set", pair)]


def _run(folder: Path, _inputs: Path) -> list[str]:
    words = ["run", "--device", "cpu", "--precision", "fp32", "--logger", "csv", "--quiet"]
    return [*words, "--out", str(folder / "runs"), *settings(*SIZES, *NETWORK)]


def _suite(jobs: int) -> Callable[[Path, Path], list[str]]:
    def words(folder: Path, inputs: Path) -> list[str]:
        return ["suite", "run", str(inputs / "tiny.yaml"), "--device", "cpu", "--jobs", str(jobs), "--quiet",
                "--out", str(folder / "runs")]  # fmt: skip

    return words


def _make(folder: Path, _inputs: Path) -> list[str]:
    return ["data", "make", "bbh", "--workers", "2", *settings("dataset.train=4096", "dataset.val=256")]


def _import(folder: Path, inputs: Path) -> list[str]:
    return ["data", "import", "g2net", str(inputs), "--workers", "2"]


def _fetch(folder: Path, _inputs: Path) -> list[str]:
    return ["data", "fetch", "GW150914", "--detectors", "H1,L1", "--out", str(folder / "strain")]


def searches(folder: Path) -> dict[str, Any]:
    """Every search's record but its times, and the scores."""
    found: dict[str, Any] = {}
    for path in sorted((folder / "runs").glob("*/search.json")):
        record = json.loads(path.read_text())
        for field in ("created", "resources"):
            record.pop(field)
        record["environment"].pop("git_commit")
        found[path.parent.name] = record
        for file in sorted(path.parent.glob("scores/*.npz")):
            with np.load(file) as arrays:
                found[f"{path.parent.name}/{file.name}"] = digest(arrays["score"].tobytes())
    return found


def prepare_scan(folder: Path) -> None:
    """A baseline's run, and six segments of strain for it."""
    sizes: dict[str, Any] = {"train": 192, "val": 96, "test": 128, "snr": (12.0, 20.0), "detectors": ("H1", "L1")}
    chosen = {f"dataset.{name}": value for name, value in sizes.items()}
    gwbench.run(
        baseline="band-power", settings=chosen, out=folder / "runs", cache=folder / "cache", progress=Progress()
    )
    parts = {
        name: [(GPS + 200 * place, noise(40, 2048, seed + place)) for place in range(6)]
        for name, seed in (("H1", 0), ("L1", 50))
    }
    write_segments(folder / "noise.hdf", parts, 2048)


def _scan(folder: Path, inputs: Path) -> list[str]:
    (run,) = (inputs / "runs").iterdir()
    return ["scan", str(run), str(inputs / "noise.hdf"), "--searches", str(folder / "runs"), "--quiet"]


CAMPAIGNS = (
    Campaign("run", _run, runs, share=3.0),
    Campaign("suite run", _suite(1), runs, prepare=write_suite, share=2.0),
    Campaign(
        "suite run, two processes",
        _suite(2),
        runs,
        # Cells that share no pre-training: which of two that do is first is a matter of time.
        prepare=lambda folder: write_suite(folder, label_fractions=[0.25], baselines=None),
    ),
    Campaign("data make", _make, stores, share=1.5),
    Campaign("data import", _import, stores, prepare=lambda folder: test_g2net.make(folder, files=900), share=1.5),
    Campaign("scan", _scan, searches, prepare=prepare_scan, share=1.5),
    Campaign("data fetch", _fetch, fetched, share=1.5, serves=True),
)
"""All of them; a new command that writes files is added here."""
