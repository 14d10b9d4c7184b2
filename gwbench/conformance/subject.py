"""A plugin under a check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gwbench.registry import Plugin
from gwbench.registry.parameters import validate


@dataclass(frozen=True)
class Subject:
    """A plugin to be checked.

    Attributes:
        plugin: imported.
        parameters: those that are not at their defaults.
        device: where tensors live.
    """

    plugin: Plugin
    parameters: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"

    @property
    def target(self) -> Any:
        """The plugin's class."""
        return self.plugin.target

    def build(self, *context: Any) -> Any:
        """The plugin, constructed with what its kind hands it."""
        return self.target(*context, **validate(self.plugin, self.parameters))
