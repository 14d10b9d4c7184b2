"""Strain in arrays for tests of one's own loop: white noise, half the windows with a burst in both detectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

import gwbench

RATE, MARGIN, WINDOW = 2048.0, 512, 512
DETECTORS = ("H1", "L1")


def strain_and_labels(
    windows: int = 200, seed: int = 0, amplitude: float = 2.0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Strain [N, 2, WINDOW + 2 MARGIN] and labels [N]."""
    rng = np.random.default_rng(seed)
    label = np.arange(windows) % 2
    strain = rng.normal(size=(windows, 2, WINDOW + 2 * MARGIN))
    time = (np.arange(strain.shape[2]) - strain.shape[2] / 2) / RATE
    burst = amplitude * np.exp(-((time / 0.03) ** 2)) * np.sin(2 * np.pi * 150.0 * time)
    strain += label[:, None, None] * burst
    return (1e-21 * strain).astype(np.float32), label


def own_dataset(windows: int = 200, seed: int = 0) -> gwbench.ArrayDataset:
    strain, label = strain_and_labels(windows, seed)
    snr = np.where(label == 1, np.linspace(8.0, 16.0, windows), np.nan)
    return gwbench.ArrayDataset(strain, label, snr=snr, sample_rate=RATE, detectors=DETECTORS, margin=MARGIN)


def backbone(channels: int = 1) -> nn.Module:
    """Strain [B, C, T] -> embeddings [B, 8], of any T."""
    return nn.Sequential(
        nn.Conv1d(channels, 8, 33, stride=4), nn.ReLU(), nn.Conv1d(8, 8, 9, stride=2), nn.ReLU(),
        nn.AdaptiveMaxPool1d(1), nn.Flatten(),
    )  # fmt: skip
