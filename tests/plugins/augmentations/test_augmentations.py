"""What each augmentation changes and leaves, and how often: exact properties and distributions."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest, uniform
from torch import Tensor

from gwbench.contracts import Parts, StrainInfo, View
from gwbench.errors import UserError
from gwbench.plugins.augmentations.amplitude_scale import AmplitudeScale
from gwbench.plugins.augmentations.detector_dropout import DetectorDropout
from gwbench.plugins.augmentations.detector_swap import DetectorSwap
from gwbench.plugins.augmentations.frequency_mask import FrequencyMask
from gwbench.plugins.augmentations.glitch_injection import GlitchInjection
from gwbench.plugins.augmentations.polarity_flip import PolarityFlip
from gwbench.plugins.augmentations.time_mask import TimeMask
from gwbench.plugins.augmentations.time_shift import TimeShift
from gwbench.plugins.pairings.any_pair import AnyPair
from gwbench.plugins.pairings.network import Network

RATE, WINDOW = 2048.0, 1024
ALL = (
    AmplitudeScale,
    DetectorDropout,
    DetectorSwap,
    FrequencyMask,
    GlitchInjection,
    PolarityFlip,
    TimeMask,
    TimeShift,
)
UNLIKELY = 1e-3


def unused(asked: object) -> Any:
    raise AssertionError("no augmentation here asks for noise or signals")


def info(rate: float = RATE, window: int = WINDOW) -> StrainInfo:
    return StrainInfo(("H1", "L1", "V1", "K1"), rate, window, unused, unused)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(batch: int, channels: int, seed: int = 9, samples: int = WINDOW) -> View:
    strain = torch.randn(batch, channels, samples, generator=generator(seed))
    return View(strain, torch.arange(channels).expand(batch, channels))


def constant(batch: int, channels: int) -> View:
    """Every channel holds its own positive number."""
    values = torch.arange(1.0, batch * channels + 1).view(batch, channels, 1)
    return View(values.repeat(1, 1, WINDOW), torch.arange(channels).expand(batch, channels))


def made(augmentation: Any, view: View, seed: int = 0) -> Tensor:
    out: Tensor = augmentation.augment(view, generator(seed)).samples
    return out


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_augmentation_follows_its_generator_alone_and_leaves_its_input(kind: Any, channels: int) -> None:
    augmentation = kind(info())
    view = noise(32, channels)
    samples, detectors = view.samples.clone(), view.detectors.clone()
    state, keys = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    first, again, other = (augmentation.augment(view, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], keys)  # noqa: NPY002
    assert torch.equal(first.samples, again.samples) and torch.equal(first.detectors, again.detectors)
    assert first.samples.shape == samples.shape and first.samples.dtype == torch.float32
    assert first.samples.is_contiguous()
    alone = channels == 1 and kind in (DetectorSwap, DetectorDropout)
    assert torch.equal(first.samples, samples) == alone
    assert torch.equal(first.samples, other.samples) == alone
    first.samples.zero_()
    assert torch.equal(view.samples, samples) and torch.equal(view.detectors, detectors)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_a_window_does_not_change_with_its_neighbours(kind: Any) -> None:
    """The draw is the generator's and the batch's size, not the strain's."""
    augmentation = kind(info())
    view, other = noise(8, 3), noise(8, 3, seed=10)
    mixed = View(torch.cat([view.samples[:4], other.samples[4:]]), view.detectors)
    assert torch.equal(made(augmentation, mixed)[:4], made(augmentation, view)[:4])


def test_time_shift_rolls_all_detectors_of_a_view_alike() -> None:
    view = noise(3000, 2, samples=64)
    out = made(TimeShift(info(window=64), longest_ms=5.0), view)  # 10 samples
    rolled = {shift: view.samples.roll(shift, 2) for shift in range(-10, 11)}
    equal = torch.stack([(out == moved).flatten(1).all(1) for moved in rolled.values()])
    assert (equal.sum(0) == 1).all()
    assert chisquare(equal.sum(1).numpy()).pvalue > UNLIKELY


@pytest.mark.parametrize("longest_ms", [0.1, 300.0])
def test_time_shift_refuses_what_is_no_shift(longest_ms: float) -> None:
    with pytest.raises(UserError, match=r"at least one, and at most half"):
        TimeShift(info(), longest_ms=longest_ms)


def test_polarity_flip_reverses_whole_views() -> None:
    view = constant(4000, 3)
    sign = made(PolarityFlip(info(), probability=0.3), view) / view.samples
    assert set(sign.unique().tolist()) == {-1.0, 1.0}
    assert (sign == sign[:, :1, :1]).all()
    assert float((sign[:, 0, 0] < 0).float().mean()) == pytest.approx(0.3, abs=5 * (0.21 / 4000) ** 0.5)


