"""The folder of a scan: named by what it depends on, held by one process, and what is done in it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gwbench.errors import UserError
from gwbench.search.record import SEARCH, SearchRecord, load_search_record, write_search_record
from gwbench.utils.files import atomic, unwritable
from gwbench.utils.leftovers import sweep_files
from gwbench.utils.locks import HeldError, acquire
from gwbench.utils.printable import printable
from gwbench.utils.progress import Progress
from gwbench.utils.untrusted_files import AbsentError, UnusableError
from gwbench.utils.untrusted_text import read_json

VERSION = 1
"""Of what the scores of a block are: raised when a change of the code moves them."""

SCORES, SETTINGS = "scores", "scan.json"


@dataclass(frozen=True)
class ScanFolder:
    """The folder of a scan.

    Attributes:
        path: it.
        search: digest of what the triggers depend on besides the scores.
    """

    path: Path
    search: str

    @property
    def scores(self) -> Path:
        """The folder of the blocks' files."""
        return self.path / SCORES

    def finished(self, progress: Progress) -> SearchRecord | None:
        """The record, where the scan was finished with these very settings."""
        try:
            said = read_json(self.path / SETTINGS)
            if not isinstance(said, dict) or said.get("search") != self.search:
                return None
            return load_search_record(self.path / SEARCH).model_copy(update={"folder": str(self.path)})
        except AbsentError:
            return None
        except UnusableError as error:
            progress.say(f"The finished search in {self.path} cannot be read ({printable(error)}). It is made again.")
            return None

    def finish(self, record: SearchRecord, settings: Mapping[str, Any]) -> None:
        """Write the record, and then that the scan is finished."""
        (self.path / SETTINGS).unlink(missing_ok=True)
        write_search_record(self.path, record)
        with atomic(self.path / SETTINGS) as temporary:
            temporary.write_text(json.dumps({"search": self.search, **settings}, indent=2) + "\n")

    def clear(self) -> None:
        """Forget what was done."""
        (self.path / SETTINGS).unlink(missing_ok=True)
        shutil.rmtree(self.scores, ignore_errors=True)


@contextmanager
def held_folder(root: Path, words: str, scores: Mapping[str, Any], search: Mapping[str, Any]) -> Iterator[ScanFolder]:
    """Hold the folder of a scan; a second process that wants the same scan is told so.

    Args:
        root: folder of such folders.
        words: the beginning of its name.
        scores: what the scores depend on, which names it.
        search: what the triggers depend on besides.

    Raises:
        UserError: another process holds it, or it cannot be written.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:100]
    path = root / f"{slug}-{digest({'version': VERSION, **scores})[:8]}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        release = acquire(path / ".lock")
    except HeldError as held:
        raise UserError(
            f"Another process is carrying out this scan in {path}{held}. Wait for it, or stop it."
        ) from None
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        sweep_files(path, (SEARCH, SETTINGS), held=True)
        sweep_files(path / SCORES, held=True)
        yield ScanFolder(path, digest(search))
    finally:
        release()


def digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of values that JSON can hold, in hexadecimal."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


__all__ = ["ScanFolder", "digest", "held_folder"]
