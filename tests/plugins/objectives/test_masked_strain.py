from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gwbench.contracts import View
from gwbench.errors import UserError
from gwbench.plugins.objectives.masked_strain import MaskedStrain
from tests.plugins.objectives.toys import EMBED, SAMPLES, build, toy_encoder, view

SMALL = {"patch": 4, "downsample": 2, "hidden_dim": 16}


def small(**parameters: object) -> MaskedStrain:
    objective = build("masked-strain", **{**SMALL, **parameters})
    assert isinstance(objective, MaskedStrain)
    return objective


def constant(seen: View) -> Tensor:
    return torch.ones(len(seen.samples), EMBED)


@pytest.mark.parametrize(("ratio", "count"), [(0.5, 4), (0.26, 2), (0.01, 1), (0.99, 7)])
def test_as_many_patches_as_asked_for_are_zero_and_the_rest_is_untouched(ratio: float, count: int) -> None:
    objective = small(ratio=ratio)
    given = view(1, batch=64)
    before = given.samples.clone()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shown, places, hidden = objective.mask(given)
    assert torch.equal(given.samples, before)
    patches = shown.samples.reshape(64, 8, 4)
    zero = (patches == 0).all(2)
    assert (zero.sum(1) == count).all()
    assert torch.equal(patches[~zero], before.reshape(64, 8, 4)[~zero])
    assert places.shape == (64, count, 2)
    assert hidden.shape == (64, count, 2)
    if count == 4:
        assert len(torch.unique(zero, dim=0)) > 30  # of 70 choices, in 64 windows


def test_what_is_to_be_predicted_is_the_mean_of_neighbours_at_the_place_named() -> None:
    torch.manual_seed(0)
    given = view(1, detector=1, channels=2)
    _, places, hidden = small().mask(given)
    strain = given.samples.double().numpy()
    for window in range(len(strain)):
        for place, samples in zip(places[window], hidden[window], strict=True):
            channel, first = round(place[1].item() * 8) - 1, round(place[0].item() * SAMPLES)
            patch = strain[window, channel, first : first + 4]
            np.testing.assert_allclose(samples, [patch[:2].mean(), patch[2:].mean()], rtol=1e-5, atol=1e-7)


def test_samples_that_fill_no_patch_stay_in_sight() -> None:
    given = view(1)
    shown, _, _ = small(patch=12, downsample=4).mask(given)  # 2 patches of 12 in 32 samples
    assert torch.equal(shown.samples[..., 24:], given.samples[..., 24:])
    assert ((shown.samples[..., :24] == 0).sum(2) == 12).all()


def test_the_encoder_cannot_see_what_it_is_asked_for() -> None:
    objective, given = small(), view(1)
    torch.manual_seed(0)
    shown, _, _ = objective.mask(given)
    other = View(torch.where(shown.samples == 0, 100.0, given.samples), given.detectors)
    torch.manual_seed(0)
    again, _, hidden = objective.mask(other)
    assert torch.equal(again.samples, shown.samples)
    assert (hidden == 100).all()


def test_the_loss_is_the_mean_square_error_on_hidden_patches_over_their_mean_square() -> None:
    objective = small().eval()
    with torch.no_grad():
        for layer in (objective.from_embedding, objective.decoder):
            for parameter in layer.parameters():
                parameter.zero_()
        last = objective.decoder[-1]
        assert isinstance(last, nn.Linear)
        last.bias.copy_(torch.tensor([0.5, -0.25]))  # the prediction for every patch
    a, b = view(1), view(2)
    torch.manual_seed(5)
    loss = objective(a, b, constant).item()
    torch.manual_seed(5)
    expected = []
    for each in (a, b):
        shown, _, _ = objective.mask(each)
        true = each.samples.double().numpy()[(shown.samples == 0).numpy()].reshape(-1, 2, 2).mean(2)
        expected.append(((true - [0.5, -0.25]) ** 2).mean() / (true**2).mean())
    assert loss == pytest.approx(np.mean(expected), rel=1e-5)


def chirps(seed: int, batch: int = 128) -> View:
    """Sinusoids of one frequency and any phase: half of one tells the other half."""
    phase = 2 * math.pi * torch.rand(batch, 1, 1, generator=torch.Generator().manual_seed(seed))
    time = torch.arange(SAMPLES) / SAMPLES
    return View(torch.sin(2 * math.pi * 2 * time + phase), torch.zeros(batch, 1, dtype=torch.long))


