"""What does not fit is refused before data are made, and leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gwbench
from gwbench.data.store.cache import CacheDir
from gwbench.errors import UserError
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.data_shape import DataShape, first_windows
from gwbench.experiment.preflight import check_run
from gwbench.experiment.record import read_record
from gwbench.experiment.refusal import SettingsRefusedError
from gwbench.experiment.runner import run_spec
from gwbench.experiment.spec import RunSpec
from gwbench.registry import Registry
from gwbench.utils.progress import Progress
from tests.conftest import TINY, TINY_OBJECTIVE

SETTINGS = TINY | TINY_OBJECTIVE
SHAPE = DataShape(("H1", "L1", "V1"), 2048.0, 4096, 512, {"train": 192, "val": 96, "test": 128})

CROOKED = '''
from torch import nn
from gwbench.contracts import Encoder, InputShape
from gwbench.registry import register

@register("encoder", "crooked")
class Crooked(Encoder):
    """Promises one width and gives another."""
    def __init__(self, shape: InputShape) -> None:
        super().__init__()
        self.embed_dim = 8
        self.layer = nn.Linear(shape.samples, 7)
    def forward(self, strain):
        return self.layer(strain.mean(1))
'''

DRAWING = '''
import torch
from gwbench.contracts import Augmentation, StrainInfo
from gwbench.registry import register

@register("augmentation", "drawing")
class Drawing(Augmentation):
    """Draws noise as soon as it is constructed."""
    def __init__(self, info: StrainInfo) -> None:
        noise = info.coloured_noise({name: ["aLIGOZeroDetHighPower"] for name in info.detectors})
        noise.draw(torch.zeros(1, 1, dtype=torch.long), torch.Generator())
    def augment(self, view, generator):
        return view
'''


def run(out: Path, settings: dict[str, Any], **options: Any) -> Any:
    return gwbench.run(settings=SETTINGS | settings, out=out, device="cpu", progress=Progress(), **options)


@pytest.mark.parametrize(
    ("settings", "options", "says"),
    [
        ({"conditioning.high": 1500}, {}, "The sample rate of 2048 Hz is below twice the band's upper edge 1500 Hz"),
        ({"training.batch_size": 500}, {}, "A batch of 500 windows is larger than the training split of 192"),
        ({}, {"encoder_groups": "H1|L1"}, "do not hold each of H1, L1, V1 once"),
        ({"augmentation.longest_ms": 5000}, {"augmentations": ["time-shift"]}, "at most half of the window"),
    ],
)
def test_a_refusal_makes_no_data_and_leaves_no_record(
    settings: dict[str, Any], options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsRefusedError, match=says):
        run(tmp_path / "runs", settings, cache=tmp_path / "cache", **options)
    assert list((tmp_path / "runs").iterdir()) == []
    assert list(tmp_path.glob("cache/*.h5")) == []


def test_a_cell_of_a_suite_still_leaves_its_reason(tmp_path: Path) -> None:
    spec = RunSpec.create(settings=SETTINGS | {"conditioning.high": 1500})
    with pytest.raises(SettingsRefusedError):
        run_spec(spec, out=tmp_path, progress=Progress(), data_cache=DataCache(tmp_path / "cache"))
    (path,) = tmp_path.glob("*/record.json")
    assert "below twice" in str(read_record(path.parent).reason)


def test_an_embedding_of_the_wrong_shape_is_named(registry: Registry, tmp_path: Path) -> None:
    source = tmp_path / "crooked.py"
    source.write_text(CROOKED)
    settings = {key: value for key, value in SETTINGS.items() if not key.startswith("encoder.")}
    with pytest.raises(UserError) as refused:
        gwbench.run(
            encoder="crooked", settings=settings, plugins=[str(source)], out=tmp_path / "runs", progress=Progress()
        )
    message = str(refused.value)
    assert "'crooked' gives embeddings of shape [2, 7] for 2 windows" in message
    assert "[2, 8]" in message
    assert f"`gwbench check {source}`" in message
    assert list((tmp_path / "runs").iterdir()) == []


def test_what_draws_when_it_is_constructed_is_left_to_the_run(registry: Registry, tmp_path: Path) -> None:
    source = tmp_path / "drawing.py"
    source.write_text(DRAWING)
    registry.load_source(str(source))
    check_run(RunSpec.create(augmentations=["drawing"], settings=SETTINGS), SHAPE)


def test_advice_on_short_windows_fits_the_dataset() -> None:
    settings = {key: value for key, value in SETTINGS.items() if not key.startswith("dataset.")}
    short = DataShape(("H1", "L1"), 2048.0, 1100, 0, {"train": 192, "val": 96, "test": 128})
    settings |= {"encoder.stride": 1}
    with pytest.raises(UserError) as told:
        check_run(RunSpec.create(dataset="bbh", settings=settings), short)
    assert "cnn1d at stride 1 cannot take windows as short as 1100 samples: raise dataset.duration." in str(told.value)
    assert "Other encoders take windows of 1100 samples as they are: " in str(told.value)
    with pytest.raises(UserError) as told:  # whose windows are as they are
        check_run(RunSpec.create(dataset="g2net", settings=settings | {"dataset.path": "x"}), short)
    message = str(told.value)
    assert "dataset.duration" not in message
    assert "as short as 1100 samples. Other encoders take" in message
    names = message.rstrip(".").rpartition("as they are: ")[2].split(", ")
    assert "cnn1d" not in names
    for name in names:  # and they do
        check_run(RunSpec.create(dataset="g2net", encoder=name, settings={"dataset.path": "x", **TINY_TRAINING}), short)


TINY_TRAINING = {key: value for key, value in SETTINGS.items() if key.startswith(("training.", "objective."))}


# --- a small try ---


def test_a_small_try_is_a_run_of_its_own_on_data_of_its_own(tmp_path: Path) -> None:
    settings = {key: value for key, value in SETTINGS.items() if key != "training.batch_size"}
    cache = tmp_path / "cache"
    tried = gwbench.run(
        settings=settings, limit=40, out=tmp_path, cache=cache, device="cpu", precision="fp32", progress=Progress()
    )
    assert tried.data is not None
    assert tried.data.sizes == {"train": 40, "val": 40, "test": 40}
    assert tried.spec.training is not None
    assert tried.spec.training.batch_size == 40
    assert "A small try: at most 40 windows of each split (--limit)." in tried.data.notes
    assert "--limit 40" in tried.command
    (entry,) = CacheDir(cache).list_entries()
    assert entry.header is not None
    assert entry.header.recipe["limit"] == 40
    assert entry.header.sizes == {"train": 40, "val": 40, "test": 40}
    whole = RunSpec.create(settings=settings)
    assert tried.run_id != whole.run_id(tried.data.fingerprint)
    assert "limit" not in json.loads(whole.canonical())
    assert json.loads(tried.spec.canonical())["limit"] == 40
    assert read_record(Path(str(tried.folder))) == tried


def test_the_first_windows_of_files_have_a_hash_of_their_own() -> None:
    from gwbench.contracts import Split, StrainSplits

    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        strain = rng.normal(size=(n, 2, 64)).astype(np.float32)
        return Split(strain, np.zeros(n, np.int8), np.zeros(n, np.float32), {"mass": np.arange(n)})

    splits = StrainSplits(split(9), split(5), split(3), ("H1", "L1"), 2048.0, 0, "f" * 64)
    few = first_windows(splits, 4)
    assert few.sizes == {"train": 4, "val": 4, "test": 3}
    assert few.window == 64
    assert few.content_hash != splits.content_hash
    assert first_windows(splits, 5).content_hash not in (few.content_hash, splits.content_hash)
    assert first_windows(splits, None) is splits
    assert first_windows(splits, 9).content_hash == splits.content_hash
    strain = splits.train.strain
    for index in (slice(None), slice(1, 9), slice(-2, None), slice(None, None, -1), np.array([3, 0, -1]), slice(7, 9)):
        np.testing.assert_array_equal(few.train.strain[index], strain[:4][index])
    np.testing.assert_array_equal(few.train.parameters["mass"], [0, 1, 2, 3])
