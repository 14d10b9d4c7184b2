from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gwbench.errors import UserError
from gwbench.suite.sweep.schema import Sweep, read_sweep
from gwbench.suite.sweep.space import SweepChoices, SweepRange
from gwbench.suite.sweep.text import budget

SAID: dict[str, Any] = {
    "base": {
        "dataset": {"name": "bbh", "train": 192},
        "encoder": {"name": "cnn1d", "width": 4},
        "pairing": "any-pair",
        "objective": "simclr",
        "training": {"batch_size": 32, "lr": 0.003},
    },
    "search": {"objective.temperature": {"low": 0.05, "high": 1, "log": True}, "training.lr": [0.001, "3e-3"]},
}


def read(folder: Path, **changes: Any) -> Sweep:
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in (SAID | changes).items() if value is not None}))
    return read_sweep(path, device="cpu")


def test_a_sweep_is_a_run_and_what_is_searched(tmp_path: Path) -> None:
    sweep = read(tmp_path)
    assert sweep.space.dimensions == {
        "objective.temperature": SweepRange(0.05, 1.0, log=True),
        "training.lr": SweepChoices((0.001, 0.003)),
    }
    assert (sweep.sampler, sweep.trials, sweep.base.seeds) == ("random", 20, (0,))
    assert sweep.reference == {"objective.temperature": 0.5, "training.lr": 0.003}  # the plugin's own, the base's own
    spec = sweep.base.spec({"objective.temperature": 0.1}, 7)
    assert spec.objective and spec.objective.parameters["temperature"] == 0.1
    assert spec.encoder and spec.encoder.parameters["width"] == 4
    assert (spec.seed, spec.dataset.parameters["train"], spec.training and spec.training.lr) == (7, 192, 0.003)
    assert budget(spec) == "5 epochs"


def test_lists_alone_are_a_grid_and_seeds_may_be_counted(tmp_path: Path) -> None:
    sweep = read(tmp_path, search={"training.lr": [0.001, 0.002, 0.003], "encoder.width": [4, 8]}, seeds=3)
    assert (sweep.sampler, sweep.trials, sweep.base.seeds) == ("grid", 6, (0, 1, 2))
    assert len(list(sweep.space.grid())) == 6
    assert read(tmp_path, seeds=[5, 2]).base.seeds == (5, 2)


def test_plugins_are_searched_and_settings_of_the_base_stay_with_theirs(tmp_path: Path) -> None:
    base = SAID["base"] | {"objective": {"name": "barlow", "hidden_dim": 16}}
    search = {
        "objective": ["barlow", {"name": "vicreg", "hidden_dim": 64}, "byol"],
        "augmentations": [[], ["time-shift", "polarity-flip"]],
        "encoder_groups": ["shared", "each"],
    }
    sweep = read(tmp_path, base=base, search=search)
    assert sweep.reference == {"objective": "barlow", "augmentations": [], "encoder_groups": "shared"}
    specs = [sweep.base.spec(point, 0) for point in sweep.space.grid()]
    widths = {spec.objective.name: spec.objective.parameters["hidden_dim"] for spec in specs if spec.objective}
    assert widths == {"barlow": 16, "vicreg": 64, "byol": 512}
    assert {tuple(each.name for each in spec.augmentations) for spec in specs} == {(), ("time-shift", "polarity-flip")}
    assert len({spec.canonical() for spec in specs}) == 12


