"""What a scan is given: the run, the strain files, an event, and how windows slide."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gwbench.data.folder_walk import LeftOut
from gwbench.data.strain_files.finding import find_strain_files
from gwbench.errors import UserError
from gwbench.preprocessing.conditioning import Whitening
from gwbench.search.event_strain import fetch_event, find_event
from gwbench.search.scan_executors import RunSource
from gwbench.search.scan_plan import WindowShape
from gwbench.search.score_series import STRIDE
from gwbench.search.stretch_scorer import shared_step
from gwbench.utils.files import file_digest

if TYPE_CHECKING:
    from gwbench.data.strain_files.known_events import KnownEvent
    from gwbench.experiment.scorer import RunScorer
    from gwbench.search.trigger_settings import TriggerSettings
    from gwbench.utils.progress import Progress

ARRIVAL = (0.7, 0.95)
"""Where in a window simulated signals end where a dataset's `arrival` is not given, as a part of its length."""

Places = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class ScanSettings:
    """How strain is scored.

    Attributes:
        stride: s between windows, as asked.
        conditioning: "refitted", with the PSD measured anew along the strain, or the "run"'s own.
        channel, quality: as of `read_strain_series`.
    """

    stride: float = STRIDE
    conditioning: Literal["refitted", "run"] = "refitted"
    channel: tuple[str, ...] = ()
    quality: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScanInputs:
    """The strain files of a scan.

    Attributes:
        files: in order of name.
        left_out: sentences on what lies there and is no strain.
        event: the known event to look for; None for none.
    """

    files: list[Path]
    left_out: tuple[str, ...]
    event: KnownEvent | None


def load_run(run: str | Path | RunScorer, plugins: Sequence[str], device: str) -> tuple[RunSource | None, RunScorer]:
    """What scores windows, and where other processes find it: None for one that is here alone.

    Raises:
        UserError: as of `load_scorer`, or there is no such device.
    """
    if not isinstance(run, (str, os.PathLike)):
        return None, run
    from gwbench.experiment.environment import resolve_device

    source = RunSource(Path(run).absolute(), tuple(plugins), resolve_device(device))
    return source, source.load()


def files_of(
    strain: Places, event: str | None, duration: float | None, host: str, detectors: Sequence[str], progress: Progress
) -> ScanInputs:
    """The strain files, those of an event fetched where none are given.

    Raises:
        UserError: there is neither, a path leads to no file, or the event is unknown or cannot be fetched.
    """
    places = [strain] if isinstance(strain, (str, os.PathLike)) else list(strain)
    left_out = LeftOut()
    if places:
        if duration is not None:
            raise UserError("--duration says how much strain of an --event is fetched: leave it out with files.")
        files = find_strain_files(map(str, places), left_out, option="STRAIN")
    elif event is None:
        raise UserError("There is no strain to scan: name files, folders or globs, or an event with --event GW150914.")
    else:
        files = fetch_event(event, detectors, duration, host, progress)
    known = find_event(event, files, host, progress) if event else None
    return ScanInputs(files, tuple(left_out.sentences()), known)


def digests_of(files: Sequence[Path], progress: Progress) -> dict[str, str]:
    """SHA-256 of files by their names, numbered where files of different folders have one name."""
    digests: dict[str, str] = {}
    with progress.task("Identify strain", len(files), "files") as task:
        for path in files:
            copies = sum(other.split("#")[0] == path.name for other in digests)
            digests[f"{path.name}#{copies + 1}" if copies else path.name] = file_digest(path)
            task.advance(note=path.name)
    return digests


def window_shape(run: RunScorer, stride: float, progress: Progress) -> WindowShape:
    """How the windows of a run slide along strain; says so where the stride is no whole number of samples.

    Raises:
        UserError: the stride is no time from a sample to a window.
    """
    rate, conditioner = run.sample_rate, run.conditioner
    if not 1 / rate <= stride <= run.window / rate:
        raise UserError(
            f"--stride {stride:g}: expected seconds from one sample, {1 / rate:.3g}, to one window, "
            f"{run.window / rate:g}."
        )
    step = shared_step(run, stride) if conditioner.window_step == 1 else max(1, round(stride * rate))
    if abs(step / rate - stride) > 1e-9:
        progress.say(f"Windows slide by {step} samples, {step / rate:.6g} s.")
    edge = conditioner.reach if isinstance(conditioner, Whitening) else conditioner.margin
    return WindowShape(rate, run.window, conditioner.margin, edge, step)


def reference_time(run: RunScorer) -> float:
    """Seconds from a window's first sample to where the signals of the run's training end on average; or its centre."""
    seconds = run.window / run.sample_rate
    parameters = run.record.spec.dataset.parameters
    if "arrival" not in parameters:
        return seconds / 2
    low, high = parameters["arrival"] or (ARRIVAL[0] * seconds, ARRIVAL[1] * seconds)
    return float(low + high) / 2


def command_words(
    run: str | Path | RunScorer,
    strain: Places,
    event: tuple[str | None, float | None],
    settings: ScanSettings,
    triggers: TriggerSettings,
) -> str:
    """The words of `gwbench scan` that give a scan again."""
    folder = run if isinstance(run, (str, os.PathLike)) else run.record.folder or run.record.run_id
    places = [strain] if isinstance(strain, (str, os.PathLike)) else list(strain)
    words = ["gwbench", "scan", str(folder), *map(str, places)]
    words += ["--event", event[0]] if event[0] else []
    words += ["--duration", f"{event[1]:g}"] if event[1] else []
    words += [] if settings.stride == STRIDE else ["--stride", f"{settings.stride:g}"]
    words += [] if settings.conditioning == "refitted" else ["--conditioning", settings.conditioning]
    for option, values in (("--channel", settings.channel), ("--quality", settings.quality)):
        words += [word for value in values for word in (option, value)]
    return shlex.join([*words, *triggers.words()])


__all__ = ["STRIDE", "ScanInputs", "ScanSettings", "command_words", "digests_of", "files_of", "load_run",
           "reference_time", "window_shape"]  # fmt: skip
