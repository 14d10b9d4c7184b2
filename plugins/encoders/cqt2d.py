"""A constant-Q transform seen as an image by a network for images."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import timm
import torch
from nnAudio.features.cqt import CQT1992v2
from pydantic import Field
from torch import Tensor, nn
from torch.backends import cudnn
from torch.nn import functional as F

from gwbench.contracts import Encoder, InputShape
from gwbench.errors import UserError, did_you_mean
from gwbench.nn.filter_bank import FilterBank
from gwbench.registry import register

FLOOR = 1e-6
"""Added to the power, which noise of unit variance makes about 1.5: zero strain has a finite logarithm and gradient."""


@register(
    "encoder",
    "cqt2d",
    citation="CQT as in the G2Net Kaggle solutions; nnAudio: Cheuk et al., arXiv:1912.12055; timm: Wightman 2019",
    tags=("2-d", "time-frequency", "convolutional"),
)
class Cqt2d(Encoder):
    """Constant-Q transform (nnAudio), then any timm backbone; several detectors are the channels of one image.

    The default sees 20 to 480 Hz, the same at 1024 Hz as at 2048 Hz. Backbones made for one image size get the
    image resized to it.

    Args:
        backbone: a name of timm's: resnet18, convnext_atto, lcnet_050, ... (`timm.list_models()`).
        embed_dim: width of the embedding; 0 leaves out the last linear layer and gives the backbone's own width.
        pretrained: start from timm's weights, which are downloaded.
        fmin: frequency of the lowest bin, Hz.
        n_bins: frequencies, bins_per_octave of them to an octave.
        bins_per_octave: the more, the finer in frequency and the coarser in time.
        hop_length: samples from one column of the image to the next.
        scale: "log" magnitude or "magnitude".
        trainable: learn the transform's kernels too.
    """

    def __init__(
        self,
        shape: InputShape,
        *,
        backbone: str = "resnet18",
        embed_dim: Annotated[int, Field(ge=0)] = 128,
        pretrained: bool = False,
        fmin: Annotated[float, Field(gt=0)] = 20.0,
        n_bins: Annotated[int, Field(ge=1)] = 56,
        bins_per_octave: Annotated[int, Field(ge=1)] = 12,
        hop_length: Annotated[int, Field(ge=1)] = 64,
        scale: Literal["log", "magnitude"] = "log",
        trainable: bool = False,
    ) -> None:
        super().__init__()
        _check_band(shape, fmin, n_bins, bins_per_octave)
        self.log = scale == "log"
        self.cqt = CQT1992v2(
            sr=shape.sample_rate,
            hop_length=hop_length,
            fmin=fmin,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            trainable=trainable,
            output_format="Complex",
            verbose=False,
        )
        self.fixed_front_end = not trainable
        kernels = torch.stack([self.cqt.cqt_kernels_real, self.cqt.cqt_kernels_imag], dim=1).detach()
        kernels = (kernels * self.cqt.lenghts.sqrt()[:, None, None, None]).flatten(0, 2)  # [2 n_bins, W]
        self.fast = None if trainable else FilterBank(kernels, hop_length)  # nnAudio's numbers
        self.norm = nn.BatchNorm2d(shape.channels, affine=False)  # backbones expect images of zero mean, unit variance
        model = _backbone(backbone, shape.channels, pretrained)
        self.resize = model.pretrained_cfg["input_size"][1:] if model.pretrained_cfg.get("fixed_input_size") else None
        self.backbone = model.to(memory_format=torch.channels_last)
        width = int(model.head_hidden_size)
        self.embed_dim = embed_dim or width
        self.head = nn.Linear(width, embed_dim) if embed_dim else nn.Identity()
        self._try(shape, backbone)

    def forward(self, strain: Tensor) -> Tensor:
        """[B, C, T] -> [B, embed_dim]."""
        return self.body(self.front_end(strain))

    def front_end(self, strain: Tensor) -> Tensor:
        """The image [B, C, n_bins, T // hop_length + 1] of strain [B, C, T], in full fp32."""
        with torch.autocast(strain.device.type, enabled=False), cudnn.flags(enabled=True, allow_tf32=False):
            flat = strain.float().flatten(0, 1)
            parts = self.fast(flat).unflatten(1, (-1, 2)).movedim(2, 3) if self.fast else self.cqt(flat)
            power: Tensor = parts.square().sum(dim=3).unflatten(0, strain.shape[:2]) + FLOOR
            return power.log() / 2 if self.log else power.sqrt()

    def body(self, features: Tensor) -> Tensor:
        """The embedding [B, embed_dim] of an image [B, C, n_bins, columns]."""
        image = self.norm(features)
        if self.resize:
            image = F.interpolate(image, self.resize, mode="bilinear")
        return self.head(self.backbone(image.contiguous(memory_format=torch.channels_last)))  # type: ignore[no-any-return]

    def _try(self, shape: InputShape, backbone: str) -> None:
        """Refuse a backbone that cannot take these images now, rather than in the first step of training."""
        self.eval()
        try:
            with torch.no_grad():
                self(torch.zeros(1, shape.channels, shape.samples))
        except (AssertionError, RuntimeError) as error:
            raise UserError(
                f"timm's {backbone} cannot take images of {self.cqt.frequencies.size} frequencies and "
                f"{shape.samples // self.cqt.hop_length + 1} times: {error}. Raise encoder.n_bins, lower "
                "encoder.hop_length or choose another encoder.backbone."
            ) from None
        self.train()


def _check_band(shape: InputShape, fmin: float, n_bins: int, bins_per_octave: int) -> None:
    """Refuse kernels longer than the window, and frequencies above half the sample rate."""
    quality = 1 / (2 ** (1 / bins_per_octave) - 1)
    longest = math.ceil(quality * shape.sample_rate / fmin)
    if longest > shape.samples:
        raise UserError(
            f"At {bins_per_octave} bins per octave the lowest frequency, {fmin:g} Hz, takes {longest} samples, more "
            f"than a window's {shape.samples}: lower encoder.bins_per_octave, raise encoder.fmin or raise "
            "dataset.duration."
        )
    highest = fmin * 2 ** ((n_bins - 1) / bins_per_octave)
    if highest > shape.sample_rate / 2:
        most = math.floor(bins_per_octave * math.log2(shape.sample_rate / 2 / fmin)) + 1
        raise UserError(
            f"The highest of {n_bins} frequencies from {fmin:g} Hz, {bins_per_octave} to an octave, is {highest:.0f} "
            f"Hz, above half the sample rate of {shape.sample_rate:g} Hz: encoder.n_bins={most} at most, or lower "
            "encoder.fmin."
        )


def _backbone(name: str, channels: int, pretrained: bool) -> Any:
    """The model of timm's that has this name, without its classifier."""
    if not timm.is_model(name):
        hint = did_you_mean(name, timm.list_models())
        raise UserError(f"timm has no model {name!r}.{hint} `timm.list_models('*18*')` searches by wildcard.")
    try:
        return timm.create_model(name, pretrained=pretrained, in_chans=channels, num_classes=0)
    except Exception as error:  # what timm, its hub client or a constructor raises differs from model to model
        advice = "Choose another encoder.backbone."
        if pretrained:
            advice = "Weights come from the Hugging Face hub or its cache (HF_HOME): check the connection, or leave "
            advice += "encoder.pretrained off."
        raise UserError(f"timm cannot give {name!r}: {type(error).__name__}: {error} {advice}") from None
