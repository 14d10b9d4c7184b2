"""Pre-training by several processes of this machine, which gwbench starts.

Of the ways in which Lightning starts subprocesses, one repeats the command of the script that runs, which a recorder, a
suite's worker and a program that calls `gwbench.run` do not have, and the other imports the main script once more,
which then must be written for it. So they are started here, as a suite starts its workers: new interpreters that are
handed the run's data and nothing else. Strain that lies in files is opened by each of them; what was conditioned
into memory is in memory once for all.

This process takes no part: it passes on what rank 0 reports, ends all of them where one dies or Ctrl-C is pressed, and
gets the trained weights. They end with this process, should it be killed.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load, save

from gwbench.data.store.cache import CacheDir
from gwbench.dataloading.conditioned_split import CHUNK, ConditionedStrain
from gwbench.errors import UserError, in_words
from gwbench.experiment.train_encoder import train_encoder
from gwbench.registry import REGISTRY
from gwbench.training.distributed.process_group import ProcessGroup, connected
from gwbench.utils.leftovers import scratch_folder
from gwbench.utils.memory import memory_share
from gwbench.utils.progress import Progress
from gwbench.utils.progress_relay import ProgressRelay, RelayedProgress
from gwbench.utils.subprocesses import take_threads, thread_variables, usable_cores
from gwbench.utils.worker_process import Message, ParentProcess, WorkerProcess, ready

if TYPE_CHECKING:
    from gwbench.experiment.context import ExperimentContext
    from gwbench.nn.detector_encoder import DetectorEncoder
    from gwbench.training.pretrain import Trained

GRACE = 5.0
"""Seconds for the others to say what went wrong with them, once one has ended early: the first to notice that a
process is gone is often not the one that went."""

TRAIN = "train"


# --- the process that starts them ---


def train_in_processes(
    context: ExperimentContext, encoder: DetectorEncoder, folder: Path, process_group: ProcessGroup
) -> Trained:
    """Train the encoder in place, by as many new processes as the process group has.

    Args:
        context: of the run.
        encoder: as pre-training starts from it.
        folder: of the checkpoint.
        process_group: how many subprocesses.

    Raises:
        UserError: anything that the caller can mend; one of the processes ended early.
        RuntimeError: a mistake in gwbench or a plugin, with its traceback.
        KeyboardInterrupt: Ctrl-C.
    """
    strain = context.strain[TRAIN]
    if not strain.in_memory:  # a file that this process fills could be filled by no other
        strain.leave_file()
    with ExitStack() as stack:
        shared = stack.enter_context(_in_shared_memory(strain)) if strain.in_memory else None
        scratch = stack.enter_context(scratch_folder())
        job = scratch / "job"
        job.write_bytes(_pickled(context, folder, scratch / "store", shared))
        sources = REGISTRY.sources_of(context.spec.plugins())
        ranks: list[_Rank] = []
        stack.callback(_end, ranks)
        for rank in range(process_group.size):
            ranks.append(_Rank(replace(process_group, rank=rank, local_rank=rank), sources, job, shared))
        trained, weights = _hear(ranks, RelayedProgress(context.progress))
    encoder.load_state_dict(load(weights))
    return trained


@contextmanager
def _in_shared_memory(strain: ConditionedStrain) -> Iterator[int]:
    """The descriptor of a file, in memory where the system has such, with all windows [N, D, T] float32."""
    with _memory_file() as file:
        for start in range(0, len(strain), CHUNK):
            file.write(strain[slice(start, min(start + CHUNK, len(strain)))].numpy().data)
        file.flush()
        yield file.fileno()


def _memory_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("gwbench-strain"), "w+b")
    return tempfile.TemporaryFile()


def _pickled(context: ExperimentContext, folder: Path, store: Path, shared: int | None) -> bytes:
    """What every process needs to know.

    Raises:
        UserError: the dataset's reader cannot be pickled.
    """
    job = {
        "context": replace(context, strain={}, progress=Progress()),
        "folder": folder.absolute(),
        "store": store,
        "shared": shared,
    }
    stream = io.BytesIO()
    try:
        _Pickler(stream).dump(job)
    except Exception as error:
        raise UserError(
            f"The strain of the dataset {context.spec.dataset.name!r} cannot be handed to other processes "
            f"({in_words(error)}): leave out --devices, or have its reader pickle."
        ) from None
    return stream.getvalue()


class _Pickler(pickle.Pickler):
    """Has files that are mapped into memory mapped again, instead of copied."""

    def reducer_override(self, obj: Any) -> Any:
        base: Any = obj.base if isinstance(obj, np.memmap) else None
        if isinstance(base, mmap.mmap) and obj.filename:
            order = "C" if obj.flags.c_contiguous else "F"
            return np.memmap, (obj.filename, obj.dtype, "r", obj.offset, obj.shape, order)
        return NotImplemented


class _Rank(WorkerProcess):
    """One of the processes that pre-train together: it is handed this one's plugins and the job.

    Raises:
        UserError: it cannot be started.
    """

    def __init__(self, process_group: ProcessGroup, sources: list[str], job: Path, shared: int | None) -> None:
        self.process_group = process_group
        kept = [] if shared is None else [shared]
        try:
            super().__init__(__name__, _environment(process_group), kept=kept)
        except OSError as error:
            raise UserError(f"No process can be started: {error}. Lower --devices.") from None
        self.send((process_group, sources, job))

    def receive(self) -> Message:
        """As of `WorkerProcess`; where the process died, the message for the user."""
        kind, value = super().receive()
        if kind == "died":
            value = (
                f"Process {self.process_group.rank + 1} of the {self.process_group.size} that pre-train together "
                f"{value}. The same command, with these --devices or others, goes on from the last finished epoch."
            )
        return kind, value


def _environment(process_group: ProcessGroup) -> dict[str, str]:
    """A process's share of the machine, and its rank in the process group as Lightning looks for it."""
    variables = {
        "RANK": process_group.rank,
        "WORLD_SIZE": process_group.size,
        "LOCAL_RANK": process_group.local_rank,
        "GROUP_RANK": 0,
    }
    return {
        **thread_variables(usable_cores() // process_group.size),
        **memory_share(process_group.size),
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        **{name: str(number) for name, number in variables.items()},
    }


def _end(ranks: list[_Rank]) -> None:
    for rank in ranks:
        rank.close()  # the checkpoint is whole at any moment


def _hear(ranks: list[_Rank], reports: RelayedProgress) -> tuple[Trained, bytes]:
    """What rank 0 has trained, once all are done."""
    result: tuple[Trained, bytes] | None = None
    errors: dict[str, Any] = {}
    until: float | None = None
    at_work = list(ranks)
    with reports:
        while at_work:
            heard = ready(at_work, None if until is None else max(until - time.monotonic(), 0))
            if not heard:
                break
            for rank in heard:
                kind, value = rank.receive()
                if kind not in ("done", "mistake", "broken", "died"):
                    reports.hear(kind, value)
                    continue
                at_work.remove(rank)
                if kind != "done":
                    errors.setdefault(kind, value)
                    until = until or time.monotonic() + GRACE
                elif rank.process_group.is_main:
                    result = value
    if "mistake" in errors:
        raise UserError(errors["mistake"].message)
    if "died" in errors:  # the others only say that it has gone
        raise UserError(errors["died"])
    if "broken" in errors:
        raise RuntimeError(f"pre-training by several processes:\n{errors['broken'].traceback}")
    assert result
    return result


# --- the processes that are started ---


def serve(descriptor: int) -> None:
    """The life of a process: take part in one pre-training."""
    parent = ParentProcess(descriptor)
    parent.answer(partial(_serve, parent))


def _serve(parent: ParentProcess) -> tuple[Trained, bytes] | None:
    process_group, sources, path = parent.receive()
    for source in sources:
        REGISTRY.load_source(source)
    job = pickle.loads(path.read_bytes())  # of the process that started this one
    take_threads()
    return _take_part(process_group, parent.send, **job)


def _take_part(
    process_group: ProcessGroup,
    tell: Callable[..., None],
    context: ExperimentContext,
    folder: Path,
    store: Path,
    shared: int | None,
) -> tuple[Trained, bytes] | None:
    """Pre-train with the others; rank 0 returns what came of it, and the encoder's weights."""
    progress = ProgressRelay(tell) if process_group.is_main else Progress()
    splits = context.splits
    if shared is not None:
        strain: ConditionedStrain = _SharedStrain(context, shared)
    else:
        strain = ConditionedStrain(splits.train, context.conditioner, TRAIN)
        strain.keep(progress, CacheDir(context.cache).root, splits.content_hash)
    known = {TRAIN: strain}
    if process_group.is_main:  # which looks at it now and then
        known["val"] = ConditionedStrain(splits.val, context.conditioner, "val")
    context = replace(context, strain=known, progress=progress)
    encoder = context.new_encoder()
    with connected(process_group, context.device, store) as together:
        trained = train_encoder(context, encoder, folder, together)
    if not process_group.is_main:
        return None
    return trained, save({name: value.contiguous() for name, value in encoder.state_dict().items()})


class _SharedStrain(ConditionedStrain):
    """The conditioned training split in memory that all processes share."""

    def __init__(self, context: ExperimentContext, descriptor: int) -> None:
        splits = context.splits
        super().__init__(splits.train, context.conditioner, TRAIN)
        # A copy would only be made of what is written to, and nothing is: torch takes no memory that cannot be.
        numbers = np.frombuffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY), np.float32)
        self._kept = torch.from_numpy(numbers.reshape(len(splits.train), len(splits.detectors), splits.window))
