"""Whether a path is a search, told from a run."""

from __future__ import annotations

from pathlib import Path

from gwbench.experiment.record import RECORD
from gwbench.search.record import LARGEST, SEARCH
from gwbench.utils.untrusted_files import UnusableError
from gwbench.utils.untrusted_text import read_json


def is_search(path: Path) -> bool:
    """Whether a path is a search record, or a folder that holds one and no run; a file that is damaged is none."""
    if path.is_dir():
        return (path / SEARCH).is_file() and not (path / RECORD).is_file()
    if path.name == SEARCH:
        return True
    try:
        document = read_json(path, largest=LARGEST)
    except UnusableError:
        return False
    return isinstance(document, dict) and document.get("kind") == "search"
