"""Runs that give the same bits again: `gwbench run --deterministic`.

The seeds of a run fix what is drawn; what is left are algorithms whose sums depend on which thread comes first. On a
GPU those are replaced by others, or refused. On a CPU gwbench uses none whose result depends on that: there the same
number of threads gives the same bits with or without this, which then guards against plugins that do otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from gwbench.errors import UserError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
WORKSPACES = (":4096:8", ":16:8")
"""Values with which cuBLAS gives the same bits again, says NVIDIA: the first is the faster one."""


@contextmanager
def deterministic_algorithms(device: str) -> Iterator[None]:
    """Have torch use, for the block, only algorithms that give the same bits again; then all is as it was.

    Args:
        device: where the run computes.

    Raises:
        UserError: it is a GPU, and cuBLAS is already at work with another workspace; or a plugin uses an operation that
            has no such algorithm.
    """
    import torch

    workspace = _workspace(device) if device.startswith("cuda") else None
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    if workspace:
        os.environ[WORKSPACE] = workspace
    try:
        yield
    except RuntimeError as error:
        if "does not have a deterministic implementation" not in str(error):
            raise
        operation = str(error).partition(" does not have")[0]
        raise UserError(
            f"{operation} gives other bits every time on this device: leave out --deterministic, or use other plugins."
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        if workspace:
            os.environ.pop(WORKSPACE, None)


def _workspace(device: str) -> str | None:
    """What to set for cuBLAS; None where it is set already."""
    import torch

    if (given := os.environ.get(WORKSPACE)) is not None:
        if given not in WORKSPACES:
            raise UserError(
                f"{WORKSPACE}={given} does not give the same bits again: use {' or '.join(WORKSPACES)}, or unset it."
            )
        return None
    if torch.cuda.is_initialized():
        raise UserError(
            f"--deterministic on {device} needs {WORKSPACE}={WORKSPACES[0]} in the environment before the GPU is first "
            "used, and it is in use already: set it, and start anew."
        )
    return WORKSPACES[0]
