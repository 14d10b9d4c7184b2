"""One point of a suite's cross product, before it is a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gwbench.experiment.spec import PLUGIN_FIELDS
from gwbench.registry import KINDS
from gwbench.suite.schema import Condition, MatrixEntry


@dataclass(frozen=True)
class Combination:
    """One point of the cross product, with the parts that its run has.

    Attributes:
        encoder_from: the dataset whose pre-trained encoder is probed; None where the run has one of its own.
        parts: the kinds and sections that the run has.
    """

    dataset: MatrixEntry
    data_seed: int
    conditioning: Mapping[str, Any]
    seed: int
    encoder: MatrixEntry | None
    encoder_groups: str
    pairing: MatrixEntry | None
    augmentations: tuple[MatrixEntry, ...]
    objective: MatrixEntry | None
    training: Mapping[str, Any]
    baseline: MatrixEntry | None
    task: MatrixEntry | None
    label_fraction: float
    encoder_from: MatrixEntry | None = None
    parts: frozenset[str] = field(default=frozenset(), compare=False)

    def named(self) -> list[tuple[str, MatrixEntry]]:
        """(kind, entry) of every plugin."""
        single = [(kind, getattr(self, kind)) for kind in PLUGIN_FIELDS.values() if not KINDS[kind].several]
        return [(kind, entry) for kind, entry in single if entry] + [("augmentation", e) for e in self.augmentations]

    def settings(self) -> dict[str, Any]:
        """Dotted settings for `RunSpec.create`."""
        settings: dict[str, Any] = {"evaluation.label_fraction": self.label_fraction}
        settings |= {f"conditioning.{name}": value for name, value in self.conditioning.items()}
        settings |= {f"training.{name}": value for name, value in self.training.items()}
        for kind, entry in self.named():
            prefix = f"augmentation.{entry.name}" if kind == "augmentation" else kind
            settings |= {f"{prefix}.{name}": value for name, value in entry.parameters.items()}
        return settings

    def has(self, setting: str) -> bool:
        """Whether the run has the part that a dotted setting is of."""
        section, _, name = setting.partition(".")
        if section == "augmentation":
            owner = name.rpartition(".")[0]
            return owner in [entry.name for entry in self.augmentations] if owner else len(self.augmentations) == 1
        return section in self.parts or section in ("conditioning", "evaluation")

    def meets(self, condition: Condition) -> bool:
        """Whether every key of a condition holds."""
        return all(self._holds(key, value) for key, value in condition.items())

    def _holds(self, key: str, wanted: Any) -> bool:
        if isinstance(wanted, list):
            return any(self._holds(key, each) for each in wanted)
        if key == "augmentation":
            if wanted is None:
                return "augmentation" in self.parts and not self.augmentations
            return any(_is(entry, wanted) for entry in self.augmentations)
        return _is(getattr(self, key), wanted)


def _is(value: Any, wanted: Any) -> bool:
    """Whether a value is the one wanted: an entry by name, or by name and some parameters."""
    if isinstance(value, MatrixEntry):
        if isinstance(wanted, dict):
            given = {"name": value.name, **value.parameters}
            return all(key in given and given[key] == each for key, each in wanted.items())
        return bool(value.name == wanted)
    if isinstance(value, Mapping) and isinstance(wanted, dict):
        return all(key in value and value[key] == each for key, each in wanted.items())
    return bool(value == wanted)


class FrozenSettings(dict[str, Any]):
    """Settings that can be hashed by their values."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True))
