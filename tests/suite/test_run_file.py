"""A run as a file: what is written is read back, and what does not fit is refused with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gwbench.errors import UserError
from gwbench.experiment.spec import RunSpec
from gwbench.registry import KINDS
from gwbench.suite.run_file import RunFile, read_run_file
from gwbench.suite.run_file_text import OPTIONS, run_file_text

DEFAULTS: dict[str, Any] = {
    "precision": "auto", "plugins": [], "device": "auto", "devices": 1, "num_nodes": 1, "workers": None, "out": "runs",
    "cache_dir": None, "loggers": [],
}  # fmt: skip
KIND_FIELDS = {kind.plural if kind.several else kind.name for kind in KINDS.values()}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"augmentations": ["time-shift", "noise-injection"], "settings": {"augmentation.time-shift.longest_ms": 2.5}},
        {"pairing": "network", "seed": 3, "data_seed": 2, "limit": 50},
        {"baseline": "random-init", "encoder_groups": "H1,L1|V1", "settings": {"encoder.width": 8}},
        {"baseline": "band-power", "dataset": "real-noise", "settings": {"dataset.path": ("a, b.hdf", "#c.hdf", "ü")}},
        {"baseline": "fine-tune", "settings": {"conditioning.low": 1e-05, "training.lr": 1e-7, "baseline.flip": True}},
    ],
)
def test_what_is_written_is_the_same_run_when_it_is_read(given: dict[str, Any], tmp_path: Path) -> None:
    spec = RunSpec.create(**given)
    text = run_file_text(spec, DEFAULTS)
    path = tmp_path / "run.yaml"
    path.write_text(text)
    document = yaml.safe_load(text)
    sections = {"conditioning", "evaluation"} | ({"training"} if spec.training else set())
    expected = set(OPTIONS) | sections | {"dataset", "task", "augmentations"}
    expected |= {kind for kind, _ in spec.choices() if kind != "augmentation"}
    unused = (set() if spec.trains else {"precision"}) | (set() if spec.encoder else {"encoder_groups"})
    assert set(document) == expected - unused
    read = read_run_file(path)
    names = KIND_FIELDS | {"encoder_groups", "seed", "data_seed", "limit"}
    options = {name: value for name, value in read.options.items() if name in names}
    assert RunSpec.create(settings=read.settings, **options) == spec
    for name, value in DEFAULTS.items():
        if value not in (None, "auto") or (name == "device"):
            assert read.options.get(name, value) == value
    assert all(len(line) <= 120 for line in text.splitlines())


def test_every_setting_is_explained(tmp_path: Path) -> None:
    text = run_file_text(RunSpec.create(), DEFAULTS)
    for key in ("epochs", "lr", "low", "label_fraction", "width", "snr_model", "seed"):
        (line,) = (line for line in text.splitlines() if line.strip().startswith(f"{key}:"))
        assert "# " in line, line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("encodre: x", r"line 1, encodre: there is no key 'encodre'\. Did you mean 'encoder'\? Keys: dataset, "),
        (
            "seed: 1\nencoder: {name: cnn1d, widht: 3}",
            r"line 2, encoder.widht: encoder 'cnn1d' has no parameter 'widht'",
        ),
        ("seed: -1", r"line 1, seed: -1 is not valid"),
        ("seed: true", r"line 1, seed: true is not valid"),
        ("limit: 1", r"line 1, limit: 1 is not valid"),
        ("training: {epoch: 3}", r"line 1, training.epoch: training has no setting 'epoch'\. Did you mean 'epochs'"),
        ("training:\n  lr: -1", r"line 2, training.lr: training.lr=-1 is not valid"),
        ("encoder: nonesuch", r"line 1, encoder: There is no encoder 'nonesuch'"),
        ("augmentations: [time-shift, {name: nonesuch}]", r"augmentations\[1\]: There is no augmentation 'nonesuch'"),
        ("encoder: [1]", r"line 1, encoder: \[1\] is not valid: expected a plugin's name"),
        ("a: &a [1]\nb: *a", r"the alias \*a is refused"),
        ("seed: !!python/object/apply:os.system ['true']", "is refused"),
        ("- 1", "expected keys and values"),
        ("seed: 1\nseed: 2", "comes twice"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        read_run_file(path)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_run_file(tmp_path / "none.yaml")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (5 * 2**20))
    with pytest.raises(UserError, match="more than 4 MiB"):
        read_run_file(large)
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    assert (read_run_file(empty).options, read_run_file(empty).settings) == ({}, {})


def test_the_file_may_say_all_that_is_written() -> None:
    sections = {"conditioning", "training", "evaluation"}
    assert set(RunFile.model_fields) == KIND_FIELDS | sections | set(OPTIONS)
