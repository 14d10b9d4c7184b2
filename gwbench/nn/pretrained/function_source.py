"""Networks that a function, class or object of an importable module gives: code of the user's own choice."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gwbench import seeds
from gwbench.errors import UserError, in_words
from gwbench.nn.pretrained.network import Function, PretrainedNetwork, cached_digest, state_digest


def function_network(source: str) -> PretrainedNetwork:
    """The network that MODULE:NAME gives, or is.

    A `torch.nn.Module` is the network. A class, or a function that needs no argument, is called and gives it; another
    function is the network itself: [B, ...] -> [B, F].

    Raises:
        UserError: there is no such module or name, it fails, or what it gives is no network.
    """
    given = _named(source)
    if not isinstance(given, nn.Module) and _needs_nothing(given):
        try:
            with seeds.torch_global(0, "init"):  # should it draw weights, they are the same each time
                given = given()
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{source} fails: {in_words(error)}.") from error
    if isinstance(given, nn.Module):
        return PretrainedNetwork(given)
    if callable(given):
        return PretrainedNetwork(Function(given))
    raise UserError(
        f"{source} is {type(given).__name__}: name a torch.nn.Module, a function that returns one, or a function of a "
        "tensor [B, ...] that returns one [B, F]."
    )


def function_digest(source: str, *, random: bool) -> str:
    """What identifies such a network: the file that holds the code, and unless they are drawn anew its weights."""
    try:
        code = cached_digest(Path(inspect.getfile(inspect.unwrap(_code_of(_named(source)))))).encode()
    except (TypeError, OSError):
        code = b""
    state: dict[str, Tensor] = {} if random else function_network(source).module.state_dict()
    return state_digest({"code": torch.tensor(list(code), dtype=torch.uint8), **state})


def reset(module: nn.Module, source: str) -> None:
    """Draw all weights anew, as torch's layers do when they are made.

    Raises:
        UserError: some weights are of layers that do not say how they are drawn.
    """
    drawn: set[int] = set()
    for part in module.modules():
        draw = getattr(part, "reset_parameters", None)
        if callable(draw):
            draw()
            drawn |= {id(weight) for weight in part.parameters(recurse=False)}
    left = [name for name, weight in module.named_parameters() if id(weight) not in drawn]
    if left or not drawn:
        what = f"{left[0]} is of a layer without `reset_parameters`" if left else "it has no weights"
        raise UserError(
            f"baseline.random=true cannot draw the weights of {source} anew: {what}. Name a source that gives the "
            "network with weights as they are drawn instead."
        )


def _named(source: str) -> Any:
    name, _, attribute = source.partition(":")
    try:
        found: Any = _imported(name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"The module {error.name!r} of baseline.source={source} is not there: install it, run in its folder, or "
            "add that to PYTHONPATH."
        ) from None
    except Exception as error:
        raise UserError(f"The module {name!r} of baseline.source={source} fails: {in_words(error)}.") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UserError(f"The module {name!r} has no {attribute!r}, which baseline.source={source} names.")
        found = getattr(found, part)
    return found


def _imported(name: str) -> Any:
    """The module of this name, installed or in the current folder, which an installed command does not search."""
    if importlib.util.find_spec(name.partition(".")[0]) is not None:
        return importlib.import_module(name)
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(here)


def _code_of(given: Any) -> Any:
    return type(given) if isinstance(given, nn.Module) else given


def _needs_nothing(given: Any) -> bool:
    """Whether it can be called without an argument."""
    if not callable(given):
        return False
    if inspect.isclass(given):
        return True
    try:
        arguments = inspect.signature(given).parameters.values()
    except (TypeError, ValueError):
        return False
    named = (each for each in arguments if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD))
    return all(each.default is not each.empty for each in named)
