from __future__ import annotations

import itertools
import shlex
from pathlib import Path
from typing import Any

import pytest

from gwbench.errors import UserError
from gwbench.experiment.spec import RunSpec
from gwbench.suite.matrix import expand
from gwbench.suite.schema import read_suite
from tests.suite.tiny import write_suite


def specs(folder: Path, *, settings: dict[str, Any] | None = None, **changes: Any) -> list[RunSpec]:
    suite = read_suite(write_suite(folder, label_fractions=[0.25], **changes), settings)
    return [cell.spec for cell in expand(suite, "fp32").cells]


def pretrained(found: list[RunSpec]) -> dict[str, Any]:
    return {spec.objective.name: spec.training for spec in found if spec.objective and not spec.baseline}


BATCHES = [{"when": {"objective": "simclr"}, "set": {"training.batch_size": 48, "training.epochs": 3}}]


def test_an_equal_budget_is_the_longest_training_of_the_suite(tmp_path: Path) -> None:
    found = pretrained(specs(tmp_path, overrides=BATCHES, budget="equal", baselines=["random-init", "supervised"]))
    assert {name: each.windows for name, each in found.items()} == dict.fromkeys(("barlow", "simclr"), 3 * 192)
    assert {name: each.steps(192 // each.batch_size) for name, each in found.items()} == {"barlow": 18, "simclr": 12}


def test_cells_of_a_budget_are_the_runs_that_their_commands_give(tmp_path: Path) -> None:
    (barlow, *_) = specs(tmp_path, budget={"equal": 320}, training={"batch_size": 32})
    words = shlex.split(barlow.command())
    settings = dict(word.split("=", 1) for flag, word in itertools.pairwise(words) if flag == "--set")
    settings["dataset.snr"] = tuple(map(float, settings["dataset.snr"].split(",")))  # type: ignore[assignment]
    alone = RunSpec.create(encoder="cnn1d", pairing="cross-detector", objective="barlow", settings=settings)
    assert alone.canonical() == barlow.canonical() and barlow.training and barlow.training.windows == 320


def test_a_converged_budget_stops_by_unlabelled_signals_below_a_cap(tmp_path: Path) -> None:
    for budget, training, cap in (
        ("converged", {"batch_size": 32}, 100),
        ("converged", {"batch_size": 32, "epochs": 12}, 12),
        ({"converged": 40}, {"batch_size": 32}, 40),
    ):
        found = pretrained(specs(tmp_path, budget=budget, training=training)).values()
        assert {(each.stop, each.epochs) for each in found} == {("plateau", cap)}


def test_baselines_that_train_on_labels_keep_their_own_length(tmp_path: Path) -> None:
    with_budget, without = (
        [spec for spec in specs(tmp_path, budget=budget, baselines=["supervised", "random-init"]) if spec.baseline]
        for budget in ("equal", None)
    )
    assert [spec.canonical() for spec in with_budget] == [spec.canonical() for spec in without]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": "more"}, "'equal' or 'converged'"),
        ({"budget": {"equal": 100, "converged": 3}}, "expected equal, {equal: WINDOWS}"),
        ({"budget": {"equal": 1}}, "greater than or equal to 2"),
        ({"budget": {"equal": 20}, "training": {"batch_size": 32}}, "20 windows are less than the batch of 32"),
        ({"budget": {"equal": 900}}, "budget and training.epochs both say"),
        ({"budget": "converged", "training": {"stop": "plateau"}}, "budget and training.stop both say"),
        ({"budget": "equal", "settings": {"training.windows": 9000}}, "budget and training.windows both say"),
        ({"budget": "equal", "overrides": [{"when": {"seed": 0}, "set": {"training.stop": "plateau"}}]}, "both say"),
    ],
)
def test_what_a_budget_cannot_mean_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        specs(tmp_path, **changes)
