"""How much of an EMA target is still its random start when training ends, and what the user is told of it."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from gwbench.training.ema import MomentumObjective, fitting_momentum, initial_share, slow_target


class Plain(MomentumObjective):
    """The shortest objective with a target."""

    def compare(self, online: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (online - target).square().mean()


@pytest.mark.parametrize(("momentum", "steps"), [(0.996, 155), (0.9, 20), (0.5, 3), (0.0, 4), (1.0, 9), (0.9, 1)])
def test_the_share_is_what_is_left_of_a_targets_weights(momentum: float, steps: int) -> None:
    """Weights of 1 that follow weights of 0 are the share by themselves."""
    learning = nn.Linear(2, 2, bias=False)
    nn.init.ones_(learning.weight)
    objective = Plain(2, nn.Identity(), momentum=momentum)
    objective.attach(learning)
    nn.init.zeros_(learning.weight)
    for step in range(1, steps + 1):
        objective.after_step(step, steps)
    left = objective.target_encoder.get_parameter("weight").detach().numpy()
    np.testing.assert_allclose(left, initial_share(momentum, steps), rtol=1e-4, atol=1e-7)


def test_five_epochs_of_the_quick_preset_leave_byols_target_where_it_was() -> None:
    """Momenta of a half cosine from m to 1 sum up to N (1 + m) / 2, so that about exp(-N (1 - m) / 2) is left."""
    assert initial_share(0.996, 155) == pytest.approx(math.exp(-155 * 0.004 / 2), rel=0.01)
    assert initial_share(0.996, 100_000) == 0


@pytest.mark.parametrize(("momentum", "steps"), [(0.996, 155), (0.99, 155), (0.999, 620), (0.9998, 20_000)])
def test_the_momentum_that_is_advised_forgets_the_start(momentum: float, steps: int) -> None:
    said = slow_target(momentum, steps)
    assert said
    assert f"{initial_share(momentum, steps):.0%}" in said
    advised = float(re.findall(r"objective\.momentum=([\d.]+)", said)[0].rstrip("."))
    assert 1e-4 < initial_share(advised, steps) <= 0.0012
    assert slow_target(advised, steps) is None


def test_with_a_handful_of_steps_only_more_of_them_are_advised() -> None:
    said = slow_target(0.996, 4)
    assert said
    assert "--set" not in said
    assert "--epochs" in said


@pytest.mark.parametrize("steps", [139, 155, 620, 3450])
def test_a_momentum_that_fits_the_steps_leaves_a_thousandth_of_the_start(steps: int) -> None:
    assert initial_share(fitting_momentum(steps), steps) == pytest.approx(0.001, rel=0.4)


@pytest.mark.parametrize(("steps", "momentum"), [(1, 0.9), (138, 0.9), (155, 0.9109), (3453, 0.996), (10**6, 0.996)])
def test_it_stays_between_what_was_measured_and_the_papers(steps: int, momentum: float) -> None:
    assert fitting_momentum(steps) == pytest.approx(momentum, abs=1e-4)


def test_without_a_momentum_the_target_moves_by_the_one_that_fits() -> None:
    learning = nn.Linear(2, 2, bias=False)
    chosen, fixed = (Plain(2, nn.Identity(), momentum=each) for each in (None, fitting_momentum(20)))
    for objective in (chosen, fixed):
        nn.init.ones_(learning.weight)
        objective.attach(learning)
        nn.init.zeros_(learning.weight)
        for step in (1, 2):
            objective.after_step(step, 20)
    left = chosen.target_encoder.get_parameter("weight")
    torch.testing.assert_close(left, fixed.target_encoder.get_parameter("weight"), rtol=0, atol=0)
    assert float(left.mean()) == pytest.approx(0.9 * (1 - 0.1 * (1 + math.cos(math.pi / 19)) / 2), rel=0.01)
