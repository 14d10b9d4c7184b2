"""Small stand-ins for what the core hands a plugin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gwbench.contracts import (
    Augmentation,
    Encoder,
    NoiseSource,
    Objective,
    Pairing,
    Parts,
    PluginContract,
    SignalSettings,
    SignalSource,
    StrainInfo,
)
from gwbench.utils.printable import few

SAMPLE_RATE = 2048.0
WINDOW = 4096
"""Two seconds, as the datasets have by default."""

DETECTORS = ("H1", "L1", "V1", "K1")

TINY_STRAIN = 1e-20
"""About what strain is before whitening: squares of it are zero in float32."""


class WhiteNoise:
    """A `NoiseSource`: white noise of unit variance."""

    def draw(self, detectors: Tensor, generator: torch.Generator) -> Tensor:
        """[B, C, T] on the detectors' device."""
        return torch.randn(*detectors.shape, WINDOW, generator=generator, device=generator.device).to(detectors.device)


class Chirps:
    """A `SignalSource`: linear chirps under a Gaussian envelope, of another amplitude in every detector."""

    def __init__(self, detectors: int, window: int = WINDOW) -> None:
        self.detectors, self.window = detectors, window

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """[n, D, T] on the generator's device."""
        device = generator.device
        seconds = self.window / SAMPLE_RATE
        time = torch.arange(self.window, device=device) / SAMPLE_RATE
        centre, width, low = torch.rand(3, n, 1, 1, generator=generator, device=device)
        since = time - seconds * (0.3 + 0.4 * centre)
        phase = 2 * math.pi * ((40 + 150 * low) * since + 40 * since.square())
        wave = (-(since / (seconds * (0.05 + 0.1 * width))).square()).exp() * phase.sin()
        amplitude = 0.5 + torch.rand(n, self.detectors, 1, generator=generator, device=device)
        signals: Tensor = wave * amplitude
        return signals


def strain_info(detectors: int) -> StrainInfo:
    """What a pairing or an augmentation is told of strain of the first `detectors` of `DETECTORS`."""
    names = DETECTORS[:detectors]

    def noise(psds: Mapping[str, Sequence[str]]) -> NoiseSource:
        assert all(psds.get(name) for name in names), f"no noise PSD for some of {', '.join(names)}: {dict(psds)}"
        return WhiteNoise()

    def signals(settings: SignalSettings) -> SignalSource:
        assert settings.count > 0 and settings.snr, f"signals are asked for with {settings}"
        return Chirps(detectors)

    return StrainInfo(names, SAMPLE_RATE, WINDOW, noise, signals)


class _OnePairing(Pairing):
    network = False


class _NetworkPairing(Pairing):
    network = True


def combination(target: type[PluginContract], *, network: bool) -> str:
    """Why a plugin makes no sense with views of one detector, or of all; empty where it does."""
    pairing = _NetworkPairing if network else _OnePairing
    if issubclass(target, Encoder):
        return target.skip(Parts(encoder=target, pairing=pairing))
    if issubclass(target, Augmentation):
        return target.skip(Parts(pairing=pairing, augmentations=(target,)))
    if issubclass(target, Objective):
        return target.skip(Parts(pairing=pairing, objective=target))
    return ""


def nudge(module: nn.Module, amount: float = 0.02) -> None:
    """Move every parameter a little, so that no weight that starts at zero hides those behind it."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(amount * torch.randn(parameter.shape, generator=generator).to(parameter.device))


def unreached(module: nn.Module) -> str:
    """The trainable parameters without a gradient, or with one that is zero or not finite, by name.

    That of a bias may be zero: nothing depends on one before a normalisation, or before a difference of views.
    """

    def missed(p: nn.Parameter) -> bool:
        return p.grad is None or not p.grad.isfinite().all() or (p.ndim > 1 and not p.grad.any())

    names = [name for name, p in module.named_parameters() if p.requires_grad and missed(p)]
    return few(names, 4)
