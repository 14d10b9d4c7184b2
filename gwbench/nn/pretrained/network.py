"""A network that was trained elsewhere, with what is known of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from gwbench.errors import UserError
from gwbench.utils.untrusted_files import UnusableError, plain_digest

LARGEST = 16 * 1024**3
"""Bytes of a file of weights."""


@dataclass(frozen=True)
class PretrainedNetwork:
    """A network and what it expects.

    Attributes:
        module: from [B, samples], or images [B, C, H, W], to a tensor.
        licence: of its weights, as its source states it; empty where it states none.
        takes: what it was made for; None where that is not known.
        samples: of a waveform, that it takes at once; None for any number.
        size: height and width of the images that it was trained on.
        channels: of these images.
        mean, std: of each channel, subtracted from images in [0, 1] and divided by; empty for none.
        normalise: how it expects each waveform: "standard" for zero mean and unit variance.
    """

    module: nn.Module
    licence: str = ""
    takes: Literal["waveform", "image"] | None = None
    samples: int | None = None
    size: tuple[int, int] | None = None
    channels: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    normalise: Literal["none", "standard"] = "none"


class Function(nn.Module):
    """A function of tensors as a module without weights."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self._function = (function,)  # a tuple, so that nothing of it becomes a part of this module

    def forward(self, given: Tensor) -> object:
        """What the function gives."""
        return self._function[0](given)  # type: ignore[operator]


def cached_digest(path: Path) -> str:
    """SHA-256 of a file, which is read again when its size or its time has changed.

    Raises:
        UserError: it cannot be read, or is no plain file.
    """
    try:
        stat = path.stat()
        return _digest(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise UserError(f"The file {path} cannot be read: {error.strerror}.") from None
    except UnusableError as error:
        raise UserError(f"The file {path} cannot be used: {error}.") from None


@lru_cache(maxsize=32)
def _digest(path: Path, size: int, changed: int) -> str:
    """The digest of a file of this size, last changed then."""
    return plain_digest(path.resolve(), LARGEST)


def state_digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors by name."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        array = value.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {list(array.shape)}".encode())
        digest.update(array.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
