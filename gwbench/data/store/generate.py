"""All windows of a dataset in order, made by threads, or by processes where those pay.

Threads share this process's memory and start at once, and most of the work runs outside the interpreter's lock.
Processes take seconds to start and have to send every block here, but share no lock: they pay where there is much work
that threads do not speed up, such as the waveforms of slow models.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from gwbench.data.store.layout import SPLITS
from gwbench.data.store.workers import BlockWorker, UnfitError, make_block

if TYPE_CHECKING:
    from gwbench.data.dataset import Block, Windows

BLOCK = 256
"""Windows made from one seed sequence."""

PROCESSES_PAY = 20.0
"""Seconds of work from which on processes are worth their start of several seconds."""

TRIAL = 8
"""At most so many threads are tried to see how much faster threads are."""

THREADS_PAY = 0.6
"""Part of the ideal speed-up that threads must reach; work that reaches less holds the interpreter's lock."""

BlockPosition = tuple[str, int, int]
"""Split, start, and count of windows."""


def generate(
    windows: Windows, sizes: Mapping[str, int], seed: int, workers: int = 1, *, skip: int = 0
) -> Generator[Block, None, None]:
    """All windows of a dataset, split by split, in blocks of `BLOCK`.

    Each block has a seed sequence of its own, so its windows depend neither on the other blocks nor on the number
    of workers.

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

    def make(place: BlockPosition) -> Block:
        return make_block(windows, seed, BLOCK, *place)

    if workers > 1:
        pace = 0.0
        # The first block may be slow because it imports what it needs; the second shows the pace.
        for place in [places.popleft() for _ in range(min(2, len(places)))]:
            begin = time.perf_counter()
            block = make(place)
            pace = time.perf_counter() - begin
            yield block
        if pace * len(places) >= PROCESSES_PAY:
            trial = [places.popleft() for _ in range(min(workers, TRIAL, len(places)))]
            begin = time.perf_counter()
            blocks = list(_in_order(make, trial, len(trial)))
            together = time.perf_counter() - begin
            yield from blocks
            if pace < THREADS_PAY * together:
                yield from _by_processes(windows, seed, list(places), workers, make)
                return
    yield from _in_order(make, places, workers)


def _by_processes(
    windows: Windows, seed: int, places: list[BlockPosition], workers: int, make: Callable[[BlockPosition], Block]
) -> Iterator[Block]:
    """The blocks of places in order, made by processes, or by `make` where `windows` cannot be handed to them."""
    try:
        pool = BlockWorker.pool(min(workers, len(places)), windows, seed, BLOCK)
    except UnfitError:
        yield from _in_order(make, places, workers)
        return
    idle = deque(pool)

    def ask(place: BlockPosition) -> Block:
        worker = idle.popleft()
        block = worker.block(*place)
        idle.append(worker)
        return block

    def stop() -> None:
        for worker in pool:
            worker.kill()

    try:
        yield from _in_order(ask, places, len(pool), stop)
    finally:
        for worker in pool:
            worker.close()


def _in_order(
    make: Callable[[BlockPosition], Block],
    places: Iterable[BlockPosition],
    workers: int,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[Block]:
    """The blocks of places, in order, from `workers` threads; at most `2 * workers` wait for the reader.

    With one worker, from the caller's thread.

    Args:
        make: makes one block.
        places: of the blocks.
        workers: threads.
        stop: called at the end, or where the reader stops, before waiting for the threads.
    """
    if workers < 2:
        yield from map(make, places)
        return
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
