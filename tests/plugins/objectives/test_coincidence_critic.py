from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor, nn

import gwbench
from gwbench.errors import UserError
from gwbench.experiment.spec import RunSpec
from gwbench.plugins.objectives.coincidence_critic import CoincidenceCritic
from tests.conftest import TINY
from tests.plugins.objectives.toys import EMBED, build, embeddings, numbers


def critic(**parameters: int) -> CoincidenceCritic:
    built = build("coincidence-critic", **{"hidden_dim": 8, **parameters})
    assert isinstance(built, CoincidenceCritic)
    return built


@pytest.mark.parametrize("slides", [15, 1000])
def test_with_all_slides_the_loss_is_the_cross_entropy_over_all_pairs(slides: int) -> None:
    judge, a, b = critic(slides=slides), embeddings(1), embeddings(2)
    both = np.concatenate([numbers(a), numbers(b)])
    first, second = np.split((both - both.mean(0)) / np.sqrt(both.var(0) + judge.norm.eps), 2)
    layers = [layer for layer in judge.critic if isinstance(layer, nn.Linear)]
    (w1, b1), (w2, b2) = ((numbers(layer.weight), numbers(layer.bias)) for layer in layers)
    truth, weight, chance = [], [], []
    for i in range(16):
        for j in range(16):
            hidden = w1 @ np.concatenate([first[i], second[j], first[i] * second[j]]) + b1
            score = (w2 @ (hidden / (1 + np.exp(-hidden))) + b2)[0]
            truth.append(int(i == j))
            weight.append(1 / 16 if i == j else 1 / 240)
            chance.append(1 / (1 + np.exp(-score)))
    assert judge.loss(a, b).item() == pytest.approx(log_loss(truth, chance, sample_weight=weight), rel=1e-5)


def test_a_slid_pair_is_never_of_one_window() -> None:
    judge = critic(slides=3)
    seen: list[tuple[Tensor, Tensor]] = []

    def pair_log_odds(a: Tensor, b: Tensor) -> Tensor:
        seen.append((a, b))
        return torch.zeros(a.shape[:-1])

    judge.pair_log_odds = pair_log_odds
    a = embeddings(1)
    assert judge.loss(a, a).item() == pytest.approx(math.log(2), rel=1e-6)
    (same, other), (repeated, slid) = seen[-2:]
    torch.testing.assert_close(same, other)
    assert slid.shape == (3, 16, EMBED)
    assert not (repeated - slid).abs().sum(-1).eq(0).any()
    assert len(slid[:, 0, 0].unique()) == 3  # each to another window


def trained(collapsed: bool) -> float:
    judge = critic(hidden_dim=16)
    optimizer = torch.optim.Adam(judge.parameters(), lr=0.01)
    losses = []
    with torch.random.fork_rng():
        for step in range(200):
            torch.manual_seed(step)
            a = torch.ones(64, EMBED) if collapsed else embeddings(2 * step, 64)
            loss = judge.loss(a, a + 0.3 * embeddings(2 * step + 1, 64) * (not collapsed))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return float(np.mean(losses[-20:]))


def test_what_two_detectors_share_is_learnt_and_collapse_leaves_log_2() -> None:
    assert trained(collapsed=False) < 0.25
    assert trained(collapsed=True) == pytest.approx(math.log(2), abs=0.01)


def test_views_of_the_network_are_refused() -> None:
    with pytest.raises(UserError, match="compares two detectors, and here a view holds all of them"):
        RunSpec.create(pairing="network", objective="coincidence-critic")


@pytest.mark.parametrize("groups", ["shared", "H1,L1|V1"])
def test_a_run_ends_with_a_score(groups: str, tmp_path: Path) -> None:
    done = gwbench.run(
        pairing="cross-detector",
        objective="coincidence-critic",
        encoder_groups=groups,
        settings=TINY | {"objective.hidden_dim": 16},
        out=tmp_path,
        precision="fp32",
        device="cpu",
    )
    assert done.status == "ok"
    assert done.training is not None
    assert np.isfinite(done.training.loss).all()
    assert 0 <= done.auc <= 1


def test_its_own_score_is_the_sum_over_pairs_of_detectors_in_both_orders() -> None:
    judge = critic().eval()
    judge.norm.running_mean.copy_(torch.linspace(-1, 1, EMBED))
    judge.norm.running_var.copy_(torch.linspace(0.5, 2, EMBED))
    views = torch.stack([embeddings(seed, 5) for seed in (1, 2, 3)], dim=1)  # [B, D, EMBED]
    mean, deviation = numbers(judge.norm.running_mean), np.sqrt(numbers(judge.norm.running_var) + judge.norm.eps)
    (w1, b1), (w2, b2) = ((numbers(each.weight), numbers(each.bias)) for each in judge.critic if hasattr(each, "bias"))
    wanted = np.zeros(5)
    for window, detectors in enumerate((numbers(views) - mean) / deviation):
        for i in range(3):
            for j in range(3):
                if i != j:
                    pair = np.concatenate([detectors[i], detectors[j], detectors[i] * detectors[j]])
                    hidden = w1 @ pair + b1
                    wanted[window] += (w2 @ (hidden / (1 + np.exp(-hidden))) + b2)[0] / 2
    with torch.no_grad():
        np.testing.assert_allclose(numbers(judge.log_odds(views.flatten(1))), wanted, rtol=1e-4)
