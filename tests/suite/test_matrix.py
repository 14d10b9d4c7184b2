from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gwbench.errors import UserError
from gwbench.registry import Registry
from gwbench.suite.matrix import Cell, Matrix, expand
from gwbench.suite.schema import read_suite
from tests.suite.tiny import write_suite

SHIPPED = Path(__file__).parents[2] / "benchmarks"


def cells(folder: Path, *, settings: dict[str, Any] | None = None, **changes: Any) -> Matrix:
    return expand(read_suite(write_suite(folder, **changes), settings), "fp32")


def methods(found: list[Cell]) -> list[str]:
    return [cell.spec.title for cell in found]


def test_the_product_has_every_combination_once_and_baselines_only_what_they_depend_on(tmp_path: Path) -> None:
    found = cells(
        tmp_path,
        objectives=["barlow", "simclr", "byol"],
        pairings=["cross-detector", "any-pair"],
        baselines=["random-init", "band-power", "fine-tune"],
        seeds=[0, 1],
    ).cells
    ordinary = [cell for cell in found if cell.spec.baseline is None]
    assert len(ordinary) == 3 * 2 * 2 * 2  # objectives, pairings, fractions, seeds
    count = dict.fromkeys(("random-init", "band-power", "fine-tune"), 0)
    for cell in found:
        if cell.spec.baseline:
            count[cell.spec.baseline.name] += 1
    assert count == {"random-init": 2 * 2, "band-power": 2 * 2, "fine-tune": 3 * 2 * 2 * 2}
    assert len({cell.spec.canonical() for cell in found}) == len({cell.label for cell in found}) == len(found)


def test_cells_that_share_a_pre_training_are_neighbours_the_ordinary_ones_first(tmp_path: Path) -> None:
    found = cells(tmp_path, baselines=["random-init", "fine-tune"], seeds=[0, 1]).cells
    shared = [cell for cell in found if cell.pretraining]
    keys = [cell.pretraining for cell in shared]
    assert len(set(keys)) == 2 * 2  # objectives, seeds
    for key in set(keys):
        places = [place for place, each in enumerate(keys) if each == key]
        assert places == list(range(places[0], places[0] + 4))
        assert [shared[place].spec.baseline is None for place in places] == [True, True, False, False]
    assert [cell.spec.seed for cell in found] == sorted(cell.spec.seed for cell in found)


def test_parameters_and_settings_reach_the_spec(tmp_path: Path) -> None:
    found = cells(
        tmp_path,
        conditioning=[{"low": 30}, {"low": 40}],
        baselines=["random-init", {"name": "supervised", "epochs": 3}],
        overrides=[{"when": {"objective": "simclr"}, "set": {"training.lr": 1e-4, "objective.temperature": 0.3}}],
        settings={"dataset.test": "64", "training.epochs": "7"},
    ).cells
    for cell in found:
        spec = cell.spec
        assert spec.dataset.parameters["snr"] == [12, 20]
        assert spec.dataset.parameters["test"] == 64
        assert spec.encoder is not None
        assert spec.encoder.parameters["width"] == 4
        if spec.training:
            assert (spec.training.epochs, spec.training.batch_size) == (7, 32)
            assert spec.objective is not None
            assert (spec.training.lr == 1e-4) is (spec.objective.name == "simclr")
            assert spec.objective.parameters.get("temperature", 0.3) == 0.3
        if spec.baseline and spec.baseline.name == "supervised":
            assert spec.baseline.parameters["epochs"] == 3
    assert {cell.spec.conditioning.low for cell in found} == {30, 40}
    assert {cell.label.count("low=30") for cell in found} == {0, 1}


TASK = """
from gwbench.contracts import Scores, Task
from gwbench.registry import register


@register("task", "count")
class Count(Task):
    \"\"\"Nothing much.\"\"\"

    def __init__(self, *, start: int = 0) -> None:
        self.start = start

    def targets(self, split):
        return split.label

    def fit_predict(self, train, val, test, settings):
        return Scores(test[:, 0])

    def metrics(self, test, scores):
        return {"count": self.start + len(test)}
"""


