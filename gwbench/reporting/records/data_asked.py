"""Which data a run asked for, and whether those of two runs are the same.

The numbers of simulated strain depend in their last digits on the processor and on the versions of libraries: on one
with AVX-512 they differ by about a millionth of the noise from those on one without, and so do their hashes. Data made
by the same recipe (dataset, parameters, code, seed) are the same but for that rounding. Data from files are the same
where their hash is: they can be copied without a difference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gwbench.experiment.record import PluginUsed, RunRecord
from gwbench.registry import FILES_TAG, SIMULATED_TAG
from gwbench.registry.code_identity import same_code


@dataclass(frozen=True)
class DataAsked:
    """What data a run asked for: equal for runs that asked for the same in the same way.

    Attributes:
        key: of all the others, and of the versions of record and protocol.
        dataset, parameters: the plugin and its parameters.
        code: hash of its source.
        seed: of the data.
        limit: most windows of a split, of a small try; None for all.
    """

    key: str
    dataset: str
    parameters: Mapping[str, Any]
    code: str
    seed: int
    limit: int | None = None


def data_asked(record: RunRecord) -> DataAsked:
    """The data that a run asked for, whether it got them or not."""
    dataset, seed = record.spec.current().dataset, record.spec.data_seed
    code = next((_code(used) for used in record.plugins if used.kind == "dataset"), "")
    limit = record.spec.limit
    parts = [dataset.name, dataset.parameters, code, seed, record.schema_version, record.protocol]
    key = json.dumps(parts if limit is None else [*parts, limit], sort_keys=True)
    return DataAsked(key, dataset.name, dataset.parameters, code, seed, limit)


def recipe_of(record: RunRecord, asked: DataAsked | None = None) -> str | None:
    """What a run's data were made by; those of two runs with the same recipe differ by rounding alone.

    Args:
        record: of the run.
        asked: what it asked for, where that is known already.

    Returns:
        None where the run has no data, or they come from files.
    """
    tags = next((used.tags or () for used in record.plugins if used.kind == "dataset"), ())
    if record.data is None or SIMULATED_TAG not in tags or FILES_TAG in tags:
        return None
    fingerprint = json.dumps(dict(record.data.fingerprint), sort_keys=True)
    return f"{(asked or data_asked(record)).key} {fingerprint}"


def same_data(a: RunRecord, b: RunRecord) -> bool:
    """Whether two runs are on the same data, but for rounding; False where one has none."""
    if a.data is None or b.data is None:
        return False
    recipe = recipe_of(a)
    return a.data.content_hash == b.data.content_hash or (recipe is not None and recipe == recipe_of(b))


def _code(used: PluginUsed) -> str:
    return same_code(used.kind, used.name, used.source_hash)
