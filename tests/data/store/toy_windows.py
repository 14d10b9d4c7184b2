"""Windows of noise that note what is asked of them, for tests in this process and in others."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.contracts import Block


@dataclass(frozen=True)
class ToyWindows:
    """Windows [2, 80] of noise.

    Attributes:
        log: a file that gets a line for every block asked for: split, start, process and its threads for algebra.
        seconds: what a block takes.
        bad: positions that are left out, by split.
        fails, dies: (split, start) of a block at which an exception is raised, or the process kills itself.
        marker: where this file exists, blocks neither fail nor die.
    """

    log: Path | None = None
    seconds: float = 0.0
    bad: dict[str, tuple[int, ...]] = field(default_factory=dict)
    fails: tuple[str, int] | None = None
    dies: tuple[str, int] | None = None
    marker: Path | None = None
    extra: Any = None

    def block(self, rng: np.random.Generator, split: str, start: int, n: int) -> Block:
        if self.log:
            with self.log.open("ab", buffering=0) as file:
                threads = os.environ.get("OPENBLAS_NUM_THREADS", "")
                file.write(f"{split} {start} {os.getpid()} {threads}\n".encode())
        time.sleep(self.seconds)
        if not (self.marker and self.marker.exists()):
            if self.dies == (split, start):
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fails == (split, start):
                raise RuntimeError(f"trouble at {split} {start}")
        strain = rng.standard_normal((n, 2, 80), dtype=np.float32)
        distance = rng.uniform(100, 900, n)
        bad = self.bad.get(split, ())
        kept = [at for at in range(n) if start + at not in bad]
        return Block(
            split,
            start,
            strain[kept],
            np.zeros(len(kept), np.int8),
            np.full(len(kept), np.nan, np.float32),
            {"distance": distance[kept]},
            {at: f"window {at} is bad" for at in bad if start <= at < start + n},
        )


def asked(log: Path) -> list[tuple[str, int]]:
    """The places of the blocks asked for, in order."""
    if not log.exists():
        return []
    lines = [line.split() for line in log.read_text().splitlines()]
    return [(line[0], int(line[1])) for line in lines if line[0] in ("train", "val", "test")]
