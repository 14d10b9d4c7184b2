"""Objectives with an EMA copy of the network: BYOL, MoCo, TiCo, DINO."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gwbench.contracts import Objective
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.training.ema import MomentumObjective, ema_copy, ema_update
from tests.plugins.objectives.toys import (
    EMBED,
    Matrix,
    build,
    embeddings,
    log_softmax,
    numbers,
    toy_encoder,
    unit,
    view,
)

SMALL = {"hidden_dim": 12, "output_dim": 8}
EXTRA: dict[str, dict[str, object]] = {
    "byol": {},
    "moco": {"queue": 40},
    "tico": {},
    "dino": {"bottleneck_dim": 5},
}
NAMES = list(EXTRA)


def small(name: str, **parameters: object) -> MomentumObjective:
    objective = build(name, **{**SMALL, **EXTRA[name], **parameters})
    assert isinstance(objective, MomentumObjective)
    return objective


def attached(name: str, **parameters: object) -> tuple[MomentumObjective, DetectorEncoder]:
    objective, encoder = small(name, **parameters), toy_encoder([[0, 1], [2]])
    objective.attach(encoder)
    return objective, encoder


def step(objective: Objective, encoder: DetectorEncoder, seed: int, number: int = 1, total: int = 100) -> float:
    """One step of plain gradient descent, as pre-training takes it."""
    learning = [p for p in [*encoder.parameters(), *objective.parameters()] if p.requires_grad]
    for parameter in learning:
        parameter.grad = None
    loss: Tensor = objective(view(seed), view(seed + 1, detector=2), encoder)
    loss.backward()
    with torch.no_grad():
        for parameter in learning:
            if parameter.grad is not None:
                parameter.sub_(0.1 * parameter.grad)
    objective.after_step(number, total)
    return loss.item()


def projections(objective: MomentumObjective, learning: bool) -> tuple[Matrix, Matrix]:
    """What the loss compares for embeddings 1 and 2: predictions of both, or targets of both."""

    def project(x: Tensor) -> Tensor:
        out: Tensor = objective.predictor(objective.projector(x)) if learning else objective.target_projector(x)
        return out

    return numbers(project(embeddings(1))), numbers(project(embeddings(2)))


def differ(objective: MomentumObjective) -> None:
    """Give the slow projector other weights than the learning one, so that mixing them up shows."""
    with torch.no_grad():
        for number, weight in enumerate(objective.target_projector.parameters()):
            if weight.ndim > 1:
                weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(number)))


# --- the papers' formulas ---


def byol_of_the_paper(p: Matrix, z: Matrix) -> float:
    """arXiv:2006.07733, eq. 2, for one direction."""
    return float(((unit(p) - unit(z)) ** 2).sum(1).mean())


def test_byol_is_the_papers_formula() -> None:
    objective = small("byol")
    differ(objective)
    p_a, p_b = projections(objective, learning=True)
    z_a, z_b = projections(objective, learning=False)
    loss = objective.loss(embeddings(1), embeddings(2)).item()
    of_the_paper = byol_of_the_paper(p_a, z_b) + byol_of_the_paper(p_b, z_a)
    assert 4 + 4 * loss == pytest.approx(of_the_paper, rel=1e-5)


def test_moco_is_the_papers_formula() -> None:
    objective = small("moco", temperature=0.3)
    differ(objective)
    queue = numbers(objective.get_buffer("criterion.memory_bank.bank"))
    np.testing.assert_allclose(np.linalg.norm(queue, axis=1), 1, rtol=1e-6)
    q_a, q_b = map(unit, projections(objective, learning=True))
    k_a, k_b = map(unit, projections(objective, learning=False))
    losses = []
    for q, k in ((q_a, k_b), (q_b, k_a)):
        logits = np.concatenate([(q * k).sum(1, keepdims=True), q @ queue.T], axis=1) / 0.3
        losses += list(-log_softmax(logits)[:, 0])
    assert objective.loss(embeddings(1), embeddings(2)).item() == pytest.approx(np.mean(losses), rel=1e-4)
    entered = objective.get_buffer("criterion.memory_bank.bank")[:32]
    np.testing.assert_allclose(entered, np.concatenate([k_b, k_a]), rtol=1e-4, atol=1e-6)


def test_tico_is_the_papers_formula() -> None:
    objective = small("tico", rho=5.0, beta=0.7)
    differ(objective)
    z = unit(np.concatenate(projections(objective, learning=True)))
    z_a, z_b = projections(objective, learning=False)
    target = unit(np.concatenate([z_b, z_a]))
    covariance = np.zeros((8, 8))
    for _ in range(3):  # the same embeddings, while the covariance moves
        covariance = 0.7 * covariance + 0.3 * z.T @ z / len(z)
        expected = 1 - (z * target).sum(1).mean() + 5.0 * np.einsum("ni,ij,nj->n", z, covariance, z).mean()
        assert objective.loss(embeddings(1), embeddings(2)).item() == pytest.approx(expected, rel=1e-4)
        np.testing.assert_allclose(objective.get_buffer("criterion.C"), covariance, atol=1e-6)


def test_dino_is_the_papers_formula() -> None:
    objective = small("dino", student_temperature=0.2, teacher_temperature=0.05, center_momentum=0.8)
    differ(objective)
    s_a, s_b = projections(objective, learning=True)
    t_a, t_b = projections(objective, learning=False)
    center = np.zeros(8)
    for _ in range(3):
        losses = []
        for s, t in ((s_a, t_b), (s_b, t_a)):
            teacher = np.exp(log_softmax((t - center) / 0.05))
            losses += list(-(teacher * log_softmax(s / 0.2)).sum(1))
        assert objective.loss(embeddings(1), embeddings(2)).item() == pytest.approx(np.mean(losses), rel=1e-4)
        center = 0.8 * center + 0.2 * np.concatenate([t_a, t_b]).mean(0)
        np.testing.assert_allclose(objective.get_buffer("criterion.center")[0, 0], center, atol=1e-6)


def test_the_prototypes_of_dino_keep_length_one() -> None:
    objective, encoder = attached("dino")
    layers = [objective.get_submodule(f"{head}.last_layer") for head in ("projector", "target_projector")]
    before = layers[0](torch.eye(5))
    for number in range(3):
        step(objective, encoder, seed=number)
    for layer in layers:
        torch.testing.assert_close(layer(torch.eye(5)).norm(dim=0), torch.ones(8))
    assert not torch.equal(layers[0](torch.eye(5)), before)


# --- the EMA copy ---


def test_a_slow_copy_follows_weights_and_buffers_by_the_formula() -> None:
    fast = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    slow = ema_copy(fast)
    start = {name: value.clone() for name, value in slow.state_dict().items()}
    with torch.no_grad():
        for parameter in fast.parameters():
            parameter.add_(1.5)
    fast(5 + 2 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0)))  # moves the statistics
    slow.train()(torch.full((4, 3), 9.0))
    assert torch.equal(slow.get_buffer("1.running_mean"), start["1.running_mean"])  # a forward pass moves nothing
    ema_update(slow, fast, 0.9)
    names = set()
    for name, value in fast.state_dict().items():
        expected = value if name == "1.num_batches_tracked" else 0.9 * start[name] + 0.1 * value
        torch.testing.assert_close(slow.state_dict()[name], expected)
        assert not torch.equal(value, start[name])
        names.add(name)
    assert {"1.running_mean", "1.running_var", "0.weight", "1.bias"} < names
    ema_update(slow, fast, 0.0)
    for name, value in fast.state_dict().items():
        torch.testing.assert_close(slow.state_dict()[name], value)


def test_in_training_a_slow_copy_normalises_by_the_batch() -> None:
    slow = ema_copy(nn.BatchNorm1d(2)).train()
    out = slow(torch.tensor([[1.0, 10.0], [3.0, 30.0]]))
    torch.testing.assert_close(out, torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_momentum_rises_along_half_a_cosine(name: str) -> None:
    """tau_k = 1 - (1 - tau) (cos(pi k / K) + 1) / 2, k = 0 at the first step and K at the last."""
    objective, encoder = attached(name, momentum=0.9)
    total = 5
    for number in range(1, total + 1):
        tau = 1 - 0.1 * (math.cos(math.pi * (number - 1) / (total - 1)) + 1) / 2
        before = copy.deepcopy(objective.target_encoder.state_dict())
        head = copy.deepcopy(objective.target_projector.state_dict())
        step(objective, encoder, seed=10 * number, number=number, total=total)
        for fast, slow, start in (
            (encoder, objective.target_encoder, before),
            (objective.projector, objective.target_projector, head),
        ):
            for key, value in fast.state_dict().items():
                expected = tau * start[key] + (1 - tau) * value if value.is_floating_point() else value
                torch.testing.assert_close(slow.state_dict()[key], expected)
    assert tau == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_everything_that_learns_and_no_target(name: str) -> None:
    objective, encoder = attached(name)
    objective(view(1), view(2, detector=2), encoder).backward()
    targets = {label for label, _ in objective.named_parameters() if label.startswith("target_")}
    assert {label.split(".")[0] for label in targets} == {"target_encoder", "target_projector"}
    assert not any(label.startswith("_encoder") or "online" in label for label, _ in objective.named_parameters())
    for label, parameter in [*objective.named_parameters(), *encoder.named_parameters()]:
        if label in targets or label.endswith("original0"):  # the length of the prototypes of `dino`
            assert not parameter.requires_grad
            assert parameter.grad is None, label
        else:
            assert parameter.grad is not None, label
            assert parameter.grad.isfinite().all()
            assert parameter.ndim < 2 or parameter.grad.abs().max() > 0, label


@pytest.mark.parametrize("name", NAMES)
def test_the_target_sees_the_other_view_through_its_own_encoder(name: str) -> None:
    """A target encoder that is changed changes the loss; embeddings by hand give the same number."""
    objective, encoder = attached(name)
    with torch.no_grad():
        for weight in objective.target_encoder.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
    by_hand = copy.deepcopy(objective)
    a, b = view(1), view(2, detector=2)
    online = [by_hand.predictor(by_hand.projector(copy.deepcopy(encoder)(each))) for each in (a, b)]
    target = [by_hand.target_projector(by_hand.target_encoder(each)) for each in (b, a)]
    expected = by_hand.compare(torch.cat(online), torch.cat(target)).item()
    assert copy.deepcopy(objective)(a, b, encoder).item() == pytest.approx(expected, rel=1e-5)
    assert copy.deepcopy(objective).loss(encoder(a), encoder(b)).item() != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_next_loss_is_the_same_after_a_round_trip_of_the_state(name: str) -> None:
    objective, encoder = attached(name)
    for number in range(1, 4):
        step(objective, encoder, seed=10 * number, number=number)
    again, encoder_again = attached(name)
    assert not set(dict(again.named_buffers())) - set(again.state_dict()) - {"target_encoder._group_of"}
    with torch.no_grad():
        for value in again.state_dict().values():
            value.fill_(1)
    again.load_state_dict(copy.deepcopy(objective.state_dict()))
    encoder_again.load_state_dict(copy.deepcopy(encoder.state_dict()))
    for number in range(4, 7):
        expected = step(objective, encoder, seed=10 * number, number=number)
        assert step(again, encoder_again, seed=10 * number, number=number) == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_fp32_inside_autocast(name: str) -> None:
    objective, encoder = attached(name)
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(view(1), view(2), encoder)
    assert loss.dtype == torch.float32
    loss.backward()
    gradient = encoder.get_parameter("encoders.0.linear.weight").grad
    assert gradient is not None
    assert gradient.abs().max() > 0


# --- what the losses reward ---


@pytest.mark.parametrize("name", NAMES)
def test_aligned_pairs_lose_less_than_shuffled_ones_after_training(name: str) -> None:
    objective = small(name, momentum=0.9)
    objective.attach(nn.Linear(1, 1))
    optimizer = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], lr=0.01)
    for number in range(80):
        a = embeddings(number, 64)
        optimizer.zero_grad()
        objective.loss(a, a + 0.1 * embeddings(1000 + number, 64)).backward()
        optimizer.step()
        objective.after_step(number + 1, 100)
    a = embeddings(2000, 64)
    shuffled = copy.deepcopy(objective).loss(a, a.roll(1, 0)).item()
    assert objective.loss(a, a).item() < shuffled - 0.1


def on_collapse(objective: MomentumObjective, times: int = 1) -> float:
    """The loss where every window has the same embedding, after the moving averages have settled."""
    objective.eval()
    same = torch.ones(16, EMBED)
    for _ in range(times):
        loss = objective.loss(same, same).item()
    return loss


def test_on_collapse_byol_cannot_tell() -> None:
    objective = small("byol")
    z = objective.eval().target_projector(torch.ones(1, EMBED))[0]
    with torch.no_grad():
        objective.get_parameter("predictor.layers.3.weight").zero_()
        objective.get_parameter("predictor.layers.3.bias").copy_(z)
    assert on_collapse(objective) == pytest.approx(-1.0, abs=1e-6)


def test_on_collapse_moco_is_at_the_logarithm_of_its_queue() -> None:
    assert on_collapse(small("moco"), times=4) == pytest.approx(math.log(1 + 40), rel=1e-5)


def test_on_collapse_tico_rises_to_rho_and_spread_it_is_far_below() -> None:
    assert on_collapse(small("tico"), times=200) == pytest.approx(8.0, rel=1e-4)
    spread = small("tico")
    eye = torch.eye(8).repeat(4, 1)
    for _ in range(200):
        loss = spread.compare(eye, eye).item()
    assert loss == pytest.approx(8.0 / 8, rel=1e-4)


def test_on_collapse_dino_is_no_lower_than_the_logarithm_of_its_prototypes() -> None:
    """Equal outputs of the teacher are their own centre: it chooses every prototype alike."""
    objective = small("dino")
    assert on_collapse(objective, times=400) > math.log(8)
    with torch.no_grad():
        same = torch.zeros(32, 8)
        objective.get_buffer("criterion.center").zero_()
        assert objective.compare(same, same).item() == pytest.approx(math.log(8), rel=1e-6)
