from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Two workers with two threads each would wait for each other; this comes before numpy and torch are imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from gwbench.registry import REGISTRY, Registry
from gwbench.utils.progress import Progress

TINY = {
    "dataset.train": 192,
    "dataset.val": 96,
    "dataset.test": 128,
    "dataset.snr": (12.0, 20.0),
    "encoder.width": 4,
    "encoder.embed_dim": 8,
    "encoder.stride": 8,
    "training.epochs": 2,
    "training.batch_size": 32,
}
"""Settings of a run that takes a second or two."""

TINY_OBJECTIVE = {"objective.hidden_dim": 16, "objective.output_dim": 16}


LONG = ("suite", "crash", "experiment", "docs", "conformance", "sharing", "cli")
"""Folders of tests that start processes or train, whose files take longest."""


def pytest_configure(config: pytest.Config) -> None:
    """Have xdist keep the order of files; its own would put those of few tests last."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first, or in the end one process would work at one while the others have nothing to do."""
    long = {Path(__file__).parent / folder for folder in LONG}
    items.sort(key=lambda item: long.isdisjoint(item.path.parents))


class Heard(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's own cache."""
    before = os.environ.get("GWBENCH_CACHE")
    os.environ["GWBENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["GWBENCH_CACHE"]
    else:
        os.environ["GWBENCH_CACHE"] = before


def _restored(patch: pytest.MonkeyPatch) -> Registry:
    for plugin in Registry().list():
        REGISTRY.get(plugin.kind, plugin.name)
    for name in ("_loaded", "_sources", "_digests"):
        patch.setattr(REGISTRY, name, dict(getattr(REGISTRY, name)))
    return REGISTRY


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The process's registry, everything that ships imported; as it was again after the test."""
    return _restored(monkeypatch)


@pytest.fixture(scope="module")
def module_registry() -> Iterator[Registry]:
    """The same for what the tests of a file share; other files do not see its plugins."""
    with pytest.MonkeyPatch.context() as patch:
        yield _restored(patch)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Real strain and PSDs, where this machine has them."""
    folder = os.environ.get("GWBENCH_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real data are not here: set GWBENCH_TEST_DATA to their folder")
    return Path(folder)
