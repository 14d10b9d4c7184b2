"""The results of a sweep: a file with one line of JSON for every trial that has ended."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
from numpy.typing import NDArray
from pydantic import Field, model_validator

from gwbench.errors import UserError
from gwbench.utils.files import unwritable
from gwbench.utils.locks import HeldError, acquire
from gwbench.utils.models import FrozenModel
from gwbench.utils.untrusted_files import MIB, UnusableError
from gwbench.utils.untrusted_text import parse_json, read_named
from gwbench.utils.validation_errors import reason

LARGEST = 512 * MIB
"""Bytes of a file of results."""

MOST_WINDOWS = 10_000_000
"""Validation windows of a result, which bounds what its packed ranks may become in memory."""


class TrialPoint(FrozenModel):
    """A point of a trial's learning curve: epochs before it, and the AUC on validation."""

    epoch: int
    value: float


class SeedScore(FrozenModel):
    """What one run of a trial came to.

    Attributes:
        seed: the run's.
        run_id: its identity; empty in results from before they had one.
        value, low, high: the figure on validation with its 95 % interval, which not every task gives.
        seconds: of the run, data aside.
        windows_per_second: of pre-training.
        labelled: training windows whose labels the probe had.
        loss: mean loss of every epoch of pre-training.
        rank: effective rank of the embeddings after every epoch.
        curve: the learning curve, where it was asked for.
        ranks: the ranks of the validation windows' scores, packed (`pack_ranks`), which are all that an AUC depends on;
            None where the task does not rank signals.
    """

    seed: int
    run_id: str
    value: float
    low: float | None = None
    high: float | None = None
    seconds: float = 0.0
    windows_per_second: float | None = None
    labelled: int | None = None
    loss: list[float] = []
    rank: list[float] = []
    curve: list[TrialPoint] = []
    ranks: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> SeedScore:
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has two ends")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise ValueError("the value lies outside its interval")
        return self


class TrialResult(FrozenModel):
    """A trial that has ended: a line of the file.

    Attributes:
        status: "ok"; "failed" with its reason; "pruned" where its learning curve was below the median of the others'.
        settings: what is searched, as the runs had it.
        runs: identities of its runs, one for each seed.
        scores: of those runs that came to their end.
        curve: of the run that was pruned.
        command: `gwbench run` with the settings and the first seed.
        windows: on validation, with labels.
        labels: of these windows, packed (`pack_labels`).
        device, precision: of the runs.
        created: ISO 8601, UTC.
        gwbench: its version.
    """

    status: Literal["ok", "failed", "pruned"]
    settings: dict[str, Any]
    runs: list[str] = []
    scores: list[SeedScore] = []
    curve: list[TrialPoint] = []
    reason: str | None = None
    command: str = ""
    windows: Annotated[int, Field(ge=0, le=MOST_WINDOWS)] = 0
    labels: str | None = None
    device: str = ""
    precision: str = ""
    created: str = ""
    gwbench: str = ""

    @property
    def value(self) -> float | None:
        """The mean over seeds; None where it did not come to its end."""
        return fmean(score.value for score in self.scores) if self.status == "ok" and self.scores else None

    @property
    def seconds(self) -> float:
        """Of all its runs."""
        return sum(score.seconds for score in self.scores)


class SweepResults:
    """The file of results, read, and open for more.

    Attributes:
        path: of the file.
        results: its trials, in its order.
    """

    def __init__(self, path: Path, results: Sequence[TrialResult]) -> None:
        self.path = path
        self.results = list(results)

    @classmethod
    def read(cls, path: Path) -> SweepResults:
        """The results that are there; none where there is no file.

        A last line that was not written to its end is passed over.

        Raises:
            UserError: the file cannot be read, or a line is no trial.
        """
        return cls(path, [_parsed(line, number, path) for number, line in enumerate(_lines(path), 1) if line.strip()])

    def append(self, result: TrialResult) -> None:
        """Add a trial, in one piece.

        Raises:
            UserError: the disk is full, or the file cannot be written.
        """
        line = json.dumps(result.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False) + "\n"
        try:
            with self.path.open("r+b") as stream:
                end = stream.seek(0, os.SEEK_END)
                try:
                    stream.write(line.encode())
                    stream.flush()
                    os.fsync(stream.fileno())
                except OSError:
                    stream.truncate(end)
                    raise
        except OSError as error:
            raise unwritable(self.path, error) from error
        self.results.append(result)

    def of_run(self, run_id: str) -> tuple[SeedScore, TrialResult] | None:
        """What a run came to, and the trial that it was of: another may have fewer seeds."""
        found = ((score, result) for result in self.results for score in result.scores if score.run_id == run_id)
        return next(found, None)


