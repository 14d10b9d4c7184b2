"""`gwbench data plot`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gwbench.cli.options import UserPath, cache_option
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb
from gwbench.errors import UserError
from gwbench.utils.files import atomic
from gwbench.utils.paths import user_path

if TYPE_CHECKING:
    from gwbench.data.strain_files.reading import StrainFile
    from gwbench.preprocessing.conditioning import Conditioning
    from gwbench.reporting.strain_plots.window_view import StrainPlot

SPLIT, DURATION = "val", 2.0


@verb(
    spellings={
        "conditioning.low": "--low",
        "conditioning.high": "--high",
        "dataset.path": "NAME_OR_FILE",
        "dataset.channel": "--channel",
        "dataset.quality": "--quality",
    }
)
@click.argument("sources", nargs=-1, required=True, metavar="NAME_OR_FILE...")
@click.option("--split", type=click.Choice(["train", "val", "test"]), help=f"Split of the dataset.  [default: {SPLIT}]")
@click.option("--window", metavar="POSITION|loudest|signal|noise",
              help="Which window: a position in the split, the loudest signal, the signal of median SNR, or the first "
              "without a signal.  [default: loudest]")  # fmt: skip
@click.option("--gps", type=float, help="Central time of the plot of strain files.  [default: their middle]")
@click.option("--duration", type=float, help=f"Seconds of the strain files to show.  [default: {DURATION:g}]")
@click.option("--channel", "channels", multiple=True, metavar="NAME",
              help="Channel of frames, or dataset of HDF5 files, that holds the strain. Repeatable.")  # fmt: skip
@click.option("--quality", multiple=True, metavar="CHANNEL:BIT|none",
              help="Quality bits that must be set, in frames; none for no mask. Repeatable.")  # fmt: skip
@click.option("--low", type=float, default=20.0, show_default=True, help="Lower edge of the band, Hz.")
@click.option("--high", type=float, default=600.0, show_default=True, help="Upper edge of the band, Hz.")
@click.option(
    "--q", type=float, default=8.0, show_default=True, help="Q of the Q-transform; larger for longer signals."
)
@click.option(
    "--out",
    type=UserPath(),
    help="PNG file to write.  [default: named after the data, in the current folder]",
)
@cache_option
def plot(
    sources: tuple[str, ...],
    split: str | None,
    window: str | None,
    gps: float | None,
    duration: float | None,
    channels: tuple[str, ...],
    quality: tuple[str, ...],
    low: float,
    high: float,
    q: float,
    out: Path | None,
    cache_dir: Path | None,
) -> None:
    """Plot a window as PNG: strain, whitened strain, Q-transform and spectrum of every detector.

    NAME_OR_FILE is a dataset, given by its file or by the beginning of its name in `gwbench data list`; or strain
    files, one per detector. A window of a dataset is whitened as in a run, by the PSD of the training split; strain
    files are whitened by the PSD of their own good data.

    \b
    gwbench data plot NAME
    gwbench data plot NAME --split train --window 17
    gwbench data plot H-H1_GWOSC.hdf5 L-L1_GWOSC.hdf5 --gps 1126259462.4
    """  # noqa: D301 - click reads the control character
    from gwbench.data.strain_files.reading import read_strain_series
    from gwbench.preprocessing.conditioning import Conditioning
    from gwbench.reporting.strain_plots.file_view import one_of_each
    from gwbench.reporting.strain_plots.plots import render

    if out is not None and out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: expected a name that ends in .png.")
    if not 0 < low < high:
        raise UserError(f"--low {low:g} and --high {high:g}: expected 0 < low < high, such as 20 and 600 Hz.")
    settings = Conditioning(low=low, high=high)
    dataset = _dataset(sources, cache_dir)
    if dataset is None:
        _refuse("strain files", split=split, window=window)
        series = [read_strain_series(path, channels, quality) for path in map(user_path, sources)]
        files = [chosen for found in series for chosen in one_of_each(found, gps)]
        strain_plot, name = _of_files(files, gps, DURATION if duration is None else duration, settings)
    else:
        _refuse("a dataset", gps=gps, duration=duration, channel=channels or None, quality=quality or None)
        strain_plot, name = _of_dataset(dataset, split or SPLIT, window, settings)
    picture = render(strain_plot, q=q)
    path = out or Path(f"{name}.png")
    with atomic(path) as temporary:
        temporary.write_bytes(picture)
    echo(str(path))


def _dataset(sources: tuple[str, ...], cache_dir: Path | None) -> Path | None:
    """The file of the dataset that is named; None where strain files are."""
    from gwbench.data.store.cache import CacheDir
    from gwbench.data.store.reader import DamagedStoreError
    from gwbench.data.store.recognise import is_store

    paths = [user_path(source) for source in sources]
    stores = [is_store(path) for path in paths]
    if len(sources) > 1 and (any(stores) or not all(path.exists() for path in paths)):
        odd = next(p for p, store in zip(paths, stores, strict=True) if store or not p.exists())
        what = "is a dataset" if odd.exists() else "is no file"
        raise UserError(f"{odd} {what}: expected one dataset, or strain files alone.")
    if stores[0]:
        return paths[0]
    if paths[0].exists():
        return None
    if len(paths[0].parts) != 1 or paths[0].suffix in (".hdf5", ".hdf", ".gwf"):
        raise UserError(f"There is no file {paths[0]}. Check the path, or name a dataset of `gwbench data list`.")
    entry = CacheDir(cache_dir).entry_info(sources[0])
    if entry.header is None:
        raise DamagedStoreError(entry.problem)
    return entry.path


def _of_dataset(path: Path, split: str, window: str | None, settings: Conditioning) -> tuple[StrainPlot, str]:
    from gwbench.data.store.reader import open_store, read_header
    from gwbench.reporting.strain_plots.window_view import choose_window, window_plot

    splits = open_store(path)
    index = choose_window(splits[split], window, split)
    gps = read_header(path).recipe.get("parameters", {}).get("gps")
    known = float(gps) if isinstance(gps, int | float) else None
    strain_plot = window_plot(splits, split, index, settings=settings, name=path.stem, gps=known)
    return strain_plot, f"{path.stem}-{split}-{index}"


def _of_files(
    files: list[StrainFile], gps: float | None, duration: float, settings: Conditioning
) -> tuple[StrainPlot, str]:
    from gwbench.reporting.strain_plots.file_view import file_plot

    strain_plot = file_plot(files, gps=gps, duration=duration, settings=settings)
    detectors = "".join(channel.name for channel in strain_plot.channels)
    return strain_plot, f"{files[0].path.stem if len(files) == 1 else detectors}-{strain_plot.zero.split()[-1]}"


def _refuse(what: str, **options: object) -> None:
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if given:
        raise UserError(f"Leave out {' and '.join(given)}: of no meaning for {what}.")
