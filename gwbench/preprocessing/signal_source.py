"""Simulated signals without noise, conditioned like a run's data, to add to its views."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gwbench.data.psd import PsdTable
from gwbench.data.whitening_filters import extent, median_psd
from gwbench.errors import UserError
from gwbench.preprocessing.conditioning import Conditioner, Whitening
from gwbench.seeds import numpy_generator
from gwbench.simulation.injection_settings import InjectionSettings
from gwbench.simulation.signals import SignalModel
from gwbench.utils.memory import MEMORY_VARIABLE, memory_budget
from gwbench.utils.progress import Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from gwbench.contracts import SignalSettings, SignalSource
    from gwbench.data.dataset import Array, StrainReader
    from gwbench.simulation.population import Parameters

SIGNAL_CHUNK = 256
"""Signals simulated at once, each chunk with a random stream of its own."""

LEAKAGE = 2
"""Bins over which a PSD measured with Hann windows is too low beside a cutoff: half of the main lobe."""


@dataclass(frozen=True)
class SignalBank:
    """Signals to draw from.

    Attributes:
        samples: [count, D, T] float16, conditioned; rounded by 5e-4 at most, far below the noise they meet.
        snr: [count] optimal network SNR, as of `gwbench.simulation.signals.Signals`.
        parameters: of the sources, each [count], as there.
    """

    samples: Tensor
    snr: Array
    parameters: Parameters


class SimulatedSignals:
    """A `SignalSource`: a bank of sources, each projected on every detector with its own delay, drawn with replacement.

    A signal is scaled to its network SNR, which counts what is above 20 Hz, by the PSDs measured on the training
    split, and goes through the conditioning of the data, which is linear: adding it here is adding it to the strain.
    In whitened noise, of unit variance in a band W Hz wide, SNR^2 is 2 W / sample rate times the sum of a signal's
    squared samples, but for what the band and the window cut off: of component masses from 15 to 75 solar masses in
    2 s, between 20 and 600 Hz, less than 2 % of the SNR, and 0.1 % on average.

    The bank is simulated when first used. It depends on the run's seed, the settings and the conditioning alone.

    Args:
        settings: what is simulated.
        conditioner: the run's.
        train: strain of the training split [N, D, T + 2 margin]; its PSDs are measured where the conditioning has
            measured none.
        seed: of the run.
        progress: reports the simulation.

    Raises:
        UserError: settings that cannot be simulated, or too many signals for the memory at hand.
    """

    def __init__(
        self,
        settings: SignalSettings,
        conditioner: Conditioner,
        train: StrainReader,
        *,
        seed: int,
        progress: Progress | None = None,
    ) -> None:
        if settings.count < 1:
            raise UserError(f"count = {settings.count} simulated signals: expected at least 1, such as 4096.")
        duration = conditioner.window / conditioner.sample_rate
        asked = InjectionSettings(settings.population, settings.snr_model, settings.snr)
        self.model = SignalModel.of(asked, duration)
        self.model.check(duration)
        self._shape = (settings.count, len(conditioner.detectors), conditioner.window)
        size, budget = 2 * int(np.prod(self._shape)), memory_budget()
        if size > budget:
            raise UserError(
                f"{settings.count} simulated signals take {size / 2**30:.2f} GiB, and {budget / 2**30:.2f} GiB of "
                f"memory may hold them. Lower count, or set {MEMORY_VARIABLE} for more."
            )
        # What is in a population's file counts, not where that lies.
        drawn = (self.model.population.digest, settings.snr_model, *settings.snr)
        self._key = zlib.crc32(" ".join(map(str, drawn)).encode())
        self._conditioner, self._train, self._seed = conditioner, train, seed
        self._progress = progress or Progress()
        self._on: dict[torch.device, Tensor] = {}

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Conditioned signals [n, D, T] float32 of sources drawn with equal chances, on the generator's device."""
        import torch

        device = generator.device
        if device not in self._on:
            self._on[device] = self.bank.samples.to(device)
        which = torch.randint(self._shape[0], (n,), generator=generator, device=device)
        return self._on[device][which].float()

    @cached_property
    def bank(self) -> SignalBank:
        """All signals."""
        import torch

        conditioner = self._conditioner
        count, channels, _ = self._shape
        psds = self.psds
        samples = torch.empty(self._shape, dtype=torch.float16)
        snr, columns = np.empty(count), dict[str, "Array"]()
        with self._progress.task("Simulate signals", count, "signals") as task:
            for start in range(0, count, SIGNAL_CHUNK):
                part = slice(start, min(start + SIGNAL_CHUNK, count))
                n = part.stop - start
                drawn = self.model.draw(
                    numpy_generator(self._seed, "noise", self._key, start),
                    n,
                    detectors=conditioner.detectors,
                    psds=psds,
                    rows=np.broadcast_to(np.arange(channels), (n, channels)),
                    sample_rate=conditioner.sample_rate,
                    window=conditioner.window,
                    margin=conditioner.margin,
                )
                samples[part] = conditioner(drawn.strain).half()
                snr[part] = drawn.snr
                for name, values in drawn.parameters.items():
                    columns.setdefault(name, np.empty(count))[part] = values
                task.advance(n)
        return SignalBank(samples, snr, columns)

    @cached_property
    def psds(self) -> PsdTable:
        """One row per detector: the conditioning's PSDs, masked where the data hold no noise that could be compared to.

        Below a simulator's cutoff, or above an anti-alias filter's, next to nothing is measured, and a signal would
        seem to be as loud as one likes.
        """
        conditioner = self._conditioner
        if isinstance(conditioner, Whitening):
            frequencies, measured = conditioner.frequencies.cpu().numpy(), conditioner.psd.cpu().numpy()
        else:
            frequencies, measured = median_psd(
                self._train,
                sample_rate=conditioner.sample_rate,
                segment=min(round(conditioner.sample_rate), self._train.shape[-1]),
                detectors=conditioner.detectors,
            )
        band = (conditioner.settings.low, conditioner.settings.high)
        extents = [extent(frequencies, psd, band) for psd in measured]
        delta_f = float(frequencies[1])
        reach = LEAKAGE * delta_f
        present = [(frequencies > bottom + reach) & (frequencies < top - reach) for bottom, top in extents]
        return PsdTable(np.where(np.stack(present), measured, 0.0), delta_f)


def simulated_signals_factory(
    conditioner: Conditioner, train: StrainReader, *, seed: int, progress: Progress | None = None
) -> Callable[[SignalSettings], SignalSource]:
    """What `gwbench.contracts.StrainInfo.signals` is: a `SimulatedSignals` from its settings."""
    return lambda settings: SimulatedSignals(settings, conditioner, train, seed=seed, progress=progress)


__all__ = ["SignalBank", "SimulatedSignals", "simulated_signals_factory"]
