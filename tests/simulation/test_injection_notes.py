"""Notes on real noise: the figures in them."""

from __future__ import annotations

import numpy as np
import pytest

from gwbench.data.psd import PsdTable
from gwbench.data.strain_files.tracked_psd import NoiseSegment
from gwbench.simulation.injection_notes import background_seconds, exclusion_note, noise_notes
from gwbench.simulation.injections import Injections
from gwbench.simulation.signals import SignalModel

RATE = 512


def segment(seconds: float, row: int) -> NoiseSegment:
    return NoiseSegment(np.zeros(round(seconds * RATE), np.float32), 0.0, np.array([0]), np.array([row]))


def notes(coincident: bool) -> str:
    # Noise of half and of four times the median's power: an inspiral is heard 1.41 and 0.5 times as far.
    values = np.ones((4, 513)) * np.array([1.0, 0.5, 4.0, 1.0])[:, None] * 1e-46
    noise = {"train": ([segment(600, 0), segment(600, 1), segment(600, 2)], [segment(1800, 3)])}
    signals = SignalModel.create(population="flat-bbh", duration=1.0, snr_model="uniform", snr=(6.0, 20.0))
    made = Injections(noise, PsdTable(values, 0.5), signals, ("H1", "L1"), RATE, RATE, 128, coincident)
    return " ".join(noise_notes(made, {"H1": "H1", "L1": "V1"}, {"train": 3600}))


def test_the_drift_of_the_psd_is_that_of_an_inspirals_distance() -> None:
    assert "drifts about its median: H1 -50 to +41 % (3 PSDs), L1 +0 to +0 % (1 PSDs)." in notes(False)


def test_a_time_slid_dataset_says_how_much_background_it_has() -> None:
    text = notes(False)
    assert "no two within 0.5 s" in text
    assert "train windows: H1 1800.0 s (each second used 3.0 times), L1 1800.0 s (each second used 3.0 times)." in text
    # 1800 s, each in 3600 slides: 75 days.
    assert "Slid by 0.5 s or more, the train noise makes 75.0 days of background." in text
    assert "Channel(s) L1 take strain of V1." in text


def test_a_coincident_dataset_says_so() -> None:
    text = notes(True)
    assert "the same GPS time" in text
    assert "Slid" not in text


def test_background_of_one_two_and_three_channels() -> None:
    assert background_seconds([100.0]) == 100
    assert background_seconds([100.0, 50.0]) == pytest.approx(100 * 100)
    assert background_seconds([100.0, 50.0, 10.0]) == pytest.approx(100 * 100 * 20)


def test_times_left_out_are_counted_and_events_named() -> None:
    assert (
        exclusion_note(4.0, 2, 1, []) == "4 s on either side of 2 GPS time(s), 1 of them within the files are left out."
    )
    listed = exclusion_note(0.5, 0, 0, [f"GW{i}" for i in range(12)])
    assert listed.startswith("0.5 s on either side of the known event(s) GW0, GW1, ")
    assert listed.endswith("GW9 and 2 more are left out.")
