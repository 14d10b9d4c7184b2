from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gwbench.contracts import View
from gwbench.errors import UserError
from gwbench.plugins.objectives.data2vec import Data2Vec, masked
from tests.plugins.objectives.toys import EMBED, SAMPLES, Matrix, build, numbers, toy_encoder, view

SMALL = {"span": 4, "hidden_dim": 16}
TARGETS = ("other", "hidden", "window")


def small(**parameters: object) -> Data2Vec:
    objective = build("data2vec", **{**SMALL, **parameters})
    assert isinstance(objective, Data2Vec)
    return objective


def drawn(objective: Data2Vec, given: View, seed: int = 0) -> Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        hidden: Tensor = objective.hidden(given)
    return hidden


# --- what is hidden ---


@pytest.mark.parametrize(("ratio", "count"), [(0.5, 12), (0.26, 6), (0.01, 1), (0.99, 23)])
def test_as_many_spans_as_asked_for_are_hidden_in_each_channel_by_itself(ratio: float, count: int) -> None:
    """3 channels of 8 spans."""
    masks = torch.stack([drawn(small(ratio=ratio), view(1, channels=3), seed) for seed in range(40)])
    spans = masks.reshape(40, 24, 4)
    assert torch.equal(spans.all(2), spans.any(2))  # whole spans
    assert (spans.all(2).sum(1) == count).all()
    assert len(torch.unique(spans.all(2), dim=0)) > 10
    assert torch.equal(masks[3], drawn(small(ratio=ratio), view(2, channels=3), 3))  # by the global generator


def test_times_are_hidden_in_all_channels_and_detectors_as_wholes() -> None:
    times = drawn(small(hide="times"), view(1, channels=3))
    assert torch.equal(times, times[:1].expand(3, SAMPLES))
    assert times[0].sum() == SAMPLES / 2
    hidden = set()
    for seed in range(30):
        detectors = drawn(small(hide="detectors", ratio=0.34), view(1, channels=3), seed)
        assert torch.equal(detectors.all(1), detectors.any(1))
        hidden.add(int(detectors.all(1).nonzero()))  # raises unless it is one
    assert hidden == {0, 1, 2}


def test_a_span_that_the_window_cuts_short_may_be_hidden_too() -> None:
    masks = [drawn(small(span=12), view(1), seed)[0] for seed in range(20)]  # spans of 12, 12 and 8 samples
    assert {int(mask.sum()) for mask in masks} == {20, 24}


def test_what_is_left_has_the_mean_square_of_the_whole() -> None:
    given, hidden = View(torch.ones(2, 1, SAMPLES), torch.zeros(2, 1, dtype=torch.long)), drawn(small(), view(1))
    shown = masked(given, hidden)
    assert shown.samples[hidden.expand(2, 1, SAMPLES)].eq(0).all()
    np.testing.assert_allclose(shown.samples.square().mean(), 1, rtol=1e-6)
    assert given.samples.eq(1).all()


def test_what_cannot_be_hidden_is_said() -> None:
    with pytest.raises(UserError, match=r"hide=detectors hides some detectors .* such as network"):
        small(hide="detectors").hidden(view(1))
    with pytest.raises(UserError, match=r"span=32 leaves one span in 32 samples.* Set 16 at most"):
        small(span=32).hidden(view(1))


# --- who sees what ---