def test_tasks_are_an_axis_that_shares_pre_training(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "count.py").write_text(TASK)
    registry.load_source(str(tmp_path / "count.py"))
    plain = cells(tmp_path, baselines=["random-init", "band-power"]).cells
    matrix = cells(
        tmp_path,
        baselines=["random-init", "band-power"],
        tasks=[registry.default("task"), {"name": "count", "start": 3}],
        exclude=[{"task": "count", "label_fraction": 0.25}],
    )
    default = [cell.spec for cell in matrix.cells if cell.spec.task is None]
    assert {spec.canonical() for spec in default} == {cell.spec.canonical() for cell in plain}
    others = [cell for cell in matrix.cells if cell.spec.task]
    assert others
    assert all(cell.spec.task and cell.spec.task.parameters == {"start": 3} for cell in others)
    assert all(", count, " in cell.label for cell in others)
    assert {cell.pretraining for cell in others} == {cell.pretraining for cell in plain}
    assert {cell.spec.baseline and cell.spec.baseline.name for cell in others} == {None, "random-init"}
    assert all("scores signal against noise" in because for _, because in matrix.skipped)
    assert matrix.skipped
    assert matrix.excluded


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ({"objective": "simclr"}, {"barlow", None}),
        ({"objective": ["simclr", {"name": "barlow", "hidden_dim": 16}]}, {None}),
        ({"objective": {"name": "barlow", "hidden_dim": 16}, "label_fraction": 1}, {"barlow", "simclr", None}),
        ({"baseline": None}, {None}),
        ({"baseline": "random-init"}, {"barlow", "simclr"}),
        ({"training": {"epochs": 2}}, {None}),
        ({"augmentation": None, "objective": "barlow"}, {"simclr", None}),
    ],
)
def test_exclude_leaves_out_what_it_describes(tmp_path: Path, condition: dict[str, Any], left: set[str | None]) -> None:
    found = cells(tmp_path, exclude=[condition])
    assert {cell.spec.objective and cell.spec.objective.name for cell in found.cells} == left
    assert found.excluded + len(found.cells) == 2 * 2 + 2


def test_a_condition_that_holds_for_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line \d+, exclude\[0\]: this condition holds for no cell"):
        cells(tmp_path, exclude=[{"objective": "vicreg"}])
    with pytest.raises(UserError, match=r"overrides\[0\]: this condition holds for no cell"):
        cells(tmp_path, overrides=[{"when": {"seed": 3}, "set": {"training.lr": 1e-4}}])


def test_a_setting_that_does_not_fit_its_cells_is_named(tmp_path: Path) -> None:
    wrong = [{"when": {"objective": "simclr"}, "set": {"objective.lambda_param": 1}}]
    with pytest.raises(UserError, match=r"line \d+, overrides\[0\].set.objective.lambda_param: objective 'simclr' has"):
        cells(tmp_path, overrides=wrong)
    with pytest.raises(UserError, match="needs encoders"):
        cells(tmp_path, encoders=None, objectives=None, pairings=None)


def test_what_makes_no_sense_together_is_skipped_with_its_reason(tmp_path: Path, registry: Registry) -> None:
    source = tmp_path / "picky.py"
    source.write_text(
        "from gwbench.contracts import Augmentation\n"
        "from gwbench.registry import register\n\n\n"
        '@register("augmentation", "picky")\n'
        "class Picky(Augmentation):\n"
        '    """Wants one objective."""\n\n'
        "    def __init__(self, info):\n        pass\n\n"
        "    def augment(self, view, generator):\n        return view\n\n"
        "    @classmethod\n    def skip(cls, parts):\n"
        '        return "" if parts.objective.__name__ == "Barlow" else "it wants the other objective"\n'
    )
    registry.load_source(str(source))
    found = cells(tmp_path, augmentations=[[], ["picky"]], label_fractions=None, encoder_groups=["shared", "network"])
    assert sum("picky" in title for title in methods(found.cells)) == 1
    reasons = dict(found.skipped)
    assert "it wants the other objective" in reasons.values()
    assert any("one detector at a time" in reason for reason in reasons.values())


PUBLISHED = 4 * 3 + 2
"""cnn1d with four objectives, each with two pairings and with both noises at once; cqt2d with two objectives."""


