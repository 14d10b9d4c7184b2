from __future__ import annotations

import pytest

from gwbench.suite.matrix import Cell, expand
from gwbench.suite.schedule import PATIENCE, Schedule
from gwbench.suite.schema import read_suite
from tests.suite.tiny import write_suite


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    """Two sets of data; on each four pre-trainings judged twice, and two cells without pre-training."""
    path = write_suite(tmp_path_factory.mktemp("suite"), data_seeds=[0, 1], seeds=[0, 1], baselines=["band-power"])
    return expand(read_suite(path), "fp32").cells


def test_one_worker_takes_all_cells_in_order(cells: list[Cell]) -> None:
    schedule = Schedule(cells)
    assert len(schedule) == len(cells) == 2 * (4 * 2 + 2 * 2)
    taken = list(iter(lambda: schedule.take(0), None))
    assert sorted(cell.label for cell in taken) == sorted(cell.label for cell in cells)
    assert [cell.data for cell in taken] == sorted((cell.data for cell in taken), key=taken[0].data.__ne__)
    assert len(schedule) == 0


def test_workers_share_neither_a_pre_training_nor_data_if_it_can_be(cells: list[Cell]) -> None:
    schedule = Schedule(cells)
    taken: dict[int, list[Cell]] = {0: [], 1: []}
    while cell := schedule.take(0):
        taken[0].append(cell)
        if other := schedule.take(1):
            taken[1].append(other)
    assert sorted(cell.label for each in taken.values() for cell in each) == sorted(cell.label for cell in cells)
    pretrainings = [{cell.pretraining for cell in each if cell.pretraining} for each in taken.values()]
    assert not pretrainings[0] & pretrainings[1]
    assert [len({cell.data for cell in each}) for each in taken.values()] == [1, 1]


def test_a_cell_that_another_process_has_comes_again_later(cells: list[Cell], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("gwbench.suite.schedule.time.monotonic", lambda: now[0])
    schedule = Schedule(cells[:2])
    first = schedule.take(0)
    assert first is not None
    schedule.postpone(first)
    assert schedule.take(0) is cells[1]
    assert schedule.take(0) is None
    assert schedule.waits
    now[0] = PATIENCE
    assert schedule.take(0) is first
    assert not schedule.waits


def test_after_the_budget_nothing_begins(cells: list[Cell]) -> None:
    answers = iter([True, True, False, False, False])
    schedule = Schedule(cells, lambda: next(answers))
    assert [schedule.take(0) is not None for _ in range(3)] == [True, True, False]
    assert len(schedule) == len(cells) - 2
    assert not schedule.waits


def test_what_a_lost_worker_had_goes_to_whoever_asks_next(cells: list[Cell]) -> None:
    schedule = Schedule(cells)
    first, other = schedule.take(0), schedule.take(1)
    assert first is not None
    assert other is not None
    assert len(schedule) == len(cells) - 2
    schedule.put_back(0, first)
    assert len(schedule) == len(cells) - 1
    schedule.put_back(0)  # it has nothing any more
    taken = list(iter(lambda: schedule.take(1), None))
    assert schedule.ended
    own = [cell for cell in taken if cell.pretraining == other.pretraining]
    again = [cell for cell in taken if cell.pretraining == first.pretraining]
    assert taken[0] in own
    assert again[0] is first  # the cells that share its pre-training stay together, in order
    assert taken[taken.index(first) :][: len(again)] == again
    assert sorted(cell.label for cell in [other, *taken]) == sorted(cell.label for cell in cells)


def test_it_has_ended_when_nothing_is_left_or_may_begin(cells: list[Cell]) -> None:
    allowed = [True]
    schedule = Schedule(cells[:1], lambda: allowed[0])
    seen = [schedule.ended]
    allowed[0] = False
    seen.append(schedule.ended)
    allowed[0] = True
    taken = schedule.take(0)
    assert taken is not None
    seen.append(schedule.ended)
    schedule.postpone(taken)
    seen.append(schedule.ended)
    assert seen == [False, True, True, False]
