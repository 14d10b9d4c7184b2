"""Every encoder with every objective and every pairing that ships: two steps of training, or the reason why not."""

from __future__ import annotations

from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gwbench import seeds
from gwbench.conformance.toys import DETECTORS, SAMPLE_RATE, WINDOW, strain_info
from gwbench.contracts import InputShape, Split
from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.registry import REGISTRY, Registry
from gwbench.registry.compatibility import parts_of, why_not
from gwbench.training.method import SslMethod
from gwbench.training.pretrain import pretrain
from gwbench.training.settings import TrainingSettings
from gwbench.utils.progress import Progress

NAMES = {kind: [p.name for p in Registry().list(kind)] for kind in ("encoder", "objective", "pairing")}
SMALL: dict[str, dict[str, Any]] = {
    name: import_module(f"tests.plugins.encoders.test_{name.replace('-', '_')}").SMALL for name in NAMES["encoder"]
}
"""What makes an encoder small: `SMALL` of its own test file."""
EVERY = list(product(*NAMES.values()))
WINDOWS, BATCH = 8, 4
TRAINING = TrainingSettings(epochs=1, batch_size=BATCH, lr=1e-3)


def noise() -> ConditionedStrain:
    """Windows of three detectors."""
    windows = np.random.default_rng(0).normal(size=(WINDOWS, 3, WINDOW)).astype(np.float32)
    nothing = np.full(WINDOWS, np.nan, np.float32)

    def as_it_is(strain: np.ndarray[Any, Any], *, split: str, positions: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(strain)

    split = Split(windows, np.full(WINDOWS, -1, np.int8), nothing)
    return ConditionedStrain(split, as_it_is, "train")  # type: ignore[arg-type]


def plugin(kind: str, name: str) -> Any:
    return REGISTRY.get(kind, name).target


def test_every_encoder_has_small_settings() -> None:
    assert sorted(SMALL) == sorted(NAMES["encoder"])
    assert all(SMALL.values())


@pytest.mark.parametrize(("encoder", "objective", "pairing"), EVERY, ids=[" + ".join(names) for names in EVERY])
def test_two_steps_or_the_reason(encoder: str, objective: str, pairing: str, tmp_path: Path) -> None:
    named = [("encoder", encoder), ("objective", objective), ("pairing", pairing)]
    if because := why_not(parts_of(named)):
        assert len(because) > 20
        pytest.skip(because)
    drawn, network = plugin("pairing", pairing)(strain_info(3)), plugin("pairing", pairing).network
    shape = InputShape(3 if network else 1, WINDOW, SAMPLE_RATE)
    with seeds.torch_global(0, "init"):
        net = DetectorEncoder(
            lambda: plugin("encoder", encoder)(shape, **{"embed_dim": 8, **SMALL[encoder]}),
            [list(range(len(DETECTORS[:3])))],
            network=network,
        )
        loss = plugin("objective", objective)(net.embed_dim)
    before = torch.cat([p.detach().flatten() for p in net.parameters() if p.requires_grad])
    trained = pretrain(
        SslMethod(net, drawn, [], loss), noise(), TRAINING,
        seed=0, precision="fp32", device="cpu", folder=tmp_path, progress=Progress(),
    )  # fmt: skip
    after = torch.cat([p.detach().flatten() for p in net.parameters() if p.requires_grad])
    assert np.isfinite(trained.loss).all() and len(trained.loss) == 1
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)
