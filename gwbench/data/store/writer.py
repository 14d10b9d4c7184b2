"""Writing a dataset into its HDF5 file: whole or not at all, and going on where an earlier attempt stopped."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench.data.store.layout import SPLITS
from gwbench.data.store.partial import Partial
from gwbench.errors import UserError

if TYPE_CHECKING:
    from gwbench.data.dataset import Block, Layout
    from gwbench.utils.progress import Progress


class RefusedDataError(UserError):
    """A dataset gave data that cannot be stored; asking for them again would give the same."""


def write_store(
    path: Path,
    layout: Layout,
    blocks: Callable[[int], Iterable[Block]],
    recipe: Mapping[str, Any],
    progress: Progress,
) -> str:
    """Write a dataset under `path`, whole or not at all.

    The blocks go into an unfinished file beside `path`, which takes its name only once every window has arrived and
    everything is on disk. After an error, Ctrl-C or the process's death the unfinished file and its journal stay,
    and the next call of the same kind goes on with them; only data that are refused are removed. One process at a
    time: the caller holds a lock.

    Args:
        path: the file to make; an old one is replaced.
        layout: shapes, detectors and rate.
        blocks: gives the windows in order, split by split, without so many of the first blocks.
        recipe: what the data are made from; any JSON value.
        progress: told of every window, and of windows left out.

    Returns:
        The content hash.

    Raises:
        UserError: a block does not fit the layout, holds NaN or infinite strain, or is not the next one; every
            window of a split is left out; the disk is full or not writable.
    """
    total = sum(layout.sizes[name] for name in SPLITS)
    with closing(Partial(path, layout, recipe)) as partial:
        with _disk_errors(path):
            partial.resume(progress)
            _require_space(path, layout, partial.windows / max(1, total))
        if partial.blocks:
            progress.say(f"Going on with {path.stem}: {partial.windows:,} of {total:,} windows are there already.")
        try:
            _add_all(partial, path, layout, blocks(len(partial.blocks)), progress)
            left_out = total - sum(block.rows for block in partial.blocks)
            if left_out:
                progress.say(f"{left_out:,} of {total:,} windows could not be read and are left out of {path.stem}.")
            with _disk_errors(path):
                return partial.finish(progress)
        except BaseException as error:
            if partial.blocks and not isinstance(error, RefusedDataError):
                progress.say(f"{partial.windows:,} of {total:,} windows are kept; the same command goes on from there.")
            else:
                with suppress(OSError):
                    partial.remove()
            raise


def _add_all(partial: Partial, path: Path, layout: Layout, blocks: Iterable[Block], progress: Progress) -> None:
    remaining = sum(layout.sizes[name] for name in SPLITS) - partial.windows
    try:
        with progress.task("Make data", remaining, "windows") as task:
            for block in blocks:
                _check_place(block, partial, layout)
                _check_arrays(block, partial, layout)
                with _disk_errors(path):
                    partial.add(block)
                task.advance(len(block.label) + len(block.left_out))
    finally:
        if isinstance(blocks, Generator):
            blocks.close()
    split, start = partial.next_place()
    if start < layout.sizes[split]:
        raise RefusedDataError(
            f"The dataset gave {start} of the {layout.sizes[split]} windows of its {split} split, and no more."
        )
    for split, reason in partial.empty_splits():
        raise RefusedDataError(f"Not one window of the {split} split could be read; the first: {reason}")


def _check_place(block: Block, partial: Partial, layout: Layout) -> None:
    """Raise unless the block is the next one, and holds every window or says why not."""
    if block.split not in SPLITS:
        raise RefusedDataError(
            f"The dataset gave a block for split {block.split!r}; expected one of {', '.join(SPLITS)}."
        )
    stop = block.start + len(block.label) + len(block.left_out)
    split, start = partial.next_place()
    if (block.split, block.start) != (split, start) or stop > layout.sizes[split]:
        raise RefusedDataError(
            f"The dataset gave block {block.split}[{block.start}:{stop}] where {split}[{start}:] of "
            f"{layout.sizes[split]} windows is next."
        )
    outside = [at for at in block.left_out if not start <= at < stop]
    if outside:
        raise RefusedDataError(f"{_where(block)} leaves out window {outside[0]}, which does not belong to it.")


def _check_arrays(block: Block, partial: Partial, layout: Layout) -> None:
    """Raise unless the arrays of a block have the layout's shapes, types and possible values."""
    where, strain = _where(block), block.strain
    shape = (len(block.label), len(layout.detectors), layout.window + 2 * layout.margin)
    if strain.shape != shape or strain.dtype != np.float32:
        raise RefusedDataError(f"{where} has strain {strain.dtype} {strain.shape}; expected float32 {shape}.")
    finite = np.isfinite(strain).all(axis=(1, 2))
    if not finite.all():
        first = block.start + int(np.argmin(finite))
        raise RefusedDataError(
            f"{where} has NaN or infinite strain in {np.count_nonzero(~finite)} windows, the first at {first}. "
            "Leave gaps and bad segments out of the data."
        )
    for name, values in {"snr": block.snr, **block.parameters}.items():
        if values.shape != shape[:1]:
            raise RefusedDataError(f"{where} has {name} of shape {values.shape}; expected {shape[:1]}.")
    if block.label.ndim != 1 or not np.isin(block.label, (-1, 0, 1)).all():
        labels = np.unique(block.label).tolist()
        raise RefusedDataError(f"{where} has labels {labels}; expected 1, 0 or -1 (unlabelled), one a window.")
    for name in block.parameters:
        if not name or "/" in name or name == ".":
            raise RefusedDataError(f"{where} has a parameter called {name!r}; expected a name without '/'.")
    if partial.blocks and set(block.parameters) != set(partial.parameters):
        raise RefusedDataError(
            f"{where} has parameters {sorted(block.parameters)}; others have {sorted(partial.parameters)}."
        )


def _where(block: Block) -> str:
    return f"The dataset's block {block.split}[{block.start}:{block.start + len(block.label) + len(block.left_out)}]"


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn an error of the disk into one message about the file that was to be written."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot write {path}: {error.strerror or error}. "
            "Make room or mend its permissions, or name another folder with --cache-dir or GWBENCH_CACHE."
        ) from error


def _require_space(path: Path, layout: Layout, done: float) -> None:
    """Raise `OSError` before any work is done if the strain that is not done yet would not fit on the disk."""
    windows = sum(layout.sizes[name] for name in SPLITS)
    needed = (1 - done) * windows * len(layout.detectors) * (layout.window + 2 * layout.margin) * 4
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        sizes = ", ".join(f"{name}={layout.sizes[name]}" for name in SPLITS)
        seconds = (layout.window + 2 * layout.margin) / layout.sample_rate
        data = f"{sizes} windows of {seconds:g} s at {layout.sample_rate:g} Hz"
        need = f"the data ({data}) take {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free"
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({need})")


__all__ = ["RefusedDataError", "write_store"]