def test_amplitude_scale_is_uniform_in_the_logarithm() -> None:
    view = constant(4000, 2)
    factor = made(AmplitudeScale(info(), scale=(0.5, 4.0)), view) / view.samples
    torch.testing.assert_close(factor, factor[:, :1, :1].expand_as(factor), rtol=1e-6, atol=0)
    logarithm = torch.log2(factor[:, 0, 0]).numpy()
    assert kstest(logarithm, uniform(-1, 3).cdf).pvalue > UNLIKELY
    with pytest.raises(UserError, match="scale=2,1 is not a range"):
        AmplitudeScale(info(), scale=(2.0, 1.0))


def test_time_mask_cuts_out_one_stretch() -> None:
    view = noise(4000, 2)
    out = made(TimeMask(info(), longest=0.1), view)
    masked = out == 0
    assert torch.equal(masked[:, 0], masked[:, 1])
    assert torch.equal(out, torch.where(masked, 0.0, view.samples))
    length = masked[:, 0].sum(1)
    edges = masked[:, 0].int().diff(dim=1).abs().sum(1) + masked[:, 0, 0] + masked[:, 0, -1]
    assert (edges == 2 * (length > 0)).all()
    counts = torch.bincount(length, minlength=103)
    assert len(counts) == 103  # lengths from 0 to 102 samples, a tenth of 1024
    assert chisquare(counts.numpy()).pvalue > UNLIKELY
    place = (masked[:, 0].int().argmax(1) / (WINDOW - length))[length > 0]
    assert kstest(place.numpy(), uniform.cdf).pvalue > UNLIKELY


def test_time_mask_cuts_out_several() -> None:
    share = [(made(TimeMask(info(), longest=0.1, count=count), noise(2000, 1)) == 0).float().mean() for count in (1, 3)]
    assert float(share[0]) == pytest.approx(51 / WINDOW, rel=0.05)
    # Three that may overlap leave (1 - p)^3 on average, apart from a little correlation with the window's ends.
    assert float(share[1]) == pytest.approx(1 - (1 - 51 / WINDOW) ** 3, rel=0.05)


def test_frequency_mask_takes_out_one_band() -> None:
    view = noise(1500, 2)
    out = made(FrequencyMask(info(), widest=100.0, low=100.0, high=500.0), view)
    before, after = torch.fft.rfft(view.samples), torch.fft.rfft(out)
    masked = after.abs() < 1e-3 * before.abs()
    assert torch.equal(masked[:, 0], masked[:, 1])
    torch.testing.assert_close(after, torch.where(masked, 0.0, before), atol=1e-3, rtol=0)
    bins = masked[:, 0].sum(1)
    frequency = torch.fft.rfftfreq(WINDOW, 1 / RATE)  # 2 Hz apart
    edges = masked[:, 0].int().diff(dim=1).abs().sum(1)
    assert (edges == 2 * (bins > 0)).all()
    touched = frequency[masked[:, 0].any(0)]
    assert 100 <= float(touched.min()) < 110 and 490 < float(touched.max()) < 500
    # A band of width w holds w / 2 bins on average; its width is uniform up to 100 Hz.
    assert 48 <= int(bins.max()) <= 50
    assert float(bins.float().mean()) == pytest.approx(25, abs=5 * 50 / math.sqrt(12 * 1500))
    first = torch.argmax(masked[:, 0].int(), dim=1)[bins > 0] * 2.0
    place = (first - 100) / (400 - 2.0 * bins[bins > 0])
    assert kstest(place.numpy(), uniform.cdf).statistic < 0.06  # bins are 2 Hz wide


def test_frequency_mask_keeps_to_what_the_sample_rate_holds() -> None:
    assert FrequencyMask(info(rate=1024.0)).high == 512.0
    with pytest.raises(UserError, match=r"widest=500 Hz does not fit between low=20 and 512 Hz"):
        FrequencyMask(info(rate=1024.0), widest=500.0)


