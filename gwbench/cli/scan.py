"""`gwbench scan`."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gwbench.cli.options import UserPath, plugin_option
from gwbench.cli.terminal import console, echo
from gwbench.cli.verb import verb
from gwbench.data.gwosc.api import HOST
from gwbench.errors import UserError
from gwbench.utils.printable import printable_json
from gwbench.utils.progress import Progress, TerminalProgress

if TYPE_CHECKING:
    from gwbench.search.record import RankedTrigger, SearchRecord
    from gwbench.search.scan_executors import ScanExecutor

HOST_VARIABLE = "GWBENCH_GWOSC_HOST"

SHOWN = 10
"""Triggers in the table."""


@verb(spellings={"dataset.channel": "--channel", "dataset.quality": "--quality"})
@click.argument("run", type=UserPath())
@click.argument("strain", nargs=-1)
@click.option("--event", metavar="NAME",
              help="Say where this known event ranks, such as GW150914. Without STRAIN its strain is fetched from "
                   "GWOSC.")  # fmt: skip
@click.option("--duration", type=float, metavar="SECONDS",
              help="Strain around an --event that is fetched.  [default: one file per detector, usually "
                   "4096 s]")  # fmt: skip
@click.option("--channel", multiple=True, metavar="NAME",
              help="Frame channel, or HDF5 dataset, group or detector, to read. Repeatable.  [default: GWOSC's, or "
                   "what is strain by its name]")  # fmt: skip
@click.option("--quality", multiple=True, metavar="CHANNEL:BIT",
              help="For frames: a bit that is set in good seconds; none applies no mask. Repeatable.  [default: those "
                   "of the masks that gwbench knows]")  # fmt: skip
@click.option("--stride", type=float, default=0.1, show_default=True, metavar="SECONDS",
              help="Time between windows; rounded to samples that windows can share.")  # fmt: skip
@click.option("--conditioning", type=click.Choice(["refitted", "run"]), default="refitted", show_default=True,
              help="Whiten by the noise measured along the strain, or that of the run's training split.")  # fmt: skip
@click.option("--threshold", type=float, metavar="SCORE",
              help="Triggers have scores above it.  [default: what leaves about two triggers a minute]")  # fmt: skip
@click.option("--cluster-window", type=float, default=1.0, show_default=True, metavar="SECONDS",
              help="A trigger has no louder score within this time.")  # fmt: skip
@click.option("--var", type=float, default=0.5, show_default=True, metavar="SECONDS",
              help="An injection within this time of a trigger counts as found.")  # fmt: skip
@click.option("--slides", type=click.IntRange(min=0),
              help="Time slides of the background.  [default: 100 or more where the score is a sum over detectors, "
                   "else what two hours of strain allow]")  # fmt: skip
@click.option("--zero-lag", type=click.Choice(["removed", "kept"]), default="removed", show_default=True,
              help="Whether time around loud triggers is removed from the slides.")  # fmt: skip
@click.option("--out", "output", type=UserPath(), metavar="FILE",
              help="Write the events: .hdf5 as MLGWSC-1, .csv, or .json for the whole search record.")  # fmt: skip
@click.option("--searches", default="searches", show_default=True, type=UserPath(), metavar="FOLDER",
              help="Folder for the folders of scans.")  # fmt: skip
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True,
              help="Processes of this machine that share the strain.")  # fmt: skip
@click.option("--ray", is_flag=True, help="Share the strain among the nodes of a Ray cluster.")
@click.option("--ray-address", metavar="ADDRESS",
              help="The Ray cluster: auto, or HOST:PORT of its head.  [default: $RAY_ADDRESS, or else a Ray started on "
                   "this machine for this command]")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--rerun", is_flag=True, help="Scan again even if it is done.")
@click.option("--host", default=HOST, show_default=True, envvar=HOST_VARIABLE, show_envvar=True, metavar="URL",
              help="Server to fetch an --event from.")  # fmt: skip
@plugin_option
@click.option("--json", "as_json", is_flag=True, help="Print only the search record, as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def scan(
    run: Path,
    strain: tuple[str, ...],
    output: Path | None,
    ray: bool,
    ray_address: str | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Search continuous strain with the finished run in folder RUN: triggers with their false-alarm rates.

    STRAIN is files, folders or globs of strain of the run's detectors, in any format and of any length
    (docs/how-to/search.md). Windows slide along the time in which all detectors have good strain; the noise is
    measured anew about every minute. Time slides say how often noise alone makes a trigger as loud.

    After an interruption, the same command continues where it stopped. A finished scan is shown again.

    \b
    gwbench scan runs/NAME strain/*.hdf5 --out events.hdf5
    gwbench scan runs/NAME --event GW150914 --duration 32
    gwbench scan runs/NAME foreground.hdf --stride 0.1 --processes 4 --json
    """  # noqa: D301 - click reads the control character
    from gwbench.search.scan import scan as scan_strain

    if ray_address and not ray:
        raise UserError("--ray-address goes with --ray.")
    progress = Progress() if quiet else TerminalProgress()
    with _cluster(run, ray_address, **options) if ray else nullcontext() as executor:
        options |= {"device": "cpu"} if ray else {}  # the nodes score
        record = scan_strain(run, strain, out=output, executor=executor, progress=progress, **options)
    if as_json:
        echo(printable_json(record.model_dump_json(indent=2)))
    else:
        _show(record, output)