@contextmanager
def open_results(path: Path) -> Iterator[SweepResults]:
    """The results with the lock on their file, so that no other process adds to it; made where it is not there.

    A last line that was not written to its end is cut off.

    Raises:
        UserError: another process is at it; the file cannot be read or written, or a line is no trial.
    """
    found = SweepResults.read(path)  # before the file is touched
    release = _locked(path)
    try:
        found = SweepResults.read(path)
        _cut(path)
        yield found
    finally:
        if not found.results and path.stat().st_size == 0:
            path.unlink()
        release()


def _locked(path: Path) -> Callable[[], None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return acquire(path)
    except HeldError as error:
        raise UserError(
            f"Another process is carrying out a sweep with the results {path}{error}. Wait for it, or name another "
            "file with --out."
        ) from None
    except OSError as error:
        raise unwritable(path, error) from error


def _lines(path: Path) -> list[bytes]:
    """The lines that were written to their end."""
    if not path.exists() and not path.is_symlink():
        return []
    try:
        content = read_named(path, LARGEST)
    except UnusableError as error:
        raise UserError(f"The results {path} cannot be read: {error}. Name another file with --out.") from None
    return content.split(b"\n")[:-1]


def _cut(path: Path) -> None:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def _parsed(line: bytes, number: int, path: Path) -> TrialResult:
    try:
        return TrialResult.model_validate(parse_json(line))
    except pydantic.ValidationError as error:
        why = f"{'.'.join(map(str, error.errors()[0]['loc']))}: {reason(error)}"
    except json.JSONDecodeError:
        why = "it is not JSON"
    except ValueError as error:
        why = str(error)
    raise UserError(
        f"Line {number} of {path} is no trial of a sweep ({why[:200]}). Remove the line, or name another file with "
        "--out."
    )


# --- what is packed ---


def pack_labels(is_signal: NDArray[np.bool_]) -> str:
    """Labels [N] as text, eight to a byte."""
    return base64.b64encode(zlib.compress(np.packbits(is_signal).tobytes(), 9)).decode()


def pack_ranks(scores: NDArray[Any]) -> str:
    """The dense ranks of scores [N] as text: equal scores have equal ranks, and larger ones larger ranks."""
    ranks = np.unique(scores, return_inverse=True)[1].reshape(-1)
    return base64.b64encode(zlib.compress(ranks.astype("<u4").tobytes(), 9)).decode()


def unpack_labels(text: str, count: int) -> NDArray[np.bool_]:
    """Labels [count].

    Raises:
        ValueError: the text is not what `pack_labels` makes of so many.
    """
    packed = np.frombuffer(_unpacked(text, -(-count // 8)), np.uint8)
    return np.unpackbits(packed, count=count).astype(bool)


def unpack_ranks(text: str, count: int) -> NDArray[np.uint32]:
    """Ranks [count].

    Raises:
        ValueError: the text is not what `pack_ranks` makes of so many.
    """
    return np.frombuffer(_unpacked(text, 4 * count), "<u4").astype(np.uint32)


def _unpacked(text: str, size: int) -> bytes:
    """Bytes of a known number, whatever the text would unfold to."""
    try:
        content = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(content) != size:
        raise ValueError(f"{len(content)} bytes instead of {size}")
    return content


def settings_key(settings: Mapping[str, Any]) -> str:
    """Equal for equal settings."""
    return json.dumps(settings, sort_keys=True)
