"""benchmarks/tail.py: figures far out on the same windows, and the windows by chirp mass."""

from __future__ import annotations

import numpy as np

from benchmarks.tail import figures_of, masses, table
from gwbench.data.dataset import Split

NOISE, SIGNALS = 1000, 400


def windows() -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores of which a known share of the signals lies above all noise but one window."""
    label = np.repeat(np.array([0, 1], np.int8), (NOISE, SIGNALS))
    noise = np.linspace(0, 1, NOISE)
    signals = np.where(np.arange(SIGNALS) < 100, 2.0, 0.5)  # a quarter lies above all noise
    return label, np.concatenate([noise, signals])


def test_figures_are_those_of_a_count_and_differences_are_from_the_first_run() -> None:
    label, score = windows()
    worse = np.where(label == 1, score - 1.5, score)  # nothing lies above the noise any more
    first, second = figures_of(label, [score, worse])
    assert first["0.001"].value == 0.25
    assert first["auc"].value == np.mean(score[label == 1][:, None] > score[label == 0])
    assert first["- 0.001"].value == first["- 0.001"].high == 0
    assert second["0.001"].value == 0
    assert second["- 0.001"].value == -0.25
    assert second["- 0.001"].high < 0
    assert "; -0.250 [" in table(["a", "b"], [first, second])[3]


def test_chirp_masses_are_binned() -> None:
    label, score = windows()
    mass = np.full(len(label), np.nan)
    mass[label == 1] = np.where(np.arange(SIGNALS) < 100, 30.0, 60.0)  # equal masses: chirp mass 0.8706 m
    snr = np.where(label == 1, 8.0, np.nan)
    split = Split(np.zeros((len(label), 1, 1), np.float32), label, snr, parameters={"mass_1": mass, "mass_2": mass})
    rows = masses(["run"], split, [score])
    assert rows[2].startswith("| 25 to 30 | 100 | 1.00 [")
    assert rows[3].startswith("| from 50 | 300 | 0.00 [")