@pytest.mark.parametrize("channels", [2, 3])
def test_detector_swap_permutes_detectors_and_their_indices(channels: int) -> None:
    view = constant(3000, channels)
    out = DetectorSwap(info(), probability=1.0).augment(view, generator())
    torch.testing.assert_close(out.samples[..., 0] - view.samples[:, :1, 0], out.detectors.float())
    assert (out.samples == out.samples[..., :1]).all()
    orders = list(permutations(range(channels)))
    counts = [int((out.detectors == torch.tensor(order)).all(1).sum()) for order in orders]
    assert sum(counts) == 3000
    assert chisquare(counts).pvalue > UNLIKELY
    some = DetectorSwap(info(), probability=0.4).augment(view, generator())
    moved = float((some.detectors != view.detectors).any(1).float().mean())
    expected = 0.4 * (1 - 1 / len(orders))
    assert moved == pytest.approx(expected, abs=5 * (expected * (1 - expected) / 3000) ** 0.5)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_detector_dropout_never_empties_a_view(channels: int) -> None:
    view = constant(4000, channels)
    out = DetectorDropout(info(), probability=0.6).augment(view, generator())
    on = out.samples[..., 0] != 0
    assert torch.equal(out.samples, view.samples * on.unsqueeze(2))
    assert torch.equal(out.detectors, view.detectors)
    left = torch.bincount(on.sum(1), minlength=channels + 1).numpy()
    assert left[0] == 0
    binomial = [math.comb(channels, k) * 0.4**k * 0.6 ** (channels - k) for k in range(channels + 1)]
    expected = np.array([binomial[0] + binomial[1], *binomial[2:]]) * 4000
    assert chisquare(left[1:], expected).pvalue > UNLIKELY
    assert chisquare(on.sum(0).numpy()).pvalue > UNLIKELY
    assert (made(DetectorDropout(info(), probability=1.0), view)[..., 0] != 0).sum(1).eq(1).all()


def test_glitches_strike_each_detector_and_view_by_itself() -> None:
    view = View(torch.zeros(1500, 2, WINDOW), torch.arange(2).expand(1500, 2))
    augmentation, driver = GlitchInjection(info(), probability=0.4), generator()
    struck = [augmentation.augment(view, driver).samples for _ in range(2)]
    hits = torch.stack([each.abs().amax(2) > 0 for each in struck]).permute(0, 2, 1).reshape(4, 1500).float()
    assert hits.mean(1).numpy() == pytest.approx([0.4] * 4, abs=5 * (0.24 / 1500) ** 0.5)
    between = torch.corrcoef(hits) - torch.eye(4)
    assert float(between.abs().max()) < 5 / 1500**0.5
    both = (hits[0] * hits[2]) > 0
    a, b = struck[0][both, 0], struck[1][both, 0]
    overlap = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    assert float(overlap.abs().max()) < 0.99 and float(overlap.abs().mean()) < 0.1


def test_glitches_are_sine_gaussians_of_the_loudness_asked_for() -> None:
    samples = 8192
    view = View(torch.zeros(2000, 1, samples), torch.zeros(2000, 1, dtype=torch.long))
    glitches = made(GlitchInjection(info(window=samples), probability=1.0, loudness=(8.0, 40.0)), view)[:, 0]
    peak = glitches.abs().argmax(1)
    whole = (peak > 512) & (peak < samples - 512)
    assert kstest((peak / samples).numpy(), uniform.cdf).pvalue > UNLIKELY
    loudness = glitches[whole].double().norm(dim=1).numpy()
    # Of a density that falls as x^-3, x^-2 is uniform.
    assert kstest(loudness**-2, uniform(40.0**-2, 8.0**-2 - 40.0**-2).cdf).pvalue > UNLIKELY
    assert loudness.min() > 7.99 and loudness.max() < 40.01
    power = torch.fft.rfft(glitches[whole]).abs().square()
    frequency = torch.fft.rfftfreq(samples, 1 / RATE)
    centre = frequency[power.argmax(1)].log().numpy()
    # A low Q moves the power's maximum a little.
    assert kstest(centre, uniform(math.log(60), math.log(500 / 60)).cdf).statistic < 0.05
    # |h(f)|^2 of exp(-t^2 / tau^2) has a standard deviation of 1 / (2 pi tau); f / that is sqrt(2) Q, from 2.8 to 11.3.
    mean = (power * frequency).sum(1) / power.sum(1)
    width = ((power * (frequency - mean[:, None]) ** 2).sum(1) / power.sum(1)).sqrt()
    quality = (mean / width).numpy() / math.sqrt(2)
    assert quality.min() > 1.9 and quality.max() < 8.1
    assert kstest(quality, uniform(2, 6).cdf).statistic < 0.06


@pytest.mark.parametrize(
    ("changes", "message"), [({"loudness": (9.0, 8.0)}, "loudness=9,8 is not a range"), ({"rate": 200.0}, "240 Hz")]
)
def test_glitches_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        GlitchInjection(info(changes.pop("rate", RATE)), **changes)


def test_what_needs_a_network_is_skipped_without_one() -> None:
    for kind in (DetectorSwap, DetectorDropout):
        assert "use a network pairing" in kind.skip(Parts(pairing=AnyPair))
        assert kind.skip(Parts(pairing=Network)) == ""
        assert kind.skip(Parts()) == ""
    assert TimeShift.skip(Parts(pairing=AnyPair)) == ""
