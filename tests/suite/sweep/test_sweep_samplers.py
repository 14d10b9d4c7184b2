from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import yaml

from gwbench import seeds
from gwbench.errors import UserError
from gwbench.suite.sweep.results import SeedScore, TrialPoint, TrialResult, settings_key
from gwbench.suite.sweep.samplers import STARTUP, below_median, next_settings
from gwbench.suite.sweep.schema import Sweep, read_sweep
from gwbench.suite.sweep.space import SweepChoices, SweepRange, SweepSpace

RANGE = {"low": 0.05, "high": 1.0, "log": True}


def sweep_of(folder: Path, search: dict[str, Any], **said: Any) -> Sweep:
    path = folder / "sweep.yaml"
    base = {"encoder": {"name": "cnn1d", "width": 4}, "pairing": "any-pair", "objective": "simclr"}
    path.write_text(yaml.safe_dump({"base": base, "search": search, **said}))
    return read_sweep(path, device="cpu")


def ended(settings: dict[str, Any], value: float, curve: list[float] | None = None) -> TrialResult:
    points = [TrialPoint(epoch=epoch, value=each) for epoch, each in enumerate(curve or [])]
    return TrialResult(status="ok", settings=settings, scores=[SeedScore(seed=0, run_id="", value=value, curve=points)])


def carried_out(sweep: Sweep, done: list[TrialResult], most: int = 1000) -> list[TrialResult]:
    """All trials, of a value that is best at a temperature of 0.2."""
    while len(done) < most and (settings := next_settings(sweep, done)) is not None:
        far = abs(math.log(settings["objective.temperature"] / 0.2))
        done.append(ended(settings, 1 - far / 10))
    return done


def test_a_grid_tries_the_default_first_and_then_every_other_point_once(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, {"objective.temperature": [0.1, 0.5], "training.lr": [0.001, 0.002]})
    tried = [tuple(result.settings.values()) for result in carried_out(sweep, [])]
    assert tried == [(0.5, 0.002), (0.1, 0.001), (0.1, 0.002), (0.5, 0.001)]
    away = sweep_of(tmp_path, {"objective.temperature": [0.1, 0.2]})  # the default is none of its points
    assert [result.settings["objective.temperature"] for result in carried_out(away, [])] == [0.5, 0.1, 0.2]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_sweep_that_was_stopped_anywhere_goes_on_as_if_it_had_not_been(tmp_path: Path, sampler: str) -> None:
    search = {"objective.temperature": RANGE, "encoder.width": {"low": 4, "high": 64, "log": True}}
    sweep = sweep_of(tmp_path, search, sampler=sampler, trials=13)
    alone = carried_out(sweep, [])
    assert len(alone) == 1 + 13
    assert len({settings_key(result.settings) for result in alone}) == 14
    for stopped in (5, 12):
        assert carried_out(sweep, alone[:stopped]) == alone
    other = carried_out(sweep_of(tmp_path, search, sampler=sampler, trials=3, seed=1), [])
    assert other[1:] != alone[1:4]


def test_random_points_are_those_of_the_role_and_fill_their_ranges() -> None:
    space = SweepSpace(
        {"a": SweepRange(0.01, 1.0, log=True), "b": SweepRange(1, 8, whole=True), "c": SweepChoices(("x", "y", "z"))}
    )
    points = [space.draw(seeds.numpy_generator(3, "sweep", number)) for number in range(2000)]
    a = np.log([point["a"] for point in points])
    assert abs(np.quantile(a, 0.5) - math.log(0.1)) < 0.15  # uniform in the logarithm
    counts = np.bincount([point["b"] for point in points])[1:]
    assert len(counts) == 8 and abs(counts / 2000 - 1 / 8).max() < 0.03
    assert {point["c"] for point in points} == set("xyz")
    generator = seeds.numpy_generator(3, "sweep", 0)
    first = 0.01 * 100 ** generator.random()
    assert points[0]["a"] == float(f"{first:.3g}")


def test_steps_reach_both_ends() -> None:
    steps = SweepRange(0.1, 0.5, step=0.1)
    assert sorted({steps.draw(share) for share in np.linspace(0, 0.9999, 50)}) == pytest.approx(
        [0.1, 0.2, 0.3, 0.4, 0.5]
    )
    assert SweepRange(2, 8, step=3, whole=True).draw(0.9999) == 8


@pytest.mark.filterwarnings("error")
def test_tpe_goes_on_from_a_default_that_lies_beside_the_steps(tmp_path: Path) -> None:
    search = {
        "objective.temperature": {"low": 0.05, "high": 1.0, "step": 0.1},  # 0.05, 0.15, ... 0.95; the default is 0.5
        "encoder.width": {"low": 4, "high": 14, "step": 4},  # 4, 8, 12
    }
    sweep = sweep_of(tmp_path, search, sampler="tpe", trials=12)
    done = carried_out(sweep, [])
    assert done[0].settings == {"objective.temperature": 0.5, "encoder.width": 4}  # of the base
    assert {round(result.settings["objective.temperature"] * 100) % 10 for result in done[1:]} == {5}
    assert {result.settings["encoder.width"] for result in done} <= {4, 8, 12}
    temperature, width = (sweep.space.dimensions[name] for name in search)
    assert [temperature.holds(value) for value in (0.05, 0.15, 0.95, 0.5, 1.0)] == [True, True, True, False, False]
    assert [width.holds(value) for value in (4, 12, 13, 8.5, 14)] == [True, True, False, False, False]


def test_a_finite_space_ends_when_all_of_it_was_tried(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, {"objective.temperature": [0.1, 0.2, 0.5]}, sampler="random", trials=50)
    assert len(carried_out(sweep, [])) == 3


def test_tpe_suggests_what_a_study_of_optuna_would(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, {"objective.temperature": RANGE}, sampler="tpe", trials=30)
    done = carried_out(sweep, [], most=14)
    sampler = optuna.samplers.TPESampler(seed=seeds.integer(0, "sweep", 14) % 2**32)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space: dict[str, optuna.distributions.BaseDistribution] = {
        "t": optuna.distributions.FloatDistribution(0.05, 1.0, log=True)
    }
    for result in done:
        params = {"t": result.settings["objective.temperature"]}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=result.value))
    suggested = study.ask(space).params["t"]
    assert next_settings(sweep, done) == {"objective.temperature": float(f"{suggested:.3g}")}


def test_without_optuna_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = sweep_of(tmp_path, {"objective.temperature": RANGE}, sampler="tpe")
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UserError, match=r"needs optuna.*pip install 'gwbench-ssl\[sweep\]'"):
        next_settings(sweep, [ended(dict(sweep.reference), 0.5)])


@pytest.mark.parametrize("seed", range(8))
def test_pruning_is_that_of_optunas_median_pruner(seed: int) -> None:
    rng = np.random.default_rng(seed)
    space: dict[str, optuna.distributions.BaseDistribution] = {"x": optuna.distributions.FloatDistribution(0, 1)}
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(STARTUP, 1))
    done = []
    for number in range(int(rng.integers(STARTUP - 1, STARTUP + 3))):
        curve = rng.random(4)
        done.append(ended({"x": number}, curve[-1], list(curve)))
        values = dict(enumerate(map(float, curve)))
        study.add_trial(
            optuna.trial.create_trial(
                params={"x": 0.5}, distributions=space, value=curve[-1], intermediate_values=values
            )
        )
    trial = study.ask(space)
    seen: dict[int, float] = {}
    for epoch in range(4):
        seen[epoch] = float(rng.random())
        trial.report(seen[epoch], epoch)
        assert below_median(seen, done) == trial.should_prune()
