"""Going on from a finished run: `gwbench run --extend RUN --epochs N`.

The encoder is restored, and the objective with its projector, EMA target and queue where they were kept. The optimiser
starts anew, and so does the schedule: the learning rate rises again over a share of the added steps and falls to zero
at their end (re-warming: arXiv:2308.04014), since the rate at which the finished run ended is zero. Batches and views
are those that a longer training would have drawn next, not those of the first epochs once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.errors import UserError
from gwbench.experiment import record
from gwbench.experiment.extended_run import ExtendedRun
from gwbench.experiment.run_directory import is_of
from gwbench.experiment.run_folders import named_run
from gwbench.experiment.sections import read_section
from gwbench.utils.untrusted_files import AbsentError, UnusableError, linked_digest

if TYPE_CHECKING:
    from gwbench.experiment.data_cache import DataCache
    from gwbench.experiment.record import RunRecord
    from gwbench.experiment.spec import RunSpec
    from gwbench.nn.detector_encoder import DetectorEncoder
    from gwbench.training.settings import TrainingSettings
    from gwbench.training.validation_watch import TrainingStart

CHANGEABLE = ("training", "evaluation")
"""Sections whose settings may differ from those of the run that is extended."""


def extended_spec(
    run: str | Path, settings: Mapping[str, Any], *, out: str | Path, data_cache: DataCache
) -> tuple[RunSpec, Path]:
    """The spec of a run that goes on from another, and that one's folder.

    Args:
        run: the finished run: its folder, its folder's name, or the beginning of its identity.
        settings: "training.epochs", in all; others of training and evaluation that shall differ.
        out: folder of run folders, where a name is looked for.
        data_cache: knows the data.

    Raises:
        UserError: the run cannot be extended, or not so.
    """
    found = named_run(str(run), out)
    if found.record is None:
        raise UserError(
            f"The run in {found.path} is {found.state}: {found.problem}. Only a finished run can be extended."
        )
    earlier = found.record
    _require_pretrained(earlier, found.path)
    try:
        spec = earlier.spec.current()
        spec.plugins()
    except UserError as error:
        raise UserError(
            f"{error} The run in {found.path} can be extended once its plugins are loaded (--plugin); one whose parts "
            "were handed to gwbench.run as objects cannot."
        ) from None
    if not is_of(earlier, spec, data_cache.fingerprint(spec)):
        raise UserError(
            f"The run in {found.path} cannot be extended: its data, or the code of one of its plugins, have changed "
            "since. Do it again with --rerun first."
        )
    extends = _extended_run(earlier, found.path)
    _require_epochs(settings, extends, found.path)
    changed = {section: _changed(spec, section, settings) for section in CHANGEABLE}
    _require_more(changed["training"], extends, found.path)
    return spec.model_copy(update={**changed, "extends": extends}), found.path.absolute()


def refuse_names(names: Mapping[str, Any], precision: str) -> None:
    """Raise `UserError` where a part of the run is named that the extended run says.

    Args:
        names: keyword arguments of `gwbench.run`.
        precision: as it was asked for.
    """
    defaults = {"encoder_groups": "shared", "seed": 0, "data_seed": 0}
    given = [name for name, value in names.items() if value and value != defaults.get(name)]
    given += ["precision"] if precision != "auto" else []
    if given:
        raise UserError(
            f"A run is extended as it is: leave out {', '.join(given)}. The number of epochs, and other settings of "
            "training and evaluation, may be given."
        )


def training_start(spec: RunSpec, folder: Path | None, encoder: DetectorEncoder) -> TrainingStart | None:
    """Where a training goes on from; None where it begins anew.

    Args:
        spec: of the run.
        folder: of the run that it extends; None in processes that get all weights from rank 0.
        encoder: gets that run's weights.

    Raises:
        UserError: what was kept is not what the spec names.
    """
    from gwbench.experiment.checkpoint import restore_weights
    from gwbench.training.validation_watch import TrainingStart

    if (extends := spec.extends) is None:
        return None
    if folder is None:
        return TrainingStart(extends.epochs, extends.steps, extends.windows)
    require_kept(spec, folder)
    if problem := restore_weights(folder / record.WEIGHTS, encoder):
        raise _not_whole(folder, record.WEIGHTS, problem)

    def restore(objective: Any) -> None:
        if extends.objective and (problem := restore_weights(folder / record.OBJECTIVE, objective)):
            raise _not_whole(folder, record.OBJECTIVE, problem)

    return TrainingStart(extends.epochs, extends.steps, extends.windows, restore)


def require_kept(spec: RunSpec, folder: Path) -> None:
    """Raise `UserError` unless a folder holds the weights that the spec goes on from."""
    assert spec.extends
    for name, wanted in ((record.WEIGHTS, spec.extends.weights), (record.OBJECTIVE, spec.extends.objective)):
        if wanted and _digest(folder, name) != wanted:
            raise _not_whole(folder, name, "it has changed since the run was extended")


def _require_pretrained(earlier: RunRecord, folder: Path) -> None:
    if earlier.status != "ok":
        raise UserError(f"The run in {folder} failed ({earlier.reason}). Only a finished run can be extended.")
    if earlier.spec.baseline:
        raise UserError(
            f"The run in {folder} is the baseline {earlier.spec.baseline.name!r}, and no pre-training to go on with. "
            "Extend a run that pre-trained."
        )
    if earlier.training is None or earlier.budget is None:
        raise UserError(f"The run in {folder} does not tell how its pre-training went: it cannot be extended.")


def _extended_run(earlier: RunRecord, folder: Path) -> ExtendedRun:
    """What a run left, as the spec of the next one names it."""
    assert earlier.training and earlier.budget
    steps, windows = earlier.budget
    before = earlier.spec.extends
    weights = _digest(folder, record.WEIGHTS)
    if weights is None:
        raise _not_whole(folder, record.WEIGHTS, "there is none")
    return ExtendedRun(
        run_id=earlier.run_id,
        weights=weights,
        objective=_digest(folder, record.OBJECTIVE),
        epochs=len(earlier.training.loss) + (before.epochs if before else 0),
        steps=steps,
        windows=windows,
    )


def _changed(spec: RunSpec, section: str, settings: Mapping[str, Any]) -> Any:
    """A section of the earlier run's settings with those that are given."""
    given: dict[str, Any] = {}
    for key, value in settings.items():
        owner, _, name = key.partition(".")
        if owner not in CHANGEABLE:
            raise UserError(
                f"{key} cannot be changed where a run is extended: only settings of {' and '.join(CHANGEABLE)} can."
            )
        if owner == section:
            given[name] = value
    own = getattr(spec, section).model_dump()
    own.pop("windows", None)  # they are reached
    return read_section(section, own | given)


def _require_epochs(settings: Mapping[str, Any], extends: ExtendedRun, folder: Path) -> None:
    if settings.get("training.windows") is not None:
        raise UserError("A run is extended by epochs: give --epochs instead of training.windows.")
    if settings.get("training.epochs") is None:
        raise UserError(
            f"Say with --epochs how many there shall be in all: the run in {folder} has {extends.epochs} already."
        )


def _require_more(training: TrainingSettings, extends: ExtendedRun, folder: Path) -> None:
    least = extends.epochs + (1 if training.stop == "none" else 2)  # one of them for the decay of the learning rate
    if training.epochs < least:
        raise UserError(
            f"--epochs {training.epochs} adds too little: the run in {folder} has {extends.epochs} already, which are "
            f"counted in. Give {least} or more."
        )


def _digest(folder: Path, name: str) -> str | None:
    """SHA-256 of a file; None where there is none."""
    try:
        return linked_digest(folder / name)
    except AbsentError:
        return None
    except UnusableError as error:
        raise _not_whole(folder, name, str(error)) from None


def _not_whole(folder: Path, name: str, problem: str) -> UserError:
    return UserError(f"The run in {folder} cannot be extended: {name}: {problem}. --rerun makes it again.")
