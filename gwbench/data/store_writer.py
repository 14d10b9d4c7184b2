"""Writing a dataset into its HDF5 file, whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import secrets
import shutil
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwbench._version import __version__
from gwbench.data.store_layout import LAYOUT_VERSION, SPLITS, StoredSplit, canonical_json, content_hash
from gwbench.errors import UserError

if TYPE_CHECKING:
    from gwbench.contracts import Block, Layout
    from gwbench.progress import Progress

CHUNK_BYTES = 64 * 1024
"""Windows smaller than this share a chunk."""


def write_store(
    path: Path, layout: Layout, blocks: Iterable[Block], recipe: Mapping[str, Any], progress: Progress
) -> str:
    """Write a dataset under `path`, whole or not at all.

    The blocks go into a partial file beside `path`, which takes its name only once every window has arrived
    exactly once and everything is on disk. After an error or Ctrl-C the partial file is removed.

    Args:
        path: the file to make; an old one is replaced.
        layout: shapes, detectors and rate.
        blocks: the windows, blocks and splits in any order.
        recipe: what the data were made from; any JSON value.
        progress: told of every window.

    Returns:
        The content hash.

    Raises:
        UserError: a block does not fit the layout, holds NaN or infinite strain, overlaps another or is
            missing; the disk is full or not writable.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    with _disk_errors(path):
        _require_space(path, layout)
        sink = _Sink(partial)
    try:
        try:
            digest = _fill(sink, path, layout, blocks, recipe, progress)
            with _disk_errors(path):
                os.fsync(sink.raw.fileno())
        finally:
            if isinstance(blocks, Generator):
                blocks.close()
            with _disk_errors(path):
                sink.raw.close()
        with _disk_errors(path):
            partial.replace(path)
            _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)
    return digest


def _fill(
    sink: _Sink,
    path: Path,
    layout: Layout,
    blocks: Iterable[Block],
    recipe: Mapping[str, Any],
    progress: Progress,
) -> str:
    import h5py

    try:
        with h5py.File(sink, "w") as file:
            writer = _Writer(file, layout)
            with progress.task("Make data", sum(layout.sizes[name] for name in SPLITS), "windows") as task:
                for block in blocks:
                    writer.add(block)
                    sink.check(path)
                    task.advance(len(block.label))
            writer.require_complete()
            digest = content_hash(
                {name: StoredSplit.of(file[name]) for name in SPLITS},
                layout.detectors,
                layout.sample_rate,
                layout.margin,
                progress,
            )
            file.attrs.update(
                {
                    "gwbench_layout": LAYOUT_VERSION,
                    "gwbench_version": __version__,
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                    "detectors": list(layout.detectors),
                    "sample_rate": float(layout.sample_rate),
                    "margin": int(layout.margin),
                    "notes": canonical_json(list(layout.notes)),
                    "recipe": canonical_json(recipe),
                    "content_hash": digest,
                    "complete": True,
                }
            )
    except Exception:
        # HDF5 may stumble over what the sink dropped; the disk's own error is the one to tell.
        sink.check(path)
        raise
    sink.check(path)
    return digest


