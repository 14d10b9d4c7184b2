"""`gwbench search evaluate`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gwbench.cli.options import UserPath, json_option
from gwbench.cli.terminal import console, echo
from gwbench.cli.verb import verb
from gwbench.errors import UserError

if TYPE_CHECKING:
    from gwbench.search.record import SearchRecord


@verb(short_help="Sensitive distance of a search, from its event files, as MLGWSC-1 defines it.")
@click.option(
    "--foreground-events", type=UserPath(), multiple=True, required=True, metavar="FILE",
    help="What the search found in strain with injections: HDF5 with time, stat and var, CSV with these columns, or a "
    "search record of `gwbench scan`. Repeatable.",
)  # fmt: skip
@click.option(
    "--background-events", type=UserPath(), multiple=True, metavar="FILE",
    help="What it found in noise alone, likewise.  [default: time slides of the foreground's search record]",
)  # fmt: skip
@click.option(
    "--injections", type=UserPath(), required=True, metavar="FILE",
    help="HDF5 or CSV with tc, distance, mass1, mass2 and what else is known, such as chirp_distance.",
)  # fmt: skip
@click.option(
    "--foreground", "foreground_strain", multiple=True, metavar="STRAIN",
    help="Strain with the injections: a file, a folder or a glob in quotes. Repeatable. Only its times are read.  "
    "[default: what the search record says]",
)  # fmt: skip
@click.option(
    "--background", "background_strain", multiple=True, metavar="STRAIN",
    help="Strain of noise alone, likewise.  [default: what the search record says, or else as long as the foreground]",
)  # fmt: skip
@click.option(
    "--far", "rates", type=float, multiple=True, metavar="RATE",
    help="Also at this false-alarm rate, in events a month of 30 days. Repeatable.",
)  # fmt: skip
@click.option("--title", help="The method in words.  [default: the record's, or the file's name]")
@click.option("--out", type=UserPath(), help="Write the search record here: a .json file, or search.json in a folder.")
@json_option
def evaluate(
    foreground_events: tuple[Path, ...],
    background_events: tuple[Path, ...],
    injections: Path,
    foreground_strain: tuple[str, ...],
    background_strain: tuple[str, ...],
    rates: tuple[float, ...],
    title: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Evaluate a search of strain with injections, and compare it with any other on the same injections.

    This gives what the evaluation script of the machine-learning mock data challenge (MLGWSC-1, arXiv:2209.11146)
    gives: the volume and distance in which the search finds signals, at rates of false alarms that are counted in
    noise alone. The events may be of any program.

    Exit codes: 0 the search was evaluated; 2 a file cannot be read or says too little.
    """
    from gwbench.data.strain_files.finding import find_strain_files
    from gwbench.search.evaluate import evaluate_search
    from gwbench.search.event_files import read_events
    from gwbench.search.injection_files import read_injections
    from gwbench.search.reach import RATES
    from gwbench.search.record import SEARCH, write_search_record
    from gwbench.utils.progress import default

    for rate in rates:
        if not 0 < rate < 1e12:
            raise UserError(f"--far {rate:g}: expected events a month above 0, such as 180.")
    record = evaluate_search(
        [read_events(path) for path in foreground_events],
        (injections, read_injections(injections)),
        background=[read_events(path) for path in background_events],
        foreground_strain=find_strain_files(foreground_strain, option="--foreground"),
        background_strain=find_strain_files(background_strain, option="--background"),
        rates=(*RATES, *rates),
        title=title,
        command=_command(click.get_current_context()),
        progress=default(),
    )
    if out is not None:
        write_search_record(out if out.suffix == ".json" else out / SEARCH, record)
    if as_json:
        echo(record.model_dump_json(indent=2))
    else:
        _show(record)


def _command(context: click.Context) -> str:
    """The command as it was given, less where results go."""
    words = ["gwbench", "search", "evaluate"]
    for option in context.command.params:
        value = context.params.get(option.name or "")
        if option.name in ("out", "as_json") or value in (None, ()):
            continue
        for each in value if isinstance(value, tuple) else (value,):
            words += [option.opts[0], str(each)]
    return shlex.join(words)


def _show(record: SearchRecord) -> None:
    from rich.table import Table
    from rich.text import Text

    from gwbench.reporting.escape import plain

    out = console()
    used, background = record.injections, record.background
    assert used is not None and background is not None
    out.print(Text(plain(record.title), "bold"))
    weighted = " (weighted by chirp mass)" if used.weighting == "chirp-distance" else ""
    out.print(f"{record.livetime / 3600:.4g} h of strain with {used.count:,} injections that count{weighted}")
    out.print(f"{background.livetime / 3600:.4g} h of background")
    if record.triggers and background.loudest:
        loudest = record.triggers[0].score, background.loudest[0]
        out.print("loudest event {:.4g}, loudest of the background {:.4g}".format(*loudest))
    table = Table(box=None, pad_edge=False)
    for name in ("false alarms a month", "threshold", "found", "distance [Mpc]", "volume [Gpc^3]"):
        table.add_column(name, justify="right")
    for point in record.reach or ():
        table.add_row(
            f"{point.far:g}",
            "any" if point.threshold is None else f"{point.threshold:.4g}",
            f"{point.found:,}",
            f"{point.distance:.0f} ± {point.distance_error:.0f}",
            f"{point.volume / 1e9:.4g} ± {point.volume_error / 1e9:.2g}",
        )
    out.print(table)
    for note in record.strain.notes:
        out.print(Text(plain(note), "dim"), soft_wrap=True)
