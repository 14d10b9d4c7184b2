from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gwbench.contracts import Objective, View
from gwbench.registry import REGISTRY

Matrix = NDArray[np.float64]


def build(name: str, **parameters: object) -> Objective:
    target = REGISTRY.get("objective", name).target
    assert target is not None
    with torch.random.fork_rng():
        torch.manual_seed(0)
        objective: Objective = target(6, hidden_dim=12, output_dim=5, **parameters)
    return objective


def embeddings(seed: int, batch: int = 16) -> Tensor:
    return torch.randn(batch, 6, generator=torch.Generator().manual_seed(seed))


def project(objective: Objective, x: Tensor) -> Matrix:
    projector = objective.projector
    assert isinstance(projector, nn.Module)
    out: Matrix = projector(x).detach().double().numpy()
    return out


def barlow_of_the_paper(a: Matrix, b: Matrix, weight: float) -> float:
    """arXiv:2103.03230, eq. 1 and 2, with the standardisation over the batch of its algorithm 1."""
    a = (a - a.mean(0)) / a.std(0)
    b = (b - b.mean(0)) / b.std(0)
    total = 0.0
    for i in range(a.shape[1]):
        for j in range(b.shape[1]):
            c = sum(a[n, i] * b[n, j] for n in range(len(a))) / len(a)
            total += (1 - c) ** 2 if i == j else weight * c**2
    return total


def simclr_of_the_paper(a: Matrix, b: Matrix, temperature: float) -> float:
    """arXiv:2002.05709, eq. 1, averaged over all positive pairs as in its algorithm 1."""
    z = np.concatenate([a, b])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    count, losses = len(a), []
    for i in range(2 * count):
        partner = (i + count) % (2 * count)
        weights = [math.exp(z[i] @ z[k] / temperature) for k in range(2 * count) if k != i]
        losses.append(-math.log(math.exp(z[i] @ z[partner] / temperature) / sum(weights)))
    return float(np.mean(losses))


@pytest.mark.parametrize("weight", [0.0051, 0.2])
def test_barlow_is_the_papers_formula(weight: float) -> None:
    objective = build("barlow", lambda_param=weight)
    a, b = embeddings(1), embeddings(2)
    expected = barlow_of_the_paper(project(objective, a), project(objective, b), weight)
    assert objective.loss(a, b).item() == pytest.approx(expected, rel=2e-3)  # lightly adds 1e-5 to variances


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_simclr_is_the_papers_formula(temperature: float) -> None:
    objective = build("simclr", temperature=temperature)
    a, b = embeddings(1), embeddings(2)
    expected = simclr_of_the_paper(project(objective, a), project(objective, b), temperature)
    assert objective.loss(a, b).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["barlow", "simclr"])
def test_aligned_pairs_lose_less_than_shuffled_ones(name: str) -> None:
    objective = build(name)
    a = embeddings(1, 64)
    assert objective.loss(a, a).item() < objective.loss(a, a.roll(1, 0)).item()


@pytest.mark.parametrize("name", ["barlow", "simclr"])
def test_the_loss_is_computed_in_fp32_inside_autocast(name: str) -> None:
    objective = build(name)
    view = View(embeddings(1).unsqueeze(1), torch.zeros(16, 1, dtype=torch.long))
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(view, view, lambda seen: seen.samples.squeeze(1).bfloat16())
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(
        objective.loss(*[view.samples.squeeze(1).bfloat16().float()] * 2).item(), rel=1e-6
    )


def test_the_seed_projector_has_the_seed_sizes() -> None:
    target = REGISTRY.get("objective", "barlow").target
    assert target is not None
    with torch.random.fork_rng():
        seed = target(2048, hidden_dim=3192, output_dim=3192)
    shapes = [tuple(layer.weight.shape) for layer in seed.projector.modules() if isinstance(layer, nn.Linear)]
    assert shapes == [(3192, 2048), (3192, 3192), (3192, 3192)]
    assert seed.criterion.lambda_param == 0.0051
