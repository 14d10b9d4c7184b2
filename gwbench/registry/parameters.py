"""A plugin's parameters: the typed keyword arguments of its class, validated and converted by pydantic."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gwbench.errors import UserError, did_you_mean, in_words
from gwbench.utils.list_text import list_from_text, list_to_text
from gwbench.utils.validation_errors import reason

if TYPE_CHECKING:
    from gwbench.registry.metadata import Plugin


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name: as it is set.
        type: in words, with its limits, such as "int (at least 2)".
        default: its value.
        several: whether it is a list, which text may stand for.
    """

    name: str
    type: str
    default: Any
    several: bool = False

    @property
    def default_text(self) -> str:
        """The default as a command line sets it."""
        if isinstance(self.default, (tuple, list)):
            return list_to_text(self.default) or "''"
        if self.default is None or isinstance(self.default, bool):
            return str(self.default).lower()
        return str(self.default) or "''"

    def __str__(self) -> str:
        return f"{self.name}: {self.type} = {self.default_text}"


def parameters(plugin: Plugin) -> list[Parameter]:
    """The parameters of a loaded plugin, in the order of its constructor."""
    hints = _hints(plugin)
    return [
        Parameter(each.name, type_in_words(hints[each.name]), each.default, _is_list(hints[each.name]))
        for each in _keywords(plugin)
    ]


def validate(plugin: Plugin, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a plugin: those given, converted and checked, and the defaults of the rest.

    Text converts as a command line needs it: "32" to a number, "none" to None, "H1,L1" to a tuple (`list_text`).

    Raises:
        UserError: a name that the plugin does not have, or a value of the wrong type or range.
    """
    import pydantic

    assert plugin.target is not None
    known = parameters(plugin)
    for name in given:
        if name not in {parameter.name for parameter in known}:
            hint = did_you_mean(name, [parameter.name for parameter in known])
            listing = "; ".join(map(str, known)) or "none"
            raise UserError(f"{plugin.kind} {plugin.name!r} has no parameter {name!r}.{hint} It takes: {listing}.")
    hints = _hints(plugin)
    chosen = {parameter.name: given.get(parameter.name, parameter.default) for parameter in known}
    # Aliases, since a parameter may have a name that pydantic keeps for itself, such as "copy" or "model_config".
    fields: dict[str, Any] = {
        f"field_{number}": (hints[name], pydantic.Field(alias=name)) for number, name in enumerate(chosen)
    }
    config = pydantic.ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False)
    model = pydantic.create_model("Parameters", __config__=config, **fields)
    try:
        values = model.model_validate({name: _from_text(value, hints[name]) for name, value in chosen.items()})
    except pydantic.ValidationError as error:
        wrong = next(parameter for parameter in known if parameter.name == error.errors()[0]["loc"][0])
        raise UserError(
            f"{plugin.kind}.{wrong.name}={chosen[wrong.name]!r} is not valid: {reason(error)}. "
            f"{plugin.kind} {plugin.name!r} takes {wrong}."
        ) from None
    return dict(zip(chosen, values.__dict__.values(), strict=True))


LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most", "multiple_of": "a multiple of"}
"""How the constraints of `pydantic.Field` read."""


def type_in_words(annotation: Any) -> str:
    """A type as a command line is to write it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        fields = [inner for each in arguments[1:] for inner in getattr(each, "metadata", [each])]
        values = [(word, getattr(field, key, None)) for field in fields for key, word in LIMITS.items()]
        limits = [f"{word} {value}" for word, value in values if value is not None]
        return type_in_words(arguments[0]) + (f" ({', '.join(limits)})" if limits else "")
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(type_in_words, arguments))
    if origin is typing.Literal:
        *most, last = map(str, arguments)
        return f"{', '.join(most)} or {last}" if most else last
    if origin in (tuple, list):
        items = [type_in_words(item) for item in arguments if item is not ...]
        return ",".join([*items, *items, "..."] if origin is list or ... in arguments else items)
    return {types.NoneType: "none", bool: "true or false"}.get(annotation) or inspect.formatannotation(annotation)


def _hints(plugin: Plugin) -> dict[str, Any]:
    assert plugin.target is not None
    constructor = next(vars(cls)["__init__"] for cls in plugin.target.__mro__ if "__init__" in vars(cls))
    try:
        return typing.get_type_hints(constructor, include_extras=True)
    except NameError as error:
        raise UserError(
            f"{plugin.kind} {plugin.name!r} at {plugin.origin}: a parameter's type is not there at run time ({error}). "
            "Import it outside `if TYPE_CHECKING:`."
        ) from None
    except (Exception, SystemExit) as error:  # whatever the annotation calls
        raise UserError(
            f"{plugin.kind} {plugin.name!r} at {plugin.origin}: a parameter's type cannot be evaluated "
            f"({in_words(error)}). Write one that can, such as `int` or `tuple[str, ...]`."
        ) from None


def _keywords(plugin: Plugin) -> list[inspect.Parameter]:
    assert plugin.target is not None
    arguments = inspect.signature(plugin.target).parameters.values()
    return [argument for argument in arguments if argument.kind is argument.KEYWORD_ONLY]


def _from_text(value: Any, annotation: Any) -> Any:
    """Text that stands for None, for one of a few literals or for several items, as the annotation allows."""
    if not isinstance(value, str):
        return value
    choices = _choices(annotation)
    if type(None) in choices and value.lower() in ("none", "null"):
        return None
    for choice in choices:
        if typing.get_origin(choice) is typing.Literal:
            value = next((literal for literal in typing.get_args(choice) if str(literal) == value), value)
    if _is_list(annotation):
        return list_from_text(value)
    return value


def _is_list(annotation: Any) -> bool:
    return any((typing.get_origin(choice) or choice) in (tuple, list) for choice in _choices(annotation))


def _choices(annotation: Any) -> list[Any]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _choices(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [inner for part in typing.get_args(annotation) for inner in _choices(part)]
    return [annotation]
