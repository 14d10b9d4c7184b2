from __future__ import annotations

import re
from pathlib import Path

import pytest

from gwbench.errors import UserError
from gwbench.suite.schema import SuiteFile, read_suite

GOOD = """\
datasets:
  - name: bbh
    train: 100
encoders: [cnn1d]
pairings: [cross-detector]
objectives: [barlow]
"""


def read(folder: Path, text: str) -> SuiteFile:
    path = folder / "suite.yaml"
    path.write_text(text)
    return read_suite(path).file


def test_names_stand_for_entries_and_single_settings_for_lists(tmp_path: Path) -> None:
    file = read(
        tmp_path, GOOD + "training: {epochs: 3}\naugmentations: [[], time-shift, [time-shift, polarity-flip]]\n"
    )
    assert file.datasets[0].name == "bbh"
    assert file.datasets[0].parameters == {"train": 100}
    assert file.training == [{"epochs": 3}]
    assert [[entry.name for entry in method] for method in file.augmentations] == [
        [],
        ["time-shift"],
        ["time-shift", "polarity-flip"],
    ]
    assert file.label_fractions == [0.25]
    assert file.seeds == file.data_seeds == [0]


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        (("encoders", "encodrs"), "line 4, encodrs", "Did you mean 'encoders'"),
        (("cnn1d", "cnn1"), "line 4, encoders[0]", "There is no encoder 'cnn1'. Did you mean 'cnn1d'?"),
        (("train: 100", "trian: 100"), "line 3, datasets[0].trian", "Did you mean 'train'"),
        (("train: 100", "train: many"), "line 3, datasets[0].train", "dataset.train='many' is not valid"),
        (("name: bbh\n    train", "train"), "line 2, datasets[0]", "expected a plugin's name"),
        (("objectives: [barlow]", "objectives: barlow"), "line 6, objectives", "valid list"),
        (("datasets", "objectives"), "line 6", "comes twice"),
        ((GOOD, "encoders: [cnn1d]"), "line 1", "the key 'datasets' is missing"),
        ((GOOD, "datasets: [bbh]"), "line 1", "nothing to run"),
        (("encoders: [cnn1d]\n", ""), "line 5, objectives", "objectives need encoders"),
        ((GOOD, ""), "line 1", "the key 'datasets' is missing"),
        ((GOOD, "- a\n"), "line 1", "expected keys and values"),
        (("", "seeds: [0, -1]\n"), "line 1, seeds[1]", "-1 is not valid"),
        (("", "seeds: [0, yes]\n"), "line 1, seeds[1]", "true is not valid"),
        (("", "label_fractions: [2]\n"), "line 1, label_fractions[0]", "2 is not valid"),
        (("", "training: {epochs: 2, lrr: 1}\n"), "line 1, training.lrr", "Did you mean 'lr'"),
        (("", "training: [{epochs: 2},\n {epochs: 0}]\n"), "line 2, training[1].epochs", "training.epochs=0"),
        (("", "conditioning: {low: 700}\n"), "line 1, conditioning", "0 < low < high"),
        (("", "precision: half\n"), "line 1, precision", "'half' is not valid"),
        (("", "budget_seconds: 0\n"), "line 1, budget_seconds", "greater than 0"),
        (("", "exclude: [{encoder: cnn1d, loss: barlow}]\n"), "line 1, exclude[0].loss", "cannot ask for 'loss'"),
        (("", "overrides: [{when: {}, set: {encodr.width: 2}}]\n"), "line 1, overrides[0].set.encodr", "no setting"),
        (("", "overrides: [{when: {}, sett: {}}]\n"), "line 1, overrides[0]", "the key 'set' is missing"),
        (("", "augmentations: [[time-shfit]]\n"), "line 1, augmentations[0][0]", "Did you mean 'time-shift'"),
    ],
)
def test_an_error_names_line_and_key(tmp_path: Path, change: tuple[str, str], where: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, GOOD.replace(*change, 1))
    assert f"suite.yaml, {where}" in str(caught.value)
    assert message in str(caught.value)


def test_the_schema_in_the_docstring_names_every_key() -> None:
    from gwbench.suite import schema

    assert schema.__doc__ is not None
    assert re.findall(r"^    ([a-z_]+):", schema.__doc__, flags=re.MULTILINE) == list(SuiteFile.model_fields)
