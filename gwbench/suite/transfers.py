"""The cells of a suite that probe an encoder on other data than it was pre-trained on.

    datasets: [{name: NAME, preset: quick}, {name: NAME, preset: glitches}]
    encoder_from: [{name: NAME, preset: quick}]     # data on which encoders are pre-trained
    conditioner: refit                              # or run: the source run's own

Every method is pre-trained on each dataset of `encoder_from`, by a cell of the suite that is carried out first, and its
encoder is probed on every other dataset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.errors import UserError
from gwbench.experiment import run_directory
from gwbench.experiment.encoder_source import Whose
from gwbench.experiment.transfer import OWN, pending_source, source_of, spec_on
from gwbench.suite.combination import Combination
from gwbench.suite.schema import MatrixEntry, Suite, SuiteFile

if TYPE_CHECKING:
    from gwbench.experiment.data_cache import DataCache
    from gwbench.experiment.spec import RunSpec

NOT_YET = "0" * 16
"""The identity of a source run before its data have been looked at."""


def sources_of(file: SuiteFile) -> list[MatrixEntry]:
    """The datasets on which encoders are pre-trained and nothing else is run."""
    return [entry for entry in dict.fromkeys(file.encoder_from) if entry not in file.datasets]


def transfers_of(file: SuiteFile, combinations: Iterable[Combination]) -> Iterator[Combination]:
    """The combinations, then those that probe encoders of other data."""
    several = list(combinations)
    yield from several
    for source in dict.fromkeys(file.encoder_from):
        for each in several:
            if each.baseline is None and each.dataset != source and each.dataset in file.datasets:
                yield replace(each, encoder_from=source)


def source_fraction(file: SuiteFile) -> float:
    """The share of labels with which a run that pre-trains for others is judged: the first at which any can be."""
    return next(filter(None, file.label_fractions), file.label_fractions[0])


def source_combination(file: SuiteFile, combination: Combination) -> Combination:
    """The combination whose run pre-trains the encoder: with the file's first share of labels and task."""
    assert combination.encoder_from
    return replace(
        combination,
        dataset=combination.encoder_from,
        encoder_from=None,
        label_fraction=source_fraction(file),
        task=file.tasks[0] if file.tasks else None,
    )


def transfer_spec_of(suite: Suite, combination: Combination, overriding: Sequence[int], source: RunSpec) -> RunSpec:
    """The spec of such a cell; which run the encoder is from is told by `located`.

    Raises:
        UserError: a setting of its dataset, its task or the evaluation does not fit.
    """
    settings: dict[str, Any] = combination.settings()
    for number in overriding:
        settings |= suite.file.overrides[number].set
    settings |= suite.settings
    own: Mapping[str, Any] = {
        key: value
        for key, value in settings.items()
        if key.partition(".")[0] in OWN and (combination.task or not key.startswith("task."))
    }
    fields = {
        "dataset": combination.dataset.name,
        "task": combination.task.name if combination.task else None,
        "seed": combination.seed,
        "data_seed": combination.data_seed,
    }
    pending = pending_source(source, NOT_YET, Path(), suite.file.conditioner)
    return spec_on(source, pending, own, fields)


def located(spec: RunSpec, source: RunSpec, data_cache: DataCache, out: str | Path) -> RunSpec:
    """The spec of a cell with what is known by now of the run that its encoder is from."""
    assert spec.encoder_from
    whose: Whose = spec.encoder_from.conditioner
    fingerprint = data_cache.fingerprint(source)
    folder = run_directory.directory_of(source, fingerprint, out)
    made = run_directory.find_record(source, fingerprint, out)
    encoder_from = pending_source(source, made.run_id if made else source.run_id(fingerprint), folder, whose)
    if made and made.status == "ok":
        with suppress(UserError):  # the cell says so when it is carried out
            encoder_from = source_of(made, folder, whose)
    return spec.model_copy(update={"encoder_from": encoder_from})


__all__ = ["located", "source_combination", "source_fraction", "sources_of", "transfer_spec_of", "transfers_of"]
