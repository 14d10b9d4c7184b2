"""Layers that overlapping windows can share, and what each makes of the values along their stretch.

In evaluation mode such a layer treats all places of a window alike and looks at nothing beyond its ends. Convolutions
and poolings that pad over time are none: at a window's ends they see zeros where the stretch goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from gwbench.nn.fragments import Fragments
from gwbench.nn.layers import Convolution, GeM

ACTIVATIONS = (nn.SiLU, nn.ReLU, nn.GELU, nn.ELU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Identity)
IDLE = (nn.Dropout, nn.Dropout1d, nn.Dropout2d)
SLIDING = (Convolution, nn.Conv1d, nn.Conv2d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d)

FUNCTIONS: tuple[Callable[..., Any], ...] = (torch.relu, torch.tanh, torch.sigmoid, F.relu, F.silu, F.gelu)
METHODS = ("relu", "tanh", "sigmoid", "float", "contiguous")
"""Functions and methods of a tensor that treat every number for itself."""


def layer(module: nn.Module, given: Fragments) -> Fragments | None:
    """What a layer makes of overlapping windows; None where they cannot share it, or nothing is known of the layer.

    Args:
        module: subclasses of a known layer are other layers.
        given: the windows.
    """
    kind, last = type(module), given.values.ndim - 1
    if module.training:
        return None
    if kind in IDLE:
        return given
    if kind in ACTIVATIONS:
        return given.pointwise(module)
    if kind in (nn.BatchNorm1d, nn.BatchNorm2d):
        return given.pointwise(module) if given.time > 1 and module.track_running_stats else None
    if kind is nn.Linear or (isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1):
        return given.pointwise(module) if given.time < last else None
    if isinstance(module, GeM):
        return given.along(module, module.kernel, module.kernel) if module.kernel and given.time == last else None
    return _sliding(module, given) if kind in SLIDING and given.time == last else None


def _sliding(module: nn.Module, given: Fragments) -> Fragments | None:
    """A convolution or a pooling that does not pad over time, the last dimension."""

    def over_time(name: str, usual: int) -> Any:
        size = getattr(module, name, usual)
        return size[-1] if isinstance(size, tuple) else size

    if over_time("padding", 0) != 0 or getattr(module, "ceil_mode", False) or getattr(module, "return_indices", False):
        return None
    kernel = (over_time("kernel_size", 1) - 1) * over_time("dilation", 1) + 1
    return given.along(module, kernel, over_time("stride", 1))


def function(target: object, given: Fragments, rest: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What a function or, by its name, a method of a tensor makes of overlapping windows, as `layer`; their shape, too.

    Args:
        target: the function, or the method's name.
        given: its first argument.
        rest: further arguments.
        options: arguments by keyword.
    """
    if target is getattr and rest == ("shape",):
        return given.shape
    if target in FUNCTIONS:
        return given.pointwise(lambda values: target(values, *rest, **options))
    if target in METHODS:
        return given.pointwise(lambda values: getattr(values, str(target))(*rest, **options))
    if target in MOVES and not options and all(isinstance(number, int) for number in rest):
        return MOVES[str(target)](given, *rest)
    return None


def _unsqueeze(given: Fragments, where: int) -> Fragments | None:
    where = where % (given.values.ndim + 1)
    if not where:
        return None
    return given.pointwise(lambda values: values.unsqueeze(where), given.time + (where <= given.time))


def _squeeze(given: Fragments, *where: int) -> Fragments | None:
    if len(where) != 1:
        return None
    place = where[0] % given.values.ndim
    if place in (0, given.time):
        return None
    removed = given.values.shape[place] == 1
    return given.pointwise(lambda values: values.squeeze(place), given.time - (removed and place < given.time))


def _transpose(given: Fragments, first: int, second: int) -> Fragments | None:
    one, other = first % given.values.ndim, second % given.values.ndim
    if 0 in (one, other):
        return None
    time = {one: other, other: one}.get(given.time, given.time)
    return given.pointwise(lambda values: values.transpose(one, other), time)


MOVES: dict[str, Callable[..., Fragments | None]] = {
    "reshape": Fragments.reshape,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "transpose": _transpose,
}
