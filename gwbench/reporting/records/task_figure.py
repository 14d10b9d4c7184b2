"""What a run of another task than the default is ranked by: the main figure that its task names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gwbench.errors import UserError
from gwbench.evaluation.statistics import Interval
from gwbench.experiment.record import RunRecord
from gwbench.registry import REGISTRY
from gwbench.reporting.leaderboard.metrics import MAIN_FIGURE
from gwbench.utils.untrusted_files import UnusableError


@dataclass(frozen=True)
class RankedTask:
    """A task, as a table has it.

    Attributes:
        key: equal for runs of the same task with the same parameters.
        name: in words, with the parameters that are not its defaults.
        figure: the name of its main figure.
        larger_is_better: its direction.
    """

    key: str
    name: str
    figure: str
    larger_is_better: bool


def ranked_task(record: RunRecord) -> RankedTask | None:
    """The task of a record; None for the default one.

    Raises:
        UnusableError: it is not installed here, or names no main figure.
    """
    choice = record.spec.task
    if record.task_metrics is None and (choice is None or record.metrics is not None):
        return None
    if choice is None:
        raise UnusableError("its task is 'unknown', which has no ROC-AUC: see task_metrics in the record")
    try:
        target: Any = REGISTRY.get("task", choice.name).target
    except UserError:
        target = None
    figure = getattr(target, "main_figure", "")
    if not figure and record.status != "ok":
        return None
    if not figure:
        known = "names no main figure to rank by" if target else "is not installed here"
        raise UnusableError(
            f"its task is {choice.name!r}, which has no ROC-AUC and {known}: see task_metrics in the record"
        )
    words = ", ".join(f"{name}={value}" for name, value in choice.parameters.items())
    return RankedTask(
        json.dumps(choice.model_dump(mode="json"), sort_keys=True),
        f"{choice.name} ({words})" if words else choice.name,
        figure,
        bool(target.larger_is_better),
    )


def main_figure(record: RunRecord, task: RankedTask) -> Interval | float:
    """A finished run's main figure.

    Raises:
        UnusableError: the record has none, or it is no number.
    """
    value = (record.task_metrics or {}).get(task.figure)
    try:
        if isinstance(value, Mapping):
            return Interval(*(_number(value[name]) for name in ("value", "low", "high")))
        return _number(value)
    except (KeyError, ValueError) as error:
        raise UnusableError(f"its {task.figure} is no number with an interval ({error})") from None


def figure_text(value: Any) -> str:
    """A figure that a task reports, with its interval where it has one."""
    if isinstance(value, Mapping) and {"value", "low", "high"} <= value.keys():
        return f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise ValueError(f"{value!r}"[:60])
    return float(value)


__all__ = ["MAIN_FIGURE", "RankedTask", "figure_text", "main_figure", "ranked_task"]
