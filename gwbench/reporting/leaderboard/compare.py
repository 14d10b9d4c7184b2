"""Two runs against each other: a paired test on the same test windows, and what differs between them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.errors import UserError
from gwbench.evaluation.metrics import LEVEL
from gwbench.evaluation.seed_inference import Replicates, pairwise
from gwbench.evaluation.statistics import Interval
from gwbench.experiment.record import RECORD, RunRecord
from gwbench.experiment.settings import dotted
from gwbench.registry.code_identity import same_code
from gwbench.reporting.records.data_asked import same_data
from gwbench.reporting.records.entry import load_scored
from gwbench.reporting.records.method import as_text
from gwbench.reporting.records.predictions import read_predictions
from gwbench.reporting.records.recompute import Checked, check_metrics
from gwbench.utils.models import FrozenModel
from gwbench.utils.untrusted_files import UnusableError

NOTHING = "-"
"""Where one of the runs has no such thing."""


class Side(FrozenModel):
    """One of the runs; `unchecked` says why its metrics are not checked against its test scores, if they are not."""

    folder: str
    run_id: str
    title: str
    dataset: str
    seed: int
    failed: str | None
    auc: Interval | None
    unchecked: str | None = None


class PairedTest(FrozenModel):
    """DeLong's paired test: of these two networks on these test windows, not of the methods behind them.

    Attributes:
        difference: AUC of A less that of B.
        low, high: its interval.
        p: two-sided p-value of no difference.
        level: confidence of the interval.
    """

    difference: float
    low: float
    high: float
    p: float
    level: float


class Difference(FrozenModel):
    """What one run has and the other has not, or otherwise."""

    name: str
    a: str
    b: str


class Comparison(FrozenModel):
    """Two runs.

    Attributes:
        a, b: the runs.
        test: where they share their test windows.
        untested: why there is no test, where there is none.
        spec, data, code, environment: what differs.
    """

    a: Side
    b: Side
    test: PairedTest | None
    untested: str | None
    spec: tuple[Difference, ...]
    data: tuple[Difference, ...]
    code: tuple[Difference, ...]
    environment: tuple[Difference, ...]


def compare_runs(run_a: str | Path, run_b: str | Path) -> Comparison:
    """Compare the runs of two folders, or of two record files.

    Raises:
        UserError: there is no record, it cannot be read, or its metrics are not those of its test scores.
    """
    (a, checked_a), (b, checked_b) = _load(run_a), _load(run_b)
    test = untested = None
    try:
        test = _test(a, b)
    except UnusableError as error:
        untested = str(error)
    return Comparison(
        a=_side(a, checked_a),
        b=_side(b, checked_b),
        test=test,
        untested=untested,
        spec=_differences(_spec(a), _spec(b)),
        data=_differences(_data(a), _data(b)),
        code=_differences(_code(a), _code(b)),
        environment=_differences(_environment(a), _environment(b)),
    )


def _load(run: str | Path) -> tuple[RunRecord, Checked]:
    path = Path(run)
    path = path / RECORD if path.is_dir() else path
    try:
        record = load_scored(path).record
    except UnusableError as error:
        raise UserError(f"{path} is no record of a run ({error}). Give the folder of a run.") from None
    try:
        return record, check_metrics(record)
    except UnusableError as error:
        raise UserError(f"{path} is refused: {error}. `gwbench verify` names every such figure.") from None


def _side(record: RunRecord, checked: Checked) -> Side:
    return Side(
        folder=str(record.folder),
        run_id=record.run_id,
        title=record.spec.title,
        dataset=record.spec.dataset.name,
        seed=record.spec.seed,
        failed=None if record.status == "ok" else record.reason or "no reason is recorded",
        auc=record.metrics.auc if record.metrics else None,
        unchecked=checked.unchecked if record.metrics else None,
    )


def _test(a: RunRecord, b: RunRecord) -> PairedTest:
    for name, record in (("A", a), ("B", b)):
        if record.status != "ok":
            raise UnusableError(f"run {name} failed")
    if not same_data(a, b):
        raise UnusableError("they have different data, so that no test window is shared")
    label = None
    replicates = []
    for name, record in (("A", a), ("B", b)):
        assert record.metrics is not None and record.folder is not None
        try:
            predictions = read_predictions(record.folder, record.metrics.n_test + record.metrics.n_unlabelled)
            if label is not None and not np.array_equal(label, predictions.label):
                raise UnusableError("its test windows have other labels than those of run A")
            label = predictions.label
            replicates.append(Replicates.of(label, [predictions.score]))
        except (UnusableError, UserError) as error:
            raise UnusableError(f"run {name}: {error}") from None
    tests = pairwise(replicates)
    difference = float(tests.difference[0, 1])
    reach = float(tests.reach(1, LEVEL)[0])
    return PairedTest(
        difference=difference, low=difference - reach, high=difference + reach, p=float(tests.p[0, 1]), level=LEVEL
    )


# --- what differs -------------------------------------------------------------------------------------------


def _spec(record: RunRecord) -> dict[str, Any]:
    spec = record.spec
    names = {f"{kind}.name": choice.name for kind, choice in spec.choices() if kind != "augmentation"}
    fields = {name: getattr(spec, name) for name in ("encoder_groups", "precision", "seed", "data_seed")}
    return {**names, "augmentations": [each.name for each in spec.augmentations], **spec.settings(), **fields}


def _data(record: RunRecord) -> dict[str, Any]:
    return record.data.model_dump(mode="json") if record.data else {}


def _code(record: RunRecord) -> dict[str, Any]:
    plugins = {
        f"{used.kind} {used.name}": f"version {used.version}, {same_code(used.kind, used.name, used.source_hash)[:12]}"
        for used in record.plugins
    }
    core = {"gwbench": record.environment.gwbench, "git commit": record.environment.git_commit}
    return {**plugins, **core, "protocol": record.protocol, "record schema": record.schema_version}


def _environment(record: RunRecord) -> dict[str, Any]:
    values = record.environment.model_dump(mode="json", exclude={"gwbench", "git_commit"})
    return {**values.pop("packages"), **values.pop("hardware"), **values}


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Difference, ...]:
    left, right = ({name: as_text(value) for name, value in dotted(values)} for values in (a, b))
    return tuple(
        Difference(name=name, a=left.get(name, NOTHING), b=right.get(name, NOTHING))
        for name in dict.fromkeys([*left, *right])
        if left.get(name) != right.get(name)
    )