def trained(objective: MaskedStrain, collapsed: bool) -> float:
    encoder = toy_encoder()
    optimizer = torch.optim.Adam([*objective.parameters(), *encoder.parameters()], lr=0.01)
    last = []
    for step in range(150):
        torch.manual_seed(step)
        optimizer.zero_grad()
        loss = objective(chirps(2 * step), chirps(2 * step + 1), constant if collapsed else encoder)
        loss.backward()
        optimizer.step()
        last.append(loss.item())
    return float(np.mean(last[-10:]))


def test_it_is_learnt_from_embeddings_that_tell_windows_apart_and_not_from_collapsed_ones() -> None:
    with torch.random.fork_rng():
        assert trained(small(), collapsed=False) < 0.2
        assert trained(small(), collapsed=True) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("others", [False, True])
def test_the_other_view_counts_where_asked_for(others: bool) -> None:
    """Aligned pairs lose less than shuffled ones where a window's own embedding says nothing."""
    objective = small(others=others)
    with torch.no_grad():
        objective.from_embedding[1].weight[:, :EMBED] = 0  # the own embedding
    encoder = toy_encoder()
    optimizer = torch.optim.Adam([*objective.parameters(), *encoder.parameters()], lr=0.01)
    with torch.random.fork_rng():
        for step in range(150):
            torch.manual_seed(step)
            optimizer.zero_grad()
            a = chirps(step)
            objective(a, a, encoder).backward()
            optimizer.step()
            with torch.no_grad():
                if others:
                    objective.from_embedding[1].weight[:, :EMBED] = 0
        a = chirps(1000)
        shuffled = View(a.samples.roll(1, 0), a.detectors)
        torch.manual_seed(0)
        aligned_loss = objective(a, a, encoder).item()
        torch.manual_seed(0)
        shuffled_loss = objective(a, shuffled, encoder).item()
    if others:
        assert aligned_loss < shuffled_loss - 0.5
    else:
        assert aligned_loss == pytest.approx(shuffled_loss, abs=0.1)


def test_each_view_is_predicted_from_its_own_embedding_and_then_the_others() -> None:
    objective, a, b = small(others=True).eval(), view(1), view(2)
    marks = iter([1.0, 2.0])
    seen: list[Tensor] = []
    objective.from_embedding.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.random.fork_rng():
        objective(a, b, lambda each: torch.full((len(each.samples), EMBED), next(marks)))
    assert [x[0].tolist() for x in seen] == [[1.0] * EMBED + [2.0] * EMBED, [2.0] * EMBED + [1.0] * EMBED]


@pytest.mark.parametrize("others", [False, True])
def test_gradients_reach_every_parameter(others: bool) -> None:
    objective, encoder = small(others=others), toy_encoder([[0, 1], [2]])
    objective(view(1), view(2, detector=2), encoder).backward()
    for label, parameter in [*objective.named_parameters(), *encoder.named_parameters()]:
        assert parameter.grad is not None, label
        assert parameter.ndim < 2 or parameter.grad.abs().max() > 0, label


def test_the_loss_is_fp32_inside_autocast_and_masks_come_from_the_global_generator() -> None:
    objective, encoder = small(), toy_encoder()
    losses = []
    with torch.random.fork_rng():
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            with torch.autocast("cpu", torch.bfloat16):
                loss = objective(view(1), view(2), encoder)
            assert loss.dtype == torch.float32
            losses.append(loss.item())
    assert losses[0] == losses[1] != losses[2]


def test_what_cannot_be_masked_is_said() -> None:
    with pytest.raises(UserError, match=r"downsample=3 does not divide objective\.patch=4"):
        small(downsample=3)
    with pytest.raises(UserError, match="patch=20 leaves fewer than two patches in 32 samples"):
        small(patch=20, downsample=1).mask(view(1))
    with pytest.raises(NotImplementedError, match="call the objective with views"):
        small().loss(torch.zeros(2, EMBED), torch.zeros(2, EMBED))


def test_strain_of_zeros_gives_a_finite_loss() -> None:
    silent = View(torch.zeros(4, 1, SAMPLES), torch.zeros(4, 1, dtype=torch.long))
    assert math.isfinite(small()(silent, silent, toy_encoder()).item())
