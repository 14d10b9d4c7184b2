"""Runs that probe an encoder of a finished run on other data: their specs, and their encoders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench.errors import UserError
from gwbench.experiment import record
from gwbench.experiment.encoder_source import EncoderSource, Whose
from gwbench.experiment.run_directory import BusyRunError
from gwbench.experiment.run_folders import is_held, named_run, run_folder
from gwbench.experiment.spec import RunSpec
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import UnusableError, linked_digest

if TYPE_CHECKING:
    from gwbench.experiment.data_shape import DataShape
    from gwbench.experiment.record import RunRecord
    from gwbench.nn.detector_encoder import DetectorEncoder
    from gwbench.preprocessing.conditioning import Conditioner

PARTS = ("encoder", "pairing", "augmentation", "objective", "conditioning")
"""Sections that the source run sets."""

OWN = ("dataset", "evaluation", "task")
"""Sections that may be set beside an encoder of another run."""


def transfer_spec(
    source_run: str | Path,
    *,
    out: str | Path,
    conditioner: Whose = "refit",
    settings: Mapping[str, Any] | None = None,
    **fields: Any,
) -> RunSpec:
    """The spec of a run that probes the encoder of another.

    Args:
        source_run: its folder, or its name or the beginning of its identity within `out`.
        out: folder of run folders.
        conditioner: "refit" on the new data's training split, without labels, or the "run"'s own.
        settings: dotted, of the dataset, the evaluation and the task.
        fields: as of `RunSpec.create`; those that the source run sets are refused.

    Raises:
        UserError: it is no finished pre-training, or something is set that it sets.
    """
    if conditioner not in ("refit", "run"):
        raise UserError(f"conditioner={conditioner!r} is not valid: write 'refit' or 'run'.")
    _refuse_set(settings or {}, fields)
    found = named_run(str(source_run), out)
    if found.record is None:
        raise UserError(f"The run in {found.path} is {found.state}: {found.problem}. Name a finished run.")
    return spec_on(found.record, source_of(found.record, found.path, conditioner), settings or {}, fields)


def source_of(run: RunRecord, folder: Path, conditioner: Whose = "refit") -> EncoderSource:
    """What a finished run says of its encoder.

    Raises:
        UserError: it failed, is a baseline, took its encoder from another run, or its files are damaged.
    """
    from gwbench.experiment.checkpoint import load_conditioner

    spec = run.spec
    if run.status != "ok" or run.data is None:
        raise UserError(f"The run in {folder} failed, so that it has no encoder: {run.reason}.")
    if spec.encoder_from:
        raise UserError(
            f"The run in {folder} took its encoder from the run {spec.encoder_from.run_id}, in "
            f"{spec.encoder_from.folder}. Name that one."
        )
    if spec.training is None or spec.baseline is not None:
        raise UserError(f"The run in {folder} pre-trained no encoder that it kept: it is {spec.title}.")
    own = load_conditioner(folder, run)
    kept = {"weights": _digest(folder)}
    heard = {"detectors": own.detectors, "sample_rate": own.sample_rate, "window": own.window}
    return pending_source(spec, run.run_id, folder, conditioner).model_copy(update=kept | heard)


def pending_source(spec: RunSpec, run_id: str, folder: Path, conditioner: Whose) -> EncoderSource:
    """What is known of the encoder of a run that is not made yet."""
    assert spec.training
    return EncoderSource(
        run_id=run_id,
        conditioner=conditioner,
        dataset=spec.dataset,
        data_seed=spec.data_seed,
        seed=spec.seed,
        training=spec.training,
        precision=spec.precision,
        folder=str(folder),
    )


def spec_on(
    source: RunRecord | RunSpec, encoder_from: EncoderSource, settings: Mapping[str, Any], fields: Mapping[str, Any]
) -> RunSpec:
    """The spec that probes an encoder: the source's parts, on data of its own.

    Args:
        source: the run, or its spec, that pre-trained the encoder.
        encoder_from: what it says of its encoder.
        settings: dotted, of the dataset, the evaluation and the task.
        fields: of `RunSpec.create`: dataset, task, seeds, limit.
    """
    made = (source if isinstance(source, RunSpec) else source.spec).current()
    own = {key: value for key, value in made.settings().items() if key.partition(".")[0] in PARTS}
    given = {name: fields.get(name) for name in ("dataset", "task", "seed", "data_seed", "limit")}
    spec = RunSpec.create(
        encoder=made.encoder.name if made.encoder else None,
        pairing=made.pairing.name if made.pairing else None,
        augmentations=[choice.name for choice in made.augmentations],
        objective=made.objective.name if made.objective else None,
        encoder_groups=made.encoder_groups,
        settings={**own, **settings},
        **given,
    )
    return spec.model_copy(update={"training": None, "encoder_from": encoder_from})


def settled(spec: RunSpec) -> RunSpec:
    """The spec with what is known of its encoder once the run is there that pre-trains it.

    Raises:
        BusyRunError: another process is pre-training it.
        UserError: that run is not there, or failed.
    """
    source = spec.encoder_from
    if source is None or not source.pending:
        return spec
    folder = Path(source.folder)
    if (folder / record.RECORD).exists():
        run = record.read_record(folder)
        if run.run_id == source.run_id:
            return spec.model_copy(update={"encoder_from": source_of(run, folder, source.conditioner)})
    if folder.is_dir() and is_held(folder):
        raise BusyRunError(f"Another process is pre-training the encoder in {folder}. Wait for it.")
    state = run_folder(folder).state if folder.is_dir() else "not there"
    raise UserError(f"The run {source.run_id} in {folder}, which pre-trains the encoder, is {state}: carry it out.")


def source_encoder(source: EncoderSource) -> DetectorEncoder:
    """The encoder.

    Raises:
        UserError: the run is not there any more, or is another.
    """
    from gwbench.experiment.checkpoint import load_encoder

    folder = Path(source.folder)
    _require_same(source, folder)
    return load_encoder(folder).encoder


def lent_conditioner(source: EncoderSource, shape: DataShape) -> Conditioner:
    """The conditioner of the run that pre-trained the encoder, for data of a shape; as `source_encoder`."""
    from gwbench.experiment.checkpoint import load_conditioner

    folder = Path(source.folder)
    _require_same(source, folder)
    own = load_conditioner(folder, record.read_record(folder))
    if own.margin != shape.margin:
        raise UserError(
            f"The conditioner of the run {source.run_id} reads margins of {own.margin} samples, and the data have "
            f"{shape.margin}: use conditioner refit."
        )
    return own


def require_fit(spec: RunSpec, shape: DataShape) -> None:
    """Raise `UserError` where data do not fit the encoder of another run."""
    source = spec.encoder_from
    if source is None or source.pending:
        return
    differ = []
    if shape.sample_rate != source.sample_rate:
        differ.append(f"{shape.sample_rate:g} Hz, and the encoder hears {source.sample_rate:g} Hz")
    if shape.window != source.window:
        differ.append(f"windows of {shape.window} samples, and the encoder's have {source.window}")
    each_alone = spec.encoder_groups == "shared" and source.conditioner == "refit"
    if shape.detectors != source.detectors and not each_alone:
        why = "its conditioner" if source.conditioner == "run" else f"its encoder groups, {spec.encoder_groups!r},"
        differ.append(f"{', '.join(shape.detectors)}, and {why} fit {', '.join(source.detectors)}")
    if differ:
        raise UserError(
            f"The encoder of the run {source.run_id} cannot hear {spec.dataset.name}: the data have "
            f"{'; '.join(differ)}. Choose data like those of {source.dataset.name} that it was pre-trained on."
        )


def _require_same(source: EncoderSource, folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"The run {source.run_id} whose encoder is probed is not in {folder} any more.")
    if record.read_record(folder).run_id != source.run_id or _digest(folder) != source.weights:
        raise UserError(f"The run in {folder} is another than the one whose encoder is asked for, {source.run_id}.")


def _digest(folder: Path) -> str:
    """SHA-256 of a run's file of weights."""
    try:
        return linked_digest(folder / record.WEIGHTS)
    except UnusableError as error:
        raise UserError(f"The run in {folder} has no encoder: {record.WEIGHTS}: {printable(error)}.") from None


def _refuse_set(settings: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Refuse what the source run sets."""
    named = [name for name in ("encoder", "pairing", "objective", "baseline", "augmentations") if fields.get(name)]
    named += ["encoder_groups"] if fields.get("encoder_groups", "shared") not in (None, "shared") else []
    named += [key for key in settings if key.partition(".")[0] not in OWN]
    if named:
        raise UserError(
            f"The run whose encoder is probed sets {', '.join(named)}: leave it out. Beside an encoder of another run "
            "one may set the dataset, the task, the evaluation, the seeds and a limit."
        )


__all__ = [
    "lent_conditioner",
    "pending_source",
    "require_fit",
    "settled",
    "source_encoder",
    "source_of",
    "spec_on",
    "transfer_spec",
]
