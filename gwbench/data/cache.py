"""Generated datasets on disk: made once, named by what they were made from, checked before they are trusted."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import platformdirs

from gwbench.data.generate import generate
from gwbench.data.store import (
    LAYOUT_VERSION,
    DamagedStoreError,
    StoreHeader,
    Verification,
    canonical_json,
    open_store,
    read_header,
    verify_store,
    write_store,
)
from gwbench.data.store_journal import Journal
from gwbench.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from gwbench.contracts import Block, Layout, StrainSplits, Windows
    from gwbench.progress import Progress
    from gwbench.registry import Plugin

CACHE_VARIABLE = "GWBENCH_CACHE"
UNFINISHED = re.compile(r"\.(.+)\.h5\.partial")


class BusyEntryError(UserError):
    """Another process is making the entry."""


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def dataset_recipe(
    name: str,
    version: int,
    parameters: Mapping[str, Any],
    seed: int,
    fingerprint: Mapping[str, str],
    source: str = "",
) -> dict[str, Any]:
    """All that decides the content of a generated dataset.

    Args:
        name: the dataset plugin's.
        version: the dataset plugin's.
        parameters: every parameter, the defaults too; JSON values.
        seed: of the data.
        fingerprint: `Dataset.fingerprint()`.
        source: hash of the dataset plugin's source.
    """
    return {
        "dataset": name,
        "version": version,
        "parameters": dict(parameters),
        "seed": seed,
        "fingerprint": dict(fingerprint),
        "source": source,
    }


def recipe_digest(recipe: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that stand for a recipe under this layout of the file."""
    return hashlib.sha256(canonical_json([LAYOUT_VERSION, recipe]).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Entry:
    """One file of the cache.

    Attributes:
        name: without the suffix `.h5`.
        path: the file.
        size: bytes.
        header: what the file says of itself; None where it cannot be trusted.
        problem: why it cannot; empty where it can.
        unfinished: where it is still being made or was interrupted, the windows there are and those there will be.
    """

    name: str
    path: Path
    size: int
    header: StoreHeader | None
    problem: str = ""
    unfinished: tuple[int, int] | None = None


class CacheDir:
    """The folder of generated datasets: `root`, $GWBENCH_CACHE, or `datasets` in the user's cache folder."""

    def __init__(self, root: Path | str | None = None) -> None:
        chosen = root or os.environ.get(CACHE_VARIABLE)
        default = platformdirs.user_cache_path("gwbench") / "datasets"
        self.root = Path(chosen).expanduser().absolute() if chosen else default

    def path(self, recipe: Mapping[str, Any]) -> Path:
        """Where the dataset of a recipe belongs."""
        return self.root / f"{recipe['dataset']}-{recipe_digest(recipe)}.h5"

    def list_entries(self) -> list[Entry]:
        """All entries by name, damaged and unfinished ones included. An absent folder is an empty cache.

        Raises:
            UserError: the folder cannot be read.
        """
        return [self._entry(name) for name in self._names()]

    def entry_info(self, name: str) -> Entry:
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

    def clear(self, names: Sequence[str] | None = None) -> list[Entry]:
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
        lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout as error:
                if wait is None:
                    raise BusyEntryError(
                        f"The entry {path.stem} is being made by another process. Wait for it, or stop it."
                    ) from error
                wait()
                lock.acquire()
        except OSError as error:
            raise UserError(
                f"Cannot write to the cache folder {self.root}: {error.strerror or error}. "
                f"Name a writable folder with --cache-dir or {CACHE_VARIABLE}."
            ) from error
        try:
            yield
        finally:
            lock.release()

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
        return sorted(finished | {found[1] for found in map(UNFINISHED.fullmatch, files) if found})

    def _file(self, name: str) -> Path:
        return self.root / f"{name}.h5"

    def _resolve(self, name: str) -> str:
        if re.search(r"[/\\\0]", name) or not name or name.startswith("."):
            raise UserError(f"{name!r} is no entry's name: expected one that `gwbench data list` shows, not a path.")
        known = self._names()
        wanted = name.removesuffix(".h5")
        if wanted in known:
            return wanted
        found = [entry for entry in known if entry.startswith(wanted)]
        if len(found) > 1:
            raise UserError(f"{name!r} may be any of {', '.join(found)}. Give more of the name.")
        if not found:
            hint = did_you_mean(wanted, known)
            raise UserError(f"The cache {self.root} has no entry {name!r}.{hint} See `gwbench data list`.")
        return found[0]

    def _entry(self, name: str) -> Entry:
        path = self._file(name)
        journal = Journal(path)
        if journal.partial.exists() and not path.exists():
            done, total = journal.count()
            size = 512 * journal.partial.stat().st_blocks
            return Entry(name, path, size, None, f"unfinished, {done:,} of {total:,} windows", (done, total))
        try:
            size = path.stat().st_size
        except OSError as error:
            return Entry(name, path, 0, None, f"cannot be read: {error.strerror or error}")
        try:
            return Entry(name, path, size, read_header(path))
        except UserError as error:
            return Entry(name, path, size, None, str(error))


class CacheContext:
    """What the core hands a dataset (`contracts.DataContext`), backed by the cache.

    Args:
        seed: of the data.
        workers: threads or processes that make the data; None for all usable cores.
        progress: how work reports itself.
        cache: where generated data are kept.
        recipe: from `dataset_recipe`.
        materialise: as in `contracts.DataContext`.
    """

    def __init__(
        self,
        seed: int,
        workers: int | None,
        progress: Progress,
        cache: CacheDir,
        recipe: Mapping[str, Any],
        materialise: bool = False,
    ) -> None:
        self.seed = seed
        self.workers = workers or usable_cores()
        self.progress = progress
        self.cache = cache
        self.recipe = recipe
        self.materialise = materialise

    @classmethod
    def of(
        cls,
        plugin: Plugin,
        parameters: Mapping[str, Any],
        seed: int,
        fingerprint: Mapping[str, str],
        *,
        root: Path | str | None,
        workers: int | None,
        progress: Progress,
        materialise: bool = False,
    ) -> CacheContext:
        """The context of a dataset plugin with its parameters; `root` as in `CacheDir`."""
        moved: tuple[str, ...] = getattr(plugin.target, "places", ())
        kept = {name: value for name, value in parameters.items() if name not in moved}
        recipe = dataset_recipe(plugin.name, plugin.version, kept, seed, fingerprint, plugin.source_hash)
        return cls(seed, workers, progress, CacheDir(root), recipe, materialise)

    def stored(self, layout: Layout, windows: Windows) -> StrainSplits:
        """The dataset of this recipe: from the cache, or generated into it, by one process at a time.

        Goes on where an earlier attempt stopped.

        Raises:
            UserError: the cache is not writable or the disk full; windows that do not fit the layout.
        """
        path = self.cache.path(self.recipe)
        found, _ = self._open(path, layout)
        if found is not None:
            return found

        def wait() -> None:
            self.progress.say(f"Another process is making {path.stem}; waiting for it.")

        def blocks(done: int) -> Iterator[Block]:
            return generate(windows, layout.sizes, self.seed, self.workers, skip=done)

        with self.cache.lock(path, wait):
            found, problem = self._open(path, layout)
            if found is None:
                if problem:
                    self.progress.say(f"The cache entry {path.stem} is not used but made again: {problem}")
                write_store(path, layout, blocks, self.recipe, self.progress)
                found = open_store(path)
        return found

    def find(self, layout: Layout) -> StrainSplits | None:
        """The dataset of this recipe if the cache has it, else None; makes nothing.

        Raises:
            UserError: the entry cannot be read.
        """
        return self._open(self.cache.path(self.recipe), layout)[0]

    def _open(self, path: Path, layout: Layout) -> tuple[StrainSplits | None, str]:
        """The entry, or why it is not to be trusted; neither where it is missing or out of reach."""
        try:
            path.stat()
        except OSError:
            return None, ""
        try:
            mismatch = self._mismatch(read_header(path), layout)
            return (None, mismatch) if mismatch else (open_store(path), "")
        except DamagedStoreError as error:
            return None, str(error)

    def _mismatch(self, header: StoreHeader, layout: Layout) -> str:
        """How an entry differs from what is asked for; empty where it does not."""
        if canonical_json(header.recipe) != canonical_json(self.recipe):
            return "it was made from another recipe."
        found = (header.detectors, header.sample_rate, header.window, header.margin, header.asked)
        wanted = (layout.detectors, layout.sample_rate, layout.window, layout.margin, dict(layout.sizes))
        return "" if found == wanted else f"it holds {found}, the dataset now asks for {wanted}."


__all__ = [
    "CACHE_VARIABLE",
    "CacheContext",
    "CacheDir",
    "Entry",
    "dataset_recipe",
    "recipe_digest",
    "usable_cores",
]