def _cluster(
    run: Path, address: str | None, *, plugins: tuple[str, ...], device: str, processes: int, **_options: Any
) -> AbstractContextManager[ScanExecutor]:
    from gwbench.suite.ray_scan import ray_scan

    address = address or os.environ.get("RAY_ADDRESS") or None
    most = processes if processes > 1 else None
    cluster: AbstractContextManager[ScanExecutor] = ray_scan(
        run, plugins=plugins, device=device, address=address, most=most
    )
    return cluster


def _show(record: SearchRecord, output: Path | None) -> None:
    """A short table of the loudest triggers, and what they are judged by."""
    from rich.table import Table
    from rich.text import Text

    out, background = console(), record.background
    out.print(Text(record.title, "bold"))
    variance = ", ".join(f"{name} {value:.3g}" for name, value in record.whitened_variance.items())
    out.print(f"{record.livetime:,.0f} s searched, {len(record.triggers):,} triggers; whitened variance {variance}")
    for line in (*record.strain.left_out, *record.strain.notes):
        out.print(Text(line, "dim"), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for name in ("rank", "GPS time", "score", "probability", "false alarms a month", *record.strain.detectors):
        table.add_column(name, justify="right")
    for each in record.triggers[:SHOWN]:
        table.add_row(*_cells(each, record.strain.detectors))
    out.print(table)
    if background is not None:
        loudest = f"; the loudest event of them {background.loudest[0]:.2f}" if background.loudest else ""
        out.print(f"background: {background.slides} time slides, {background.livetime:,.0f} s{loudest}")
    if record.event is not None:
        out.print(Text(_event(record), "bold"), soft_wrap=True)
    out.print(Text(f"record: {record.folder}", "dim"), soft_wrap=True)
    if output is not None:
        out.print(Text(f"events: {output}", "dim"), soft_wrap=True)


def _cells(trigger: RankedTrigger, detectors: tuple[str, ...]) -> list[str]:
    """A row of the table."""
    far = "" if trigger.far is None else f"{trigger.far:.3g}"
    if not trigger.far and trigger.far_high is not None:
        far = f"< {trigger.far_high:.3g}"
    parts = [f"{trigger.detectors[name].score:.2f}" if name in trigger.detectors else "" for name in detectors]
    chance = "" if trigger.probability is None else f"{trigger.probability:.4f}"
    return [str(trigger.rank), f"{trigger.time:.3f}", f"{trigger.score:.2f}", chance, far, *parts]


def _event(record: SearchRecord) -> str:
    """Where the event that was looked for ranks."""
    event = record.event
    assert event is not None
    said = f"{event.name} at GPS {event.time:.2f}"
    if not any(start <= event.time < stop for start, stop in record.strain.segments):
        return f"{said} is not in the strain that was searched."
    if event.rank is None:
        return f"{said}: no trigger is near it."
    said += f": rank {event.rank} of {len(record.triggers):,} triggers"
    if event.louder_in_background is None:
        return f"{said}."
    slides = f"{record.background.slides} time slides" if record.background else "time slides"
    if not event.louder_in_background:
        return f"{said}, louder than all events of {slides}."
    return f"{said}; {event.louder_in_background:,} events of {slides} are as loud."
