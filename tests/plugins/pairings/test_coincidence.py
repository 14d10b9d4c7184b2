"""True and slid strain: what is in the views, and that nothing but coincidence tells them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gwbench.contracts import View
from gwbench.errors import UserError
from gwbench.experiment.spec import RunSpec
from gwbench.plugins.pairings.coincidence import ANCHOR, CoincidencePairing, faster, slide
from tests.plugins.pairings.test_pairings import generator, info, labelled_strain

STILL: dict[str, Any] = {"longest_ms": 0.0, "polarity": "none"}
MILLISECOND = 2.048
"""Samples of one."""


def views(strain: Tensor, seed: int = 0, **parameters: Any) -> tuple[View, View]:
    names = ("H1", "L1", "V1")[: strain.shape[1]]
    a, b = CoincidencePairing(info(*names), **parameters).pair(strain, generator(seed))
    return a, b


def sources(view: View) -> np.ndarray[Any, Any]:
    """[B, D] which window of `labelled_strain` a detector's strain is from; asserts that it is of this detector."""
    value = view.samples[:, :, 0].numpy()
    np.testing.assert_array_equal(value % 10, view.detectors.numpy())
    return value // 10


def test_view_a_is_the_strain_and_in_view_b_no_two_detectors_are_of_one_window() -> None:
    strain = labelled_strain(60)
    for seed in range(20):
        a, b = views(strain, seed, **STILL)
        assert torch.equal(a.samples, strain)
        assert a.detectors.tolist() == b.detectors.tolist() == [[0, 1, 2]] * 60
        source = sources(b)
        assert (source[:, 0] != source[:, 1]).all()
        assert (source[:, 1] != source[:, 2]).all()
        assert (source[:, 0] != source[:, 2]).all()


def test_every_detectors_strain_is_in_both_views_so_that_it_tells_nothing_by_itself() -> None:
    a, b = views(labelled_strain(60), slides=4, **STILL)
    assert b.samples.shape == (240, 3, 64)
    parts = sources(b).reshape(4, 60, 3)
    for part in parts:
        for detector in range(3):
            assert sorted(part[:, detector]) == sorted(sources(a)[:, detector])
    assert not any(np.array_equal(parts[0], other) for other in parts[1:])  # each has slides of its own


