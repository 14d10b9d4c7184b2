"""Objects in place of names: each stands for a plugin of its kind."""

from __future__ import annotations

import copy
import functools
import hashlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
from lightly.models.modules import SimCLRProjectionHead
from pydantic import Field
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gwbench import contracts
from gwbench.contracts import Dataset, Encoder, InputShape, Objective
from gwbench.data.array_dataset import ArrayDataset
from gwbench.errors import UserError, in_words
from gwbench.experiment.loss import Loss
from gwbench.registry import KINDS, REGISTRY, Kind, Origin, Plugin
from gwbench.registry.class_contract import check_constructor, docstring
from gwbench.registry.object_identity import identify

TRIED = 2
"""Windows by which the width of an embedding is found out."""


def as_plugin(kind: str, given: Any, name: str | None = None) -> Plugin | str:
    """The plugin that an object stands for, or the name of the one that is registered.

    Args:
        kind: of the plugin.
        given: a name; a plugin's class, registered or not; an object of such a class; for an encoder any `nn.Module` or
            a function or class that makes one of an `InputShape` or of nothing; for an objective any callable loss of
            two projections, or a class of such.
        name: what to call it; by default after its class.

    Raises:
        UserError: it is nothing of this kind.
    """
    if isinstance(given, str):
        return given
    registered = next((plugin for plugin in REGISTRY.loaded() if plugin.target is given), None)
    if registered and registered.kind == kind:
        return registered.name
    target = _target(KINDS[kind], given)
    identity = identify(given)
    subject = _subject(given)
    sources = hashlib.sha256(f"{identity.source_hash} {identity.state_hash}".encode()).hexdigest()
    summary = docstring(subject) if inspect.isclass(subject) else inspect.getdoc(subject) or ""
    return Plugin(
        kind,
        name or _free_name(kind, given.name if isinstance(given, ArrayDataset) else subject.__name__),
        summary.split("\n", 1)[0] or f"An object of {identity.class_name}.",
        origin=_origin(subject),
        target=target,
        source_hash=sources,
        given=identity,
    )


def _target(kind: Kind, given: Any) -> type:
    """The class that the kind's plugins are constructed from, in place of the object."""
    contract: type = getattr(contracts, kind.contract)
    if inspect.isclass(given) and issubclass(given, contract):
        check_constructor(kind, f"The {kind.name} {given.__name__}", given)
        return given
    if isinstance(given, contract):
        return _holding(given)
    if kind.name == "encoder" and (isinstance(given, nn.Module) or _makes(given)):
        return _encoder(given)
    if kind.name == "objective" and isinstance(given, Loss):
        return _objective_with(given)
    if kind.name == "objective" and callable(given):
        return _objective(given)
    raise UserError(
        f"{kind.name}={_short(given)} is no {kind.name}: expected {_expected(kind)}."
        + (" Wrap arrays: gwbench.ArrayDataset(...)." if kind.name == "dataset" else "")
    )


def _expected(kind: Kind) -> str:
    more = {
        "encoder": ", a torch module, or a function that makes one of an input shape",
        "objective": ", or a callable loss of two projections",
    }
    return f"a name (gwbench list {kind.name}), a class or object of gwbench.contracts.{kind.contract}" + more.get(
        kind.name, ""
    )


def _short(given: Any) -> str:
    text = repr(given).split("\n", 1)[0]
    return text if len(text) <= 60 else f"{text[:57]}..."


def _subject(given: Any) -> Any:
    """The class or function that an object is named after."""
    if isinstance(given, Loss):
        return _subject(given.loss)
    if isinstance(given, functools.partial):
        return _subject(given.func)
    return given if inspect.isclass(given) or inspect.isfunction(given) else type(given)


def _makes(given: Any) -> bool:
    """Whether it is a function or a class of modules."""
    given = given.func if isinstance(given, functools.partial) else given
    return (
        inspect.isfunction(given)
        or inspect.ismethod(given)
        or (inspect.isclass(given) and issubclass(given, nn.Module))
    )


def _holding(held: Any) -> type:
    """A class of which every object is a copy of one that is there; a dataset, which may be large, is not copied."""

    class Held(type(held)):  # type: ignore[misc]
        """Gives an object that is there."""

        def __new__(cls, *context: Any) -> Any:
            return held if isinstance(held, Dataset) else _copy(held)

        def __init__(self, *context: Any) -> None:
            """Never called: what `__new__` gives is of the class that it was made of."""

    Held.__doc__ = type(held).__doc__
    return Held


def _encoder(given: Any) -> type[Encoder]:
    """An encoder around a module."""
    title = _subject(given).__name__

    class GivenEncoder(Encoder):
        """A torch module as it was given."""

        def __init__(self, shape: InputShape) -> None:
            super().__init__()
            self.network = _copy(given).cpu() if isinstance(given, nn.Module) else _made(given, shape, title)
            self.embed_dim = _width(self.network, shape, title)

        def forward(self, strain: Tensor) -> Tensor:
            """[B, C, T] -> [B, embed_dim]."""
            embedding: Tensor = self.network(strain)
            return embedding

    return GivenEncoder


