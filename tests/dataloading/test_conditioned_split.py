"""Conditioned strain is the same wherever it is kept, and what it fills is bounded."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gwbench.contracts import Split
from gwbench.dataloading import cache_files, row_cache
from gwbench.dataloading.cache_files import conditioned_files as kept_files
from gwbench.dataloading.cache_files import conditioned_path, make_room
from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.preprocessing import conditioning
from gwbench.preprocessing.conditioning import Conditioner, Conditioning, fit_conditioner
from gwbench.utils.progress import Progress
from tests.conftest import Heard
from tests.forked import ForkedCommand

WINDOWS, RATE, SAMPLES, MARGIN = 150, 512, 768, 128
Array = NDArray[Any]


class Reader:
    """Counts what is read of some strain."""

    def __init__(self, strain: Array) -> None:
        self.shape = strain.shape
        self._strain = strain
        self.windows = 0

    def __getitem__(self, index: slice | Array) -> Array:
        part = self._strain[index]
        self.windows += len(part)
        return part


def data(count: int = WINDOWS) -> Split:
    strain = np.random.default_rng(0).standard_normal((count, 2, SAMPLES)).astype(np.float32) * np.float32(1e-21)
    return Split(Reader(strain), np.full(count, -1, np.int8), np.full(count, np.nan, np.float32))


def fitted(split: Split, method: str = "whiten") -> Conditioner:
    settings = Conditioning(method=method, low=20, high=200)  # type: ignore[arg-type]
    return fit_conditioner(split, sample_rate=RATE, margin=MARGIN, detectors=("H1", "L1"), settings=settings)


def kept(folder: Path, split: Split, conditioner: Conditioner, progress: Progress | None = None) -> ConditionedStrain:
    strain = ConditionedStrain(split, conditioner, "train")
    strain.keep(progress or Progress(), folder, "content")
    return strain


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GWBENCH_MEMORY", "0")


@pytest.mark.parametrize("method", ["whiten", "seed"])
def test_memory_disk_and_batch_by_batch_give_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    split = data()
    conditioner = fitted(split, method)
    direct = ConditionedStrain(split, conditioner, "train")
    monkeypatch.setenv("GWBENCH_MEMORY", "1")
    memory = kept(tmp_path, split, conditioner)
    assert not kept_files(tmp_path)
    monkeypatch.setenv("GWBENCH_MEMORY", "0")
    disk = kept(tmp_path, split, conditioner)
    expected = conditioner(split.strain[:])
    rng = np.random.default_rng(1)
    for size in (1, 2, 3, 17, 64, 100, WINDOWS, WINDOWS):
        positions = rng.permutation(WINDOWS)[:size]
        for strain in (direct, memory, disk):
            for index in (positions, torch.from_numpy(positions)):
                assert torch.equal(strain[index], expected[positions])
    for strain in (direct, memory, disk):
        assert torch.equal(strain[10:20], expected[10:20])
        assert strain[np.arange(0)].shape == (0, 2, SAMPLES - 2 * MARGIN)
        assert len(strain) == WINDOWS


@pytest.mark.usefixtures("no_memory")
def test_every_window_is_conditioned_once_and_by_no_later_run(tmp_path: Path) -> None:
    split = data()
    reader: Any = split.strain
    conditioner = fitted(split)
    heard = Heard()
    strain = kept(tmp_path, split, conditioner, heard)
    reader.windows = 0
    strain[np.arange(0, 100)]
    assert reader.windows == 100
    expected = strain[np.arange(WINDOWS)]
    assert reader.windows == WINDOWS
    strain[np.arange(WINDOWS)]
    assert reader.windows == WINDOWS
    again = kept(tmp_path, split, conditioner, heard)
    assert torch.equal(again[np.arange(WINDOWS)], expected)
    assert reader.windows == WINDOWS
    assert len(heard.lines) == 1
    assert "conditioned windows are kept in" in heard.lines[0]


@pytest.mark.usefixtures("no_memory")
def test_other_data_splits_and_conditioning_have_files_of_their_own(tmp_path: Path) -> None:
    split, other = data(), data(WINDOWS - 1)
    conditioner = fitted(split)
    paths = {
        conditioned_path(tmp_path, "content", "train", conditioner),
        conditioned_path(tmp_path, "other", "train", conditioner),
        conditioned_path(tmp_path, "content", "val", conditioner),
        conditioned_path(tmp_path, "content", "train", fitted(split, "seed")),
        conditioned_path(tmp_path, "content", "train", fitted(other)),
    }
    assert len(paths) == 5
    assert conditioned_path(tmp_path, "content", "train", fitted(split)) in paths


def test_a_comment_in_the_conditioning_code_makes_no_file_anew_and_a_number_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditioner = fitted(data())

    def path() -> Path:
        cache_files._code.cache_clear()
        return conditioned_path(tmp_path, "content", "train", conditioner)

    source = Path(conditioning.__file__).read_text()
    before = path()
    with monkeypatch.context() as patch:
        patch.setattr(conditioning, "__file__", str(tmp_path / "changed.py"))
        (tmp_path / "changed.py").write_text(f"# of no consequence\n{source}\n")
        assert path() == before
        (tmp_path / "changed.py").write_text(source.replace("SEED_TAPER = 0.1", "SEED_TAPER = 0.2"))
        assert path() != before
    assert path() == before


FILL = """
import os, signal, sys
from pathlib import Path
import numpy as np
from tests.dataloading.test_conditioned_split import WINDOWS, data, fitted, kept

