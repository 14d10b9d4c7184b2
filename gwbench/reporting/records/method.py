"""What makes two runs the same method, and what tells two methods apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gwbench.experiment.record import RunRecord
from gwbench.registry import REGISTRY
from gwbench.registry.code_identity import same_code

SECTIONS = ("conditioning.", "training.", "evaluation.")
"""Settings that are of no plugin, in the order in which a table names them."""


@dataclass(frozen=True)
class Method:
    """A row of a leaderboard: everything of a run but its data, seeds and share of labels.

    Attributes:
        key: equal for runs of one method: the same plugins, in the same version of their source, and parameters.
        title: the plugins in words.
        names: plugin names by kind, several augmentations joined.
        parameters: by dotted name, as `--set` takes them; and "KIND version" and "KIND code" of the plugins.
        encoder: equal for methods with the same encoder, groups and conditioning; None without an encoder.
        plugins: (kind, name).
        tags: by (kind, name), of the plugins whose tags are recorded.
    """

    key: str
    title: str
    names: Mapping[str, str] = field(hash=False)
    parameters: Mapping[str, Any] = field(hash=False)
    encoder: str | None
    plugins: tuple[tuple[str, str], ...]
    tags: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, hash=False)


def method_of(record: RunRecord) -> Method:
    """The method of a run."""
    spec = record.spec.current()
    names: dict[str, list[str]] = {}
    choices = [(kind, choice) for kind, choice in spec.choices() if kind != "dataset"]
    for kind, choice in choices:
        names.setdefault(kind, []).append(choice.name)
    settings = spec.settings()
    parameters = {key: value for key, value in settings.items() if not key.startswith(("dataset.", *SECTIONS))}
    if spec.encoder:
        parameters["encoder_groups"] = spec.encoder_groups
    if spec.training or spec.precision != "fp32":  # what trains nothing has a precision all the same
        parameters["precision"] = spec.precision
    if spec.encoder_from:
        parameters |= spec.encoder_from.parameters()
    for section in SECTIONS:
        parameters |= {key: value for key, value in settings.items() if key.startswith(section)}
    if spec.training:  # what settings leave out where it is as ever still tells two methods apart
        parameters |= {"training.stop": spec.training.stop, "training.windows": spec.training.windows}
        parameters["extends"] = f"{spec.extends.epochs} epochs" if spec.extends else "nothing"
    del parameters["evaluation.label_fraction"]
    for used in record.plugins:
        if used.kind != "dataset":
            name = REGISTRY.present_name(used.kind, used.name)
            prefix = f"augmentation.{name}" if used.kind == "augmentation" else used.kind
            parameters |= {
                f"{prefix} version": used.version,
                f"{prefix} code": same_code(used.kind, used.name, used.source_hash),
            }
    encoder = None
    if spec.encoder:
        shared = ("encoder.", "encoder_groups", "conditioning.")
        parts = {name: value for name, value in parameters.items() if name.startswith(shared)}
        encoder = json.dumps([spec.encoder.name, parts], sort_keys=True)
    return Method(
        key=json.dumps([names, parameters], sort_keys=True),
        title=spec.title,
        names={kind: " + ".join(each) for kind, each in names.items()},
        parameters=parameters,
        encoder=encoder,
        plugins=tuple((kind, choice.name) for kind, choice in choices),
        tags={
            (used.kind, REGISTRY.present_name(used.kind, used.name)): used.tags
            for used in record.plugins
            if used.tags is not None
        },
    )


def without_labels(method: Method) -> Method:
    """The method where it scores windows without a label: no probe is a part of it, so that it has a row of its own."""
    return replace(method, key=f"{method.key} without labels", title=f"{method.title}, 0 labels")


def differing(settings: Iterable[tuple[Mapping[str, str], Mapping[str, Any]]]) -> list[dict[str, str]]:
    """Of the parameters of several things, those in which they differ, as text.

    A parameter of a plugin is compared among those that have the plugin, the groups of detectors among those that have
    the pairing, which may imply them, and another one among all that have it.

    Args:
        settings: (plugin names by kind, parameters by dotted name) of each.
    """
    each = [{_scope(names, key): value for key, value in parameters.items()} for names, parameters in settings]
    values: dict[tuple[str, str], set[str]] = {}
    for parameters in each:
        for scoped, value in parameters.items():
            values.setdefault(scoped, set()).add(as_text(value))
    return [
        {key: _short(key, as_text(value)) for (scope, key), value in parameters.items() if len(values[scope, key]) > 1}
        for parameters in each
    ]


def as_text(value: Any) -> str:
    """A value as a command line sets it; anything deeper as JSON."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)) and all(isinstance(item, (str, int, float)) for item in value):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _scope(names: Mapping[str, str], key: str) -> tuple[str, str]:
    """A parameter, with the plugin that it belongs to."""
    section = "pairing" if key == "encoder_groups" else key.replace(" ", ".").partition(".")[0]
    return (names.get(section, ""), key)


def _short(key: str, text: str) -> str:
    return text[:8] if key.endswith(" code") else text
