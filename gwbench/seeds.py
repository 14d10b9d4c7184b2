"""Every random number of a run, keyed by the role it plays.

Streams of different roles, and of different keys within a role, are independent
(`numpy.random.SeedSequence` spawn keys), so adding a draw in one place moves nothing elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

ROLES = ("data", "split", "init", "batch", "pairing", "noise", "probe", "diagnostics", "continuous", "sweep")
"""The roles in the order that numbers them; append only, or every old seed changes its meaning."""


def sequence(seed: int, role: str, *key: int) -> np.random.SeedSequence:
    """The seed sequence of `role`, at an optional position `key` such as (epoch, step)."""
    return np.random.SeedSequence(seed, spawn_key=(ROLES.index(role), *key))


def numpy_generator(seed: int, role: str, *key: int) -> np.random.Generator:
    """A numpy generator for `role`."""
    return np.random.default_rng(sequence(seed, role, *key))


def integer(seed: int, role: str, *key: int) -> int:
    """A 63-bit integer for libraries that take nothing but an integer seed."""
    return int(sequence(seed, role, *key).generate_state(1, np.uint64)[0] >> np.uint64(1))


def torch_generator(seed: int, role: str, *key: int, device: str | torch.device = "cpu") -> torch.Generator:
    """A torch generator for `role` on `device`."""
    import torch

    return torch.Generator(device=device).manual_seed(integer(seed, role, *key))


@contextmanager
def torch_global(seed: int, role: str, *key: int) -> Iterator[None]:
    """Seed torch's global generator for a block and restore it afterwards.

    For code that takes no generator: the initialisation of layers, and dropout.
    """
    import torch

    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(integer(seed, role, *key))
        yield