split = data()
strain = kept(Path(sys.argv[1]), split, fitted(split))
order = np.random.default_rng(int(sys.argv[2])).permutation(WINDOWS)
expected = fitted(split)(split.strain[:])
for start in range(0, WINDOWS, 10):
    part = order[start : start + 10]
    assert (strain[part] == expected[part]).all()
    if start >= 100 and len(sys.argv) > 3:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def filling(folder: Path, seed: int, *killed: str) -> ForkedCommand:
    return ForkedCommand([folder, str(seed), *killed], code=FILL, environment={**os.environ, "GWBENCH_MEMORY": "0"})


@pytest.mark.usefixtures("no_memory")
def test_a_killed_run_leaves_what_it_conditioned(tmp_path: Path) -> None:
    assert filling(tmp_path, 0, "killed").wait(timeout=100) == -signal.SIGKILL
    split = data()
    reader: Any = split.strain
    conditioner = fitted(split)
    expected = conditioner(split.strain[:])
    strain = kept(tmp_path, split, conditioner)
    reader.windows = 0
    assert torch.equal(strain[:], expected)
    assert reader.windows == WINDOWS - 110
    assert torch.equal(strain[:], expected)
    assert reader.windows == WINDOWS - 110


@pytest.mark.usefixtures("no_memory")
def test_two_runs_at_once_disturb_each_other_in_nothing(tmp_path: Path) -> None:
    runs = [filling(tmp_path, seed) for seed in (1, 2)]
    assert [run.wait(timeout=100) for run in runs] == [0, 0]
    assert len(kept_files(tmp_path)) == 1
    split = data()
    conditioner = fitted(split)
    assert torch.equal(kept(tmp_path, split, conditioner)[:], conditioner(split.strain[:]))


@pytest.mark.usefixtures("no_memory")
def test_a_full_disk_is_said_once_and_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = data()
    conditioner = fitted(split)
    heard = Heard()
    strain = kept(tmp_path, split, conditioner, heard)
    expected = conditioner(split.strain[:])
    strain[:50]
    (path,) = kept_files(tmp_path)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    for _ in range(3):
        assert torch.equal(strain[:], expected)
    assert not path.exists()
    assert [line for line in heard.lines if "No space left on device" in line] == heard.lines[1:]
    assert len(heard.lines) == 2


