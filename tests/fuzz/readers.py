"""Every reader of bytes from outside: what it is given, and how it is called."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.data.dataset import Block, Layout
from gwbench.errors import UserError
from gwbench.utils.progress import Progress
from tests.fuzz import good_inputs as good
from tests.fuzz import mutate

SIZES = {"train": 8, "val": 4, "test": 4}
LAYOUT = Layout(("H1", "L1"), 128.0, window=64, margin=8, sizes=SIZES, notes=("Made for a test.",))
RECIPE: dict[str, Any] = {"dataset": "toy", "seed": 7}


def toy_blocks(done: int = 0) -> Iterator[Block]:
    """The blocks of a small dataset, without the first ones."""
    places = [(split, start) for split, size in SIZES.items() for start in range(0, size, 4)]
    for split, start in places[done:]:
        rng = np.random.default_rng([len(split), start])
        strain, labels = rng.standard_normal((4, 2, 80), dtype=np.float32), np.zeros(4, np.int8)
        yield Block(split, start, strain, labels, np.full(4, np.nan, np.float32), {"distance": rng.uniform(1, 9, 4)})


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes:
        make: writes the good inputs into an empty folder.
        read: reads a file.
        kind: of mutation, a key of `mutate.KINDS`.
        name: of the file that is read; by default that of the good input.
        refuses: "module:class" of what it may raise besides `UserError`, by its own contract.
        named: whether its message names the file.
    """

    make: Callable[[Path], None]
    read: Callable[[Path], object]
    kind: str = "bytes"
    name: str | None = None
    refuses: tuple[str, ...] = ()
    named: bool = True

    def refusals(self) -> tuple[type[BaseException], ...]:
        """What it may raise."""
        return (UserError, *(_attribute(each) for each in self.refuses))


