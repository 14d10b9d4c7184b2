from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import gwbench
from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.errors import UserError
from gwbench.evaluation.statistics import Interval
from gwbench.experiment.context import ExperimentContext
from gwbench.experiment.data_cache import ConditionedData, DataCache
from gwbench.suite.sweep import trial
from gwbench.suite.sweep.results import SeedScore, SweepResults, TrialPoint
from gwbench.suite.sweep.run import carry_out, left, recorded, results_path, state
from gwbench.suite.sweep.schema import Sweep, read_sweep
from gwbench.suite.sweep.trial import RunPrunedError, ScoredRun, SweepContext
from tests.conftest import TINY, Heard

BASE: dict[str, Any] = {
    "dataset": {"name": "bbh", "train": 192, "val": 96, "test": 128, "snr": [12, 20]},
    "encoder": {"name": "cnn1d", "width": 4, "embed_dim": 8, "stride": 8},
    "pairing": "any-pair",
    "objective": "simclr",
    "training": {"epochs": 1, "batch_size": 32},
    "precision": "fp32",
}


def sweep_of(folder: Path, **said: Any) -> Sweep:
    path = folder / "sweep.yaml"
    search = {"objective.temperature": [0.1, 0.2, 0.5]}
    path.write_text(yaml.safe_dump({"base": BASE, "search": search} | said))
    return read_sweep(path, device="cpu")


# --- trials that are really carried out ---


