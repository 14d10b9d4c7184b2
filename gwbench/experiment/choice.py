"""A plugin that a run names, with its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic_core

from gwbench.experiment.construction import construct
from gwbench.registry import REGISTRY
from gwbench.registry.parameters import validate
from gwbench.utils.models import FrozenModel


class Choice(FrozenModel):
    """A plugin by name, with all its parameters as JSON values."""

    name: str
    parameters: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies it

    @classmethod
    def of(cls, kind: str, name: str, given: Mapping[str, Any]) -> Choice:
        """A plugin with some of its parameters, which are checked, and the defaults of the rest."""
        plugin = REGISTRY.get(kind, name)
        values = validate(plugin, given)
        return cls(name=plugin.name, parameters=pydantic_core.to_jsonable_python(values))

    def build(self, kind: str, *context: Any) -> Any:
        """The plugin, constructed with what its kind hands it (see `gwbench.contracts`)."""
        plugin = REGISTRY.get(kind, self.name)
        return construct(plugin, context, validate(plugin, self.parameters))

    def told_from(self, other: Choice) -> str:
        """The name, and the parameters that tell it from another of the same name."""
        if self.name != other.name:
            return self.name
        stated = {name: value for name, value in self.parameters.items() if value is not None}
        own = [f"{name}={value}" for name, value in stated.items() if value != other.parameters.get(name)]
        return self.name + (f" ({', '.join(own)})" if own else "")


def default_task() -> Choice:
    """The task that a run has where none is named, with its default parameters."""
    return Choice.of("task", REGISTRY.default("task"), {})


def named_task(name: str | None, settings: Mapping[str, Any]) -> str | None:
    """The task that a run has to name: any but the default as it is."""
    if any(key.startswith("task.") for key in settings):
        return name or REGISTRY.default("task")
    return None if name and name == REGISTRY.default("task") else name