def test_points_are_trials_one_by_one_and_the_first_is_what_others_are_compared_with(tmp_path: Path) -> None:
    points: list[dict[str, Any]] = [
        {"training.lr": "1e-3"},
        {"baseline": "random-init"},
        {"pairing": "cross-detector", "training.lr": 1e-3},
    ]
    sweep = read(tmp_path, search=None, points=points)
    assert (sweep.sampler, sweep.trials) == ("points", 3)
    assert sweep.reference == {"training.lr": 0.001}
    assert sweep.names == ["training.lr", "baseline", "pairing"]
    spec = sweep.base.spec(points[1], 0)
    assert spec.baseline and (spec.pairing, spec.objective, spec.training) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"serach": {}}, r"line \d+, serach: there is no key 'serach'. Did you mean 'search'"),
        ({"search": None}, "say what the trials are: settings under search"),
        ({"points": [{}]}, "search and points both say"),
        ({"search": {"objective.temprature": [1]}}, r"line \d+, search.objective.temprature: .*'temprature'. Did you"),
        ({"search": {"temperature": [1]}}, "nothing to search called 'temperature'"),
        ({"search": {"objectve.temperature": [1]}}, "Did you mean 'objective'"),
        ({"search": {"seed": [1, 2]}}, "`seeds` says"),
        ({"search": {"training.lr": 0.1}}, "neither a list of choices nor a range"),
        ({"search": {"training.lr": []}}, "the list is empty"),
        ({"search": {"training.lr": [0.1, "1e-1"]}}, "is in the list twice"),
        ({"search": {"training.lr": [0.1, -1]}}, "training.lr=-1 is not valid"),
        ({"search": {"training.lr": {"low": 0.1, "high": 0.1}}}, "low=0.1 is not below high=0.1"),
        ({"search": {"training.lr": {"low": 0.1, "hihg": 0.2, "high": 1}}}, "no 'hihg'. Did you mean 'high'"),
        ({"search": {"training.weight_decay": {"low": 0, "high": 1, "log": True}}}, "needs numbers above 0"),
        ({"search": None, "points": [{}, {"training.lr": 0.003}]}, r"points\[1\]: it is the same run as points\[0\]"),
        ({"search": {"training.lr": list(range(101)), "training.clip": list(range(100))}}, "grid has 10,100 points"),
        ({"seeds": 0}, "seeds: 0 is not valid: say how many there are, 1 to 1,000"),
        ({"seeds": 10**15}, "say how many there are, 1 to 1,000"),
        ({"seeds": True}, "seeds: true is not valid: say how many there are, 1 to 1,000, or list them"),
        ({"seeds": "3"}, "seeds: '3' is not valid: say how many"),
        ({"search": {"training.lr": {"low": 0.1, "high": 1, "step": 2}}}, "step=2 is larger than the range, 0.9"),
        ({"search": {"training.lr": {"low": 0.1, "high": 1, "step": -2}}}, "step=-2 is no number above 0"),
        ({"search": {"training.lr": {"low": 0.1, "log": True}}}, "the range has no high"),
        ({"search": {"dataset.val": [48, 64]}}, "dataset.val is not searched: all trials are scored on the same win"),
        ({"search": {"dataset": ["bbh", "glitches"]}}, "dataset is not searched"),
        ({"search": {"task": ["detection", "log-chirp-mass"]}}, "task is not searched"),
        ({"search": {"data_seed": [0, 1]}}, "data_seed is not searched: all trials are scored on the same windows"),
        (
            {"search": None, "points": [{}, {"dataset.val": 64}]},
            r"points\[1\].dataset.val: dataset.val is not searched",
        ),
        ({"search": {"training.optimizer": {"low": "adamw", "high": "lars"}}}, "list the choices instead"),
        ({"search": {"objective.temperature": {"low": 0.1, "high": 1}}, "sampler": "grid"}, "a grid needs a list"),
        ({"search": {"training.cooldown": [0.2, 0.5]}}, "no effect without training.stop=plateau"),
        (
            {"base": SAID["base"] | {"training": {"windows": 640}}, "search": {"training.epochs": [2, 3]}},
            "training.epochs: it has no effect on these runs",
        ),
        ({"search": {"pairing": ["any-pair", "any-piar"]}}, "Did you mean 'any-pair'"),
        ({"base": SAID["base"] | {"out": "runs"}}, "base.out: a sweep has no use for it"),
        ({"base": SAID["base"] | {"encodr": "cnn1d"}}, "no key 'encodr'. Did you mean 'encoder'"),
        ({"base": SAID["base"] | {"encoder": "cnn1"}}, "base.encoder: There is no encoder 'cnn1'"),
        ({"sampler": "bayes"}, "sampler: 'bayes' is not valid"),
        ({"trials": 0}, "trials: 0 is not valid"),
        ({"trials": True}, "trials: true is not valid"),
        ({"probe_every": True}, "probe_every: true is not valid"),
        ({"seeds": []}, r"seeds: \[\] is not valid: say how many"),
        ({"seeds": [1, 1]}, "a seed is there twice"),
        ({"pruner": "median"}, "say probe_every"),
        (
            {"base": {"baseline": "random-init"}, "search": {"encoder.width": [4, 8]}, "probe_every": 1},
            "pre-trains not",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, **changes)


def test_settings_of_the_command_line_go_into_the_base_unless_they_are_searched(tmp_path: Path) -> None:
    read(tmp_path)
    path = tmp_path / "sweep.yaml"
    sweep = read_sweep(path, device="cpu", settings={"encoder.width": "8"}, trials=2)
    spec = sweep.base.spec({}, 0)
    assert spec.encoder and spec.encoder.parameters["width"] == 8
    assert sweep.trials == 2
    with pytest.raises(UserError, match=r"^objective 'simclr' has no parameter 'nothing'"):  # not the file's fault
        read_sweep(path, device="cpu", settings={"objective.nothing": "1"})
    with pytest.raises(UserError, match="the sweep searches it"):
        read_sweep(path, device="cpu", settings={"training.lr": "1"})


def test_the_published_sweeps_can_be_read() -> None:
    files = sorted((Path(__file__).parents[3] / "benchmarks" / "sweeps").glob("*.yaml"))
    assert files
    for path in files:
        sweep = read_sweep(path, device="cpu")
        assert sweep.trials > 1, path
