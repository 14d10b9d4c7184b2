"""The scores of one block of a scan: computed, written to its file, and read from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gwbench.data.strain_files.pieces import PieceReader
from gwbench.errors import UserError
from gwbench.search.detector_track import DetectorTrack
from gwbench.search.scan_plan import ScanBlock, ScanPlan
from gwbench.search.stretch_conditioning import StretchConditioning
from gwbench.search.stretch_scorer import StretchScorer
from gwbench.search.window_scores import score_windows
from gwbench.utils.files import atomic
from gwbench.utils.untrusted_arrays import read_npz
from gwbench.utils.untrusted_files import UnusableError

if TYPE_CHECKING:
    from gwbench.contracts import Scorer
    from gwbench.data.dataset import Array
    from gwbench.experiment.scorer import RunScorer
    from gwbench.preprocessing.conditioning import Conditioner

StretchScores = Callable[[Tensor], "tuple[Array, Array | None]"]
"""From conditioned strain [D, L] to the scores [n] of its windows and their parts [D, n]."""

Advance = Callable[[float], None]
"""Is told of seconds of strain that have been searched."""


@dataclass(frozen=True)
class ScanJob:
    """What whoever scores blocks must know; it can be sent to another process.

    Attributes:
        plan: the scan.
        tracks: the strain, by detector.
        channels, quality: as of `read_strain_series`.
        refit: whether the conditioner is fitted to the strain.
        folder: of the blocks' files.
        keep_strain: whether the conditioned strain of a block is kept beside its scores, to be scored again.
    """

    plan: ScanPlan
    tracks: tuple[DetectorTrack, ...]
    channels: tuple[str, ...]
    quality: tuple[str, ...]
    refit: bool
    folder: Path
    keep_strain: bool = False

    def file(self, block: ScanBlock) -> Path:
        """Where the scores of a block are kept."""
        return self.folder / f"{block.number:06d}.npz"

    def strain_file(self, block: ScanBlock) -> Path:
        """Where the conditioned strain of a block is kept, [D, L] float32."""
        return self.folder / f"{block.number:06d}.npy"


@dataclass(frozen=True)
class BlockScores:
    """The scores of a block.

    Attributes:
        score: [n] float32.
        parts: [D, n] float32, or None where a score is no sum over detectors.
        offset: what their sum lacks to the score.
        variance: [D, m] of the conditioned strain, by about a window each.
        cpu_seconds: that they took, in all processes.
    """

    score: Array
    parts: Array | None
    offset: float
    variance: Array
    cpu_seconds: float

    def write(self, path: Path) -> None:
        """Write the file: it is whole, or not there."""
        arrays = {"score": self.score, "variance": self.variance}
        arrays |= {"numbers": np.array([self.offset, self.cpu_seconds])}
        if self.parts is not None:
            arrays["parts"] = self.parts
        # row by row, as arrays of files that may be anything are read
        arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
        with atomic(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, path: Path, windows: int, detectors: int) -> BlockScores | None:
        """The scores of so many windows; None where there is no such file, or it is damaged."""
        try:
            arrays = read_npz(path)
        except UnusableError:
            return None
        parts, variance = arrays.get("parts"), arrays.get("variance")
        fits = arrays.keys() >= {"score", "variance", "numbers"} and arrays["score"].shape == (windows,)
        fits = fits and arrays["numbers"].shape == (2,)
        fits = fits and variance is not None and variance.ndim == 2 and len(variance) == detectors
        fits = fits and (parts is None or parts.shape == (detectors, windows))
        if not fits or not all(each.dtype.kind == "f" and np.isfinite(each).all() for each in arrays.values()):
            return None
        offset, cpu_seconds = map(float, arrays["numbers"])
        return cls(arrays["score"], parts, offset, arrays["variance"], cpu_seconds)


class BlockScorer:
    """Scores the blocks of a scan in this process.

    Args:
        job: the scan.
        run: scores windows.
    """

    def __init__(self, job: ScanJob, run: RunScorer) -> None:
        self._job, self._run = job, run
        self._reader = PieceReader(job.channels, job.quality)
        self._strain = StretchConditioning(job.plan, run.conditioner, self._read, refit=job.refit)
        self._kept: list[Array] = []
        self._along: tuple[Scorer, StretchScorer] | None = None
        self._slides = run.conditioner.window_step == 1

    def score(self, block: ScanBlock, advance: Advance) -> BlockScores:
        """Score a block and write its file.

        Raises:
            UserError: strain cannot be read any more, or the file cannot be written.
        """
        begun, read = time.process_time(), self._reader.cpu_seconds
        scores, parts, variance = [], [], []
        self._kept = []
        with torch.inference_mode():
            for score, part, power in self._slid(block) if self._slides else self._one_by_one(block):
                scores.append(score)
                if part is not None:
                    parts.append(part)
                variance.append(power)
                advance(len(score) * self._job.plan.shape.step / self._job.plan.shape.rate)
        result = BlockScores(
            np.concatenate(scores),
            np.concatenate(parts, axis=1) if parts else None,
            float(self._run.scorer.offset),
            np.concatenate(variance, axis=1),
            time.process_time() - begun + self._reader.cpu_seconds - read,
        )
        if self._job.keep_strain:
            with atomic(self._job.strain_file(block)) as temporary, temporary.open("wb") as stream:
                np.save(stream, np.concatenate(self._kept, axis=1))
        result.write(self._job.file(block))
        return result

    def conditioner_of(self, piece: int) -> Conditioner:
        """The conditioner of a piece of the plan."""
        return self._strain.conditioner_of(piece)

    def along(self, conditioner: Conditioner) -> StretchScores:
        """What scores the windows of strain that a conditioner has conditioned."""
        scorer = self._run.scorer.refitted(conditioner).eval() if self._job.refit else self._run.scorer
        if self._along is None or self._along[0] is not scorer:
            shape = self._job.plan.shape
            self._along = scorer, StretchScorer(scorer, shape.window, shape.step)
        return self._along[1].scores

    def _slid(self, block: ScanBlock) -> Iterator[tuple[Array, Array | None, Array]]:
        """Scores, parts and variances of a block, whose windows are cut out of conditioned strain."""
        shape = self._job.plan.shape
        first = block.first * shape.step
        stop = first + (block.windows - 1) * shape.step + shape.window
        rest = torch.empty(len(self._job.tracks), 0, device=self._run.conditioner.device)
        for conditioner, part in self._strain.stretches(block.segment, first, stop):
            if self._job.keep_strain:
                self._kept.append(part.cpu().numpy())
            strain = torch.cat([rest, part], 1)
            count = (strain.shape[1] - shape.window) // shape.step + 1
            if count > 0:
                score, parts = self.along(conditioner)(strain)
                yield score, parts, _variance(part, shape.window)
                strain = strain[:, count * shape.step :]
            rest = strain

    def _one_by_one(self, block: ScanBlock) -> Iterator[tuple[Array, Array | None, Array]]:
        """Scores, parts and variances of a block, whose windows are conditioned one by one."""
        for windows in self._strain.windows(block.segment, block.first, block.windows):
            score, parts = score_windows(self._run.scorer, windows)
            yield score, parts, windows.square().mean(2).T.cpu().numpy()

    def _read(self, start: int, stop: int) -> Array:
        return np.stack([track.read(self._reader, start, stop) for track in self._job.tracks])


def _variance(strain: Tensor, window: int) -> Array:
    """[D, m] of conditioned strain [D, n], by a window's length each; of all of it where it is shorter."""
    count = max(1, strain.shape[1] // window)
    return np.stack([part.square().mean(1).cpu().numpy() for part in strain.tensor_split(count, 1)], axis=1)


def missing_blocks(job: ScanJob) -> list[ScanBlock]:
    """The blocks without a whole file."""
    detectors = len(job.tracks)
    return [
        block
        for block in job.plan.blocks
        if BlockScores.read(job.file(block), block.windows, detectors) is None
        or (job.keep_strain and not job.strain_file(block).exists())
    ]


def read_blocks(job: ScanJob) -> list[BlockScores]:
    """The scores of all blocks, which are done.

    Raises:
        UserError: a file has gone, or was changed.
    """
    found = []
    for block in job.plan.blocks:
        scores = BlockScores.read(job.file(block), block.windows, len(job.tracks))
        if scores is None:
            raise UserError(f"{job.file(block)} has gone or was changed. Give the same command again.")
        found.append(scores)
    return found


__all__ = ["Advance", "BlockScorer", "BlockScores", "ScanJob", "missing_blocks", "read_blocks"]