class Recorder(nn.Module):
    """Notes what it is given, and gives the samples' blocks as the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.seen: list[Tensor] = []

    def forward(self, given: View) -> Tensor:
        self.seen.append(given.samples)
        return self.scale * given.samples.flatten(1)[:, :EMBED]


@pytest.mark.parametrize("target", TARGETS)
def test_the_hidden_samples_never_reach_the_student(target: str) -> None:
    objective, student = small(target=target), Recorder()
    objective.attach(student)
    teacher = objective.target_encoder
    assert isinstance(teacher, Recorder)
    with torch.random.fork_rng():
        for extra in (0.0, 100.0):
            a, b = view(1), view(2)
            torch.manual_seed(4)
            hidden = [objective.hidden(each) for each in (a, b)]
            changed = [
                View(each.samples + extra * mask, each.detectors) for each, mask in zip((a, b), hidden, strict=True)
            ]
            torch.manual_seed(4)
            objective(*changed, student)
    for number, (mask, given) in enumerate(zip(hidden, (a, b), strict=True)):
        first, second = student.seen[number], student.seen[2 + number]
        assert torch.equal(first, second)
        assert torch.equal(first == 0, mask.expand_as(first))
        taught = teacher.seen[number]
        if target == "hidden":
            assert torch.equal(taught == 0, ~mask.expand_as(taught))
        else:
            assert torch.equal(taught, given.samples)


@pytest.mark.parametrize("target", TARGETS)
def test_the_loss_is_smooth_l1_to_the_teachers_features_of_unit_variance(target: str) -> None:
    objective, encoder = small(target=target, beta=0.7), toy_encoder()
    objective.attach(encoder)
    with torch.no_grad():
        for weight in objective.target_encoder.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
    a, b = view(1), view(2)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        hidden_a, hidden_b = objective.hidden(a), objective.hidden(b)
        torch.manual_seed(7)
        loss = objective(a, b, encoder).item()

    def zeroed(each: View, hidden: Tensor) -> View:
        return View(
            torch.where(hidden, 0, each.samples) * np.sqrt(1 / (1 - hidden.double().mean().item())), each.detectors
        )

    taught = {"other": (b, a), "window": (a, b), "hidden": (zeroed(a, ~hidden_a), zeroed(b, ~hidden_b))}[target]
    losses = []
    for own, shown in zip(taught, (zeroed(a, hidden_a), zeroed(b, hidden_b)), strict=True):
        features: Matrix = numbers(objective.target_encoder(own))
        aim = (features - features.mean(0)) / np.sqrt(features.var(0) + 1e-5)
        apart = np.abs(numbers(objective.predictor(encoder(shown))) - aim)
        losses.append(np.where(apart < 0.7, apart**2 / 1.4, apart - 0.35).mean())
    assert loss == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_gradients_reach_the_student_and_the_predictor_and_not_the_teacher(target: str) -> None:
    objective, encoder = small(target=target), toy_encoder([[0, 1], [2]])
    objective.attach(encoder)
    objective(view(1), view(2, detector=2), encoder).backward()
    for label, parameter in [*objective.named_parameters(), *encoder.named_parameters()]:
        if label.startswith("target_encoder"):
            assert not parameter.requires_grad
            assert parameter.grad is None, label
        else:
            assert parameter.grad is not None, label
            assert parameter.ndim < 2 or parameter.grad.abs().max() > 0, label


def test_the_scale_and_the_mean_of_the_targets_do_not_count() -> None:
    objective = small()
    online, target = torch.randn(2, 32, EMBED, generator=torch.Generator().manual_seed(0))
    loss = objective.compare(online, target)
    torch.testing.assert_close(objective.compare(online, 30 * target - 7), loss, rtol=1e-4, atol=0)


def test_on_collapse_the_loss_is_zero() -> None:
    objective = small()
    nothing = torch.zeros(16, EMBED)
    assert objective.compare(nothing, torch.full((16, EMBED), 3.0)).item() == pytest.approx(0, abs=1e-6)


# --- what can be learnt ---


def loss_after_training(target: str, *, signal: float) -> float:
    """Of fresh views of noise, with one and the same amplitude of a wave in both views of a window, over that of 0."""
    objective, encoder = small(target=target, momentum=1.0), toy_encoder()
    objective.attach(encoder)
    frozen = copy.deepcopy(encoder)
    optimizer = torch.optim.Adam([*encoder.parameters(), *objective.predictor.parameters()], lr=0.02)
    wave = torch.ones(SAMPLES)
    found = []
    with torch.random.fork_rng():
        for step in range(150):
            torch.manual_seed(step)
            amplitude = signal * torch.randn(128, 1, 1)
            a, b = (
                View(each.samples + amplitude * wave, each.detectors)
                for each in (view(2 * step, batch=128), view(2 * step + 1, batch=128))
            )
            loss = objective(a, b, encoder)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
    assert all(
        torch.equal(x, y) for x, y in zip(frozen.parameters(), objective.target_encoder.parameters(), strict=True)
    )
    normal = torch.randn(10**6, generator=torch.Generator().manual_seed(0))
    nothing = nn.functional.smooth_l1_loss(torch.zeros_like(normal), normal, beta=2.0).item()
    return float(np.mean(found[-30:])) / nothing


@pytest.mark.parametrize("target", TARGETS)
def test_features_of_noise_are_predicted_only_where_the_student_sees_the_same_noise(target: str) -> None:
    """Half of the noise is in sight: a linear feature of the whole window is then known to about half its variance."""
    noise = loss_after_training(target, signal=0.0)
    if target == "window":
        assert noise < 0.7
    else:
        assert noise > 0.97
        assert loss_after_training(target, signal=1.0) < 0.9
