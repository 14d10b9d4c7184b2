from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor

import gwbench
from gwbench.contracts import View
from gwbench.errors import UserError
from gwbench.plugins.objectives.coincidence import Coincidence
from tests.conftest import TINY
from tests.plugins.objectives.toys import EMBED, build, embeddings, toy_encoder, view


def objective() -> Coincidence:
    built = build("coincidence", hidden_dim=8)
    assert isinstance(built, Coincidence)
    return built


@pytest.mark.parametrize("slides", [1, 3])
def test_the_loss_is_the_cross_entropy_with_both_kinds_weighted_alike(slides: int) -> None:
    judge, true, slid = objective().eval(), embeddings(1), embeddings(2, 16 * slides)
    with torch.no_grad():
        probability = torch.sigmoid(judge.log_odds(torch.cat([true, slid]))).double().numpy()
        loss = judge.loss(true, slid).item()
    weight = np.repeat([1 / 16, 1 / (16 * slides)], [16, 16 * slides])
    expected = log_loss(np.repeat([1, 0], [16, 16 * slides]), probability, sample_weight=weight)
    assert loss == pytest.approx(expected, rel=1e-5)


def test_both_views_go_through_the_encoder_in_one_batch() -> None:
    """In two, BatchNorm would give either kind statistics of its own, by which it is known."""
    seen: list[View] = []

    def encode(each: View) -> Tensor:
        seen.append(each)
        return each.samples.flatten(1)[:, :EMBED]

    a, b = view(1, channels=3), view(2, channels=3, batch=32)
    objective()(a, b, encode)
    (both,) = seen
    assert torch.equal(both.samples, torch.cat([a.samples, b.samples]))
    assert torch.equal(both.detectors, torch.cat([a.detectors, b.detectors]))


def coherent(seed: int, slid: bool, batch: int = 64) -> View:
    """Three channels that share one number, or in slid windows have one each."""
    generator = torch.Generator().manual_seed(seed)
    number = torch.randn(batch, 3, 1, generator=generator)
    samples = (number if slid else number[:, :1].expand(-1, 3, 1)).expand(-1, -1, 32)
    return View(samples.contiguous(), torch.arange(3).expand(batch, 3))


def trained(collapsed: bool) -> float:
    judge = objective()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = torch.nn.Sequential(torch.nn.Linear(3, 32), torch.nn.ReLU(), torch.nn.Linear(32, EMBED))
    optimizer = torch.optim.Adam([*judge.parameters(), *encoder.parameters()], lr=0.01)
    losses = []
    for step in range(200):
        optimizer.zero_grad()
        loss = judge(
            coherent(2 * step, slid=False),
            coherent(2 * step + 1, slid=True),
            lambda each: 0 * each.samples[:, 0, :EMBED] + 1 if collapsed else encoder(each.samples[:, :, 0]),
        )
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses[-20:]))


def test_coherence_is_learnt_and_a_collapsed_encoder_leaves_log_2() -> None:
    assert trained(collapsed=False) < 0.35
    assert trained(collapsed=True) == pytest.approx(math.log(2), abs=0.01)


def numbered(batch: int = 16) -> View:
    """Window i is loud by i: its samples are i in all three channels, which a slide keeps apart by tenths."""
    loud = torch.arange(float(batch)).view(-1, 1, 1) + torch.tensor([0.0, 0.1, 0.2]).view(1, 3, 1)
    return View(loud.expand(-1, -1, 32).contiguous(), torch.arange(3).expand(batch, 3))


def loudness(each: View) -> Tensor:
    return each.samples.mean(dim=(1, 2)).unsqueeze(1).expand(-1, EMBED)


def slid_by(judge: Coincidence, slides: int = 1) -> Tensor:
    """[K, 3] the windows that the slid windows of a loss are made of, by channel; loudness is the score."""
    seen: list[View] = []

    def encode(each: View) -> Tensor:
        seen.append(each)
        return loudness(each)

    judge.log_odds = lambda embedding: embedding[:, 0]
    a = numbered()
    judge(a, View(a.samples.repeat(slides, 1, 1), a.detectors.repeat(slides, 1)), encode)
    return seen[-1].samples[len(a.samples) :, :, 0]


@pytest.mark.parametrize(("removed", "left"), [(0.5, 8), (0.25, 12), (0.01, 16)])
def test_slid_windows_are_made_of_the_quietest_windows(removed: float, left: int) -> None:
    judge = build("coincidence", removed=removed, removal_from=0.5)
    assert isinstance(judge, Coincidence)
    judge.after_step(1, 2)
    found = slid_by(judge, slides=3)
    assert found.shape == (48, 3)
    window = found.floor()
    assert set(window.flatten().tolist()) == set(range(left))
    np.testing.assert_allclose(found - window, torch.tensor([[0.0, 0.1, 0.2]]).expand(48, 3), atol=1e-5)
    assert all(len(set(row)) == 3 for row in window.tolist())


def test_before_its_time_nothing_is_removed() -> None:
    judge = build("coincidence", removed=0.5, removal_from=0.5)
    assert isinstance(judge, Coincidence)
    judge.after_step(4, 10)
    assert torch.equal(slid_by(judge), numbered().samples[:, :, 0])
    again = build("coincidence", removed=0.5, removal_from=0.5)
    judge.after_step(5, 10)
    again.load_state_dict(judge.state_dict())  # a resumed training knows how far it is
    assert isinstance(again, Coincidence)
    assert slid_by(again).max() < 8.3


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_pass_without_a_gradient_takes_none_from_the_pass_behind_it(precision: torch.dtype) -> None:
    judge, encoder = build("coincidence", removed=0.5, removal_from=0.0), toy_encoder(channels=3)
    with torch.autocast("cpu", precision, enabled=precision is torch.bfloat16):
        judge(view(1, channels=3), view(2, channels=3), encoder).backward()
    for label, parameter in [*judge.named_parameters(), *encoder.named_parameters()]:
        assert parameter.grad is not None, label
        assert parameter.ndim < 2 or parameter.grad.abs().max() > 0, label


def test_a_batch_that_is_too_small_is_named() -> None:
    judge = build("coincidence", removed=0.9, removal_from=0.0)
    with pytest.raises(UserError, match=r"objective.removed=0.9 leaves 2 of 16 windows, too few to slide 3 detectors"):
        judge(view(1, channels=3), view(2, channels=3), toy_encoder(channels=3))


def test_the_loss_is_fp32_inside_autocast_and_large_scores_stay_finite() -> None:
    judge = objective()
    with torch.autocast("cpu", torch.bfloat16):
        loss = judge(view(1, channels=3), view(2, channels=3), toy_encoder(channels=3))
    assert loss.dtype == torch.float32
    judge.eval()
    large = judge.loss(1e6 * embeddings(1), 1e6 * embeddings(2))
    assert bool(torch.isfinite(large))


def test_a_run_ends_with_a_score(tmp_path: Path) -> None:
    settings = TINY | {
        "objective.hidden_dim": 16,
        "objective.removed": 0.5,
        "pairing.slides": 2,
        "pairing.longest_ms": 50,
    }
    done = gwbench.run(
        pairing="coincidence", objective="coincidence", settings=settings, out=tmp_path, precision="fp32", device="cpu"
    )
    assert done.status == "ok"
    assert done.training is not None
    assert np.isfinite(done.training.loss).all()
    assert done.spec.encoder_groups == "network"
    assert 0 <= done.auc <= 1
