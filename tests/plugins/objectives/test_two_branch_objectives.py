"""Objectives without an EMA copy: VICReg, SimSiam, DCL, NNCLR."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from gwbench.contracts import Objective
from tests.plugins.objectives.toys import EMBED, Matrix, build, embeddings, log_softmax, numbers, unit

SMALL = {"hidden_dim": 12, "output_dim": 8}
NAMES = ["vicreg", "simsiam", "dcl", "nnclr"]


def branches(objective: Objective, seed: int = 1) -> tuple[Matrix, Matrix]:
    projector = objective.get_submodule("projector")
    return numbers(projector(embeddings(seed))), numbers(projector(embeddings(seed + 1)))


def constant(objective: Objective, batch: int = 16) -> float:
    """The loss where every window has the same embedding."""
    objective.eval()  # BatchNorm of equal rows in training divides rounding errors by nearly nothing
    same = torch.ones(batch, EMBED)
    return objective.loss(same, same).item()


# --- the papers' formulas ---


def test_vicreg_is_the_papers_formula() -> None:
    objective = build("vicreg", lambda_param=7.0, mu_param=3.0, nu_param=2.0, **SMALL)
    a, b = branches(objective)
    n, d = a.shape
    invariance = ((a - b) ** 2).sum() / (n * d)
    expected = 7.0 * invariance
    for z in (a, b):
        expected += 3.0 / 2 * np.mean(np.maximum(0, 1 - np.sqrt(z.var(axis=0, ddof=1) + 1e-4)))
        covariance = np.cov(z.T)
        expected += 2.0 * ((covariance**2).sum() - (np.diag(covariance) ** 2).sum()) / d
    assert objective.loss(embeddings(1), embeddings(2)).item() == pytest.approx(expected, rel=1e-4)


def test_simsiam_is_the_papers_formula() -> None:
    objective = build("simsiam", **SMALL)
    predictor = objective.get_submodule("predictor")
    a, b = branches(objective)
    p_a, p_b = (numbers(predictor(torch.from_numpy(z).float())) for z in (a, b))
    expected = -((unit(p_a) * unit(b)).sum(1).mean() + (unit(p_b) * unit(a)).sum(1).mean()) / 2
    assert objective.loss(embeddings(1), embeddings(2)).item() == pytest.approx(expected, rel=1e-4)
    assert predictor.get_submodule("layers.0").weight.shape == (2, 8)  # the bottleneck, a quarter


def test_no_gradient_flows_through_the_targets_of_simsiam() -> None:
    objective = build("simsiam", **SMALL)
    torch.nn.init.zeros_(objective.get_parameter("predictor.layers.0.weight"))
    torch.nn.init.zeros_(objective.get_parameter("predictor.layers.1.weight"))  # the prediction does not depend on z
    a, b = (embeddings(seed).requires_grad_() for seed in (1, 2))
    objective.loss(a, b).backward()
    for embedding in (a, b):
        assert embedding.grad is not None
        assert embedding.grad.abs().max().item() == 0.0


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_dcl_is_the_papers_formula(temperature: float) -> None:
    objective = build("dcl", temperature=temperature, **SMALL)
    a, b = map(unit, branches(objective))
    n, losses = len(a), []
    for own, other in ((a, b), (b, a)):
        for i in range(n):
            negatives = [view[j] for view in (own, other) for j in range(n) if j != i]
            total = sum(math.exp(own[i] @ z / temperature) for z in negatives)
            losses.append(-own[i] @ other[i] / temperature + math.log(total))
    assert objective.loss(embeddings(1), embeddings(2)).item() == pytest.approx(np.mean(losses), rel=1e-4)


def test_nnclr_is_the_papers_formula() -> None:
    objective = build("nnclr", temperature=0.3, queue=40, **SMALL)
    queue = numbers(objective.get_buffer("neighbours.bank"))
    predictor = objective.get_submodule("predictor")
    a, b = branches(objective)
    p_a, p_b = (unit(numbers(predictor(torch.from_numpy(z).float()))) for z in (a, b))
    losses = []
    for z, predictions in ((a, p_b), (b, p_a)):
        nearest = unit(queue)[(unit(z) @ unit(queue).T).argmax(1)]
        losses += list(-np.diag(log_softmax(nearest @ predictions.T / 0.3)))
    assert objective.loss(embeddings(1), embeddings(2)).item() == pytest.approx(np.mean(losses), rel=1e-4)
    np.testing.assert_allclose(objective.get_buffer("neighbours.bank")[:32], np.concatenate([a, b]), rtol=1e-5)


# --- behaviour ---


@pytest.mark.parametrize("name", ["vicreg", "dcl"])
def test_aligned_pairs_lose_less_than_shuffled_ones_here(name: str) -> None:
    objective = build(name, **SMALL)
    a = embeddings(1, 64)
    assert objective.loss(a, a).item() < objective.loss(a, a.roll(1, 0)).item() - 0.1


@pytest.mark.parametrize("name", ["simsiam", "nnclr"])
def test_aligned_pairs_lose_less_than_shuffled_ones_after_some_training(name: str) -> None:
    """The predictor and the queue need it; every step sees new embeddings and a slightly different partner."""
    objective = build(name, **SMALL, **({"queue": 256} if name == "nnclr" else {}))
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.01)
    for step in range(60):
        a = embeddings(step, 64)
        optimizer.zero_grad()
        objective.loss(a, a + 0.1 * embeddings(1000 + step, 64)).backward()
        optimizer.step()
    a = embeddings(2000, 64)
    shuffled = copy.deepcopy(objective).loss(a, a.roll(1, 0)).item()
    assert objective.loss(a, a).item() < shuffled - 0.2


def test_on_collapse_vicreg_is_at_its_variance_term() -> None:
    assert constant(build("vicreg", mu_param=25.0)) == pytest.approx(25.0 * (1 - math.sqrt(1e-4)), rel=1e-5)


def test_on_collapse_simsiam_cannot_tell() -> None:
    """Embeddings that are equal give one projection z; a predictor of z is at the minimum, whatever the windows."""
    objective = build("simsiam", **SMALL).eval()
    head = objective.get_submodule("predictor")
    z = objective.get_submodule("projector")(torch.ones(1, EMBED))[0].detach()
    with torch.no_grad():
        head.get_parameter("layers.3.weight").zero_()
        head.get_parameter("layers.3.bias").copy_(z)
    assert constant(objective) == pytest.approx(-1.0, abs=1e-6)


def test_on_collapse_dcl_and_nnclr_are_at_the_logarithm_of_the_batch() -> None:
    assert constant(build("dcl", **SMALL), 16) == pytest.approx(math.log(2 * 16 - 2), rel=1e-5)
    assert constant(build("nnclr", **SMALL), 16) == pytest.approx(math.log(16), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_two_is_the_smallest_and_finite(name: str) -> None:
    objective = build(name, **SMALL)
    assert objective.min_batch == 2
    assert math.isfinite(objective.loss(embeddings(1, 2), embeddings(2, 2)).item())


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_weight(name: str) -> None:
    objective = build(name, **SMALL)
    a, b = (embeddings(seed).requires_grad_() for seed in (1, 2))
    objective.loss(a, b).backward()
    for label, parameter in [*objective.named_parameters(), ("a", a), ("b", b)]:
        assert parameter.grad is not None, label
        assert parameter.grad.isfinite().all(), label
        assert parameter.ndim < 2 or parameter.grad.abs().max() > 0, label


def test_the_queue_of_nnclr_is_in_its_state() -> None:
    objective = build("nnclr", queue=40, **SMALL)
    objective.loss(embeddings(1), embeddings(2))
    again = build("nnclr", queue=40, **SMALL)
    with torch.no_grad():
        again.get_buffer("neighbours.bank").fill_(7.0)
    again.load_state_dict(copy.deepcopy(objective.state_dict()))
    for seed in (3, 5, 7):  # past the queue's end
        expected = objective.loss(embeddings(seed), embeddings(seed + 1)).item()
        assert again.loss(embeddings(seed), embeddings(seed + 1)).item() == expected
