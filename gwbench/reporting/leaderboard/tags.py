"""What a method is, by the tags of its plugins: the core knows none by name."""

from __future__ import annotations

from functools import cached_property
from typing import get_args

from gwbench.registry import REGISTRY
from gwbench.reporting.leaderboard.schema import Tag
from gwbench.reporting.records.method import Method


class Tagger:
    """Goes by the tags that a record holds; in old records, by those of the plugins installed or loaded here."""

    def of(self, method: Method) -> tuple[Tag, ...]:
        """The tags of a method that a row has."""
        there = {tag for plugin in method.plugins for tag in method.tags.get(plugin, self._tags.get(plugin, ()))}
        return tuple(tag for tag in get_args(Tag) if tag in there)

    def unknown(self, method: Method) -> list[tuple[str, str]]:
        """The plugins of a method whose tags are not known here."""
        return [plugin for plugin in method.plugins if plugin not in method.tags and plugin not in self._tags]

    @cached_property
    def _tags(self) -> dict[tuple[str, str], tuple[str, ...]]:
        return {(plugin.kind, plugin.name): plugin.tags for plugin in REGISTRY.list()}
