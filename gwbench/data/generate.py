"""All windows of a dataset in order, made by as many threads or processes as pay."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from gwbench.data.store_layout import SPLITS
from gwbench.data.workers import UnfitError, Worker, make_block

if TYPE_CHECKING:
    from gwbench.contracts import Block, Windows

BLOCK = 256
"""Windows made from one seed sequence."""

PROCESSES_PAY = 20.0
"""Seconds of work on one core from which on processes are worth their start of several seconds."""

Place = tuple[str, int, int]
"""Split, start, and count of windows."""


def generate(
    windows: Windows, sizes: Mapping[str, int], seed: int, workers: int = 1, *, skip: int = 0
) -> Generator[Block, None, None]:
    """All windows of a dataset, split by split, in blocks of `BLOCK`.

    Each block has a seed sequence of its own, so its windows depend neither on the other blocks nor on the number
    of workers. Little work is shared by threads: all but LAL's waveforms runs outside the interpreter's lock. Much
    is shared by processes, where `windows` can be made in another one.

    Args:
        windows: what a window is.
        sizes: windows per split.
        seed: of the data.
        workers: threads or processes; with 1 everything happens in the caller's thread.
        skip: leave out so many of the first blocks.

    Raises:
        UserError: what `windows` raises; a process that died.
    """
    places = deque(
        (split, start, min(BLOCK, sizes[split] - start))
        for split in SPLITS
        for start in range(0, sizes.get(split, 0), BLOCK)
    )
    for _ in range(min(skip, len(places))):
        places.popleft()

    def make(place: Place) -> Block:
        return make_block(windows, seed, BLOCK, *place)

    if workers > 1:
        # The first block may be slow because it imports what it needs; the second shows the pace.
        for _ in range(2):
            if not places:
                return
            begin = time.perf_counter()
            block = make(places.popleft())
            remaining = (time.perf_counter() - begin) * len(places)
            yield block
            if remaining < PROCESSES_PAY:
                break
        workers = min(workers, len(places))
        if workers > 1 and remaining >= PROCESSES_PAY:
            try:
                team = Worker.team(workers, windows, seed, BLOCK)
            except UnfitError:
                pass
            else:
                yield from _by(team, places)
                return
    if workers > 1:
        yield from _in_order(make, places, workers)
    else:
        yield from map(make, places)


def _by(team: list[Worker], places: deque[Place]) -> Iterator[Block]:
    """The blocks of places in order, made by processes."""
    idle = deque(team)

    def make(place: Place) -> Block:
        worker = idle.popleft()
        block = worker.block(*place)
        idle.append(worker)
        return block

    def stop() -> None:
        for worker in team:
            worker.kill()

    try:
        yield from _in_order(make, places, len(team), stop)
    finally:
        for worker in team:
            worker.close()


def _in_order(
    make: Callable[[Place], Block], places: deque[Place], workers: int, stop: Callable[[], None] = lambda: None
) -> Iterator[Block]:
    """The blocks of places, in order, from `workers` threads; at most `2 * workers` wait for the reader.

    Args:
        make: makes one block.
        places: of the blocks.
        workers: threads.
        stop: called at the end, or where the reader stops, before waiting for the threads.
    """
    coming = iter(places)
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[Block]] = deque()
    try:
        waiting.extend(pool.submit(make, place) for place in islice(coming, 2 * workers))
        while waiting:
            block = waiting.popleft().result()
            waiting.extend(pool.submit(make, place) for place in islice(coming, 1))
            yield block
    finally:
        for future in waiting:
            future.cancel()
        stop()
        pool.shutdown()


__all__ = ["BLOCK", "SPLITS", "generate"]
