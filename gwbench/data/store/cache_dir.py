"""The folder of generated datasets: its entries, finished or not, and the locks on them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from gwbench.data.store.journal import Journal
from gwbench.data.store.reader import StoreHeader, Verification, read_header, verify_store
from gwbench.data.store.recipe import recipe_digest
from gwbench.errors import UserError, did_you_mean
from gwbench.utils.locks import HeldError, acquire
from gwbench.utils.paths import has_home, user_path

if TYPE_CHECKING:
    from gwbench.utils.progress import Progress

CACHE_VARIABLE = "GWBENCH_CACHE"
UNFINISHED = re.compile(r"\.(.+)\.h5\.partial")
JOURNALS = ".*.h5.journal"


def default_cache() -> Path:
    """`datasets` in the user's cache folder.

    Raises:
        UserError: there is none, as in a container whose user has no home folder.
    """
    if not os.environ.get("XDG_CACHE_HOME") and not has_home():
        raise UserError(
            "There is no folder for data: HOME is not set and this user has no home folder. Name one with --cache-dir "
            f"or {CACHE_VARIABLE}, or set XDG_CACHE_HOME."
        )
    return platformdirs.user_cache_path("gwbench") / "datasets"


class BusyEntryError(UserError):
    """Another process is making the entry."""


@dataclass(frozen=True)
class CacheEntry:
    """One file of the cache.

    Attributes:
        name: without the suffix `.h5`.
        path: the file.
        size: bytes.
        header: what the file says of itself; None where it cannot be trusted.
        problem: why it cannot; empty where it can.
        unfinished: where it is still being made or was interrupted, how many windows it has and will have.
    """

    name: str
    path: Path
    size: int
    header: StoreHeader | None
    problem: str = ""
    unfinished: tuple[int, int] | None = None


class CacheDir:
    """The folder of generated datasets: `root`, $GWBENCH_CACHE, or `datasets` in the user's cache folder.

    Raises:
        UserError: none is named, and the user has no home folder.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        chosen = root or os.environ.get(CACHE_VARIABLE)
        self.root = user_path(chosen).absolute() if chosen else default_cache()

    def path(self, recipe: Mapping[str, Any]) -> Path:
        """Where the dataset of a recipe belongs."""
        return self.root / f"{recipe['dataset']}-{recipe_digest(recipe)}.h5"

    def list_entries(self) -> list[CacheEntry]:
        """All entries by name, damaged and unfinished ones included. An absent folder is an empty cache.

        Raises:
            UserError: the folder cannot be read.
        """
        return [self._entry(name) for name in self._names()]

    def entry_info(self, name: str) -> CacheEntry:
        """One entry, by its name or an unambiguous beginning of it.

        Raises:
            UserError: no entry or several have that name, or it is a path.
        """
        return self._entry(self._resolve(name))

    def verify(self, name: str, progress: Progress) -> Verification:
        """Compute an entry's content hash anew.

        Raises:
            DamagedStoreError: the entry cannot be read to its end.
            UserError: as `entry_info`; the entry is unfinished.
        """
        entry = self.entry_info(name)
        if entry.unfinished:
            raise UserError(f"{entry.name} is {entry.problem}: the command that makes it goes on from there.")
        return verify_store(entry.path, progress)

    def clear(self, names: Sequence[str] | None = None) -> list[CacheEntry]:
        """Remove entries, unfinished ones too.

        Args:
            names: names or unambiguous beginnings; None for all but those that are being made.

        Returns:
            The entries removed.

        Raises:
            BusyEntryError: one of the entries is being made.
            UserError: as `entry_info`; a file cannot be removed.
        """
        chosen = self._names() if names is None else sorted({self._resolve(name) for name in names})
        removed = []
        for entry in map(self._entry, chosen):
            try:
                self._remove(entry.path)
            except BusyEntryError:
                if names is not None or not entry.unfinished:
                    raise
            else:
                removed.append(entry)
        self.sweep()
        return removed

    @contextmanager
    def lock(self, path: Path, wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the right to make or remove the entry at `path`; other processes wait.

        Args:
            path: the entry's file.
            wait: called before waiting for another holder; without it, a held lock raises.

        Raises:
            BusyEntryError: the entry is held and `wait` is None.
            UserError: the folder is not writable.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            release = acquire(path.with_name(f".{path.name}.lock"), wait)
        except HeldError as held:
            raise BusyEntryError(
                f"The entry {path.stem} is being made by another process{held}. Wait for it, or stop it."
            ) from held
        except OSError as error:
            raise UserError(
                f"Cannot write to the cache folder {self.root}: {error.strerror or error}. "
                f"Name a writable folder with --cache-dir or {CACHE_VARIABLE}."
            ) from error
        try:
            yield
        finally:
            release()

    def sweep(self) -> None:
        """Remove journals of killed processes that have no unfinished file any more, but those that others hold."""
        with suppress(OSError):
            for file in self.root.glob(JOURNALS):
                path = file.with_name(file.name[1:].removesuffix(".journal"))
                with suppress(UserError, OSError), self.lock(path):
                    if not Journal(path).partial.exists():
                        file.unlink(missing_ok=True)
                        if not path.exists():
                            path.with_name(f".{path.name}.lock").unlink(missing_ok=True)

    def _remove(self, path: Path) -> None:
        with self.lock(path):
            try:
                path.unlink(missing_ok=True)
                Journal(path).remove()
                path.with_name(f".{path.name}.lock").unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"Cannot remove {path}: {error.strerror or error}. Mend its permissions.") from error

    def _names(self) -> list[str]:
        try:
            files = [path.name for path in self.root.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserError(
                f"Cannot read the cache folder {self.root}: {error.strerror or error}. "
                f"Name another with --cache-dir or {CACHE_VARIABLE}."
            ) from error
        finished = {name.removesuffix(".h5") for name in files if name.endswith(".h5") and name[0] != "."}
        return sorted(finished | {match[1] for match in map(UNFINISHED.fullmatch, files) if match})

    def _file(self, name: str) -> Path:
        return self.root / f"{name}.h5"

    def _resolve(self, name: str) -> str:
        if re.search(r"[/\\\0]", name) or not name or name.startswith("."):
            raise UserError(f"{name!r} is no entry's name: expected one that `gwbench data list` shows, not a path.")
        known = self._names()
        wanted = name.removesuffix(".h5")
        if wanted in known:
            return wanted
        matching = [entry for entry in known if entry.startswith(wanted)]
        if len(matching) > 1:
            raise UserError(f"{name!r} may be any of {', '.join(matching)}. Give more of the name.")
        if not matching:
            hint = did_you_mean(wanted, known)
            raise UserError(f"The cache {self.root} has no entry {name!r}.{hint} See `gwbench data list`.")
        return matching[0]

    def _entry(self, name: str) -> CacheEntry:
        path = self._file(name)
        journal = Journal(path)
        if journal.partial.exists() and not path.exists():
            done, total = journal.count()
            size = 512 * journal.partial.stat().st_blocks
            return CacheEntry(name, path, size, None, f"unfinished, {done:,} of {total:,} windows", (done, total))
        try:
            size = path.stat().st_size
        except OSError as error:
            return CacheEntry(name, path, 0, None, f"cannot be read: {error.strerror or error}")
        try:
            return CacheEntry(name, path, size, read_header(path))
        except UserError as error:
            return CacheEntry(name, path, size, None, str(error))
