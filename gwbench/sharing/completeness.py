"""What a row of a published table needs: three seeds of its own, and the floor of its encoder on the same data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from gwbench.errors import UserError
from gwbench.experiment.record import RunRecord
from gwbench.registry import REGISTRY
from gwbench.registry.metadata import FLOOR_TAG
from gwbench.reporting.records.method import Method, method_of
from gwbench.reporting.records.predictions import read_predictions
from gwbench.utils.untrusted_files import UnusableError

SEEDS = (0, 1, 2)
"""Seeds of every published row."""


def missing_runs(table: Iterable[RunRecord], submitted: Iterable[RunRecord]) -> list[str]:
    """What a table lacks for the methods that are submitted, one sentence each; empty where nothing does.

    Args:
        table: all records of the table, with those submitted.
        submitted: the records that are looked at.
    """
    there: dict[tuple[str, float], set[int]] = defaultdict(set)
    floors: set[tuple[str | None, float]] = set()
    for record in table:
        method, fraction = method_of(record), record.spec.evaluation.label_fraction
        there[method.key, fraction].add(record.spec.seed)
        if _is_floor(method):
            floors.add((method.encoder, fraction))
    missing: list[str] = []
    floor = next(iter(_floors()), "FLOOR")
    for record in submitted:
        method, fraction = method_of(record), record.spec.evaluation.label_fraction
        what = f"{method.title} at {100 * fraction:g} % of the labels"
        absent = [str(seed) for seed in SEEDS if seed not in there[method.key, fraction]]
        if absent:
            plural = "seeds" if len(absent) > 1 else "seed"
            missing.append(f"{what}: {plural} {', '.join(absent)} (the same command with --seed {absent[0]})")
        if record.spec.baseline is None and (method.encoder, fraction) not in floors:
            missing.append(
                f"{what}: the floor, an untrained {method.names.get('encoder', 'encoder')} on the same data "
                f"(`gwbench run --baseline {floor}` with the same encoder, data and labels)"
            )
    return list(dict.fromkeys(missing))


def refuse_copies(records: Sequence[RunRecord]) -> None:
    """Refuse runs of one pre-trained method whose scores are the same under different seeds.

    Raises:
        UserError: two are.
    """
    seen: dict[tuple[str, float, bytes], RunRecord] = {}
    for record in records:
        if record.spec.training is None or record.metrics is None or record.folder is None:
            continue  # what trains nothing scores alike under every seed
        try:
            score = read_predictions(record.folder, record.metrics.n_test + record.metrics.n_unlabelled).score
        except UnusableError:
            continue
        content = np.asarray(score, np.float32).tobytes()
        key = (method_of(record).key, record.spec.evaluation.label_fraction, content)
        other = seen.setdefault(key, record)
        if other.spec.seed != record.spec.seed:
            first, second = Path(str(other.folder)).name, Path(str(record.folder)).name
            raise UserError(f"{first} and {second} have other seeds and the same scores. One is a copy: run it again.")


def _is_floor(method: Method) -> bool:
    return any(FLOOR_TAG in tags for tags in method.tags.values()) or method.names.get("baseline") in _floors()


def _floors() -> list[str]:
    """The baselines that every method should beat."""
    return [plugin.name for plugin in REGISTRY.list("baseline") if FLOOR_TAG in plugin.tags]
