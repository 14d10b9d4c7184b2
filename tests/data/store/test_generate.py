"""Blocks in order, the same bit for bit from one thread, several threads and several processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from gwbench.contracts import Block
from gwbench.data.store import generate as module
from gwbench.data.store.generate import BLOCK, generate
from gwbench.data.store.workers import BlockWorker, UnfitError
from gwbench.errors import UserError
from gwbench.registry.importing import import_source
from tests.data.store.toy_windows import ToyWindows, asked
from tests.forked import ForkedCommand

SIZES = {"test": 300, "train": 1300, "val": 0}
PLACES = [*(("train", start, 256) for start in range(0, 1280, 256)), ("train", 1280, 20)]
PLACES += [("test", 0, 256), ("test", 256, 44)]


def assert_equal(one: list[Block], two: list[Block]) -> None:
    assert len(one) == len(two) > 0
    for a, b in zip(one, two, strict=True):
        assert (a.split, a.start) == (b.split, b.start)
        np.testing.assert_array_equal(a.strain, b.strain)
        np.testing.assert_array_equal(a.parameters["distance"], b.parameters["distance"])


def test_blocks_cover_the_splits_in_order() -> None:
    blocks = list(generate(ToyWindows(), SIZES, seed=3))
    assert BLOCK == 256
    assert [(block.split, block.start, len(block.label)) for block in blocks] == PLACES


def test_every_block_has_the_seed_sequence_of_its_place() -> None:
    """Role "data" is number 0; then the split's number and the block's."""
    blocks = list(generate(ToyWindows(), SIZES, seed=3))
    for block, key in ((blocks[1], (0, 0, 1)), (blocks[6], (0, 2, 0))):
        rng = np.random.default_rng(np.random.SeedSequence(3, spawn_key=key))
        np.testing.assert_array_equal(block.strain, rng.standard_normal((256, 2, 80), dtype=np.float32))


def test_a_block_depends_on_no_other() -> None:
    blocks = list(generate(ToyWindows(), SIZES, seed=3))
    assert_equal(list(generate(ToyWindows(), {"test": 300}, seed=3)), blocks[6:])
    for skip in (1, 7, 8, 9):
        rest = list(generate(ToyWindows(), SIZES, 3, workers=2, skip=skip))
        assert [(block.split, block.start, len(block.label)) for block in rest] == PLACES[skip:]
        if rest:
            assert_equal(rest, blocks[skip:])


def test_the_number_of_threads_or_processes_changes_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = list(generate(ToyWindows(), SIZES, seed=3))
    assert_equal(list(generate(ToyWindows(), SIZES, 3, workers=3)), expected)

    log = tmp_path / "log"
    monkeypatch.setattr(module, "PROCESSES_PAY", 0.0)
    monkeypatch.setattr(module, "THREADS_PAY", np.inf)
    assert_equal(list(generate(ToyWindows(log, seconds=0.05), SIZES, 3, workers=2)), expected)
    assert sorted(asked(log)) == sorted((split, start) for split, start, _ in PLACES)
    made = [line.split()[2:] for line in log.read_text().splitlines()]
    others = {process for process, *_ in made} - {str(os.getpid())}
    assert len(others) == 2
    assert [process for process, *_ in made[:4]] == [str(os.getpid())] * 4
    assert all(threads == ["1"] for process, *threads in made if process in others)
    assert not any(psutil.pid_exists(int(process)) for process in others)


@pytest.mark.parametrize("threads_pay", [0.0, np.inf])
def test_short_work_and_work_that_threads_share_start_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads_pay: float
) -> None:
    log = tmp_path / "log"
    monkeypatch.setattr(module, "PROCESSES_PAY", 0.0 if not threads_pay else 1e9)
    monkeypatch.setattr(module, "THREADS_PAY", threads_pay)
    assert_equal(list(generate(ToyWindows(log), SIZES, 3, workers=2)), list(generate(ToyWindows(), SIZES, 3)))
    assert {line.split()[2] for line in log.read_text().splitlines()} == {str(os.getpid())}


def test_few_blocks_wait_for_a_slow_reader(tmp_path: Path) -> None:
    log = tmp_path / "log"
    coming = generate(ToyWindows(log), {"train": 100 * 256}, 3, workers=2)
    for _ in range(3):
        next(coming)
    time.sleep(0.2)
    # One or two were made in this thread; two threads work on four at most, and one takes the place of one read.
    assert len(asked(log)) <= 2 + 4 + 3
    coming.close()


def test_a_failure_in_a_thread_reaches_the_caller() -> None:
    with pytest.raises(RuntimeError, match="trouble at train 1024"):
        list(generate(ToyWindows(fails=("train", 1024)), SIZES, 3, workers=2))


def test_failure_and_death_of_a_process_reach_the_caller() -> None:
    windows = ToyWindows(fails=("val", 0), dies=("val", 256))
    (worker,) = BlockWorker.pool(1, windows, 3, BLOCK)
    with pytest.raises(RuntimeError, match="trouble at val 0") as caught:
        worker.block("val", 0, 256)
    assert "toy_windows.py" in "".join(caught.value.__notes__)
    expected = list(generate(ToyWindows(), {"train": 256}, 3))
    assert_equal([worker.block("train", 0, 256)], expected)
    with pytest.raises(UserError, match=r"ended with SIGKILL, most likely for want of memory.*--workers 1"):
        worker.block("val", 256, 256)
    worker.close()


def test_windows_of_a_plugin_file_are_made_in_another_process(tmp_path: Path) -> None:
    file = tmp_path / "my_windows.py"
    file.write_text("from tests.data.store.toy_windows import ToyWindows\nclass Mine(ToyWindows):\n    pass\n")
    import_source(str(file))
    name = next(name for name in sys.modules if name.startswith("gwbench_plugin_my_windows"))
    (worker,) = BlockWorker.pool(1, sys.modules[name].Mine(), 3, BLOCK)
    assert_equal([worker.block("train", 0, 256)], list(generate(ToyWindows(), {"train": 256}, 3)))
    worker.close()


def test_windows_that_no_other_process_can_have_are_made_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = ToyWindows(extra=lambda: None)
    with pytest.raises(UnfitError, match="pickle"):
        BlockWorker.pool(1, windows, 3, BLOCK)
    monkeypatch.setattr(module, "PROCESSES_PAY", 0.0)
    monkeypatch.setattr(module, "THREADS_PAY", np.inf)
    assert_equal(list(generate(windows, SIZES, 3, workers=2)), list(generate(ToyWindows(), SIZES, 3)))


SCRIPT = """
import sys
from pathlib import Path
from gwbench.data.store import generate
from tests.data.store.toy_windows import ToyWindows

generate.PROCESSES_PAY = 0.0
generate.THREADS_PAY = float("inf")
try:
    for block in generate.generate(ToyWindows(Path(sys.argv[1]), seconds=0.05), {"train": 100_000}, 0, 2):
        pass
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


def test_ctrl_c_ends_all_processes_without_a_trace(tmp_path: Path) -> None:
    log = tmp_path / "log"
    # A terminal's Ctrl-C goes to the whole process group.
    process = ForkedCommand([log], code=SCRIPT, session=True)
    limit = time.monotonic() + 60
    while len(asked(log)) < 12:
        assert time.monotonic() < limit
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (said, process.returncode) == ("interrupted\n", 1)
    made_by = {int(line.split()[2]) for line in log.read_text().splitlines()}
    assert len(made_by) == 3
    assert not any(psutil.pid_exists(each) for each in made_by)
