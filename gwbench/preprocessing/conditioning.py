"""Strain as an encoder sees it: whitened and band-passed, or conditioned as the seed recipe does.

`fit_conditioner` measures what it needs on the training split, without labels, and gives a `Conditioner`: one
fixed linear operator per detector, which the data, and the noise that a pairing adds, all go through.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gwbench.data.whitening_filters import SCALE, median_psds, whitening_filters
from gwbench.data.zero_phase import ZeroPhase
from gwbench.errors import UserError
from gwbench.preprocessing.base import ROWS, Conditioner, float32_tensor
from gwbench.preprocessing.settings import Conditioning

if TYPE_CHECKING:
    from gwbench.data.dataset import Array, Split, StrainReader

MIN_REACH, MAX_REACH = 0.25, 1.0
"""Seconds the whitening filter looks to either side: the margin, within these bounds."""

SEED_ORDER = 8
"""Order of the seed recipe's Butterworth band-pass."""

SEED_TAPER = 0.1
"""Fraction of the window inside the seed recipe's Tukey taper."""


class Whitening(Conditioner):
    """Whitens and band-passes: noise of the measured PSD comes out flat within the band, with unit variance.

    Buffers that were fitted, as they were given:
        psd: [D, F] one-sided PSD in 1/Hz at `frequencies`, from the training split.
        frequencies: [F] Hz.
        kernel: [D, 2 reach + 1] filter taps, zero phase, on scaled strain.
        edges: [D, E, 2 reach] filters of the E = reach - margin samples near an end; E = 0 where the margin
            suffices.

    Buffers that follow from them, in float32:
        first, last: [D, 2 reach, E] the filters of the first and the last samples.
        response_L: [D, L // 2 + 1] of the kernel, for transforms of L samples: made when strain of this length comes.
    """

    psd: Tensor
    frequencies: Tensor
    kernel: Tensor
    edges: Tensor
    first: Tensor
    last: Tensor

    def __init__(
        self,
        settings: Conditioning,
        detectors: Sequence[str],
        sample_rate: float,
        window: int,
        margin: int,
        *,
        psd: Array,
        frequencies: Array,
        kernel: Array,
        edges: Array,
    ) -> None:
        super().__init__(settings, detectors, sample_rate, window, margin)
        fitted = {"psd": psd, "frequencies": frequencies, "kernel": kernel, "edges": edges}
        for name, values in fitted.items():
            self.register_buffer(name, torch.from_numpy(np.array(values, order="C")))
        self._derive()

    @property
    def reach(self) -> int:
        """Samples the filter looks to either side."""
        return int(self.kernel.shape[-1]) // 2

    @property
    def window_step(self) -> int:
        """One: a window starts at every sample."""
        return 1

    def condition_segment(self, segment: Tensor | Array, detector: int) -> Tensor:
        """The filtered segment [L - 2 reach]."""
        scaled = self._scaled(segment)
        return self._filter(scaled[None], detector)[0, self.reach : len(scaled) - self.reach]

    def noise_power(self) -> Tensor:
        """That of noise with the PSD that was measured: what the filter makes of it.

        A one-sided PSD of P(f) gives |rfft|^2 of T samples a mean of P(f) T rate / 2.
        """
        length = 1 << (8 * self.window - 1).bit_length()
        response = np.fft.rfft(self.kernel.cpu().numpy(), n=length)
        grid, bins = np.fft.rfftfreq(length), np.fft.rfftfreq(self.window)
        frequencies, psd = self.frequencies.cpu().numpy() / self.sample_rate, self.psd.cpu().numpy() * SCALE**2
        gain = [np.interp(bins, grid, np.abs(each) ** 2) for each in response]
        power = [g * np.interp(bins, frequencies, p) for g, p in zip(gain, psd, strict=True)]
        return float32_tensor(np.stack(power) * (self.window * self.sample_rate / 2)).to(self.device)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._derive()

    def _derive(self) -> None:
        """Make the buffers that follow from what was fitted."""
        for name in [name for name in self._buffers if name.startswith("response_")]:
            delattr(self, name)
        edges = self.edges.cpu().numpy()
        # The filters of the last samples are those of the first, reversed in time.
        for name, filters in (("first", edges), ("last", edges[:, ::-1, ::-1])):
            values = float32_tensor(filters.transpose(0, 2, 1)).to(self.edges.device)
            self.register_buffer(name, values, persistent=False)

    def _condition(self, scaled: Tensor) -> Tensor:
        out = self._filter(scaled, slice(None))[..., self.margin : self.margin + self.window]
        count, reads = self.edges.shape[1:]
        if count:
            first, last = self.first.to(scaled), self.last.to(scaled)
            for d in range(len(self.detectors)):
                out[:, d, :count] = scaled[:, d, :reads] @ first[d]
                out[:, d, -count:] = scaled[:, d, -reads:] @ last[d]
        return out

    def transform(self, samples: int) -> tuple[int, Tensor]:
        """The length L >= `samples` at which the circular filter is applied, and its response [D, L // 2 + 1]."""
        from scipy.fft import next_fast_len

        length = next_fast_len(samples, real=True)
        return length, self._response(length)

    def _filter(self, scaled: Tensor, detectors: int | slice) -> Tensor:
        """The circular filter of [..., D, n]; its first and last `reach` samples are wrong: they wrap around."""
        samples = scaled.shape[-1]
        length, whole = self.transform(samples)
        response = whole[detectors].to(scaled)
        filtered: Tensor = torch.fft.irfft(torch.fft.rfft(scaled, n=length).mul_(response), n=length)
        return filtered[..., :samples]

    def _response(self, length: int) -> Tensor:
        """[D, length // 2 + 1] of the kernel, real because that is even in time."""
        name = f"response_{length}"
        if name not in self._buffers:
            kernel = self.kernel.cpu().numpy()
            padded = np.zeros((len(kernel), length))
            padded[:, : self.reach + 1] = kernel[:, self.reach :]
            padded[:, -self.reach :] = kernel[:, : self.reach]
            response = float32_tensor(np.fft.rfft(padded).real).to(self.device)
            self.register_buffer(name, response, persistent=False)
        return self.get_buffer(name)


