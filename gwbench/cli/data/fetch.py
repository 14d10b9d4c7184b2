"""`gwbench data fetch`: open strain from GWOSC."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gwbench.cli.options import UserPath, json_option
from gwbench.cli.terminal import echo
from gwbench.cli.verb import Verb
from gwbench.data.gwosc.api import HOST
from gwbench.registry import REGISTRY
from gwbench.utils.list_text import list_to_text
from gwbench.utils.progress import default

if TYPE_CHECKING:
    from gwbench.data.gwosc.fetch import Fetched

HOST_VARIABLE = "GWBENCH_GWOSC_HOST"
STRAIN_TAGS = {"real", "files"}
"""The tags of a dataset that reads strain files."""


class SeveralDetectors(Verb):
    """Lets `--detectors` take several words; options of click take a fixed number."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments, with the words of `--detectors` joined."""
        joined: list[str] = []
        within = False  # whether the last word is a detector of the option
        for word in args:
            detector = re.fullmatch(r"[A-Za-z]\d(,[A-Za-z]\d)*,?", word) is not None
            if within and detector and joined[-1] != "--detectors":
                joined[-1] += f",{word}"
                continue
            within = word == "--detectors" or word.startswith("--detectors=") or (within and detector)
            joined.append(word)
        return super().parse_args(ctx, joined)


@click.command(cls=SeveralDetectors)
@click.argument("target", metavar="EVENT_OR_GPS")
@click.option(
    "--detectors", default="H1,L1,V1", show_default=True, metavar="NAME...", help="Detectors, as H1 L1 V1 or H1,L1,V1."
)
@click.option("--duration", type=float, metavar="SECONDS",
              help="Seconds of strain around the time.  [default: one file per detector, usually 4096 s]")  # fmt: skip
@click.option(
    "--sample-rate", type=int, default=4096, show_default=True, metavar="HZ", help="Sample rate: 4096 or 16384."
)
@click.option(
    "--format", "file_format", default="hdf5", show_default=True, metavar="FORMAT", help="File format: hdf5 or gwf."
)
@click.option("--out", type=UserPath(), help="Folder for the files.  [default: in the user's cache]")
@click.option("--host", default=HOST, show_default=True, envvar=HOST_VARIABLE, show_envvar=True,
              metavar="URL", help="Server to download from.")  # fmt: skip
@json_option
def fetch(target: str, detectors: str, as_json: bool, **options: Any) -> None:
    """Download open strain around an event or a GPS time.

    After an interruption the same command continues where it stopped. Files that are already there are checked and
    kept. Known events within the files are listed in events.json beside them.

    \b
    gwbench data fetch GW150914 --detectors H1 L1 V1
    gwbench data fetch GW150914 --duration 32 --out strain
    gwbench data fetch 1264316100 --duration 36000 --detectors L1,V1
    """  # noqa: D301 - click reads the control character
    from gwbench.data.gwosc.fetch import fetch as fetch_strain

    names = [name.strip() for name in detectors.split(",") if name.strip()]
    fetched = fetch_strain(target, names, progress=default(), **options)
    if as_json:
        echo(json.dumps(_as_dict(fetched), indent=2))
        return
    echo(f"{fetched.target}: GPS {fetched.gps:.10g}")
    for file in fetched.files:
        how = "downloaded" if file.downloaded else "here already"
        echo(f"  {file.detector}  {file.path.name}  {file.size / 1e6:.1f} MB  {how}")
    for name in fetched.missing:
        echo(f"  {name}  GWOSC has no strain of {name} at that time.")
    events = ", ".join(event.name for event in fetched.events) or "none"
    echo(f"Events within the files, to leave out of noise (events.json): {events}")
    echo(f"folder: {fetched.folder}")
    echo(f"next: {_next_step(fetched)}")


def _next_step(fetched: Fetched) -> str:
    """The command that uses these files."""
    names = [plugin.name for plugin in REGISTRY.list("dataset") if set(plugin.tags) >= STRAIN_TAGS]
    if not names:
        return "gwbench list dataset"
    place = f"dataset.path={list_to_text([fetched.folder])}"
    return shlex.join(["gwbench", "run", "--dataset", names[0], "--set", place])


def _as_dict(fetched: Fetched) -> dict[str, Any]:

    files = [{**asdict(file), "path": str(file.path)} for file in fetched.files]
    events = [event.model_dump() for event in fetched.events]
    said = {"folder": str(fetched.folder), "files": files, "events": events, "next": _next_step(fetched)}
    return {**asdict(fetched), **said}