def test_more_windows_can_be_slid_than_there_are() -> None:
    strain = labelled_strain(5)
    slid = slide(strain, 12, generator())
    source = (slid[:, :, 0] // 10).int().tolist()
    assert slid.shape == (12, 3, 64)
    assert all(len(set(row)) == 3 for row in source)
    assert len({tuple(row) for row in source[:5]}) == 5


def test_the_smallest_batch_has_as_many_windows_as_detectors() -> None:
    source = sources(views(labelled_strain(3), **STILL)[1])
    assert all(len(set(row)) == 3 for row in source.tolist())
    with pytest.raises(UserError, match="a batch of 3 windows or more; raise --batch-size above 2"):
        views(labelled_strain(2), **STILL)


def ramps(batch: int = 400) -> Tensor:
    """Strain whose samples say where they were: [B, 3, 64] of 1 to 64."""
    return torch.arange(1.0, 65.0).expand(batch, 3, 64).clone()


def moved(view: View) -> Tensor:
    """[B, D] samples by which ramps were moved to later times, from 0 to 63."""
    return view.samples.abs().argmin(dim=2)


def test_all_windows_of_a_batch_are_moved_alike_slid_or_not() -> None:
    drawn = set()
    for seed in range(200):
        a, b = views(ramps(6), seed, longest_ms=10 / MILLISECOND, slides=2, polarity="none")
        shift = moved(a)
        assert (shift == shift[0, 0]).all()
        assert (moved(b) == shift[0, 0]).all()
        by = (int(shift[0, 0]) + 32) % 64 - 32
        np.testing.assert_array_equal(a.samples[0].numpy(), np.roll(ramps(1)[0].numpy(), by, axis=1))
        drawn.add(by)
    assert drawn == set(range(-10, 11))


def test_jitter_moves_each_detector_by_itself_and_alike_in_both_views() -> None:
    a, b = views(ramps(), longest_ms=0, jitter_ms=3 / MILLISECOND, polarity="none")
    shift = (moved(a) + 32) % 64 - 32
    assert set(shift.flatten().tolist()) == set(range(-3, 4))
    assert len({tuple(row) for row in shift.tolist()}) > 100  # of 343
    assert torch.equal(moved(b), moved(a))


@pytest.mark.parametrize(("polarity", "patterns"), [("none", 1), ("common", 2), ("each", 8)])
def test_polarity(polarity: str, patterns: int) -> None:
    a, b = views(ramps(), longest_ms=0, polarity=polarity)
    signs = a.samples[:, :, 0].sign()
    assert len({tuple(row) for row in signs.tolist()}) == patterns
    assert torch.equal(b.samples[:, :, 0].sign(), signs)
    assert torch.equal(a.samples.abs(), ramps())


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_strain_runs_faster_about_its_anchor(factor: float) -> None:
    """A slow wave, whose values between samples are known."""
    time = torch.arange(512.0)
    anchor = ANCHOR * 512
    found = faster(torch.sin(2 * torch.pi * 6 * time / 512).expand(2, 3, 512), factor)
    expected = torch.sin(2 * torch.pi * 6 * ((time - anchor) * factor + anchor) / 512)
    inside = ((time - anchor) * factor + anchor > 0) & ((time - anchor) * factor + anchor < 511)
    torch.testing.assert_close(found[1, 2, inside], expected[inside], atol=1e-3, rtol=0)


def test_a_batch_is_stretched_as_one_within_bounds() -> None:
    factors = []
    for seed in range(50):
        a, b = views(ramps(6), seed, longest_ms=0, polarity="none", stretch=0.25)
        assert (a.samples == a.samples[0, 0]).all()
        assert (b.samples == a.samples[0, 0]).all()
        factors.append(float(a.samples[0, 0, 41] - a.samples[0, 0, 40]))  # of ramps that rise by one
    assert min(factors) >= 0.8 - 1e-4
    assert max(factors) <= 1.25 + 1e-4
    assert max(factors) - min(factors) > 0.3


def test_one_detector_is_absent_from_as_many_batches_as_asked_for_slid_or_not() -> None:
    absent = []
    for seed in range(200):
        a, b = views(ramps(6), seed, longest_ms=0, absent=0.3)
        off = (a.samples == 0).all(dim=2)
        assert torch.equal((b.samples == 0).all(dim=2), off)
        assert (off == off[0]).all()
        absent.append(off[0].nonzero().flatten().tolist())
    assert all(len(each) <= 1 for each in absent)
    counts = [absent.count([detector]) for detector in range(3)]
    assert 28 < sum(counts) < 92  # 60 +- 5 sigma
    assert min(counts) > 5
    two, _ = views(ramps()[:, :2], longest_ms=0, absent=1.0)
    assert bool((two.samples != 0).all())  # two detectors are the least


def test_a_seam_lies_at_the_same_times_in_true_and_slid_windows() -> None:
    """Closing a window to a ring leaves a step in band-limited noise: it must not say which windows are slid."""
    spectrum = torch.fft.rfft(torch.randn(300, 3, 1024, generator=generator(7)))
    spectrum[..., 80:] = 0  # steps alone have power above
    noise = torch.fft.irfft(spectrum)[..., :512]
    about = info()
    about = type(about)(about.detectors, 512.0, 512, about.coloured_noise, about.signals)
    a, b = CoincidencePairing(about, longest_ms=200).pair(noise, generator())
    for view in (a, b):
        sharp = torch.fft.rfft(view.samples)
        sharp[..., :60] = 0
        seam = torch.fft.irfft(sharp).abs().argmax(dim=2)
        together = ((seam - seam[:, :1]).abs() <= 2).float().mean()
        assert together > 0.8


def test_it_draws_from_its_generator_alone_and_leaves_its_input() -> None:
    strain = ramps(30)
    before = strain.clone()
    first, again, other = (views(strain, seed, longest_ms=10, jitter_ms=2, absent=0.5) for seed in (0, 0, 1))
    assert torch.equal(strain, before)
    assert all(torch.equal(x.samples, y.samples) for x, y in zip(first, again, strict=True))
    assert not torch.equal(first[0].samples, other[0].samples)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UserError, match="needs two detectors; the data have H1 alone"):
        CoincidencePairing(info("H1"))
    with pytest.raises(UserError, match=r"longest_ms=300 is 614 samples of 2048 Hz: expected at most half .*'s 64"):
        CoincidencePairing(info(), longest_ms=300)
    with pytest.raises(UserError, match=r"cannot be combined: .* choose one tagged coincidence, such as coincidence"):
        RunSpec.create(pairing="coincidence", objective="simclr")
    for pairing in ("any-pair", "network"):
        with pytest.raises(UserError, match=r"choose a pairing tagged coincidence, such as coincidence"):
            RunSpec.create(pairing=pairing, objective="coincidence")
    assert RunSpec.create(pairing="coincidence", objective="coincidence").encoder_groups == "network"