def _made(factory: Callable[..., Any], shape: InputShape, title: str) -> nn.Module:
    """What a factory makes, of the input shape where it asks for one thing."""
    try:
        asked = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        asked = {}.values()
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needs = [each for each in asked if each.default is each.empty and each.kind not in several]
    if len(needs) > 1 or any(each.kind is each.KEYWORD_ONLY for each in needs):
        raise UserError(
            f"{title} asks for {', '.join(each.name for each in needs)}: expected a function or class of an "
            f"InputShape, or of nothing. Give an object, such as {title}(...), or write lambda shape: {title}(...)."
        )
    module = factory(shape) if needs else factory()
    if not isinstance(module, nn.Module):
        raise UserError(f"{title} makes {_short(module)}: expected a torch module that gives embeddings.")
    return module


def _width(network: nn.Module, shape: InputShape, title: str) -> int:
    """Width of the embeddings [B, F] that a module gives of strain [B, C, T].

    A copy of it is asked, so that it stays as it is. Only a module with layers that find out their sizes from what they
    see first is asked itself, and has its weights from then on.
    """
    strain = torch.zeros(TRIED, shape.channels, shape.samples)
    lazy = any(map(is_lazy, (*network.parameters(), *network.buffers())))
    asked = network if lazy else copy.deepcopy(network)
    modes = [(module, module.training) for module in asked.modules()]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[], enabled=not lazy):
            embedding = asked.eval()(strain)
    except Exception as error:
        raise UserError(
            f"{title} fails on strain of shape {list(strain.shape)}, [windows, channels, samples]: {in_words(error)}. "
            "It sees one detector at a time, or all with encoder_groups='network'."
        ) from error
    for module, training in modes:
        module.training = training
    found = list(embedding.shape) if isinstance(embedding, Tensor) else type(embedding).__name__
    if not isinstance(embedding, Tensor) or embedding.ndim != 2 or len(embedding) != TRIED or not embedding.shape[1]:
        raise UserError(
            f"{title} gives {found} for strain of shape {list(strain.shape)}: expected embeddings of shape "
            f"[{TRIED}, F], one vector a window. Pool over time and flatten at its end."
        )
    return int(embedding.shape[1])


def _objective(given: Any) -> type[Objective]:
    """An objective around a loss of two projections."""

    class GivenObjective(Objective):
        """A loss as it was given, behind a projection head.

        Args:
            hidden_dim: width of the projection head's hidden layer.
            output_dim: width of the projections.
            projector: false for a loss of the embeddings themselves.
        """

        def __init__(
            self,
            embed_dim: int,
            *,
            hidden_dim: Annotated[int, Field(ge=1)] = 128,
            output_dim: Annotated[int, Field(ge=1)] = 128,
            projector: bool = True,
        ) -> None:
            super().__init__(embed_dim)
            if projector:
                self.projector = SimCLRProjectionHead(embed_dim, hidden_dim, output_dim)
            self.criterion: Any = _criterion(given)

        def loss(self, a: Tensor, b: Tensor) -> Tensor:
            """Scalar loss of embeddings [B, embed_dim]."""
            return _scalar(self.criterion(self.project(a), self.project(b)))

    return GivenObjective


def _objective_with(given: Loss) -> type[Objective]:
    """An objective around a loss and its own head."""

    class GivenLossAndHead(Objective):
        """A loss as it was given, behind the head that it was given with."""

        def __init__(self, embed_dim: int) -> None:
            super().__init__(embed_dim)
            head = given.projector
            if head is not None:
                self.projector = _copy(head) if isinstance(head, nn.Module) else _head(head, embed_dim)
            self.criterion: Any = _criterion(given.loss)

        def loss(self, a: Tensor, b: Tensor) -> Tensor:
            """Scalar loss of embeddings [B, embed_dim]."""
            return _scalar(self.criterion(self.project(a), self.project(b)))

    return GivenLossAndHead


def _head(factory: Any, embed_dim: int) -> nn.Module:
    head = factory(embed_dim) if callable(factory) else factory
    if not isinstance(head, nn.Module):
        raise UserError(
            f"projector={_short(factory)} gives {_short(head)}: expected a torch module, a function that makes one of "
            "the embeddings' width, or None."
        )
    return head


def _criterion(loss: Any) -> Any:
    """The loss that a run trains with: of its own where it is a class, a copy where it is an object.

    Raises:
        UserError: it cannot be called.
    """
    criterion = loss() if inspect.isclass(loss) else _copy(loss)
    if not callable(criterion):
        raise UserError(f"The loss {_short(loss)} cannot be called: expected a function or module of two projections.")
    return criterion


def _scalar(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.ndim:
        found = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise UserError(f"The loss gives {found}: expected one number, as a tensor without dimensions.")
    return value


def _copy(given: Any) -> Any:
    """A copy that shares no tensor with what was given.

    Raises:
        UserError: it cannot be copied.
    """
    try:
        return copy.deepcopy(given)
    except Exception as error:
        raise UserError(
            f"{_short(given)} cannot be copied ({in_words(error)}), and a run trains a copy. Give its class, or a "
            "function that makes it."
        ) from error


def _free_name(kind: str, name: str) -> str:
    """A class's name in kebab-case, which no plugin of the kind has."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()
    free = re.sub(r"[^a-z0-9]+", "-", words).strip("-") or "object"
    taken = {plugin.name for plugin in REGISTRY.list(kind)}
    while free in taken:
        free += "-object"
    return free


def _origin(subject: Any) -> Origin:
    try:
        file = inspect.getsourcefile(subject)
        return Origin(str(Path(file).resolve()), inspect.getsourcelines(subject)[1]) if file else Origin("Python")
    except (OSError, TypeError):
        return Origin("Python")
