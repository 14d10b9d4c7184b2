"""`gwbench scan`: a finished run listens to continuous strain."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gwbench.data.gwosc.api import HOST
from gwbench.data.strain_files.pieces import PieceReader
from gwbench.errors import UserError
from gwbench.experiment.environment import resolve_device
from gwbench.search.block_scores import ScanJob, missing_blocks
from gwbench.search.detector_track import common_intervals
from gwbench.search.predict.batches import loaded
from gwbench.search.record import SearchRecord
from gwbench.search.scan_background import keeps_strain
from gwbench.search.scan_executors import ScanExecutor, ScanHere, ScanProcesses
from gwbench.search.scan_folder import held_folder
from gwbench.search.scan_inputs import (
    STRIDE,
    ScanSettings,
    command_words,
    digests_of,
    files_of,
    load_run,
    window_shape,
)
from gwbench.search.scan_output import check_output, write_output
from gwbench.search.scan_plan import plan_scan
from gwbench.search.scan_result import ScannedStrain, search_record
from gwbench.search.strain_inventory import take_inventory
from gwbench.search.time_slides import ZeroLag
from gwbench.search.trigger_settings import TriggerSettings
from gwbench.search.triggers import CLUSTER_WINDOW, VAR
from gwbench.utils import progress as progress_module
from gwbench.utils.list_text import names_of
from gwbench.utils.progress import Progress

if TYPE_CHECKING:
    from gwbench.experiment.scorer import RunScorer

SEARCHES = "searches"
"""Folder of the folders of scans."""


def scan(
    run: str | Path | RunScorer,
    strain: str | Path | Sequence[str | Path] = (),
    *,
    event: str | None = None,
    duration: float | None = None,
    channel: str | Sequence[str] = (),
    quality: str | Sequence[str] = (),
    stride: float = STRIDE,
    conditioning: Literal["refitted", "run"] = "refitted",
    threshold: float | None = None,
    cluster_window: float = CLUSTER_WINDOW,
    var: float = VAR,
    slides: int | None = None,
    zero_lag: ZeroLag = "removed",
    plugins: str | Sequence[str] = (),
    encoder: Any = None,
    device: str = "auto",
    processes: int = 1,
    executor: ScanExecutor | None = None,
    out: str | Path | None = None,
    searches: str | Path = SEARCHES,
    rerun: bool = False,
    host: str = HOST,
    progress: Progress | None = None,
) -> SearchRecord:
    """Score windows that slide along strain, and rank the triggers.

        record = gwbench.scan("runs/...", "strain/*.hdf5")
        record.triggers[0].time, record.triggers[0].far

    Files are read, conditioned and scored piece by piece, so that memory does not grow with the strain. What is
    scored is kept in a folder of `searches`: a scan that was killed goes on, and a finished one is not done again.

    Args:
        run: folder of a finished run, or what `load_scorer` gave.
        strain: files, folders or globs; may be left out with `event`, which is then fetched from GWOSC.
        event: a known event in the strain, such as "GW150914", whose rank is looked for.
        duration: s of strain around an event that is fetched; by default usually 4096 s.
        channel, quality: as of `gwbench.data.strain_files.reading.read_strain_series`.
        stride: s between windows, rounded to samples that windows can share.
        conditioning: "refitted", with the PSD measured anew along the strain, or the "run"'s own.
        threshold: triggers have scores above it; by default what leaves about two a minute, and 100 at least.
        cluster_window: s; a trigger has no louder score within it.
        var: s of a trigger within which an injection counts as found.
        slides: time slides of the background; by default 100 or more where a score is a sum over detectors, else what
            two hours of strain allow.
        zero_lag: whether time around loud triggers is "removed" from the slides, or "kept".
        plugins: files or modules that register the plugins that the run used.
        encoder: where the run was given an object as its encoder: its class, or an object of it.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        processes: of this machine, that share the strain.
        executor: what scores the blocks, in place of `processes`.
        out: file of the events (.hdf5 as MLGWSC-1, .csv) or of the record (.json).
        searches: folder of the folders of scans.
        rerun: score anew what is done.
        host: address of the GWOSC server.
        progress: shows bars and messages.

    Raises:
        UserError: the run has no scorer; there is no such file or event; a file cannot be used (docs/how-to/search.md
            lists what is refused); the conditioned strain is far from white.
    """
    progress = progress or progress_module.default()
    if out is not None:
        check_output(Path(out))
    if encoder is not None:
        run = loaded(run, plugins, encoder).to(resolve_device(device))
    settings = ScanSettings(stride, conditioning, names_of(channel), names_of(quality))
    triggers = TriggerSettings(threshold, cluster_window, var, slides, zero_lag)
    record = _scanned(
        run,
        strain,
        settings,
        triggers,
        event=(event, duration, host),
        where=(names_of(plugins), device, processes, executor),
        searches=Path(searches),
        rerun=rerun,
        progress=progress,
    )
    if out is not None:
        write_output(Path(out), record)
    return record


def _scanned(
    run: str | Path | RunScorer,
    strain: str | Path | Sequence[str | Path],
    settings: ScanSettings,
    triggers: TriggerSettings,
    *,
    event: tuple[str | None, float | None, str],
    where: tuple[tuple[str, ...], str, int, ScanExecutor | None],
    searches: Path,
    rerun: bool,
    progress: Progress,
) -> SearchRecord:
    """What `scan` gives, read from its folder or made."""
    plugins, device, processes, executor = where
    begun, cpu = time.monotonic(), time.process_time()
    source, scorer = load_run(run, plugins, device)
    if source is None and processes > 1:
        raise UserError(
            "Several processes need the folder of the run, not what load_scorer gave, nor an encoder that is an object."
        )
    inputs = files_of(strain, *event, scorer.detectors, progress)
    shape = window_shape(scorer, settings.stride, progress)
    digests = digests_of(inputs.files, progress)
    refit = settings.conditioning == "refitted" and scorer.conditioner.window_step == 1
    identity = {
        "run": [scorer.record.run_id, scorer.record.created],
        "strain": digests,
        "step": shape.step,
        "refit": refit,
        "channel": settings.channel,
        "quality": settings.quality,
    }
    words = f"{scorer.title} {inputs.event.name if inputs.event else inputs.files[0].stem}"
    search = {"triggers": triggers.described(), "event": inputs.event.model_dump() if inputs.event else None}
    with held_folder(searches, words, identity, search) as folder:
        if rerun:
            folder.clear()
        elif (done := folder.finished(progress)) is not None:
            progress.say(f"This scan was done before: {folder.path}. --rerun does it again.")
            return done
        reader = PieceReader(settings.channel, settings.quality)
        inventory = take_inventory(inputs.files, scorer.detectors, scorer.sample_rate, reader, progress)
        plan = plan_scan(common_intervals(inventory.tracks), shape, measured=refit)
        keep = keeps_strain(scorer, triggers, plan.livetime)
        job = ScanJob(plan, inventory.tracks, settings.channel, settings.quality, refit, folder.scores, keep)
        cpu = time.process_time() - cpu + reader.cpu_seconds
        if executor is None:
            executor = ScanHere(scorer) if source is None or processes == 1 else ScanProcesses(source, processes)
        score_blocks(job, executor, progress)
        left_out = (*inputs.left_out, *inventory.left_out, *plan.left_out)
        record = search_record(
            job,
            scorer,
            ScannedStrain(digests, left_out, inventory.notes),
            triggers,
            inputs.event,
            command=command_words(run, strain, event[:2], settings, triggers),
            cpu_before=cpu,
            begun=begun,
            progress=progress,
        )
        folder.finish(record, identity)
        return record.model_copy(update={"folder": str(folder.path)})


def score_blocks(job: ScanJob, executor: ScanExecutor, progress: Progress) -> None:
    """Score the blocks of a scan that have not been scored."""
    missing = missing_blocks(job)
    seconds = sum(job.plan.block_seconds(block) for block in missing)
    if kept := len(job.plan.blocks) - len(missing):
        progress.say(f"{kept} of {len(job.plan.blocks)} blocks were scored before.")
    if missing:
        with progress.task("Scan", seconds, "s of strain") as task:
            executor.run(job, missing, task.advance, progress.say)


__all__ = ["SEARCHES", "scan", "score_blocks"]