class _Writer:
    """Checks blocks and puts them in their place."""

    def __init__(self, file: Any, layout: Layout) -> None:
        self._file, self._layout = file, layout
        self._done = {name: np.zeros(layout.sizes[name], dtype=bool) for name in SPLITS}
        window = (len(layout.detectors), layout.window + 2 * layout.margin)
        for name, done in self._done.items():
            count = len(done)
            rows = min(count, max(1, CHUNK_BYTES // (4 * window[0] * window[1])))
            group = file.create_group(name)
            group.create_dataset("strain", (count, *window), "<f4", chunks=(rows, *window) if count else None)
            group.create_dataset("label", (count,), "|i1")
            group.create_dataset("snr", (count,), "<f4")
            group.create_group("parameters")

    def add(self, block: Block) -> None:
        if block.split not in self._done:
            raise UserError(f"The dataset gave a block for split {block.split!r}; expected one of {', '.join(SPLITS)}.")
        group, done = self._file[block.split], self._done[block.split]
        start, stop = block.start, block.start + len(block.label)
        where = f"The dataset's block {block.split}[{start}:{stop}]"
        if not 0 <= start <= stop <= len(done):
            raise UserError(f"{where} lies outside the {len(done)} windows that its layout announces.")
        if done[start:stop].any():
            raise UserError(f"{where} gives window {start + int(np.argmax(done[start:stop]))} a second time.")
        _check_block(block, where, (stop - start, *group["strain"].shape[1:]))

        parameters = group["parameters"]
        if not done.any():
            for name in block.parameters:
                parameters.create_dataset(name, done.shape, "<f8")
        elif set(parameters) != set(block.parameters):
            raise UserError(f"{where} has parameters {sorted(block.parameters)}; others have {sorted(parameters)}.")

        group["strain"][start:stop] = block.strain
        group["label"][start:stop] = block.label
        group["snr"][start:stop] = block.snr
        for name, values in block.parameters.items():
            parameters[name][start:stop] = values
        done[start:stop] = True

    def require_complete(self) -> None:
        for name, done in self._done.items():
            if not done.all():
                raise UserError(
                    f"The dataset left out {np.count_nonzero(~done)} of the {len(done)} windows of its {name} "
                    f"split, the first at {int(np.argmin(done))}."
                )


def _check_block(block: Block, where: str, shape: tuple[int, ...]) -> None:
    """Raise `UserError` unless the arrays of a block have the layout's shapes, types and possible values."""
    strain = block.strain
    if strain.shape != shape or strain.dtype != np.float32:
        raise UserError(f"{where} has strain {strain.dtype} {strain.shape}; expected float32 {shape}.")
    finite = np.isfinite(strain).all(axis=(1, 2))
    if not finite.all():
        first = block.start + int(np.argmin(finite))
        raise UserError(
            f"{where} has NaN or infinite strain in {np.count_nonzero(~finite)} windows, the first at {first}. "
            "Leave gaps and bad stretches out of the data."
        )
    for name, values in {"label": block.label, "snr": block.snr, **block.parameters}.items():
        if values.shape != shape[:1]:
            raise UserError(f"{where} has {name} of shape {values.shape}; expected {shape[:1]}.")
    if not np.isin(block.label, (-1, 0, 1)).all():
        raise UserError(f"{where} has labels {np.unique(block.label).tolist()}; expected 1, 0 or -1 (unlabelled).")
    for name in block.parameters:
        if not name or "/" in name or name == ".":
            raise UserError(f"{where} has a parameter called {name!r}; expected a name without '/'.")


class _Sink(io.RawIOBase):
    """The file below HDF5 while it writes.

    HDF5 cannot close a file after a failed write, and brings the interpreter down at exit. So the first error,
    of the disk or a Ctrl-C, is kept here, later writes go nowhere, and HDF5 closes before `check` raises.
    """

    def __init__(self, path: Path) -> None:
        self.raw = io.FileIO(path, "x+")
        self.error: BaseException | None = None

    def check(self, path: Path) -> None:
        """Raise the first error, if there was one; the disk's as a `UserError` about `path`."""
        with _disk_errors(path):
            if self.error:
                raise self.error

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        total = len(left)
        try:
            while left and not self.error:
                left = left[self.raw.write(left) :]
        except BaseException as error:
            self.error = error
        return total

    def truncate(self, size: int | None = None) -> int:
        try:
            return self.raw.truncate(size)
        except BaseException as error:
            self.error = self.error or error
            return size or 0

    def readinto(self, buffer: Any) -> int:
        return self.raw.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.raw.seek(offset, whence)

    def tell(self) -> int:
        return self.raw.tell()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


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


def _require_space(path: Path, layout: Layout) -> None:
    """Raise `OSError` before any work is done if the strain alone would not fit on the disk."""
    windows = sum(layout.sizes[name] for name in SPLITS)
    needed = windows * len(layout.detectors) * (layout.window + 2 * layout.margin) * 4
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        need = f"the data take {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free"
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({need})")


def _sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