def _attribute(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


UNUSABLE = "gwbench.utils.untrusted_files:UnusableError"


def _call(place: str, *arguments: Any) -> Callable[[Path], object]:
    """A function of gwbench, imported when it is first called."""
    return lambda path: _attribute(place)(path, *arguments)


def _psd(path: Path) -> object:
    return _attribute("gwbench.data.psd:read_psd")(path, "H1")


def _events(path: Path) -> object:
    return _attribute("gwbench.data.strain_files.known_events:known_events")([path])


def _pieces(path: Path) -> object:
    """What a scan reads: what the file says, then its samples in pieces."""
    reader = _attribute("gwbench.data.strain_files.pieces:PieceReader")()
    return [list(reader.good_ranges(header)) for header in reader.headers(path)]


def _population(path: Path) -> object:
    return _attribute("gwbench.simulation.population:load_population")(str(path)).sample(np.random.default_rng(0), 4)


def _beside_run(read: Callable[[Path], object], name: str) -> Callable[[Path], object]:
    """Reads a copy of the finished run in which one file is another."""

    def call(path: Path) -> object:
        folder = path.parent / "a-run"
        mutate.folder(path.parent.parent / "good" / good.RUN, folder, name, path.read_bytes())
        return read(folder)

    return call


def _record(folder: Path) -> object:
    entries = _attribute("gwbench.reporting.records.entry:EntryReader")()
    return entries.read(str(folder / "record.json"))


def _predictions(path: Path) -> object:
    return _attribute("gwbench.reporting.records.predictions:read_predictions")(path.parent, 32)


def _archive(path: Path) -> object:
    module = import_module("gwbench.utils.untrusted_arrays")
    with module.open_archive(path) as archive:
        return [module.read_array(archive, name.removesuffix(".npy"), 10_000) for name in archive.namelist()]


def _checkpoint(path: Path) -> object:
    import torch

    class Module(torch.nn.Linear):
        def configure_optimizers(self) -> Any:
            return {"optimizer": torch.optim.AdamW(self.parameters())}

    return _attribute("gwbench.training.checkpoint_file:check_checkpoint")(path, Module(2, 2), 1, 2)


def _store(path: Path) -> object:
    module = import_module("gwbench.data.store.reader")
    splits = module.open_store(path)
    strain = [splits.train.strain[:2], splits.test.strain[np.array([0, 1])]]
    return strain, module.read_header(path), module.verify_store(path, Progress())


def _journal(path: Path) -> object:
    partial = _attribute("gwbench.data.store.partial:Partial")(path.parent / "toy.h5", LAYOUT, RECIPE)
    journal = path.parent / ".toy.h5.journal"
    shutil.copy(path, journal)
    shutil.copy(path.parent.parent / "good" / "toy.partial", path.parent / ".toy.h5.partial")
    try:
        partial.resume(Progress())
        return partial.windows
    finally:
        partial.close()
        partial.remove()


def _rows(path: Path) -> object:
    file = _attribute("gwbench.dataloading.row_cache:RowFile")(path, 20, 28)
    try:
        return file.read(np.arange(20), np.zeros((20, 7), np.float32))
    finally:
        file.close()


class _Answer:
    """A session that gives the same answer to every request, at most a hundred times."""

    def __init__(self, content: bytes) -> None:
        self.content, self.asked = content, 0

    def get(self, url: str, **_: Any) -> Any:
        import requests

        self.asked += 1
        if self.asked > 100:
            raise AssertionError("asks for ever")
        response = requests.Response()
        response.status_code, response.url, response._content = 200, url, self.content
        return response


def _answers(path: Path) -> object:
    server = _attribute("gwbench.data.gwosc.api:Gwosc")
    host, content = "https://gwosc.org", path.read_bytes()
    found: list[object] = []
    refused: UserError | None = None
    for ask in (
        lambda: server(host, _Answer(content)).gps("GW150914"),
        lambda: server(host, _Answer(content)).events([(1126259000, 1126260000)]),
        lambda: server(host, _Answer(content)).strain_files("1126259462", 1126259462.0, ["H1"], None, 4096, ".hdf5"),
        lambda: server(host, _Answer(content)).strain_files("GW150914", 1126259462.4, ["H1"], None, 4096, ".hdf5"),
    ):
        try:
            found.append(ask())
        except UserError as error:
            refused = error
    if refused and not found:
        raise refused
    return found


def _settings(path: Path) -> object:
    pair = path.read_bytes().decode("utf-8", "surrogateescape")
    given = _attribute("gwbench.cli.options:parse_settings")([pair])
    return _attribute("gwbench.experiment.spec:RunSpec").create(settings=given).canonical()


def _plugin(path: Path) -> object:
    sys.path.insert(0, str(path.parent))
    try:
        read = _attribute("gwbench.registry.static_metadata:read_plugin")
        return str(read("encoder", "cnn1d", "plugin", "Cnn1d"))
    finally:
        sys.path.remove(str(path.parent))
        sys.path_importer_cache.clear()


READERS: dict[str, Reader] = {
    "strain-hdf5": Reader(good.strain_hdf5, _call("gwbench.data.strain_files.reading:read_strain"), "hdf5"),
    "strain-pieces": Reader(good.strain_hdf5, _pieces, "hdf5"),
    "strain-frames": Reader(good.frames, _call("gwbench.data.strain_files.reading:read_strain"), "frame"),
    "psd-text": Reader(good.psd_text, _psd, "text"),
    "psd-compressed": Reader(good.psd_compressed, _psd),
    "psd-hdf5": Reader(good.psd_hdf5, _psd, "hdf5"),
    "psd-xml": Reader(good.psd_xml, _psd, "text"),
    "psd-npy": Reader(good.psd_npy, _psd, "npy"),
    "psd-npz": Reader(good.psd_npz, _psd, "npz"),
    "g2net-window": Reader(
        good.g2net_window,
        _call("gwbench.data.store.npy_folder:read_window", (3, 4096)),
        "npy",
        refuses=("gwbench.data.store.npy_folder:BadFileError",),
        named=False,
    ),
    "g2net-labels": Reader(good.g2net_labels, _call("gwbench.plugins.datasets.g2net:read_labels"), "text"),
    "events": Reader(good.events, _events, "json", "events.json"),
    "population": Reader(good.populations, _population, "text", "populations.toml"),
    "suite": Reader(good.suites, _call("gwbench.suite.schema:read_suite"), "text", "suite.yaml"),
    "record": Reader(
        good.of_run("record.json"),
        _beside_run(_record, "record.json"),
        "json",
        "record.json",
        refuses=(UNUSABLE,),
        named=False,
    ),
    "predictions": Reader(
        good.of_run("predictions.npz"), _predictions, "npz", "predictions.npz", refuses=(UNUSABLE,), named=False
    ),
    "diagnostics": Reader(
        good.of_run("diagnostics.npz"), _archive, "npz", "diagnostics.npz", refuses=(UNUSABLE,), named=False
    ),
    "encoder-record": Reader(
        good.of_run("record.json"),
        _beside_run(_call("gwbench.experiment.checkpoint:load_encoder"), "record.json"),
        "json",
        "record.json",
    ),
    "encoder-weights": Reader(
        good.of_run("weights.safetensors"),
        _beside_run(_call("gwbench.experiment.checkpoint:load_encoder"), "weights.safetensors"),
        name="weights.safetensors",
    ),
    "encoder-conditioner": Reader(
        good.of_run("conditioner.npz"),
        _beside_run(_call("gwbench.experiment.checkpoint:load_encoder"), "conditioner.npz"),
        "npz",
        "conditioner.npz",
    ),
    "checkpoint": Reader(
        good.checkpoint,
        _checkpoint,
        "npz",
        refuses=("gwbench.training.checkpoint_file:UnfitCheckpointError",),
        named=False,
    ),
    "store": Reader(good.store, _store, "hdf5", "toy.h5"),
    "journal": Reader(good.journal, _journal, "json-lines", "journal"),
    "cached-rows": Reader(good.rows, _rows, refuses=("builtins:OSError",), named=False),
    "gwosc-answers": Reader(good.answers, _answers, "json", "answer.json", named=False),
    "search-record": Reader(
        good.search_record, _call("gwbench.search.record:read_search_record"), "json", "search.json"
    ),
    "search-events": Reader(good.search_events, _call("gwbench.search.event_files:read_events"), "hdf5"),
    "search-events-csv": Reader(good.search_events_csv, _call("gwbench.search.event_files:read_events"), "text"),
    "injections": Reader(good.injections, _call("gwbench.search.injection_files:read_injections"), "hdf5"),
    "settings": Reader(good.settings, _settings, "text", "pair.txt", named=False),
    "plugin-metadata": Reader(good.plugin, _plugin, "text", "plugin.py", named=False),
}
