"""Every encoder with every objective and every pairing that ships: two steps of training, or the reason why not."""

from __future__ import annotations

from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

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


def of_every_two(encoder: str, objective: str, pairing: str) -> bool:
    """Whether this is one of the fewest combinations in which every two parts of different kinds come together."""
    chosen = {"encoder": encoder, "objective": objective, "pairing": pairing}
    first, second, third = (NAMES[kind].index(name) for kind, name in chosen.items())
    return first == (second + third) % len(NAMES["encoder"])


@pytest.mark.parametrize(("encoder", "objective", "pairing"), EVERY, ids=[" + ".join(names) for names in EVERY])
def test_two_steps_or_the_reason(encoder: str, objective: str, pairing: str, tmp_path: Path) -> None:
    """Every two parts meet in the trainer of runs; most other combinations take the same steps without Lightning."""
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
    method = SslMethod(net, drawn, [], loss)
    kept = method.unchanging and plugin("encoder", encoder).fixed_front_end  # the trainer keeps its front end
    if kept or of_every_two(encoder, objective, pairing):
        trained = pretrain(
            method, noise(), TRAINING, seed=0, precision="fp32", device="cpu", folder=tmp_path, progress=Progress()
        )
        assert np.isfinite(trained.loss).all() and len(trained.loss) == 1
    else:
        two_steps(method)
    after = torch.cat([p.detach().flatten() for p in net.parameters() if p.requires_grad])
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)


def two_steps(method: SslMethod) -> None:
    """What the trainer does in two steps."""
    strain = noise()
    method.objective.attach(method.encoder)
    trained = nn.ModuleList([method.encoder, method.objective]).train()
    optimizer = torch.optim.AdamW([p for p in trained.parameters() if p.requires_grad], lr=TRAINING.lr)
    for step in range(2):
        windows = strain[np.arange(step * BATCH, (step + 1) * BATCH)]
        a, b = method.views(windows, seeds.torch_generator(0, "pairing", step))
        with seeds.torch_global(0, "noise", step):
            loss = method.objective(a, b, method.encoder)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.objective.after_step(step + 1, 2)
        assert torch.isfinite(loss)
