"""How entries lie in a folder of results, and the source of a plugin in it, which is read and never executed.

RESULTS/NAME/runs/RUN/record.json, predictions.npz     one folder a run, as `gwbench leaderboard` reads them
RESULTS/NAME/sources/FILE-HASH/FILE.py                 plugins that are of no package, with what lies beside them
RESULTS/NAME/entry.json                                what belongs to which run, and where its plugins come from
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gwbench.registry.code_identity import code_hash, joined_hash
from gwbench.utils.sibling_modules import sibling_files
from gwbench.utils.untrusted_files import MIB, UnusableError, open_plain

RUNS, SOURCES, MANIFEST = "runs", "sources", "entry.json"

LARGEST_SOURCE = MIB
"""Bytes of a plugin's file."""


def source_files(run: Path) -> Iterator[Path]:
    """The plugins' files in the table that a run's folder belongs to; links are passed over."""
    folder = run.resolve().parent
    sources = folder.parent / SOURCES
    if folder.name != RUNS or sources.is_symlink() or not sources.is_dir():
        return
    for path in sorted(sources.glob("*/*.py")):
        if path.is_file() and not path.is_symlink() and not path.parent.is_symlink():
            yield path


def hash_of_source(path: Path) -> str:
    """What a plugin's file does, as a record has it; empty where that cannot be told without executing it.

    A plugin that builds on another one, such as a subclass of one of gwbench's, is known only once it is imported.
    """
    try:
        return joined_hash(code_hash(_content(path)), [code_hash(_content(each)) for each in sibling_files(path)])
    except (UnusableError, SyntaxError, ValueError, OSError, RecursionError, MemoryError):
        return ""


def _content(path: Path) -> bytes:
    with open_plain(path, LARGEST_SOURCE) as stream:
        return stream.read(LARGEST_SOURCE + 1)
