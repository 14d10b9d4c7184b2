"""Settings by their dotted names."""

from __future__ import annotations

import shlex

from gwbench.experiment.choice import Choice
from gwbench.experiment.settings import dotted
from gwbench.experiment.spec import RunSpec


def test_mappings_in_mappings_have_dotted_names() -> None:
    nested = {"training": {"lr": 0.1, "deep": {"er": (1, 2)}}, "seed": 3, "empty": {}}
    assert list(dotted(nested)) == [("training.lr", 0.1), ("training.deep.er", (1, 2)), ("seed", 3), ("empty", {})]


def test_the_settings_of_a_spec_make_it_again() -> None:
    parts = {"dataset": "bbh", "encoder": "cnn1d", "pairing": "cross-detector", "objective": "barlow"}
    given = {"encoder.width": 8, "training.lr": 1e-3, "augmentation.time-shift.longest_ms": 2.5}
    augmentations = ["noise-injection", "time-shift"]
    spec = RunSpec.create(**parts, augmentations=augmentations, settings=given)
    settings = spec.settings()
    assert given.items() <= settings.items()
    assert {name.partition(".")[0] for name in settings} >= {"training", "evaluation", "conditioning", "augmentation"}
    assert RunSpec.create(**parts, augmentations=augmentations, settings=settings) == spec
    words = shlex.split(spec.command())
    said = [value.partition("=")[0] for flag, value in zip(words[2::2], words[3::2], strict=True) if flag == "--set"]
    assert sorted(said) == sorted(given)  # and none of those that are the defaults


def test_a_plugin_without_parameters_has_no_settings() -> None:
    spec = RunSpec.create().model_copy(update={"augmentations": (Choice(name="plain"),)})
    assert spec.settings() == RunSpec.create().settings()


def test_a_spec_without_training_has_no_settings_of_it() -> None:
    settings = RunSpec.create(baseline="random-init").settings()
    assert not any(name.startswith("training.") for name in settings)
    assert "encoder.width" in settings
