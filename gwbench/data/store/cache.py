"""Generated datasets on disk: made once, named by what they were made from, checked before they are trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gwbench.data.store.cache_dir import CACHE_VARIABLE, BusyEntryError, CacheDir, CacheEntry
from gwbench.data.store.generate import generate
from gwbench.data.store.journal import Journal
from gwbench.data.store.reader import (
    DamagedStoreError,
    StoreHeader,
    canonical_json,
    open_store,
    read_header,
    write_store,
)
from gwbench.data.store.recipe import dataset_recipe, recipe_digest
from gwbench.utils.subprocesses import usable_cores

if TYPE_CHECKING:
    from gwbench.data.dataset import Block, Layout, StrainSplits, Windows
    from gwbench.utils.progress import Progress


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
        recipes: Sequence[Mapping[str, Any]],
        *,
        root: Path | str | None,
        workers: int | None,
        progress: Progress,
        materialise: bool = False,
    ) -> Self:
        """The context of a dataset.

        Args:
            recipes: its recipe as it is, then as an older gwbench may have written it: data that were made then serve.
            root: as in `CacheDir`.
            workers, progress, materialise: as above.
        """
        cache = CacheDir(root)
        made = (recipe for recipe in recipes if cache.path(recipe).exists())
        recipe = next(made, recipes[0])
        return cls(int(recipe["seed"]), workers, progress, cache, recipe, materialise)

    def stored(self, layout: Layout, windows: Windows) -> StrainSplits:
        """The dataset of this recipe: from the cache, or generated into it, by one process at a time.

        Goes on where an earlier attempt stopped.

        Raises:
            UserError: the cache is not writable or the disk full; windows that do not fit the layout.
        """
        path = self.cache.path(self.recipe)
        splits, _ = self._open(path, layout)
        if splits is not None:
            if Journal(path).file.exists():  # a process was killed after it gave the file its name
                self.cache.sweep()
            return splits

        def wait() -> None:
            self.progress.say(f"Another process is making {path.stem}; waiting for it.")

        def blocks(done: int) -> Iterator[Block]:
            return generate(windows, layout.sizes, self.seed, self.workers, skip=done)

        with self.cache.lock(path, wait):
            splits, problem = self._open(path, layout)
            if splits is None:
                if problem:
                    self.progress.say(f"The cache entry {path.stem} is not used but made again: {problem}")
                write_store(path, layout, blocks, self.recipe, self.progress)
                splits = open_store(path)
        self.cache.sweep()
        return splits

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
        stored = (header.detectors, header.sample_rate, header.window, header.margin, header.asked)
        wanted = (layout.detectors, layout.sample_rate, layout.window, layout.margin, dict(layout.sizes))
        return "" if stored == wanted else f"it holds {stored}, the dataset now asks for {wanted}."


__all__ = [
    "CACHE_VARIABLE",
    "BusyEntryError",
    "CacheContext",
    "CacheDir",
    "CacheEntry",
    "dataset_recipe",
    "recipe_digest",
]