class Untouchable:
    """Stands for the test split, or a part of it: whoever looks at it fails."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"the test split was looked at: {name}")

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("the test split was read")

    def __len__(self) -> int:
        raise AssertionError("the test split was counted")


def test_the_test_split_is_never_read_and_the_value_is_that_of_the_run_on_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditioned, read = DataCache.conditioned, ConditionedStrain.read
    names = []

    def without_test(self: DataCache, *arguments: Any, **named: Any) -> ConditionedData:
        data = conditioned(self, *arguments, **named)
        untouchable: Any = Untouchable()
        splits = replace(data.splits)
        object.__setattr__(splits, "test", untouchable)
        return replace(data, splits=splits, strain={**data.strain, "test": untouchable})

    def noting(self: ConditionedStrain, index: Any) -> Callable[[], Any]:
        names.append(self._name)
        return read(self, index)

    monkeypatch.setattr(DataCache, "conditioned", without_test)
    monkeypatch.setattr(ConditionedStrain, "read", noting)
    sweep = sweep_of(tmp_path, points=[{}, {"baseline": "random-init"}], search={}, probe_every=1)
    found = carry_out(sweep, tmp_path / "sweep.jsonl", Heard())
    assert [result.status for result in found.done] == ["ok", "ok"], found.done
    assert set(names) == {"train", "val"}
    monkeypatch.undo()

    settings = TINY | {"training.epochs": 1}
    record = gwbench.run(
        encoder="cnn1d", objective="simclr", pairing="any-pair", settings=settings, out=tmp_path / "runs",
        precision="fp32", device="cpu", probe_every=1,
    )  # fmt: skip
    (score,) = found.done[0].scores
    assert record.learning_curve is not None
    assert score.value == record.learning_curve[-1].val_auc  # the same run, by the code of `gwbench run`
    assert score.low == record.learning_curve[-1].low
    assert [point.value for point in score.curve] == [point.val_auc for point in record.learning_curve]
    assert score.run_id == record.run_id
    (floor,) = found.done[1].scores
    assert floor.value == record.learning_curve[0].val_auc  # random weights
    assert not [path for path in tmp_path.iterdir() if path.name not in ("sweep.yaml", "sweep.jsonl", "runs")]


# --- trials that are not ---


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """The temperature and the seed of the runs that would have been carried out."""
    found: list[tuple[float, int]] = []

    def score(spec: Any, data: Any, device: str, progress: Any, *, run_id: str, **_: Any) -> ScoredRun:
        temperature = spec.objective.parameters["temperature"]
        found.append((temperature, spec.seed))
        if temperature > 5:
            raise UserError("The loss is no longer finite.")
        return ScoredRun(SeedScore(seed=spec.seed, run_id=run_id, value=0.9 - temperature / 10), None, 96)

    monkeypatch.setattr(trial, "score_run", score)
    monkeypatch.setattr(trial.SweepData, "of", lambda *_: None)
    return found


def temperatures(path: Path) -> list[float]:
    return [result.settings["objective.temperature"] for result in SweepResults.read(path).results]


def test_a_sweep_that_was_interrupted_goes_on_and_does_no_trial_twice(
    tmp_path: Path, carried: list[tuple[float, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, path = sweep_of(tmp_path), tmp_path / "sweep.jsonl"
    really = trial.score_run

    def interrupted(spec: Any, *arguments: Any, **named: Any) -> ScoredRun:
        if spec.objective.parameters["temperature"] == 0.1:
            raise KeyboardInterrupt
        return really(spec, *arguments, **named)

    monkeypatch.setattr(trial, "score_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        carry_out(sweep, path, Heard())
    assert temperatures(path) == [0.5]
    assert [point["objective.temperature"] for point in left(sweep, state(sweep, path).done)[0]] == [0.1, 0.2]
    monkeypatch.setattr(trial, "score_run", really)
    assert carry_out(sweep, path, Heard()).now == 2
    assert carry_out(sweep, path, Heard()).now == 0
    assert carried == [(0.5, 0), (0.1, 0), (0.2, 0)]


def test_a_changed_file_does_what_is_not_done_and_more_seeds_do_not_repeat_the_first(
    tmp_path: Path, carried: list[tuple[float, int]]
) -> None:
    path = tmp_path / "sweep.jsonl"
    carry_out(sweep_of(tmp_path), path, Heard())
    carried.clear()
    wider = sweep_of(tmp_path, search={"objective.temperature": [0.2, 0.3, 0.5]})
    found = carry_out(wider, path, Heard())
    assert carried == [(0.3, 0)]
    assert (len(found.done), found.foreign) == (3, 1)
    carried.clear()
    seeds = sweep_of(tmp_path, seeds=2, search={"objective.temperature": [0.2, 0.5]})
    found = carry_out(seeds, path, Heard())
    assert carried == [(0.5, 1), (0.2, 1)]
    assert [len(result.scores) for result in found.done] == [2, 2]
    other = sweep_of(tmp_path, base=BASE | {"training": {"epochs": 2, "batch_size": 32}})
    assert state(other, path).done == ()  # another budget is another run
    shown = recorded(other, path)
    assert (len(shown.done), shown.outdated) == (3, 3)  # which --table shows all the same, and says so
    carry_out(other, path, Heard())
    assert {len(result.scores) for result in recorded(other, path).done} == {1}
    shown = recorded(seeds, path)  # those of now are shown, and not the latest
    assert ({len(result.scores) for result in shown.done}, shown.outdated) == ({2}, 0)


def test_a_trial_that_fails_is_recorded_and_not_repeated_unless_asked(
    tmp_path: Path, carried: list[tuple[float, int]]
) -> None:
    path, heard = tmp_path / "sweep.jsonl", Heard()
    sweep = sweep_of(tmp_path, search={"objective.temperature": [0.5, 9.0]})
    found = carry_out(sweep, path, heard)
    assert [result.status for result in found.done] == ["ok", "failed"]
    assert found.done[1].reason == "The loss is no longer finite."
    assert "  failed: The loss is no longer finite." in heard.lines
    assert carry_out(sweep, path, heard).now == 0
    assert carry_out(sweep, path, heard, retry_failed=True).now == 1
    assert len(SweepResults.read(path).results) == 3
    assert len(state(sweep, path).done) == 2


def test_a_pruned_trial_is_recorded_with_its_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, path = sweep_of(tmp_path, probe_every=1, pruner="median"), tmp_path / "sweep.jsonl"
    asked = []

    def score(spec: Any, *_: Any, prune: Any, probe_every: int, **__: Any) -> ScoredRun:
        asked.append((prune.keywords["ended"], probe_every))
        raise RunPrunedError([TrialPoint(epoch=1, value=0.6)])

    monkeypatch.setattr(trial, "score_run", score)
    monkeypatch.setattr(trial.SweepData, "of", lambda *_: None)
    found = carry_out(sweep, path, Heard())
    assert [result.status for result in SweepResults.read(path).results] == ["pruned"] * 3
    assert found.done[0].curve == [TrialPoint(epoch=1, value=0.6)]
    assert [(len(ended), every) for ended, every in asked] == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize("name", [name for name in vars(ExperimentContext) if name.endswith("_on_validation")])
def test_every_look_at_validation_may_end_a_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExperimentContext, name, lambda *_: Interval(0.5, 0.4, 0.6))
    context = object.__new__(SweepContext)
    seen: list[Interval] = []
    object.__setattr__(context, "watch", seen.append)
    arguments = [None] * (len(inspect.signature(getattr(SweepContext, name)).parameters) - 1)
    assert getattr(context, name)(*arguments) == seen[0]


def test_settings_that_do_not_fit_the_data_are_refused_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> ScoredRun:
        raise AssertionError("something was trained")

    monkeypatch.setattr(trial, "score_run", never)
    sweep, path = sweep_of(tmp_path, search={"training.batch_size": [32, 4096]}), tmp_path / "sweep.jsonl"
    with pytest.raises(UserError, match=r"sweep.yaml: with training.batch_size=4096: .*192"):
        carry_out(sweep, path, Heard())
    assert not path.exists()


def test_results_lie_beside_the_file_unless_a_place_is_named(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path)
    assert results_path(sweep, None) == tmp_path / "sweep.jsonl"
    assert results_path(sweep, "elsewhere.jsonl") == Path("elsewhere.jsonl")
