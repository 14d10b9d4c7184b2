"""A run's folder: where it is, who may write there, and what an earlier session left in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gwbench.errors import UserError
from gwbench.experiment import record
from gwbench.experiment.loggers import LOGS
from gwbench.experiment.record import RunRecord
from gwbench.experiment.spec import RunSpec
from gwbench.registry import Plugin
from gwbench.utils.files import unwritable
from gwbench.utils.leftovers import sweep_files
from gwbench.utils.locks import HeldError, acquire
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import UnusableError

if TYPE_CHECKING:
    from gwbench.utils.progress import Progress

CHECKPOINTS = "checkpoints"
LOCK = ".lock"


class BusyRunError(UserError):
    """Another process is carrying out the run."""


def directory_of(spec: RunSpec, fingerprint: Mapping[str, str], out: str | Path) -> Path:
    """Where the run's record is or will be.

    What an older gwbench began goes on where it is, though its folder would be named otherwise today.
    """
    folders = list(
        dict.fromkeys(Path(out) / f"{_slug(each)}-{run_id[:8]}" for each, run_id in spec.identities(fingerprint))
    )
    begun = (folder for folder in folders if (folder / record.RECORD).exists() or (folder / CHECKPOINTS).is_dir())
    return next(begun, folders[0])


def find_record(spec: RunSpec, fingerprint: Mapping[str, str], out: str | Path) -> RunRecord | None:
    """The record of this very run, finished or failed; None where there is none that could be trusted."""
    try:
        result = record.read_record(directory_of(spec, fingerprint, out))
    except UserError:
        return None
    return result if is_of(result, spec, fingerprint) else None


def reusable_runs(
    spec: RunSpec, fingerprint: Mapping[str, str], folder: Path, progress: Progress
) -> Iterator[RunRecord]:
    """The finished runs beside this one that kept the encoder which its pre-training gives.

    They differ from it in how the encoder is judged, such as in the share of labels.
    """
    wanted, plugins = spec.pretraining.canonical(), spec.ordinary.plugins()
    slugs = dict.fromkeys(_slug(each) for each, _ in spec.ordinary.identities(fingerprint))
    for path in sorted(path for slug in slugs for path in folder.parent.glob(f"{slug}-*/{record.RECORD}")):
        earlier = None if path.parent == folder else _readable(path.parent, progress)
        if earlier is None:
            continue
        try:
            fits = (
                earlier.status == "ok"
                and earlier.spec.baseline is None
                and earlier.data is not None
                and earlier.data.fingerprint == fingerprint
                and _made_by(earlier, plugins)
                and earlier.spec.current().pretraining.canonical() == wanted
            )
            if fits:
                _require_training(earlier)
        except Exception as error:  # a neighbour's record may say anything; this run does not end for it
            progress.say(f"The record {path} cannot be used ({printable(error)}). It is left aside.")
        else:
            if fits:
                yield earlier


def _require_training(earlier: RunRecord) -> None:
    """Raise `UnusableError` unless a record tells how its pre-training went."""
    if earlier.training is None or "pretrain" not in earlier.phases:
        raise UnusableError("it does not tell how its pre-training went")


def is_of(result: RunRecord, spec: RunSpec, fingerprint: Mapping[str, str]) -> bool:
    """Whether a record is of this very run.

    A run whose plugins have no source that could be compared is never taken for done.
    """
    known = all(plugin.source_hash for plugin in result.plugins)
    return known and any(result.run_id == run_id for _, run_id in spec.identities(fingerprint))


def _made_by(result: RunRecord, plugins: list[Plugin]) -> bool:
    """Whether a record's plugins are these, by whatever name and kind of hash it knows them."""
    recorded = [used for used in result.plugins if used.kind != "task"]  # it has no part in pre-training
    return len(recorded) == len(plugins) and all(
        (used.kind, used.version) == (plugin.kind, plugin.version)
        and used.name in (plugin.name, *plugin.aliases)
        and plugin.is_of(used.source_hash)
        for used, plugin in zip(recorded, plugins, strict=True)
    )


def set_aside(folder: Path) -> None:
    """Before a run is done again: keep its old record under another name, so that an interruption can resume.

    What loggers were told then would be mixed with what they are told now.
    """
    remove_checkpoints(folder)
    shutil.rmtree(folder / LOGS, ignore_errors=True)
    if (folder / record.RECORD).exists():
        (folder / record.RECORD).replace(folder / record.SUPERSEDED)


def discard(folder: Path) -> None:
    """After a refusal before anything ran: leave the folder as it was; the caller holds it."""
    shutil.rmtree(folder / LOGS, ignore_errors=True)
    superseded, current = folder / record.SUPERSEDED, folder / record.RECORD
    if superseded.exists() and not current.exists():
        superseded.replace(current)
    if {path.name for path in folder.iterdir()} == {LOCK}:
        shutil.rmtree(folder, ignore_errors=True)


def remove_checkpoints(folder: Path) -> None:
    """Once a run is recorded its weights are safe, and optimiser states would only fill the disk."""
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what a killed process had half written; the caller holds the folder."""
    sweep_files(folder, (record.RECORD, *record.KEPT), held=True)
    sweep_files(folder / CHECKPOINTS, ("last.ckpt",), held=True)


def _slug(spec: RunSpec) -> str:
    """The method, the data and the seed as the beginning of a folder's name; runs on these differ in what follows."""
    words = f"{spec.short_title} {spec.dataset.name} s{spec.seed}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:100]


def finished(spec: RunSpec, fingerprint: Mapping[str, str], folder: Path, progress: Progress) -> RunRecord | None:
    """The record of this very run, if it is whole and went well."""
    result = _readable(folder, progress, then="It is made again now.")
    return result if result and result.status == "ok" and is_of(result, spec, fingerprint) else None


def _readable(folder: Path, progress: Progress, then: str = "It is left aside.") -> RunRecord | None:
    """The record in a folder, if there is one; where it is damaged, that and what comes of it is said."""
    if not (folder / record.RECORD).exists():
        return None
    try:
        return record.read_record(folder)
    except UserError as error:
        progress.say(f"{error} {then}")
        return None


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the run's folder; a second process that wants the same run is told so."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        release = acquire(folder / LOCK)
    except HeldError as held:
        raise BusyRunError(
            f"Another process is carrying out this run in {folder}{held}. Wait for it, or stop it."
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield
    finally:
        release()
