"""Constructing a plugin, with one message where that fails, or takes more memory than there is."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.errors import UserError, in_words
from gwbench.registry import REGISTRY, Plugin
from gwbench.registry.parameters import parameters
from gwbench.utils.memory import free_memory

if TYPE_CHECKING:
    from gwbench.experiment.spec import RunSpec

WIDE = 10_000
"""A parameter that is larger than this, and than its default, may be a slip: what it takes is found out beforehand."""

COPIES = 4
"""Of trained weights: themselves, their gradients and AdamW's two averages."""

OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|unable to allocate|cannot allocate memory|not enough memory"
    r"|storage size calculation overflowed|integer multiplication overflow|overflow when unpacking|too large to convert"
    r"|array is too big|maximum allowed dimension",
    re.IGNORECASE,
)
"""What torch, numpy and Python say where something does not fit into memory, or into any."""

ASKED = re.compile(r"allocate ([\d.]+) ?(bytes|[KMGTPE]i?B)")


def construct(plugin: Plugin, context: tuple[Any, ...], values: Mapping[str, Any]) -> Any:
    """A plugin's object.

    Args:
        plugin: imported.
        context: what its kind hands it.
        values: all its parameters.

    Raises:
        UserError: as the plugin says; its constructor fails; it takes more memory than there is.
    """
    assert plugin.target is not None
    _refuse_too_large(plugin, context, values)
    try:
        return plugin.target(*context, **values)
    except UserError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise too_large(error, large_settings(plugin, values)) from error
        given = ", ".join(f"{name}={value!r}" for name, value in values.items()) or "no parameters"
        reason = f"{in_words(error)}{_where(plugin, error)}"
        raise UserError(f"{plugin.kind} {plugin.name!r} cannot be constructed with {given}: {reason}.") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that something does not fit into memory."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, (RuntimeError, OverflowError, ValueError)) and bool(OUT_OF_MEMORY.search(in_words(error)))


def too_large(error: BaseException, settings: Iterable[str]) -> UserError:
    """The message for what does not fit into memory.

    Args:
        error: what was raised.
        settings: those that may be why, each with its value.
    """
    asked = ASKED.search(in_words(error))
    need = f"{_readable(asked[1], asked[2])} of memory" if asked else "more memory than any machine has"
    if asked is None and not re.search("overflow|too large|too big|maximum", in_words(error), re.IGNORECASE):
        need = "more memory than is free"
    return _message(need, settings)


def large_settings(plugin: Plugin, values: Mapping[str, Any]) -> list[str]:
    """The numbers among a plugin's parameters that are larger than their defaults, the farthest from them first."""
    ratios: dict[str, float] = {}
    for parameter in parameters(plugin):
        value: Any = values.get(parameter.name)
        default = parameter.default
        if _is_number(value) and _is_number(default) and value > default:
            name = f"{plugin.kind}.{parameter.name}={value} (by default {default})"
            ratios[name] = _ratio(value, default)
    return sorted(ratios, key=ratios.__getitem__, reverse=True)


def settings_to_lower(spec: RunSpec) -> list[str]:
    """What may be lowered so that a run takes less memory."""
    batch = [f"training.batch_size={spec.training.batch_size}"] if spec.training else []
    large = [
        setting
        for kind, choice in spec.choices()
        if kind != "dataset"
        for setting in large_settings(REGISTRY.get(kind, choice.name), choice.parameters)
    ]
    return [*large, *batch]


def _message(need: str, settings: Iterable[str]) -> UserError:
    which = ", ".join(settings) or "the sizes that are set"
    free = _readable(str(free_memory()), "bytes")
    return UserError(f"{which}: this needs {need}, and {free} are free. Lower the setting, or use a larger machine.")


def _refuse_too_large(plugin: Plugin, context: tuple[Any, ...], values: Mapping[str, Any]) -> None:
    """Refuse a network whose weights do not fit, before the machine runs out of memory and ends this process."""
    settings = large_settings(plugin, values)
    defaults = {parameter.name: parameter.default for parameter in parameters(plugin)}
    if not any(_is_number(value) and value > max(WIDE, _number(defaults[name])) for name, value in values.items()):
        return
    import torch

    target: Any = plugin.target
    if not issubclass(target, torch.nn.Module):
        return
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            network = target(*context, **values)
        size = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    except Exception:  # whatever cannot be done without memory: it is done in earnest then
        return
    if COPIES * size > free_memory():
        raise _message(f"{_readable(str(COPIES * size), 'bytes')} of memory to train", settings)


def _where(plugin: Plugin, error: BaseException) -> str:
    """The line of the plugin's file that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == plugin.origin.file]
    return f" (at {Path(plugin.origin.file).name}:{lines[-1]})" if lines else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: Any) -> float:
    return value if _is_number(value) else 0.0


def _ratio(value: float, default: float) -> float:
    try:
        return value / max(abs(default), 1e-9)
    except OverflowError:
        return float("inf")


UNITS = {"bytes": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15, "EB": 1e18,
         "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40, "PiB": 2.0**50, "EiB": 2.0**60}  # fmt: skip


def _readable(number: str, unit: str) -> str:
    gib = float(number) * UNITS.get(unit, 1.0) / 2**30
    return f"{gib:,.1f} GiB" if gib < 1e6 else f"{gib:.1e} GiB"
