from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import signal

from gwbench.preprocessing.conditioning import Conditioner, Conditioning, Whitening, fit_conditioner
from gwbench.search.scan_plan import ScanPlan, WindowShape, plan_scan
from gwbench.search.stretch_conditioning import StretchConditioning

RATE = 1024
WINDOW, MARGIN, STEP = 1024, 256, 128


def coloured(seconds: float, seed: int, corner: float = 60.0) -> NDArray[np.float64]:
    """Two detectors' noise, louder towards low frequencies."""
    white = np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))
    sections = signal.butter(2, corner, "lowpass", fs=RATE, output="sos")
    return np.asarray(1e-21 * (signal.sosfilt(sections, white, axis=1) * 20 + 0.3 * white))


def fitted(strain: NDArray[np.float64], method: str = "whiten") -> Conditioner:
    size = WINDOW + 2 * MARGIN
    windows = np.lib.stride_tricks.sliding_window_view(strain, size, axis=1)[:, :: size // 2].transpose(1, 0, 2)
    settings = Conditioning(method=method, low=20, high=400)  # type: ignore[arg-type]
    split = SimpleNamespace(strain=windows)
    detectors = ("H1", "L1")
    return fit_conditioner(split, sample_rate=RATE, margin=MARGIN, detectors=detectors, settings=settings)  # type: ignore[arg-type]


def laid_out(intervals: list[tuple[int, int]], conditioner: Conditioner, *, measured: bool) -> ScanPlan:
    edge = conditioner.reach if isinstance(conditioner, Whitening) else MARGIN
    return plan_scan(intervals, WindowShape(RATE, WINDOW, MARGIN, edge, STEP), measured=measured)


def whole(strain: StretchConditioning, number: int, first: int, stop: int) -> torch.Tensor:
    return torch.cat([part for _, part in strain.stretches(number, first, stop)], 1)


def test_without_refitting_a_long_stretch_is_what_its_windows_are() -> None:
    noise = coloured(150, 1)
    conditioner = fitted(noise)
    plan = laid_out([(0, noise.shape[1])], conditioner, measured=False)
    assert len(plan.pieces) == 2
    strain = StretchConditioning(plan, conditioner, lambda a, b: noise[:, a:b], refit=False)
    found = whole(strain, 0, 0, 149 * RATE)
    for second in (0, 60, 74, 75, 100, 147):
        begin = second * RATE
        edge = plan.shape.edge
        window = conditioner(noise[None, :, begin + edge - MARGIN :][:, :, : WINDOW + 2 * MARGIN])[0]
        np.testing.assert_allclose(found[:, begin : begin + WINDOW], window, atol=1e-4)


def test_every_range_of_a_stretch_comes_out_the_same() -> None:
    noise = coloured(200, 2)
    conditioner = fitted(noise[:, : 50 * RATE])
    plan = laid_out([(0, noise.shape[1])], conditioner, measured=True)
    assert len(plan.pieces) == 3
    strain = StretchConditioning(plan, conditioner, lambda a, b: noise[:, a:b], refit=True)
    end = 200 * RATE - 2 * plan.shape.edge
    all_of_it = whole(strain, 0, 0, end)
    assert all_of_it.shape == (2, end)
    border = plan.segments[0].cuts[1] - plan.shape.edge
    for first, stop in ((border - 100, border + 5000), (border - 3000, border + 10), (border - 500, border - 200),
                        (border + 300, border + 900), (5, 90 * RATE), (end - 10, end)):  # fmt: skip
        np.testing.assert_allclose(whole(strain, 0, first, stop), all_of_it[:, first:stop], atol=2e-4)


def test_noise_that_changes_along_the_stretch_is_white_all_along_without_seams() -> None:
    noise = np.concatenate([coloured(130, 3), 5 * coloured(130, 4, corner=120.0)], axis=1)
    conditioner = fitted(noise[:, : 130 * RATE])
    plan = laid_out([(0, noise.shape[1])], conditioner, measured=True)
    refitted = StretchConditioning(plan, conditioner, lambda a, b: noise[:, a:b], refit=True)
    end = 260 * RATE - 2 * plan.shape.edge
    found = whole(refitted, 0, 0, end).numpy()
    # away from the sudden change, which no PSD can follow
    for first, stop in ((0, 128 * RATE), (133 * RATE, end)):
        assert np.mean(found[:, first:stop] ** 2, axis=1) == pytest.approx([1, 1], rel=0.05)
    for border in plan.segments[0].cuts[1:]:
        around = found[:, border - plan.shape.edge - RATE : border - plan.shape.edge + RATE]
        if abs(border - 130 * RATE) > 3 * RATE:
            assert np.abs(np.diff(around, axis=1)).max() < 8
            assert np.mean(around**2, axis=1) == pytest.approx([1, 1], rel=0.2)
    kept = StretchConditioning(plan, conditioner, lambda a, b: noise[:, a:b], refit=False)
    assert np.mean(whole(kept, 0, 140 * RATE, 250 * RATE).numpy() ** 2) > 10


def test_short_segments_share_a_psd() -> None:
    noise = coloured(60, 5)
    conditioner = fitted(noise)
    intervals = [(start * RATE, (start + 5) * RATE) for start in range(0, 60, 6)]
    plan = laid_out(intervals, conditioner, measured=True)
    assert len(plan.pieces) == 1
    assert [segment.pieces for segment in plan.segments] == [(0,)] * 10
    strain = StretchConditioning(plan, conditioner, lambda a, b: noise[:, a:b], refit=True)
    power = [np.mean(whole(strain, number, 0, 4 * RATE).numpy() ** 2) for number in range(10)]
    assert np.mean(power) == pytest.approx(1, rel=0.05)


def test_the_seed_recipe_conditions_window_by_window() -> None:
    noise = coloured(20, 6)
    conditioner = fitted(noise, method="seed")
    plan = laid_out([(100, 20 * RATE)], conditioner, measured=False)
    strain = StretchConditioning(plan, conditioner, lambda a, b: noise[:, a:b], refit=False)
    found = torch.cat(list(strain.windows(0, 3, 70)))
    assert found.shape == (70, 2, WINDOW)
    for place in (0, 63, 64, 69):
        begin = 100 + (3 + place) * STEP
        window = conditioner(noise[None, :, begin : begin + WINDOW + 2 * MARGIN])[0]
        np.testing.assert_allclose(found[place], window, atol=1e-5)
