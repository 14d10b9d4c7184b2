"""Coloured Gaussian noise from pycbc, conditioned like a run's data, to add to its views."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gwbench.data.psd import NOISE_F_LOW, check_name, psd_values
from gwbench.errors import UserError, did_you_mean
from gwbench.seeds import integer
from gwbench.utils.progress import Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from gwbench.contracts import NoiseSource
    from gwbench.data.dataset import Array
    from gwbench.preprocessing.conditioning import Conditioner

SEGMENT_SECONDS = 256
"""Seconds of noise generated for every detector and PSD: 128 independent windows of 2 s.

At 2048 Hz a whitened segment takes 2 MiB; one under the seed conditioning, whose windows share no sample, 8 MiB.
"""

PSD_SECONDS = 128
"""One over the Hz between the bins of the PSD that colours it, as `pycbc.noise.reproduceable.noise_from_string` has."""

MIN_WINDOWS = 16
"""Independent windows that a segment holds at least, however long a window is."""


class PycbcNoise:
    """A `NoiseSource`: windows at random places of long segments, one segment for every detector and PSD.

    The segments are generated at the first draw. They go through the conditioning of the data, so noise of a
    PSD unlike the data's comes out with its own colour and amplitude relative to theirs.

    Args:
        conditioner: the run's.
        psds: for every detector of the conditioner, the PSD names to draw from with equal chances.
        seed: of the run.
        seconds: length of a segment.
        progress: reports the generation.

    Raises:
        UserError: a detector without PSDs, a detector that the data do not have, or an unknown PSD name.
    """

    def __init__(
        self,
        conditioner: Conditioner,
        psds: Mapping[str, Sequence[str]],
        *,
        seed: int,
        seconds: int = SEGMENT_SECONDS,
        progress: Progress | None = None,
    ) -> None:
        known = conditioner.detectors
        for detector in psds:
            if detector not in known:
                raise UserError(
                    f"noise PSDs are given for {detector!r}, but the data's detectors are {', '.join(known)}."
                    f"{did_you_mean(detector, known)}"
                )
        for detector in known:
            if not psds.get(detector):
                raise UserError(f"no noise PSD is given for detector {detector}: name at least one")
            for name in psds[detector]:
                check_name(name, detector)
        self.psds = {detector: tuple(psds[detector]) for detector in known}
        self.seconds = max(seconds, math.ceil(MIN_WINDOWS * conditioner.window / conditioner.sample_rate))
        self._conditioner = conditioner
        self._seed = seed
        self._progress = progress or Progress()
        self._segments: Tensor | None = None

    def raw(self, detector: str, name: str) -> Array:
        """The segment of one detector and PSD before conditioning, in strain units: [seconds * sample_rate].

        It depends on nothing but the run's seed, the detector, the PSD and the length, so two sources that
        share a PSD share its noise.
        """
        from pycbc.noise.reproduceable import colored_noise
        from pycbc.types import FrequencySeries

        rate = self._conditioner.sample_rate
        low = min(NOISE_F_LOW, self._conditioner.settings.low / 2)
        psd = psd_values(name, rate, round(PSD_SECONDS * rate), low, detector).copy()
        last = np.flatnonzero(psd)[-1]
        psd[last + 1 :] = psd[last]  # where a file ends, pycbc would go on with the PSD's maximum
        series = colored_noise(
            FrequencySeries(psd, delta_f=1 / PSD_SECONDS),
            0,
            self.seconds,
            # pycbc seeds a Mersenne twister, which takes 32 bits.
            seed=integer(self._seed, "noise", zlib.crc32(f"{detector} {name}".encode())) % 2**32,
            sample_rate=rate,
            low_frequency_cutoff=low,
        )
        values: Array = series.numpy()
        return values

    def draw(self, detectors: Tensor, generator: torch.Generator) -> Tensor:
        """Conditioned noise [B, C, T] float32 for channels of these detectors [B, C], on their device."""
        import torch

        segments = self._generated(detectors.device)
        windows = segments.unfold(1, self._conditioner.window, self._conditioner.window_step)
        counts = torch.tensor([len(names) for names in self.psds.values()])
        first = torch.cumsum(counts, 0) - counts
        # One large integer serves lists of different lengths: modulo 9 its bias is below 1e-17.
        draws = torch.randint(2**62, (2, *detectors.shape), generator=generator, device=generator.device)
        which, where = draws.to(detectors.device)
        row = first.to(detectors.device)[detectors] + which % counts.to(detectors.device)[detectors]
        return windows[row, where % windows.shape[1]]

    def _generated(self, device: torch.device) -> Tensor:
        """Conditioned segments [sum of PSDs, M], ordered by detector, then PSD."""
        import torch

        if self._segments is None:
            pairs = [(detector, name) for detector, names in self.psds.items() for name in names]
            segments = []
            with self._progress.task("Generate noise", len(pairs), "segments") as task:
                for detector, name in pairs:
                    index = self._conditioner.detectors.index(detector)
                    segments.append(self._conditioner.condition_segment(self.raw(detector, name), index))
                    task.advance(note=name)
            self._segments = torch.stack(segments)
        self._segments = self._segments.to(device)
        return self._segments


def coloured_noise_factory(
    conditioner: Conditioner, *, seed: int, progress: Progress | None = None
) -> Callable[[Mapping[str, Sequence[str]]], NoiseSource]:
    """What `gwbench.contracts.StrainInfo.coloured_noise` is: a `PycbcNoise` from PSD names per detector."""
    return lambda psds: PycbcNoise(conditioner, psds, seed=seed, progress=progress)


__all__ = ["SEGMENT_SECONDS", "PycbcNoise", "coloured_noise_factory"]
