"""The run folders below a folder: what state each is in, and removing them or what they no longer need."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gwbench.errors import UserError, did_you_mean
from gwbench.experiment import record
from gwbench.experiment.record import RunRecord, load_record
from gwbench.experiment.run_directory import CHECKPOINTS, LOCK, sweep
from gwbench.utils.files import unwritable
from gwbench.utils.locks import HeldError, acquire
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import AbsentError, UnusableError

State = Literal["done", "failed", "interrupted", "running", "damaged"]
STATES: tuple[State, ...] = ("done", "failed", "interrupted", "running", "damaged")

LEAST_ID = 4
"""Digits of a run's identity by which it may be named, at least."""


@dataclass(frozen=True)
class RunFolder:
    """A folder of a run.

    Attributes:
        path: the folder.
        state: done, failed; interrupted where only checkpoints are there; running where a process holds it; damaged
            where its record cannot be read.
        record: None where there is none that could be read.
        problem: why it cannot.
        size: bytes of its files.
        leftovers: what is there and serves nobody any more: checkpoints of a run that is done, a superseded record.
    """

    path: Path
    state: State
    record: RunRecord | None
    problem: str
    size: int
    leftovers: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.path.name


def is_run_folder(path: Path) -> bool:
    """Whether a run was recorded, or begun, in a folder; one that is a link is none."""
    if path.is_symlink() or not path.is_dir():
        return False
    begun = (path / CHECKPOINTS).is_dir() and (path / LOCK).exists()
    return begun or any(_is_file(path / name) for name in (record.RECORD, record.SUPERSEDED))


def find_run_folders(root: str | Path) -> list[RunFolder]:
    """The run folders in or below a folder, by their paths; links are not followed.

    Raises:
        UserError: there is no such folder.
    """
    if not Path(root).is_dir():
        raise UserError(f"There is no folder {str(root)!r}. Give a folder of runs with --out.")
    return [run_folder(path) for path in _walk(Path(root))]


def _walk(root: Path) -> Iterator[Path]:
    folders = [root]
    while folders:
        folder = folders.pop()
        if is_run_folder(folder):
            yield folder
        try:
            with os.scandir(folder) as entries:
                below = sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            continue
        folders += [Path(path) for path in reversed(below) if Path(path).name != CHECKPOINTS]


def run_folder(path: Path) -> RunFolder:
    """What is known of a run's folder."""
    found, problem = None, ""
    try:
        found = load_record(path / record.RECORD).record
    except AbsentError:
        problem = "there is no record"
    except UnusableError as error:
        problem = printable(error)
    state: State
    if found:
        state = "done" if found.status == "ok" else "failed"
    else:
        state = "damaged" if _is_file(path / record.RECORD) else "interrupted"
    held = is_held(path)
    done = state == "done" and not held
    kept = [path / CHECKPOINTS] if done and (path / CHECKPOINTS).is_dir() else []
    kept += [path / record.SUPERSEDED] if done and _is_file(path / record.SUPERSEDED) else []
    return RunFolder(path, "running" if held else state, found, problem, _size(path), tuple(kept))


def named_run(name: str, root: str | Path) -> RunFolder:
    """The run of a folder's path, of its name within a folder of runs, or of the beginning of its identity.

    Raises:
        UserError: there is none, or there are several.
    """
    path = Path(name)
    for place in (path, Path(root) / name):
        if is_run_folder(place):
            return run_folder(place)
        if place.name == record.RECORD and is_run_folder(place.parent):
            return run_folder(place.parent)
    if path.exists():
        raise UserError(
            f"{name} is no folder of a run: it holds neither {record.RECORD} nor {CHECKPOINTS}/. `gwbench runs list` "
            "shows runs."
        )
    known = find_run_folders(root) if Path(root).is_dir() else []
    if len(name) >= LEAST_ID:
        fitting = [each for each in known if each.record and each.record.run_id.startswith(name)]
        fitting = fitting or [each for each in known if each.name.startswith(name)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UserError(f"{name!r} begins {len(fitting)} runs: {', '.join(each.name for each in fitting[:5])}.")
    hint = did_you_mean(name, [each.name for each in known])
    where = (
        f"no folder {name}, and no run of that name in {root}" if path.name != name else f"no run {name!r} in {root}"
    )
    raise UserError(f"There is {where}.{hint} `gwbench runs list` shows what there is.")


def remove_run(folder: RunFolder) -> None:
    """Remove a run's folder with all that is in it.

    Raises:
        UserError: it is no folder of a run, holds others, is being written, or cannot be removed.
    """
    _require_own(folder.path)
    release = _hold(folder.path)
    try:
        shutil.rmtree(folder.path)
    except OSError as error:
        raise unwritable(folder.path, error) from error
    finally:
        release()


def remove_leftovers(folder: RunFolder) -> None:
    """Remove what a finished run no longer needs, half-written files included.

    Raises:
        UserError: it is being written, or something cannot be removed.
    """
    release = _hold(folder.path)
    try:
        for path in folder.leftovers:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        sweep(folder.path)
    except OSError as error:
        raise unwritable(folder.path, error) from error
    finally:
        release()


def size_of(paths: Iterable[Path]) -> int:
    """Bytes of files and folders."""
    return sum(_size(path) for path in paths)


def is_held(path: Path) -> bool:
    """Whether a process is carrying out the run of a folder."""
    lock = path / LOCK
    if not lock.exists():
        return False
    try:
        acquire(lock)()
    except HeldError:
        return True
    except OSError:
        return False  # of somebody else's, which cannot be asked
    return False


def _require_own(path: Path) -> None:
    if not is_run_folder(path):
        raise UserError(f"{path} is no folder of a run and is left as it is.")
    others = [each for each in _walk(path) if each != path]
    if others:
        raise UserError(f"{path} holds other runs, such as {others[0]}, and is left as it is. Name these.")


def _hold(path: Path) -> Callable[[], None]:
    """Take the lock of a folder; returns what gives it back."""
    try:
        return acquire(path / LOCK)
    except HeldError as held:
        raise UserError(f"A process is carrying out the run in {path}{held}: it is left as it is.") from None
    except OSError as error:
        raise unwritable(path, error) from error


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size if path.exists() else 0
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - as os.walk gives it
            except OSError:
                continue
    return total
