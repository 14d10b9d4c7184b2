"""`gwbench data make|import`: a dataset on this disk, made or copied before a run asks for it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gwbench.cli.options import cache_option, json_option, parse_settings, plugin_option
from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb
from gwbench.errors import UserError
from gwbench.registry import REGISTRY
from gwbench.utils.list_text import list_to_text
from gwbench.utils.paths import user_path
from gwbench.utils.progress import TerminalProgress

F = TypeVar("F", bound=Callable[..., Any])

SECTION = "dataset."
PLACE = "path"
"""The parameter that says where the files of a dataset lie."""

SHOWN = 10
"""How many reasons for windows left out are printed."""


def _options(command: F) -> F:
    """The options that say which data: those of `gwbench run` with the same names."""
    for option in (
        json_option,
        plugin_option,
        cache_option,
        click.option("--workers", type=click.IntRange(min=1), help="Processes to use.  [default: one per core]"),
        click.option("--data-seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the data."),
        click.option(
            "--set",
            "pairs",
            multiple=True,
            metavar="dataset.NAME=VALUE",
            help="Set a parameter of the dataset. Repeatable.",
        ),
    ):
        command = option(command)
    return command


@verb(spellings={"--out": "--cache-dir"})
@click.argument("dataset")
@_options
def make(dataset: str, pairs: tuple[str, ...], **options: Any) -> None:
    """Make a dataset now, so that later runs find it.

    After an interruption the same command continues where it stopped.

    \b
    gwbench data make NAME --set dataset.train=20000
    """  # noqa: D301 - click reads the control character
    _make(dataset, _settings(pairs), materialise=False, **options)


@verb(
    "import",
    short_help="Copy strain files into a dataset that all runs share.",
    spellings={"--out": "--cache-dir"},
)
@click.argument("dataset")
@click.argument("path")
@_options
def import_(dataset: str, path: str, pairs: tuple[str, ...], **options: Any) -> None:
    """Copy the strain at PATH into a dataset that all runs with the same settings share.

    Damaged files are left out, counted and named. After an interruption the same command continues where it stopped.

    \b
    gwbench data import NAME PATH --set dataset.limit=100000
    """  # noqa: D301 - click reads the control character
    settings = _settings(pairs)
    if PLACE in settings:
        raise UserError(f"PATH and --set {SECTION}{PLACE} both say where the files lie. Give one of them.")
    _make(dataset, {PLACE: _place(dataset, path), **settings}, materialise=True, **options)


def _place(dataset: str, path: str) -> str:
    """PATH as `--set` takes it: a path that exists is one, whatever commas and quotes are in it."""
    from gwbench.registry.parameters import parameters

    several = any(each.name == PLACE and each.several for each in parameters(REGISTRY.get("dataset", dataset)))
    return list_to_text([path]) if several and user_path(path).exists() else path


def _settings(pairs: tuple[str, ...]) -> dict[str, str]:
    """The dataset's parameters among KEY=VALUE texts.

    Raises:
        UserError: a key is of another section, or a text malformed.
    """
    given = parse_settings(pairs)
    for key in given:
        if not key.startswith(SECTION) or key == SECTION:
            raise UserError(
                f"--set {key} is no setting of a dataset: expected {SECTION}NAME=VALUE. "
                "Settings of methods belong to `gwbench run`."
            )
    return {key.removeprefix(SECTION): value for key, value in given.items()}


def _make(
    name: str,
    settings: dict[str, str],
    *,
    materialise: bool,
    data_seed: int,
    workers: int | None,
    cache_dir: Path | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    from gwbench.data.store.cache import CacheContext
    from gwbench.data.store.reader import read_header
    from gwbench.experiment.choice import Choice
    from gwbench.experiment.data_cache import recipes_of
    from gwbench.registry.parameters import parameters

    plugin = REGISTRY.get("dataset", name)
    if materialise and PLACE not in {parameter.name for parameter in parameters(plugin)}:
        raise UserError(
            f"The dataset {name!r} is not read from files: it has no parameter {PLACE!r}. "
            f"`gwbench data make {name}` makes it."
        )
    choice = Choice.of("dataset", name, settings)
    source = choice.build("dataset")
    progress = TerminalProgress()
    with progress.task("Identify data", 1) as task:
        fingerprint = dict(source.fingerprint())
        task.advance()
    context = CacheContext.of(
        recipes_of(plugin, choice.parameters, data_seed, fingerprint),
        root=cache_dir,
        workers=workers,
        progress=progress,
        materialise=materialise,
    )
    path = context.cache.path(context.recipe)
    before = _identity(path)
    splits = source.load(context)
    after = _identity(path)
    words = [word for loaded in REGISTRY.sources_of([plugin]) for word in ("--plugin", loaded)]
    words += ["--data-seed", str(data_seed)] if data_seed else []
    folder = ["--cache-dir", str(cache_dir)] if cache_dir else []
    words += folder
    words += [word for key, value in settings.items() if key != PLACE for word in ("--set", f"{SECTION}{key}={value}")]
    where = ["--set", f"{SECTION}{PLACE}={settings[PLACE]}"] if PLACE in settings else []
    summary: dict[str, Any] = {
        "name": path.stem if after else None,
        "path": str(path) if after else None,
        "made": before != after,
        "sizes": splits.sizes,
        "content_hash": splits.content_hash,
        "notes": list(splits.notes),
        "left_out": read_header(path).left_out if after else {},
        "next": shlex.join(["gwbench", "run", "--dataset", name, *where, *words]),
    }
    if after:
        summary["look"] = shlex.join(["gwbench", "data", "plot", path.stem, *folder])
    if not after and where:
        summary["store"] = shlex.join(["gwbench", "data", "import", name, settings[PLACE], *words])
    echo(json.dumps(summary, indent=2) if as_json else _in_words(name, summary))


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells one file at `path` from another put there later; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _in_words(dataset: str, summary: dict[str, Any]) -> str:
    """What is there now, as lines."""
    title = f"{summary['name']} is {'made' if summary['made'] else 'there already'}."
    lines = [title if summary["name"] else f"{dataset} is read where it lies: nothing to make."]
    lines.append("windows: " + ", ".join(f"{split} {count:,}" for split, count in summary["sizes"].items()))
    lines.append(f"hash: {summary['content_hash']}")
    lines += [f"note: {note}" for note in summary["notes"]]
    reasons = [reason for split in summary["left_out"].values() for reason in split["reasons"].values()]
    lines += [f"left out: {reason}" for reason in reasons[:SHOWN]]
    if len(reasons) > SHOWN:
        lines.append(f"left out: and others, which `gwbench data info {summary['name']} --json` shows")
    lines += [f"file: {summary['path']}"] if summary["path"] else []
    lines += [f"{step}: {summary[step]}" for step in ("store", "look") if step in summary]
    return "\n".join([*lines, f"next: {summary['next']}"])