class SeedConditioning(Conditioner):
    """The seed recipe: Tukey taper, zero-phase Butterworth band-pass, strain / 1e-21; margins are cut off.

    The output keeps the noise's colour within the band and has no particular variance.

    Buffers, in float32, which all follow from the settings:
        taper: [T].
        response, inward, outward: of the `ZeroPhase` filter.
    """

    taper: Tensor
    response: Tensor
    inward: Tensor
    outward: Tensor

    def __init__(
        self, settings: Conditioning, detectors: Sequence[str], sample_rate: float, window: int, margin: int
    ) -> None:
        from scipy.signal.windows import tukey

        super().__init__(settings, detectors, sample_rate, window, margin)
        band = ZeroPhase.butterworth(SEED_ORDER, (settings.low, settings.high), self.sample_rate, self.window)
        self.transform_length = band.length
        derived = {
            "taper": tukey(self.window, SEED_TAPER),
            "response": band.response,
            "inward": band.inward,
            "outward": band.outward,
        }
        for name, values in derived.items():
            self.register_buffer(name, float32_tensor(values), persistent=False)

    @property
    def window_step(self) -> int:
        """A window: each has a taper of its own, so they lie end to end."""
        return self.window

    def condition_segment(self, segment: Tensor | Array, detector: int) -> Tensor:
        """Windows cut at every quarter of a window, conditioned one by one."""
        windows = self._scaled(segment).unfold(0, self.window, max(self.window // 4, 1))
        return torch.cat([self._recipe(part) for part in windows.split(ROWS)]).flatten()

    def _condition(self, scaled: Tensor) -> Tensor:
        return self._recipe(scaled[..., self.margin : self.margin + self.window])

    def _recipe(self, scaled: Tensor) -> Tensor:
        """[..., T] of scaled float32 strain [..., T]."""
        tapered = scaled * self.taper.to(scaled)
        spectrum = torch.fft.rfft(tapered, n=self.transform_length).mul_(self.response.to(scaled))
        filtered: Tensor = torch.fft.irfft(spectrum, n=self.transform_length)[..., : self.window]
        return filtered.add_(tapered @ self.inward.to(scaled) @ self.outward.to(scaled))


def require_fit(settings: Conditioning, sample_rate: float, window: int, margin: int) -> None:
    """Raise `UserError` where windows cannot be conditioned as asked, whatever is in them.

    Args:
        settings: how to condition.
        sample_rate: Hz.
        window, margin: samples of a window, and of what is stored on either side of it.
    """
    if sample_rate <= 2 * settings.high:
        relation = "twice" if sample_rate == 2 * settings.high else "below twice"
        raise UserError(
            f"The sample rate of {sample_rate:g} Hz is {relation} the band's upper edge {settings.high:g} Hz. Set "
            f"conditioning.high below {sample_rate / 2:g} or use data of a higher rate."
        )
    read = window if settings.method == "seed" else window + 2 * margin
    if read < 2 * MIN_REACH * sample_rate or window < 1:
        raise UserError(
            f"Windows of {window / sample_rate:g} s with margins of {margin / sample_rate:g} s are too short for "
            f"conditioning that reads {2 * MIN_REACH:g} s or more. Use longer windows."
        )


def fit_conditioner(
    train: Split,
    *,
    sample_rate: float,
    margin: int,
    detectors: Sequence[str],
    settings: Conditioning,
    max_windows: int = 512,
) -> Conditioner:
    """The conditioner of a dataset, from the strain of its training split.

    Args:
        train: the training split; its strain is read, its labels are not.
        sample_rate: Hz.
        margin: samples stored on either side of a window.
        detectors: names in channel order.
        settings: how to condition.
        max_windows: most windows read for the PSD, evenly spaced over the split.

    Raises:
        UserError: the band does not fit the sample rate, a window is too short, the training strain holds NaN
            or infinite values, or a detector's strain has no noise in the band.
    """
    return fit_to_strain(
        train.strain,
        sample_rate=sample_rate,
        margin=margin,
        detectors=detectors,
        settings=settings,
        max_windows=max_windows,
    )


def fit_to_strain(
    strain: StrainReader,
    *,
    sample_rate: float,
    margin: int,
    detectors: Sequence[str],
    settings: Conditioning,
    max_windows: int = 512,
) -> Conditioner:
    """As `fit_conditioner`, from windows [N, D, T + 2 margin] alone."""
    samples = strain.shape[-1]
    window = samples - 2 * margin
    require_fit(settings, sample_rate, window, margin)
    if settings.method == "seed":
        return SeedConditioning(settings, detectors, sample_rate, window, margin)
    reach = round(min(max(margin / sample_rate, MIN_REACH), MAX_REACH) * sample_rate)
    psd_segment = min(max(2 * reach, round(sample_rate)), samples)
    (frequencies, psd), (fine, fine_psd) = median_psds(
        strain,
        sample_rate=sample_rate,
        segments=(psd_segment, samples),
        detectors=detectors,
        max_windows=max_windows,
    )
    kernels, edges = [], []
    for d, name in enumerate(detectors):
        kernel, edge = whitening_filters(
            frequencies,
            psd[d] * SCALE**2,
            reference=(fine, fine_psd[d] * SCALE**2),
            band=(settings.low, settings.high),
            sample_rate=sample_rate,
            reach=reach,
            margin=margin,
            detector=name,
        )
        kernels.append(kernel)
        edges.append(edge)
    return Whitening(
        settings,
        detectors,
        sample_rate,
        window,
        margin,
        psd=psd,
        frequencies=frequencies,
        kernel=np.stack(kernels),
        edges=np.stack(edges).astype(np.float32),
    )


def from_state(state: Mapping[str, Array]) -> Conditioner:
    """The conditioner whose `state` this is."""
    header = json.loads(np.asarray(state["header"], dtype=np.uint8).tobytes())
    settings = Conditioning(**header["settings"])
    layout = (header["detectors"], header["sample_rate"], header["window"], header["margin"])
    if settings.method == "seed":
        return SeedConditioning(settings, *layout)
    return Whitening(
        settings,
        *layout,
        psd=np.asarray(state["psd"]),
        frequencies=np.asarray(state["frequencies"]),
        kernel=np.asarray(state["kernel"]),
        edges=np.asarray(state["edges"]),
    )


__all__ = [
    "Conditioner",
    "Conditioning",
    "SeedConditioning",
    "Whitening",
    "fit_conditioner",
    "from_state",
    "require_fit",
]
