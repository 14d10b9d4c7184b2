"""Which strain each pairing puts into its views: any two detectors, one twice, the network, slid and injected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from gwbench.contracts import Parts, SignalSettings, StrainInfo, View
from gwbench.errors import UserError
from gwbench.plugins.augmentations.noise_injection import NoiseInjection
from gwbench.plugins.objectives.barlow import Barlow
from gwbench.plugins.objectives.moco import MoCo
from gwbench.plugins.objectives.nnclr import NnClr
from gwbench.plugins.objectives.simclr import SimClr
from gwbench.plugins.pairings.any_pair import AnyPair
from gwbench.plugins.pairings.network import Network
from gwbench.plugins.pairings.network_injection import NetworkInjection
from gwbench.plugins.pairings.same_detector import SameDetector
from gwbench.plugins.pairings.signal_injection import SignalInjection
from gwbench.plugins.pairings.time_slide import TimeSlide

NAMES = ("H1", "L1", "V1", "K1")
WINDOW = 64
KINDS = (AnyPair, Network, NetworkInjection, SameDetector, SignalInjection, TimeSlide)
UNLIKELY = 1e-3


class UnitNoise:
    """White noise of unit variance, as pycbc's would be once whitened."""

    def draw(self, detectors: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(*detectors.shape, WINDOW, generator=generator)


class NumberedSignals:
    """Every signal has a number, and detector d sees it as number + d / 10, in the second half of the window."""

    def __init__(self, detectors: int) -> None:
        self.detectors = detectors

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        number = torch.randint(1, 200, (n, 1, 1), generator=generator)
        seen = number + torch.arange(self.detectors).view(1, -1, 1) / 10
        return seen * (torch.arange(WINDOW) >= WINDOW // 2)


class Silence:
    """Signals too faint to see."""

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.zeros(n, 3, WINDOW)


def info(detectors: int = 3, asked: list[SignalSettings] | None = None) -> StrainInfo:
    def noise(psds: Mapping[str, Sequence[str]]) -> UnitNoise:
        return UnitNoise()

    def signals(settings: SignalSettings) -> NumberedSignals:
        if asked is not None:
            asked.append(settings)
        return NumberedSignals(detectors)

    return StrainInfo(NAMES[:detectors], 2048.0, WINDOW, noise, signals)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labelled_strain(batch: int, detectors: int) -> Tensor:
    """Every sample says which window and detector it comes from: window / 10 + detector / 100."""
    window = torch.arange(batch).view(-1, 1, 1) / 10
    return (window + torch.arange(detectors).view(1, -1, 1) / 100).expand(batch, detectors, WINDOW).clone()


def origin(view: View) -> tuple[Tensor, Tensor]:
    """Window and detector [B, C] that a view of labelled strain says it comes from."""
    value = (view.samples[..., 0] * 100).round().long()
    return value // 10, value % 10


def injected(view: View) -> tuple[Tensor, Tensor]:
    """Number of the signal in a view, 0 without one, and the detector that sees it so, each [B]."""
    value = ((view.samples[:, 0, -1] - view.samples[:, 0, 0]) * 10).round().long()
    return value // 10, value % 10


@pytest.mark.parametrize("detectors", [2, 3, 4])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_pairing_follows_its_generator_alone_and_leaves_its_input(kind: Any, detectors: int) -> None:
    pairing = kind(info(detectors))
    strain = torch.randn(32, detectors, WINDOW, generator=generator(5))
    before, state = strain.clone(), torch.get_rng_state()
    keys = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    first, again, other = (pairing.pair(strain, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(strain, before)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], keys)  # noqa: NPY002
    for x, y in zip(first, again, strict=True):
        assert torch.equal(x.samples, y.samples) and torch.equal(x.detectors, y.detectors)
        channels = detectors if kind.network else 1
        assert x.samples.shape == (32, channels, WINDOW) and x.samples.dtype == torch.float32
        assert x.detectors.shape == (32, channels) and x.detectors.dtype == torch.long
    assert not torch.equal(first[0].samples, other[0].samples)
    for view in first:
        view.samples.zero_()
    assert torch.equal(strain, before)


@pytest.mark.parametrize("detectors", [2, 3, 4])
def test_any_pair_draws_every_ordered_pair_alike(detectors: int) -> None:
    a, b = AnyPair(info(detectors)).pair(labelled_strain(4000, detectors), generator())
    for view in (a, b):
        window, detector = origin(view)
        assert torch.equal(window[:, 0], torch.arange(4000))
        assert torch.equal(detector, view.detectors)
    pairs = list(permutations(range(detectors), 2))
    counts = [int(((a.detectors == i) & (b.detectors == j)).sum()) for i, j in pairs]
    assert sum(counts) == 4000
    assert chisquare(counts).pvalue > UNLIKELY


def test_same_detector_gives_one_detector_twice() -> None:
    a, b = SameDetector(info()).pair(labelled_strain(3000, 3), generator())
    assert torch.equal(a.samples, b.samples) and torch.equal(a.detectors, b.detectors)
    window, detector = origin(a)
    assert torch.equal(window[:, 0], torch.arange(3000)) and torch.equal(detector, a.detectors)
    assert chisquare(torch.bincount(a.detectors[:, 0]).numpy()).pvalue > UNLIKELY


def test_same_detector_is_skipped_without_augmentations() -> None:
    assert "add an augmentation" in SameDetector.skip(Parts(pairing=SameDetector))
    assert SameDetector.skip(Parts(pairing=SameDetector, augmentations=(NoiseInjection,))) == ""


def test_network_views_hold_all_detectors_in_independent_noise() -> None:
    strain = torch.randn(500, 3, WINDOW, generator=generator(3))
    a, b = Network(info(), scale=2.0).pair(strain, generator())
    assert Network.network
    assert torch.equal(a.detectors, torch.arange(3).expand(500, 3))
    noise = torch.stack([view.samples - strain for view in (a, b)])
    assert noise.std((0, 1, 3)).numpy() == pytest.approx([2.0] * 3, rel=0.02)
    rows = noise.permute(0, 2, 1, 3).reshape(6, -1)  # two views of three detectors
    between = torch.corrcoef(rows) - torch.eye(6)
    assert float(between.abs().max()) < 5 / (500 * WINDOW) ** 0.5
    silent, _ = Network(info(), probability=0.0).pair(strain, generator())
    assert torch.equal(silent.samples, strain)


@pytest.mark.parametrize("detectors", [2, 3, 4])
def test_time_slides_take_every_detector_from_another_window(detectors: int) -> None:
    batch, steps = 61, set()
    strain = labelled_strain(batch, detectors)
    for seed in range(40):
        a, b = TimeSlide(info(detectors), share=0.5, probability=0.0).pair(strain, generator(seed))
        assert torch.equal(a.samples, b.samples)
        assert torch.equal(a.detectors, torch.arange(detectors).expand(batch, detectors))
        window, detector = origin(a)
        assert torch.equal(detector, a.detectors)
        assert torch.equal(window[:, 0], torch.arange(batch))
        slid = (window != window[:, :1]).any(1)
        step = (window[:, 1:] - window[:, :-1]) % batch
        assert (step[~slid] == 0).all()
        assert len(step[slid].unique()) == 1  # one slide, as a search has it
        assert all(len(set(row.tolist())) == detectors for row in window[slid])
        steps.add(int(step[slid][0, 0]))
        # A slid window's strain stands elsewhere beside its own partners.
        beside = set(torch.arange(batch)[~slid].tolist())
        shared = sum(int(w) in beside for row in window[slid] for w in row[1:])
        assert shared > 0
    assert len(steps) > 8
    assert max(steps) <= (batch - 1) // (detectors - 1)


def test_time_slide_slides_the_share_asked_for_and_adds_noise_as_network_does() -> None:
    strain = labelled_strain(4000, 3)
    window, _ = origin(TimeSlide(info(), share=0.3, probability=0.0).pair(strain, generator())[0])
    share = float((window[:, 1] != window[:, 0]).float().mean())
    assert share == pytest.approx(0.3, abs=5 * (0.21 / 4000) ** 0.5)
    a, b = TimeSlide(info(), share=1.0).pair(torch.zeros(500, 3, WINDOW), generator())
    assert float(torch.corrcoef(torch.stack([a.samples.flatten(), b.samples.flatten()]))[0, 1]) < 0.02
    assert float(a.samples.std()) == pytest.approx(1.0, rel=0.02)


def test_time_slide_is_for_objectives_with_negatives() -> None:
    assert TimeSlide.skip(Parts(pairing=TimeSlide, objective=SimClr)) == ""
    assert "this objective uses none" in TimeSlide.skip(Parts(pairing=TimeSlide, objective=Barlow))
    assert "from earlier batches" in TimeSlide.skip(Parts(pairing=TimeSlide, objective=MoCo))
    assert TimeSlide.skip(Parts(pairing=TimeSlide, objective=NnClr)) == ""
    assert TimeSlide.skip(Parts(pairing=TimeSlide)) == ""
    with pytest.raises(UserError, match="a batch of 3 windows or more; raise --batch-size above 2"):
        TimeSlide(info()).pair(torch.zeros(2, 3, WINDOW), generator())


@pytest.mark.parametrize("detectors", [2, 3, 4])
def test_injected_pairs_share_a_source_and_no_strain(detectors: int) -> None:
    batch = 3000
    a, b = SignalInjection(info(detectors), share=0.7).pair(labelled_strain(batch, detectors), generator())
    for view in (a, b):
        assert torch.equal(origin(view)[1], view.detectors)
    (number, seen_a), (same, seen_b) = injected(a), injected(b)
    assert torch.equal(number, same) and len(number.unique()) == 200
    loud = number > 0
    assert float(loud.float().mean()) == pytest.approx(0.7, abs=5 * (0.21 / batch) ** 0.5)
    assert torch.equal(seen_a[loud], a.detectors[loud, 0]) and torch.equal(seen_b[loud], b.detectors[loud, 0])
    window_a, window_b = origin(a)[0][:, 0], origin(b)[0][:, 0]
    assert torch.equal(window_a, torch.arange(batch))
    assert torch.equal(window_b[~loud], window_a[~loud])
    assert (window_b[loud] != window_a[loud]).all()
    pairs = list(permutations(range(detectors), 2))
    for some in (loud, ~loud):
        counts = [int(((a.detectors == i) & (b.detectors == j))[some].sum()) for i, j in pairs]
        assert sum(counts) == int(some.sum())
        assert chisquare(counts).pvalue > UNLIKELY


def test_injected_pairs_have_independent_strain() -> None:
    """Each window has one stretch of noise for all its detectors, so that any sharing shows."""
    shared = torch.randn(400, 1, WINDOW, generator=generator(8)).expand(400, 3, WINDOW).clone()
    for share, correlation in ((1.0, 0.0), (0.0, 1.0)):
        pairing = SignalInjection(info(), share=share)
        pairing.signals = Silence()
        a, b = pairing.pair(shared, generator())
        found = torch.corrcoef(torch.stack([a.samples.flatten(), b.samples.flatten()]))[0, 1]
        assert float(found) == pytest.approx(correlation, abs=5 / (400 * WINDOW) ** 0.5)


def test_two_windows_suffice_for_an_injected_pair() -> None:
    a, b = SignalInjection(info(), share=1.0).pair(labelled_strain(2, 3), generator())
    assert origin(a)[0].flatten().tolist() == [0, 1]
    assert origin(b)[0].flatten().tolist() == [1, 0]
    with pytest.raises(UserError, match="two windows or more"):
        SignalInjection(info()).pair(labelled_strain(1, 3), generator())


@pytest.mark.parametrize("detectors", [1, 3])
def test_injected_networks_share_a_source_in_every_detector_and_no_strain(detectors: int) -> None:
    batch = 2000
    views = NetworkInjection(info(detectors), share=0.7).pair(labelled_strain(batch, detectors), generator())
    every = torch.arange(detectors).expand(batch, detectors)
    seen = [((view.samples[..., -1] - view.samples[..., 0]) * 10).round().long() for view in views]
    for view in views:
        assert torch.equal(view.detectors, every)
        assert torch.equal(origin(view)[1], every)  # each channel is the strain of its detector
    assert torch.equal(seen[0], seen[1])
    loud = seen[0][:, 0] > 0
    assert float(loud.float().mean()) == pytest.approx(0.7, abs=5 * (0.21 / batch) ** 0.5)
    assert torch.equal(seen[0][loud] % 10, every[loud]) and (seen[0][~loud] == 0).all()
    assert (seen[0][loud] // 10 == seen[0][loud, :1] // 10).all()  # one source for the network
    windows = [origin(view)[0] for view in views]
    assert all((window == window[:, :1]).all() for window in windows)
    assert (windows[0][:, 0] != windows[1][:, 0]).all()


def test_injected_networks_need_two_windows_and_say_what_they_saw() -> None:
    with pytest.raises(UserError, match="two windows or more"):
        NetworkInjection(info()).pair(labelled_strain(1, 3), generator())
    (note,) = NetworkInjection.notes
    assert "saw simulated signals" in note and "network-injection" in note


def test_signal_injection_asks_for_signals_and_says_so() -> None:
    asked: list[SignalSettings] = []
    SignalInjection(info(asked=asked), snr_model="clipped-normal", snr=(7.92, 2.2, 2.2), count=100)
    assert asked == [SignalSettings("flat-bbh", "clipped-normal", (7.92, 2.2, 2.2), 100)]
    (note,) = SignalInjection.notes
    assert "saw simulated signals" in note


@pytest.mark.parametrize("kind", [AnyPair, SignalInjection, TimeSlide])
def test_two_detectors_are_needed(kind: Any) -> None:
    with pytest.raises(UserError, match="needs two detectors; the data have H1 alone"):
        kind(info(1))
