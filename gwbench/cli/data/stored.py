"""`gwbench data list|info|verify|clear`: the datasets on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gwbench.cli.options import cache_option, json_option
from gwbench.cli.terminal import console, echo
from gwbench.cli.verb import verb
from gwbench.errors import UserError
from gwbench.utils.printable import printable
from gwbench.utils.progress import default

if TYPE_CHECKING:
    from gwbench.data.store.cache import CacheDir, CacheEntry
    from gwbench.utils.progress import Progress

SHOWN = 3
"""How many reasons for windows left out are shown per split; --json has more."""


@verb("list")
@cache_option
@json_option
def list_(cache_dir: Path | None, as_json: bool) -> None:
    """Show all datasets and their sizes on disk."""
    cache = _cache(cache_dir)
    entries = cache.list_entries()
    if as_json:
        echo(json.dumps([_as_dict(entry) for entry in entries], indent=2))
        return
    if not entries:
        echo(f"No datasets in {cache.root}.")
        return

    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("name", "size", "train / val / test", "detectors", "rate", "created", "hash"):
        table.add_column(title, no_wrap=True, justify="right" if title in ("size", "rate") else "left")
    for entry in entries:
        header = entry.header
        if header is None:
            table.add_row(
                Text(printable(entry.name)), _size(entry.size), entry.problem if entry.unfinished else "damaged"
            )
            continue
        table.add_row(
            Text(printable(entry.name)),
            _size(entry.size),
            _sizes(header.sizes),
            Text(printable(",".join(header.detectors))),
            f"{header.sample_rate:g} Hz",
            Text(printable(header.created[:16].replace("T", " "))),
            Text(printable(header.content_hash[:12])),
        )
    console().print(table)
    echo(f"{_size(sum(entry.size for entry in entries))} in {cache.root}")


@verb()
@click.argument("name")
@cache_option
@json_option
def info(name: str, cache_dir: Path | None, as_json: bool) -> None:
    """Show everything that is known about a dataset.

    NAME may be the beginning of a name, if no other name begins the same way.
    """
    entry = _cache(cache_dir).entry_info(name)
    if as_json:
        echo(json.dumps(_as_dict(entry), indent=2))
        return

    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    rows = {"name": entry.name, "file": str(entry.path), "size": _size(entry.size)}
    header = entry.header
    if header is None:
        rows["state" if entry.unfinished else "problem"] = entry.problem
    else:
        rate = header.sample_rate
        rows |= {
            "train / val / test": _sizes(header.sizes),
            **({"left out": _left_out(header.left_out)} if header.left_out else {}),
            "detectors": ", ".join(header.detectors),
            "rate": f"{rate:g} Hz",
            "window": f"{header.window / rate:g} s, and {header.margin / rate:g} s of margin on either side",
            "created": f"{header.created} by gwbench {header.gwbench_version}, layout {header.layout}",
            "hash": header.content_hash,
            "notes": "\n".join(header.notes) or "none",
            "recipe": json.dumps(header.recipe, indent=2, ensure_ascii=False),
        }
    for title, value in rows.items():
        table.add_row(title, Text(value, overflow="fold"))
    console().print(table)


@verb()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Verify all datasets.")
@cache_option
@json_option
@click.pass_context
def verify(context: click.Context, names: tuple[str, ...], every: bool, cache_dir: Path | None, as_json: bool) -> None:
    """Check datasets against their content hashes.

    Every file is read completely. The exit code is 1 if one differs or cannot be read.
    """
    cache = _cache(cache_dir)
    progress = default()
    chosen = [entry for entry in _choose(cache, names, every) if names or not entry.unfinished]
    results = [_verified(cache, entry, progress) for entry in chosen]
    bad = [result for result in results if not result["ok"]]
    if as_json:
        echo(json.dumps(results, indent=2))
    else:
        for result in results:
            echo(f"{result['name']}: {result['problem'] or 'good'}")
        if not results:
            echo(f"No finished datasets in {cache.root}: nothing to verify.")
        if bad:
            echo(f"{len(bad)} of {len(results)} are damaged. Remove one with `gwbench data clear NAME`.")
    context.exit(1 if bad else 0)


@verb()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Remove all datasets.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@cache_option
def clear(names: tuple[str, ...], every: bool, yes: bool, cache_dir: Path | None) -> None:
    """Remove datasets. A run that needs one makes it again."""
    cache = _cache(cache_dir)
    entries = _choose(cache, names, every)
    total = _size(sum(entry.size for entry in entries))
    if entries and not yes:
        try:
            listed = "".join(f"\n  {printable(entry.name)}" for entry in entries)
            agreed = click.confirm(f"Remove {_count(entries)} ({total}) from {cache.root}?{listed}\n")
        except click.Abort as error:
            raise UserError("Nothing was removed: no answer. Add --yes to remove without a question.") from error
        if not agreed:
            echo("Nothing was removed.")
            return
    removed = cache.clear(None if every else [entry.name for entry in entries])
    echo(f"Removed {_count(removed)}, {total}.")


def _cache(cache_dir: Path | None) -> CacheDir:
    from gwbench.data.store.cache import CacheDir

    return CacheDir(cache_dir)


def _choose(cache: CacheDir, names: tuple[str, ...], every: bool) -> list[CacheEntry]:
    if bool(names) == every:
        raise UserError("Give the names of datasets or --all, and not both. See `gwbench data list`.")
    if every:
        return cache.list_entries()
    return list({entry.name: entry for entry in map(cache.entry_info, names)}.values())


def _verified(cache: CacheDir, entry: CacheEntry, progress: Progress) -> dict[str, Any]:
    from gwbench.data.store.reader import DamagedStoreError

    stored = computed = None
    try:
        verification = cache.verify(entry.name, progress)
    except DamagedStoreError as error:
        problem = str(error)
    else:
        stored, computed = verification.stored, verification.computed
        problem = "" if verification.ok else f"BAD: content hash {computed[:12]}, written with {stored[:12]}"
    return {"name": entry.name, "ok": not problem, "stored": stored, "computed": computed, "problem": problem}


def _as_dict(entry: CacheEntry) -> dict[str, Any]:

    return {**asdict(entry), "path": str(entry.path)}


def _count(entries: list[CacheEntry]) -> str:
    return f"{len(entries)} dataset{'' if len(entries) == 1 else 's'}"


def _left_out(left_out: dict[str, Any]) -> str:
    """How many windows were left out, and the reasons for the first of them."""
    lines = []
    for split, passed_over in left_out.items():
        lines.append(f"{passed_over['count']:,} of {split}, such as")
        lines += [f"  {position}: {reason}" for position, reason in list(passed_over["reasons"].items())[:SHOWN]]
    return "\n".join(lines)


def _size(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _sizes(sizes: dict[str, int]) -> str:
    return " / ".join(f"{count:,}" for count in sizes.values())
