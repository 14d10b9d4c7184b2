"""A network of torch's own layers alone, which gives the same numbers as one with gwbench's fused layers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.nn.fused import SMALLEST
from gwbench.nn.gru import TrainedGRU
from gwbench.nn.layers import Convolution, GeM, Layers
from gwbench.nn.linear_head import FAR, LinearHead


def plain(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose layers are torch's own, without gradients; the module stays as it is.

    Subclasses of gwbench's layers are other layers, and stay what they are, as do all layers that gwbench does not
    know.
    """
    return _swapped(copy.deepcopy(module)).eval().requires_grad_(False)


def _swapped(module: nn.Module) -> nn.Module:
    for name, child in list(module.named_children()):
        setattr(module, name, _swapped(child))
    if type(module) is Convolution:
        return _convolution(module)
    if type(module) is TrainedGRU:
        module.__class__ = nn.GRU  # type: ignore[assignment]
    if type(module) is Layers:
        return nn.Sequential(*module)
    return PlainGeM(module) if type(module) is GeM else module


def _convolution(given: Convolution) -> nn.Conv2d:
    kernel, stride, padding = (
        (int(each[0]), int(each[1])) for each in (given.kernel_size, given.stride, given.padding)
    )
    made = nn.Conv2d(given.in_channels, given.out_channels, kernel, stride, padding, bias=given.bias is not None)
    made.weight, made.bias = nn.Parameter(given.weight.detach().contiguous()), given.bias
    return made


class PlainGeM(nn.Module):
    """`GeM` of torch's own functions, as the paper writes it: avg_pool(max(x, 1e-6)^p)^(1/p)."""

    p: Tensor

    def __init__(self, given: GeM) -> None:
        super().__init__()
        self.kernel = given.kernel
        self.register_buffer("p", given.p.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, 1, T] -> [B, C, 1, T // kernel]."""
        power = x.clamp(min=SMALLEST).pow(self.p)
        return F.avg_pool2d(power, (1, self.kernel or x.shape[-1])).pow(1 / self.p)


class PlainEncoder(nn.Module):
    """What a run's probe sees of conditioned strain, the detectors' embeddings side by side.

    Args:
        encoder: the run's; a copy of its networks is made.
    """

    def __init__(self, encoder: DetectorEncoder) -> None:
        super().__init__()
        self.network = encoder.network
        self.networks = nn.ModuleList([plain(each) for each in encoder.encoders])
        self.groups = [list(group) for group in encoder.groups]
        places = [detector for group in self.groups for detector in group]
        self.order = [places.index(detector) for detector in range(len(places))]

    def forward(self, strain: Tensor) -> Tensor:
        """[B, D, T] -> [B, F]; a network sees the detectors of its group as so many more windows."""
        if self.network:
            whole: Tensor = self.networks[0](strain)
            return whole
        each = []
        for network, group in zip(self.networks, self.groups, strict=True):
            embedding = network(strain[:, group].flatten(0, 1).unsqueeze(1))
            each.append(embedding.unflatten(0, (-1, len(group))))
        return torch.cat(each, dim=1)[:, self.order].flatten(1)


class PlainHead(nn.Module):
    """`LinearHead` in float32.

    Features of an untrained encoder differ from each other by less than float32 resolves of their mean. So the mean is
    kept as a sum of two float32 numbers, which are subtracted one after the other.
    """

    mean: Tensor
    rest: Tensor
    inverse_std: Tensor
    weight: Tensor
    intercept: Tensor

    def __init__(self, head: LinearHead) -> None:
        super().__init__()
        mean = head.mean.float()
        values = {
            "mean": mean,
            "rest": head.mean - mean.double(),
            "inverse_std": head.inverse_std,
            "weight": head.weight,
            "intercept": head.intercept,
        }
        for name, value in values.items():
            self.register_buffer(name, value.float().clone())

    def forward(self, embedding: Tensor) -> Tensor:
        """Log-odds [B] of embeddings [B, F]."""
        standardised = (embedding - self.mean - self.rest) * self.inverse_std
        return (standardised.clamp(-FAR, FAR) * self.weight).sum(dim=1) + self.intercept


__all__ = ["PlainEncoder", "PlainGeM", "PlainHead", "plain"]
