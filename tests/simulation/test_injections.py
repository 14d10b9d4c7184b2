"""Windows out of real noise: where they start, which PSD they have, and what is injected."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
import scipy.stats

from gwbench.data.psd import PsdTable
from gwbench.data.strain_files.tracked_psd import NoiseSegment
from gwbench.errors import UserError
from gwbench.simulation.injections import SLIDE, Injections, draw_starts
from gwbench.simulation.signals import SignalModel

RATE = 512
SIZE = RATE + 2 * 64
LEVEL = 1e-46


def segment(seconds: float, gps: float, rows: Sequence[int] = (0,), first: float = 0.0) -> NoiseSegment:
    """Strain that counts its samples from `first`, with another PSD from every equal part on."""
    samples = round(seconds * RATE)
    edges = np.arange(len(rows)) * (samples // len(rows))
    return NoiseSegment(np.arange(samples, dtype=np.float32) + np.float32(first), gps, edges, np.array(rows))


def injections(
    *channels: Sequence[NoiseSegment], coincident: bool = False, psds: PsdTable | None = None, snr: float = 1e-3
) -> Injections:
    return Injections(
        {"train": channels},
        psds or PsdTable(np.full((4, RATE + 1), LEVEL), 0.25),
        SignalModel.create(population="flat-bbh", duration=1.0, snr_model="uniform", snr=(snr, snr), mass=(40.0, 60.0)),
        ("H1", "L1", "V1")[: len(channels)],
        RATE,
        RATE,
        64,
        coincident,
    )


def test_every_start_is_equally_probable_and_no_window_leaves_its_stretch() -> None:
    which, first = draw_starts(np.random.default_rng(0), [40, 10, 25], 10, 48_000)
    starts, counts = np.unique(100 * which + first, return_counts=True)
    np.testing.assert_array_equal(starts, [*range(31), 100, *range(200, 216)])
    # 48 starts, 1000 draws each: chi-square of 47 degrees of freedom.
    assert ((counts - 1000) ** 2 / 1000).sum() < scipy.stats.chi2.ppf(0.999, 47)


def test_a_window_has_the_psd_that_holds_at_its_middle() -> None:
    made = injections([segment(100, 5000.0, rows=(2, 0, 3, 1))])
    noise, gps = made.windows(np.random.default_rng(0), "train", 300)
    middle = noise.strain[:, 0, SIZE // 2]
    np.testing.assert_array_equal(noise.rows[:, 0], np.array([2, 0, 3, 1])[(middle // (25 * RATE)).astype(int)])
    assert set(noise.rows[:, 0].tolist()) == {0, 1, 2, 3}
    np.testing.assert_allclose(gps[:, 0], 5000 + noise.strain[:, 0, 0] / RATE)


def test_time_slid_channels_never_hold_the_same_time() -> None:
    made = injections([segment(4, 0.0)], [segment(4, 0.0)], [segment(2, 0.0), segment(2, 2.0)])
    _, gps = made.windows(np.random.default_rng(0), "train", 2000)
    apart = np.abs(gps[:, [0, 0, 1]] - gps[:, [1, 2, 2]])
    assert apart.min() >= SLIDE
    assert apart.min() < SLIDE + 0.05  # no more is refused than has to be
    # Every channel still reaches all of its time.
    assert gps.min(axis=0) == pytest.approx([0, 0, 0], abs=0.02)
    assert gps[:, :2].max() == pytest.approx(4 - SIZE / RATE, abs=0.02)


def test_channels_without_room_to_slide_are_refused() -> None:
    made = injections([segment(1.5, 0.0)], [segment(1.5, 0.0)])
    with pytest.raises(UserError, match=r"The channels of the train split hold too little time .* by 0\.5 s"):
        made.windows(np.random.default_rng(0), "train", 10)


def test_coincident_channels_hold_the_same_time() -> None:
    first, second = [segment(5, 0.0), segment(9, 100.0)], [segment(5, 0.0, (1,), 9e5), segment(9, 100.0, (3,), 9e5)]
    made = injections(first, second, coincident=True)
    noise, gps = made.windows(np.random.default_rng(0), "train", 200)
    np.testing.assert_array_equal(gps[:, 0], gps[:, 1])
    np.testing.assert_array_equal(noise.strain[:, 1] - noise.strain[:, 0], 9e5)
    assert {tuple(row) for row in noise.rows.tolist()} == {(0, 1), (0, 3)}


def test_a_block_depends_on_its_arguments_alone_also_in_another_process() -> None:
    made = injections([segment(30, 1000.0)], [segment(30, 2000.0)])
    other = pickle.loads(pickle.dumps(made))
    one, two = (each.block(np.random.default_rng(7), "train", 256, 20) for each in (made, other))
    assert (one.split, one.start, one.label.sum()) == ("train", 256, 10)
    np.testing.assert_array_equal(one.strain, two.strain)
    # The window begins a margin after its first sample.
    np.testing.assert_allclose(
        one.parameters["noise_gps_L1"], 2000 + (one.strain[:, 1, 0].astype(float) + 64) / RATE, atol=1e-6
    )


def test_injected_snr_is_pycbcs_sigma_with_the_psd_of_the_windows_own_piece() -> None:
    """The second half of the noise has four times the power, and so have its signals.

    What the window cuts off the signals, and the cut itself, make a few per cent.
    """
    from pycbc.filter import sigma
    from pycbc.types import FrequencySeries, TimeSeries

    levels = LEVEL * np.array([1.0, 4.0])
    psds = PsdTable(np.repeat(levels[:, None], RATE + 1, axis=1), 0.25)
    silent = NoiseSegment(np.zeros(60 * RATE, np.float32), 0.0, np.array([0, 30 * RATE]), np.array([0, 1]))
    made = injections([silent], psds=psds, snr=10.0)
    block = made.block(np.random.default_rng(1), "train", 0, 40)
    begins = block.parameters["noise_gps_H1"]
    seen = set()
    for row in np.flatnonzero(block.label == 1):
        piece = int(begins[row] + 0.5 >= 30)
        padded = np.zeros(8 * RATE)
        padded[:SIZE] = block.strain[row, 0]
        flat = FrequencySeries(np.full(4 * RATE + 1, levels[piece]), delta_f=1 / 8)
        assert sigma(TimeSeries(padded, delta_t=1 / RATE), flat, 20.0, 250.0) == pytest.approx(10, rel=0.05)
        seen.add(piece)
    assert seen == {0, 1}


def test_what_is_sent_to_a_worker_is_the_noise_itself_and_little_more() -> None:
    """A segment is a part of a file; the rest of the file stays behind."""
    whole = np.zeros(1_000_000, np.float32)
    part = NoiseSegment(whole[1000:3000], 0.0, np.array([0]), np.array([0]))
    assert len(pickle.dumps(injections([part], psds=PsdTable(np.ones((1, 9)), 1.0)))) < 4 * 2000 + 10_000