@pytest.mark.usefixtures("no_memory")
def test_where_nothing_can_be_written_it_is_conditioned_batch_by_batch(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    split = data()
    conditioner = fitted(split)
    heard = Heard()
    strain = kept(tmp_path / "file" / "folder", split, conditioner, heard)
    assert torch.equal(strain[:], conditioner(split.strain[:]))
    assert len(heard.lines) == 1
    assert "conditioned batch by batch" in heard.lines[0]


@pytest.mark.usefixtures("no_memory")
def test_a_split_larger_than_the_disks_share_is_conditioned_batch_by_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_files, "disk_budget", lambda folder, kept: 1000)
    split = data()
    heard = Heard()
    strain = kept(tmp_path, split, fitted(split), heard)
    assert strain[:3].shape == (3, 2, SAMPLES - 2 * MARGIN)
    assert not kept_files(tmp_path)
    assert "enough free disk" in heard.lines[0]


def test_the_file_longest_unused_makes_room_unless_it_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_files, "disk_budget", lambda folder, kept: 35_000)
    names = [tmp_path / f".conditioned-{name}.f32" for name in ("oldest", "older", "newest")]
    for age, path in enumerate(names):
        path.write_bytes(bytes(10_000))
        os.utime(path, (age, age))
    (tmp_path / "dataset.h5").write_bytes(bytes(50_000))
    held = row_cache.RowFile(names[0], 1, 10_000 - 8192)
    held.write(np.arange(1), np.zeros((1, 452), np.float32))
    os.utime(names[0], (0, 0))
    assert make_room(tmp_path / ".conditioned-new.f32", 12_000)
    assert kept_files(tmp_path) == [names[0], names[2]]
    assert not make_room(tmp_path / ".conditioned-new.f32", 36_000)
    assert kept_files(tmp_path) == [names[0], names[2]]
    assert not make_room(tmp_path / ".conditioned-new.f32", 30_000)  # what is in use stays
    assert (tmp_path / "dataset.h5").exists()
    held.close()
    assert make_room(tmp_path / ".conditioned-new.f32", 30_000)
    assert kept_files(tmp_path) == []


BOUNDED = """
import sys
from pathlib import Path
import numpy as np
import psutil
from gwbench.contracts import Split
from gwbench.preprocessing.conditioning import Conditioning, fit_conditioner
from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.utils.progress import Progress

COUNT = 3400  # 160 MiB of windows [3, 4096]

class Made:
    shape = (COUNT, 3, 4096)
    def __getitem__(self, index):
        return np.full((len(np.arange(COUNT)[index]), 3, 4096), 1e-21, np.float32)

split = Split(Made(), np.full(COUNT, -1, np.int8), np.full(COUNT, np.nan, np.float32))
settings = Conditioning(method="seed")
conditioner = fit_conditioner(split, sample_rate=2048, margin=0, detectors=("H1", "L1", "V1"), settings=settings)
resident = lambda: psutil.Process().memory_info().rss / 2**20
ConditionedStrain(split, conditioner, "train")[:64]
before = peak = resident()
strain = ConditionedStrain(split, conditioner, "train")
strain.keep(Progress(), Path(sys.argv[1]), "content")
order = np.random.default_rng(0).permutation(COUNT)
for _ in range(2):
    for start in range(0, COUNT, 64):
        batch = strain[order[start : start + 64]]
        peak = max(peak, resident())
print(peak - before)
"""


@pytest.mark.parametrize(("budget", "bounded"), [("0.0156", True), ("1", False)])
def test_a_set_ten_times_the_budget_stays_out_of_memory(tmp_path: Path, budget: str, bounded: bool) -> None:
    environment = {**os.environ, "GWBENCH_MEMORY": budget}
    command = [sys.executable, "-c", BOUNDED, str(tmp_path)]
    grown = float(subprocess.run(command, env=environment, check=True, capture_output=True, timeout=100).stdout)
    # 160 MiB of windows: batches under way take some 20, the control, whose budget is 1 GiB, keeps them all.
    assert grown < 40 if bounded else grown > 150
    assert bool(kept_files(tmp_path)) == bounded
