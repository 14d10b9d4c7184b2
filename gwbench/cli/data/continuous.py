"""`gwbench data make continuous`: continuous strain with injections, for searches."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gwbench.cli.data.fetch import SeveralDetectors
from gwbench.cli.options import UserPath, json_option
from gwbench.cli.terminal import echo
from gwbench.errors import UserError
from gwbench.utils.progress import TerminalProgress

if TYPE_CHECKING:
    from gwbench.simulation.continuous_set import ContinuousSet


class _Pair(click.ParamType):  # type: ignore[type-arg] # not generic in older clicks
    """Two numbers, as 24,30."""

    name = "low,high"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        """The numbers.

        Raises:
            UserError: the text is not two numbers.
        """
        try:
            low, high = map(float, str(value).split(","))
        except ValueError:
            option = param.opts[0] if param else "an option"
            raise UserError(f"{option} {value}: expected two numbers, as 24,30.") from None
        return low, high


@click.command(cls=SeveralDetectors, short_help="Make continuous strain with injections, for searches.")
@click.option("--hours", type=float, help="Hours of strain.  [default: 4; of files, all there are]")
@click.option("--noise", multiple=True, metavar="NOISE",
              help="gaussian, glitches (Gaussian with simulated glitches), or strain files, folders or globs. "
                   "Repeatable.  [default: gaussian]")  # fmt: skip
@click.option(
    "--detectors", default="H1,L1", show_default=True, metavar="NAME...", help="Detectors, as H1 L1 or H1,L1."
)
@click.option("--sample-rate", type=float, default=2048.0, show_default=True, metavar="HZ", help="Sample rate.")
@click.option("--psd", "psds", multiple=True, metavar="NAME_OR_FILE",
              help="PSD of simulated noise: once for all detectors, or once for each in order.  "
                   "[default: aLIGOZeroDetHighPower in H1 and L1]")  # fmt: skip
@click.option("--segments", type=click.IntRange(min=1),
              help="Segments of equal length.  [default: as few as last an hour at most]")  # fmt: skip
@click.option("--start", type=int, metavar="GPS", help="Start of simulated noise.  [default: 1238166018]")
@click.option("--glitch-rate", type=float, help="Simulated glitches per second and detector.  [default: 0.05]")
@click.option("--population", default="mlgwsc1", show_default=True, metavar="NAME_OR_FILE",
              help="What is injected: a population of gwbench, or a file like populations.toml.")  # fmt: skip
@click.option("--approximant", default="", help="Waveform.  [default: IMRPhenomXAS; IMRPhenomXPHM where spins precess]")
@click.option("--f-low", type=float, default=20.0, show_default=True, metavar="HZ", help="Where signals begin.")
@click.option("--chirp-distance", type=_Pair(), metavar="LOW,HIGH",
              help="Mpc, uniform in volume, instead of the population's distances.")  # fmt: skip
@click.option("--spacing", type=_Pair(), default="24,30", show_default=True, metavar="LOW,HIGH",
              help="Seconds from one injection to the next.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of noise and injections.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads to use.  [default: one per core]")
@click.option("--out", type=UserPath(), help="Folder for the files.  [default: in the user's cache]")
@json_option
def continuous(
    out: Path | None, workers: int | None, as_json: bool, detectors: str, noise: tuple[str, ...], **given: Any
) -> None:
    """Make continuous strain with injections: a foreground, a background and a list of what was injected.

    The files are those of the MLGWSC-1 challenge: foreground.hdf and background.hdf (noise with and without signals,
    H1/<gps> and so on) and injections.hdf. By default they are made as its first set: binary black holes without
    spin in Gaussian noise, one every 24 to 30 seconds. An interrupted command leaves no incomplete file, and a set
    that is there is not made again.

    \b
    gwbench data make continuous --hours 24 --seed 1 --out strain
    gwbench data make continuous --noise 'real/*.hdf5' --population flat-bbh
    """  # noqa: D301 - click reads the control character
    import pydantic

    from gwbench.simulation.continuous_set import make_continuous
    from gwbench.simulation.continuous_settings import ContinuousSettings
    from gwbench.utils.validation_errors import reason

    kinds = noise or ("gaussian",)
    if len(kinds) > 1 and {"gaussian", "glitches"} & set(kinds):
        raise UserError("--noise is gaussian, glitches, or strain files: give one of them.")
    recorded = kinds not in (("gaussian",), ("glitches",))
    needless = [name for name in ("psds", "segments", "start") if recorded and given[name]]
    if needless:
        option = {"psds": "--psd"}.get(needless[0], f"--{needless[0]}")
        raise UserError(f"{option} belongs to simulated noise, and --noise names strain files: leave it out.")
    if given["glitch_rate"] is not None and kinds != ("glitches",):
        raise UserError("--glitch-rate is given, and no glitches: add --noise glitches.")
    names = tuple(name.strip() for name in detectors.split(",") if name.strip())
    chosen = {name: value for name, value in given.items() if value is not None}
    if recorded:
        chosen.setdefault("hours", None)
    try:
        settings = ContinuousSettings(noise=kinds, detectors=names, **chosen)
    except pydantic.ValidationError as error:
        option = str(error.errors()[0]["loc"][0]).replace("_", "-")
        raise UserError(f"--{option}: {reason(error)}.") from None
    made = make_continuous(
        settings,
        None if out is None else out.absolute(),
        workers=workers or os.cpu_count() or 1,
        progress=TerminalProgress(),
    )
    echo(json.dumps(_as_dict(made), indent=2) if as_json else _in_words(made))


def _as_dict(made: ContinuousSet) -> dict[str, Any]:
    manifest = made.manifest
    paths = {name.partition(".")[0]: str(made.folder / name) for name in manifest.files}
    return {
        "folder": str(made.folder),
        "made": made.made,
        **paths,
        "injections_count": manifest.injections,
        "livetime": sum(end - begin for begin, end in manifest.segments),
        "segments": [list(span) for span in manifest.segments],
        "command": manifest.command,
        "notes": list(manifest.notes),
    }


def _in_words(made: ContinuousSet) -> str:
    said = _as_dict(made)
    return "\n".join(
        [
            f"{made.folder} is {'made' if made.made else 'there already'}.",
            f"strain: {said['livetime'] / 3600:g} h in {len(said['segments'])} segment(s) of "
            f"{', '.join(made.manifest.settings.detectors)}; {said['injections_count']:,} injections",
            *(f"note: {note}" for note in said["notes"]),
            *(f"{name}: {said[name]}" for name in ("foreground", "background", "injections")),
        ]
    )