@pytest.mark.parametrize(
    ("name", "ordinary", "others"),
    [
        # random-init, band-power, supervised, supervised-all, fine-tune, matched-filter, oracle
        ("quickstart", (4 + 2) * 3, 7 * 3),
        ("longer-training", 2 * 3, 4 * 3),
        ("g2net-like", (PUBLISHED + 2) * 3, (2 + 6) * 3),
        ("faint-signals", 3 * 3, 5 * 3),
        # none, 100 and 5,000 labels; two untrained encoders with two fractions, supervised, one matched filter
        ("faint-signals-20000", 3 * 3, (2 * 2 + 1) * 3 + 1),
        ("label-efficiency", (PUBLISHED + 1) * 4 * 3, ((2 + 3) * 4 + 3) * 3),
        ("glitches", (1 + 1 + 2) * 3, 5 * 3),
        ("real-noise", (2 + 2) * 3, 5 * 3),
        ("g2net", 4 * 3, 4 * 3),
        ("seed-recipe", 3, 3),
        # two fractions: three methods and two; and what labels alone, templates and no training at all give
        ("quality", (3 + 2) * 2 * 3, (2 * 2 + 1) * 3 + 1 + 3),
        ("events", 4 * 3, 3 * 3),
        # pre-trained on each of four datasets, and probed on the other three
        ("transfer", (4 + 3) * 3, 4 * 3),
    ],
)
def test_the_suites_that_ship_hold_what_they_promise(name: str, ordinary: int, others: int) -> None:
    found = expand(read_suite(SHIPPED / f"{name}.yaml"), "bf16")
    assert not found.skipped
    assert sum(cell.spec.baseline is None for cell in found.cells) == ordinary
    assert sum(cell.spec.baseline is not None for cell in found.cells) == others
    assert {cell.spec.seed for cell in found.cells} == {0, 1, 2}


@pytest.mark.parametrize(("name", "ordinary", "others"), [("search-gaussian", 3, 2), ("search-real", 2, 2)])
def test_the_suites_of_searches_have_one_seed(name: str, ordinary: int, others: int) -> None:
    suite = read_suite(SHIPPED / f"{name}.yaml")
    found = expand(suite, "bf16")
    assert sum(cell.spec.baseline is None for cell in found.cells) == ordinary
    assert sum(cell.spec.baseline is not None for cell in found.cells) == others
    assert len(suite.file.searches) == 1


def test_every_suite_that_ships_is_tested_here() -> None:
    (mark,) = (m for m in test_the_suites_that_ship_hold_what_they_promise.pytestmark if m.name == "parametrize")  # type: ignore[attr-defined]
    searches = {"search-gaussian", "search-real"}
    assert {path.stem for path in SHIPPED.glob("*.yaml")} == {case[0] for case in mark.args[1]} | searches


def test_the_seed_recipe_is_that_of_the_blog() -> None:
    """H1 or L1 against V1 with a network each; Barlow Twins of lambda 0.0051 behind 3192 x 3; a 2048-d embedding."""
    cell = expand(read_suite(SHIPPED / "seed-recipe.yaml", {"dataset.train": "1000"}), "bf16").cells[0]
    spec = cell.spec
    assert spec.encoder
    assert spec.objective
    assert spec.pairing
    assert spec.training
    assert spec.encoder_groups == spec.pairing.parameters["groups"] == "H1,L1|V1"
    assert spec.encoder.parameters == {"width": 64, "embed_dim": 2048, "stride": 1}
    assert {spec.objective.parameters[key] for key in ("hidden_dim", "output_dim")} == {3192}
    assert spec.objective.parameters["lambda_param"] == 0.0051
    assert (spec.training.lr, spec.training.weight_decay, spec.training.batch_size) == (1e-4, 1e-8, 384)
    assert (spec.conditioning.method, spec.conditioning.low, spec.conditioning.high) == ("seed", 20, 600)
    assert [(each.name, each.parameters["probability"]) for each in spec.augmentations] == [("noise-injection", 0.5)]
    assert spec.evaluation.label_fraction == 0.25
    assert spec.dataset.parameters["train"] == 1000


def test_without_labels_only_what_has_a_score_of_its_own_is_run(tmp_path: Path) -> None:
    found = cells(
        tmp_path,
        pairings=["any-pair"],
        objectives=["simclr", "coincidence-critic"],
        baselines=["random-init", "oracle"],
        label_fractions=[0, 0.25],
    )
    free = {cell.spec.title for cell in found.cells if not cell.spec.uses_labels}
    assert free == {"cnn1d + any-pair + coincidence-critic", "oracle"}
    reasons = dict(found.skipped)
    assert len(reasons) == 2
    assert any("'simclr' has no score of its own" in reason for reason in reasons.values())
    assert "the baseline 'random-init' uses labels" in reasons.values()
