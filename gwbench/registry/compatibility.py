"""What goes with what: plugins that make no sense together, and what a baseline has no use for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from gwbench.errors import UserError
from gwbench.registry.metadata import KINDS, NO_LABELS_TAG
from gwbench.registry.parameters import parameters
from gwbench.registry.registry import REGISTRY

if TYPE_CHECKING:
    from gwbench.contracts import Baseline, Parts


def parts_of(names: Iterable[tuple[str, str]]) -> Parts:
    """The classes of (kind, name) pairs, imported; several augmentations stand in their order.

    Raises:
        UserError: a plugin is unknown or cannot be imported.
    """
    from gwbench.contracts import Parts

    parts: dict[str, Any] = {}
    for kind, name in names:
        cls = REGISTRY.get(kind, name).target
        if KINDS[kind].several:
            parts[KINDS[kind].plural] = (*parts.get(KINDS[kind].plural, ()), cls)
        else:
            parts[kind] = cls
    return Parts(**parts)


def why_not(parts: Parts) -> str:
    """Why these plugins make no sense together; empty where they do."""
    chosen = [getattr(parts, field.name) for field in dataclasses.fields(parts)]
    asked = [part for each in chosen for part in (each if isinstance(each, tuple) else (each,)) if part]
    if because := next(filter(None, (part.skip(parts) for part in asked if hasattr(part, "skip"))), ""):
        return because
    if parts.baseline and parts.task and not parts.baseline.serves(parts.task):
        return "the baseline scores signal against noise, which is not what the task asks; leave one of them out"
    return ""


def refuse_combination(names: Sequence[tuple[str, str]]) -> None:
    """Raise `UserError` where (kind, name) pairs make no sense together."""
    if because := why_not(parts_of(names)):
        listing = ", ".join(f"{kind} {name!r}" for kind, name in names)
        raise UserError(f"{listing} cannot be combined: {because.rstrip('.')}.")


def why_not_without_labels(names: Sequence[tuple[str, str]]) -> str:
    """Why a run of (kind, name) pairs cannot do without any label; empty where it can."""
    chosen = dict(names)
    if baseline := chosen.get("baseline"):
        free = NO_LABELS_TAG in REGISTRY.get("baseline", baseline).tags
        return "" if free else f"the baseline {baseline!r} uses labels"
    task: Any = REGISTRY.get("task", chosen["task"]).target if chosen.get("task") else None
    if task and not task.ranks_signals:
        return f"the task {chosen['task']!r} is learnt from labels"
    objective: Any = REGISTRY.get("objective", chosen["objective"]).target
    if objective.scores_windows():
        return ""
    return (
        f"a probe needs some, and the objective {chosen['objective']!r} has no score of its own, as these have: "
        f"{', '.join(_scoring_objectives())}"
    )


def _scoring_objectives() -> list[str]:
    """The objectives that score windows by themselves, of those that can be imported."""
    names = []
    for plugin in REGISTRY.list("objective"):
        with suppress(UserError):
            target: Any = REGISTRY.get("objective", plugin.name).target
            names += [plugin.name] if target.scores_windows() else []
    return names


def refuse_without_labels(names: Sequence[tuple[str, str]]) -> None:
    """Raise `UserError` where a run of (kind, name) pairs cannot do without any label."""
    if because := why_not_without_labels(names):
        raise UserError(
            f"evaluation.label_fraction=0 leaves no label: {because}. Choose another, or give a share above 0."
        )


def refuse_unused(baseline: str, needed: set[str], named: Mapping[str, str | None]) -> None:
    """Raise `UserError` where a plugin is named that a baseline has no use for.

    Args:
        baseline: its name.
        needed: kinds that it uses.
        named: the user's choice by kind.
    """
    for kind, name in named.items():
        if name and kind not in needed:
            part: Any = REGISTRY.get(kind, name).target if kind == "pairing" and "encoder" in needed else None
            raise UserError(
                f"The baseline {baseline!r} has no {kind}: leave out {KINDS[kind].flag} {name}."
                + (" --encoder-groups network has its encoder see all detectors." if part and part.network else "")
            )


def resolve_groups(given: str, chosen: Mapping[str, str | None]) -> str:
    """The groups asked for, or "network" where the pairing has an encoder see all detectors at once.

    Args:
        given: as of `RunSpec.encoder_groups`.
        chosen: plugin names by kind, None where the run has none.

    Raises:
        UserError: the pairing or the baseline does not go with the groups.
    """
    pairing: Any = chosen["pairing"] and REGISTRY.get("pairing", chosen["pairing"]).target
    if pairing and pairing.network and given == "shared":
        return "network"
    if given != "shared" and not chosen["encoder"]:
        raise UserError(f"The baseline {chosen['baseline']!r} has no encoder: leave out --encoder-groups {given}.")
    if pairing and pairing.network != (given == "network"):
        shown = "all detectors at once" if pairing.network else "one detector at a time"
        raise UserError(
            f"The pairing {chosen['pairing']!r} shows an encoder {shown}: leave out --encoder-groups {given}, "
            "or choose another pairing."
        )
    return given


def refuse_training(
    baseline: str, contract: type[Baseline], settings: Mapping[str, Any], fields: Mapping[str, Any]
) -> None:
    """Raise `UserError` where settings of pre-training are given to a baseline that has none.

    Args:
        baseline: its name.
        contract: its class.
        settings: as of `RunSpec.create`.
        fields: of the spec, as given.
    """
    given = [key for key in settings if key.startswith("training.")]
    if contract.trains and given:
        own = "; ".join(map(str, parameters(REGISTRY.get("baseline", baseline)))) or "none"
        raise UserError(
            f"The baseline {baseline!r} pre-trains nothing: leave out {', '.join(given)}. "
            f"How it trains is set by baseline.NAME: {own}."
        )
    if not contract.trains and fields.get("precision"):
        given.append("precision")
    if given:
        raise UserError(f"The baseline {baseline!r} trains nothing: leave out {', '.join(given)}.")


def contract_of(baseline: str) -> type[Baseline]:
    """The class of a baseline, which says what it needs."""
    return cast("type[Baseline]", REGISTRY.get("baseline", baseline).target)
