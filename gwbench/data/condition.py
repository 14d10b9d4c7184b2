"""Strain as an encoder sees it: whitened and band-passed, or conditioned as the seed recipe does.

`fit_conditioner` measures what it needs on the training split, without labels, and gives a `Conditioner`: one
fixed linear operator per detector, which the data, and the noise that a pairing adds, all go through.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from gwbench.data.whitening import SCALE, median_psd, refuse_non_finite, whitening_filters
from gwbench.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from gwbench.contracts import Array, Split

MIN_REACH, MAX_REACH = 0.25, 1.0
"""Seconds the whitening filter looks to either side: the margin, within these bounds."""

SEED_ORDER = 8
"""Order of the seed recipe's Butterworth band-pass."""

SEED_TAPER = 0.1
"""Fraction of the window inside the seed recipe's Tukey taper."""


class Conditioning(BaseModel):
    """How strain is conditioned.

    Attributes:
        method: "whiten" for least-squares whitening with the training split's PSD; "seed" for the seed
            recipe: a Tukey(0.1) taper, a zero-phase Butterworth band-pass of order 8, and strain / 1e-21.
        low: lower edge of the band, Hz.
        high: upper edge of the band, Hz.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["whiten", "seed"] = "whiten"
    low: float = 20.0
    high: float = 600.0

    @model_validator(mode="after")
    def _ordered(self) -> Conditioning:
        if not 0 < self.low < self.high < float("inf"):
            raise UserError(
                f"The band from conditioning.low={self.low:g} to conditioning.high={self.high:g} Hz is empty: "
                "expected 0 < low < high, such as 20 and 600."
            )
        return self


class Conditioner(ABC):
    """One fixed linear operator per detector, from strain to what the encoder sees.

    Attributes:
        settings: how it conditions.
        detectors: names in channel order.
        sample_rate: Hz.
        window: T, samples of a conditioned window.
        margin: samples it consumes on either side of a window.
    """

    def __init__(
        self, settings: Conditioning, detectors: Sequence[str], sample_rate: float, window: int, margin: int
    ) -> None:
        self.settings = settings
        self.detectors = tuple(detectors)
        self.sample_rate = float(sample_rate)
        self.window = int(window)
        self.margin = int(margin)

    @property
    @abstractmethod
    def window_step(self) -> int:
        """Samples from one window to the next in what `condition_stretch` gives."""

    def __call__(self, strain: Tensor | Array, *, split: str = "", positions: Array | None = None) -> Tensor:
        """Condition all detectors of some windows; the input stays as it is.

        Args:
            strain: [B, D, T + 2 margin] in strain units, float32 or float64.
            split: the split the windows come from, for the error message.
            positions: [B] of the windows in that split, for the error message.

        Returns:
            [B, D, T] float32, on the input's device.

        Raises:
            UserError: NaN or infinite strain.
        """
        import torch

        scaled = _scaled(strain)
        expected = (len(self.detectors), self.window + 2 * self.margin)
        if tuple(scaled.shape[1:]) != expected:
            raise ValueError(f"strain of shape {tuple(scaled.shape)}: expected [B, {expected[0]}, {expected[1]}]")
        refuse_non_finite(scaled, self.detectors, split, np.arange(len(scaled)) if positions is None else positions)
        return torch.stack([self._condition(scaled[:, d], d) for d in range(len(self.detectors))], dim=1)

    @abstractmethod
    def condition_stretch(self, stretch: Tensor | Array, detector: int) -> Tensor:
        """Condition a long stretch of one detector's noise, to cut windows out of it.

        Args:
            stretch: [L] in strain units, of at least a window and the filter's reach on both sides.
            detector: index of the detector.

        Returns:
            [M] float32, such that `.unfold(0, window, window_step)` are conditioned windows.
        """

    def state(self) -> dict[str, Array]:
        """What `from_state` needs, as numeric arrays (fit for npz and safetensors)."""
        header = {
            "settings": self.settings.model_dump(),
            "detectors": self.detectors,
            "sample_rate": self.sample_rate,
            "window": self.window,
            "margin": self.margin,
        }
        return {"header": np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)}

    @abstractmethod
    def _condition(self, scaled: Tensor, detector: int) -> Tensor:
        """[B, T] of scaled float32 strain [B, T + 2 margin]."""


class Whitening(Conditioner):
    """Whitens and band-passes: noise of the measured PSD comes out flat within the band, with unit variance.

    Attributes:
        psd: [D, F] one-sided PSD in 1/Hz at `frequencies`, from the training split.
        frequencies: [F] Hz.
        kernel: [D, 2 reach + 1] filter taps, zero phase, on scaled strain.
        edges: [D, E, 2 reach] filters of the E = reach - margin samples near an end; E = 0 where the margin
            suffices.
    """

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
        self.psd, self.frequencies, self.kernel, self.edges = psd, frequencies, kernel, edges
        self._on_device: dict[tuple[str, int, torch.device], Tensor] = {}

    @property
    def reach(self) -> int:
        """Samples the filter looks to either side."""
        return int(self.kernel.shape[-1]) // 2

    @property
    def window_step(self) -> int:
        """One: a window starts at every sample."""
        return 1

    def condition_stretch(self, stretch: Tensor | Array, detector: int) -> Tensor:
        """The filtered stretch [L - 2 reach]."""
        scaled = _scaled(stretch)
        return self._filter(scaled, detector)[self.reach : len(scaled) - self.reach]

    def state(self) -> dict[str, Array]:
        """The PSD and the filters besides the settings."""
        filters = {"kernel": self.kernel, "edges": self.edges}
        return {**super().state(), "psd": self.psd, "frequencies": self.frequencies, **filters}

    def _condition(self, scaled: Tensor, detector: int) -> Tensor:
        samples = scaled.shape[-1]
        out = self._filter(scaled, detector)[:, self.margin : samples - self.margin].contiguous()
        count, reads = self.edges.shape[1:]
        if count:
            edge = self._edge(detector, scaled.device)
            out[:, :count] = scaled[:, :reads] @ edge.T
            out[:, -count:] = (scaled[:, -reads:].flip(-1) @ edge.T).flip(-1)
        return out

    def _filter(self, scaled: Tensor, detector: int) -> Tensor:
        """The circular filter of [..., n]; its first and last `reach` samples are wrong: they wrap around."""
        import torch
        from scipy.fft import next_fast_len

        samples = scaled.shape[-1]
        length = next_fast_len(samples, real=True)
        response = self._response(detector, length, scaled.device)
        filtered: Tensor = torch.fft.irfft(torch.fft.rfft(scaled, n=length) * response, n=length)
        return filtered[..., :samples]

    def _response(self, detector: int, length: int, device: torch.device) -> Tensor:
        import torch

        key = (f"response {detector}", length, device)
        if key not in self._on_device:
            padded = np.zeros(length)
            padded[: self.reach + 1] = self.kernel[detector, self.reach :]
            padded[-self.reach :] = self.kernel[detector, : self.reach]
            # The kernel is even in time, so its transform is real.
            self._on_device[key] = torch.from_numpy(np.fft.rfft(padded).real.astype(np.float32)).to(device)
        return self._on_device[key]

    def _edge(self, detector: int, device: torch.device) -> Tensor:
        import torch

        key = (f"edge {detector}", 0, device)
        if key not in self._on_device:
            self._on_device[key] = torch.from_numpy(self.edges[detector].astype(np.float32)).to(device)
        return self._on_device[key]


class SeedConditioning(Conditioner):
    """The seed recipe: Tukey taper, zero-phase Butterworth band-pass, strain / 1e-21; margins are cut off.

    The output keeps the noise's colour within the band and has no particular variance. The filter is scipy's
    and runs on the CPU, wherever the strain lies.
    """

    @property
    def window_step(self) -> int:
        """A window: each has a taper of its own, so they lie end to end."""
        return self.window

    def condition_stretch(self, stretch: Tensor | Array, detector: int) -> Tensor:
        """Windows cut at every quarter of a window, conditioned one by one."""
        return self._recipe(_scaled(stretch).unfold(0, self.window, max(self.window // 4, 1))).flatten()

    def _condition(self, scaled: Tensor, detector: int) -> Tensor:
        return self._recipe(scaled[:, self.margin : scaled.shape[-1] - self.margin])

    def _recipe(self, scaled: Tensor) -> Tensor:
        import torch
        from scipy import signal

        band = (self.settings.low, self.settings.high)
        sections = signal.butter(SEED_ORDER, band, "bandpass", fs=self.sample_rate, output="sos")
        taper = signal.windows.tukey(scaled.shape[-1], SEED_TAPER)
        filtered = signal.sosfiltfilt(sections, scaled.cpu().numpy().astype(np.float64) * taper, axis=-1)
        return torch.from_numpy(filtered.astype(np.float32)).to(scaled.device)


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
    if sample_rate <= 2 * settings.high:
        relation = "twice" if sample_rate == 2 * settings.high else "below twice"
        raise UserError(
            f"The sample rate of {sample_rate:g} Hz is {relation} the band's upper edge {settings.high:g} Hz. Set "
            f"conditioning.high below {sample_rate / 2:g} or use data of a higher rate."
        )
    strain = train.strain
    samples = strain.shape[-1]
    window = samples - 2 * margin
    read = window if settings.method == "seed" else samples
    if read < 2 * MIN_REACH * sample_rate or window < 1:
        raise UserError(
            f"Windows of {window / sample_rate:g} s with margins of {margin / sample_rate:g} s are too short for "
            f"conditioning that reads {2 * MIN_REACH:g} s or more. Use longer windows."
        )
    if settings.method == "seed":
        return SeedConditioning(settings, detectors, sample_rate, window, margin)
    reach = round(min(max(margin / sample_rate, MIN_REACH), MAX_REACH) * sample_rate)
    segment = min(max(2 * reach, round(sample_rate)), samples)
    frequencies, psd = median_psd(
        strain, sample_rate=sample_rate, segment=segment, detectors=detectors, max_windows=max_windows
    )
    fine, fine_psd = median_psd(
        strain, sample_rate=sample_rate, segment=samples, detectors=detectors, max_windows=max_windows
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


def _scaled(strain: Tensor | Array) -> Tensor:
    """A float32 copy in units of 1e-21."""
    import torch

    if isinstance(strain, torch.Tensor):
        return (strain * SCALE).to(torch.float32)
    return torch.from_numpy((np.asarray(strain) * np.float32(SCALE)).astype(np.float32, copy=False))
