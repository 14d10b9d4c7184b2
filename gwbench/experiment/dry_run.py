"""What a run would do, without making data or leaving a record: its checks, windows, steps, memory and time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gwbench.contracts import Layout, StrainSplits
from gwbench.experiment.construction import COPIES
from gwbench.experiment.data_cache import DataCache, read_often
from gwbench.experiment.data_shape import DataShape, RunDataContext, first_windows
from gwbench.experiment.device_sharing import refuse_sharing
from gwbench.experiment.preflight import check_run
from gwbench.experiment.run_directory import CHECKPOINTS, directory_of, find_record
from gwbench.experiment.run_mode import ORDINARY, RunMode
from gwbench.experiment.run_timing import earlier_seconds, trial_seconds
from gwbench.training.distributed import ProcessGroup
from gwbench.utils.memory import free_memory, memory_budget

if TYPE_CHECKING:
    from gwbench.contracts import Windows
    from gwbench.experiment.spec import RunSpec
    from gwbench.utils.progress import Progress

FLOAT = 4
"""Bytes of a number of strain."""


@dataclass(frozen=True)
class RunPlan:
    """What a run would do.

    Attributes:
        title: the method and its data in words.
        folder: of the run.
        status: of that folder; a run that is done would not be done again.
        detectors, sample_rate, window, windows: of the data, the last per split.
        data: whether they are there or would be made.
        data_bytes: of what would be made; 0 where nothing would.
        labels: training windows whose labels the probe may use at most, since some may have none.
        epochs, steps: of pre-training, at most where it may stop earlier; 0 without.
        batch_size: windows per step.
        parameters: of the encoder, trainable; 0 without one.
        embed_dim: of what the probe sees of a window.
        conditioned_bytes: of the strain that the run reads often.
        conditioned_in: "memory", or "disk" where it takes more than may fill memory.
        memory_bytes: of the process, about: libraries aside.
        free_bytes: of memory that are free now.
        seconds: by phase, about.
        seconds_from: how they are known.
    """

    title: str
    folder: str
    status: Literal["done", "failed", "interrupted", "missing"]
    detectors: tuple[str, ...]
    sample_rate: float
    window: int
    windows: dict[str, int]
    data: Literal["there", "to be made"]
    data_bytes: int
    labels: int
    epochs: int
    steps: int
    batch_size: int
    parameters: int
    embed_dim: int
    conditioned_bytes: int
    conditioned_in: Literal["memory", "disk"]
    memory_bytes: int
    free_bytes: int
    seconds: dict[str, float] = field(default_factory=dict)
    seconds_from: str = ""

    @property
    def total_seconds(self) -> float | None:
        """Of the phases together; None where nothing is known."""
        return sum(self.seconds.values()) if self.seconds else None


class _LayoutFound(Exception):
    """Data would be made now."""

    def __init__(self, layout: Layout, windows: Windows) -> None:
        super().__init__("data would be made")
        self.layout, self.windows = layout, windows


class LookingContext(RunDataContext):
    """Makes no data: tells which would be made."""

    def stored(self, layout: Layout, windows: Windows) -> StrainSplits:
        """The dataset where the cache has it; raises `_LayoutFound` where it would be made."""
        found = self.find(layout)
        if found is None:
            raise _LayoutFound(self.limited(layout), windows)
        return found


def plan_run(
    spec: RunSpec,
    *,
    device: str,
    process_group: ProcessGroup | None = None,
    out: str | Path,
    data_cache: DataCache,
    mode: RunMode = ORDINARY,
    progress: Progress,
) -> RunPlan:
    """What a run would do; every setting is checked as the run would check it.

    Args:
        spec: the run.
        device: "cpu", "cuda", "cuda:N" or "mps".
        process_group: who would pre-train.
        out: folder of run folders.
        data_cache: looks for the data.
        mode: how it would be carried out.
        progress: where to report.

    Raises:
        UserError: the run would be refused.
    """
    process_group = process_group or ProcessGroup()
    refuse_sharing(spec, process_group)
    mode.check(spec)
    with progress.task("Check settings", 3) as task:
        fingerprint = data_cache.fingerprint(spec)
        record = find_record(spec, fingerprint, out)
        folder = directory_of(spec, fingerprint, out)
        windows: Windows | None = None
        try:
            context = data_cache.context(spec, progress, LookingContext)
            splits = first_windows(data_cache.dataset(spec).load(context), spec.limit)
            shape = DataShape.of(splits)
        except _LayoutFound as found:
            shape, windows = DataShape.of(found.layout), found.windows
        task.advance()
        parts = check_run(spec, shape)
        task.advance()
        labels = round(shape.sizes["train"] * spec.evaluation.label_fraction)
        trial = trial_seconds(
            spec,
            shape,
            parts,
            windows,
            labels=labels,
            device=device,
            workers=context.workers,
            process_group=process_group,
        )
        seconds, known_from = earlier_seconds(spec, out) or (trial.seconds, trial.source)
        task.advance()
    batches = shape.sizes["train"] // spec.training.batch_size if spec.training else 0
    steps = spec.steps(batches)
    parameters = sum(p.numel() for p in parts.encoder.parameters() if p.requires_grad) if parts.encoder else 0
    views = 1 if spec.encoder_groups == "network" else len(shape.detectors)
    row = FLOAT * len(shape.detectors) * shape.window
    conditioned = sum(row * shape.sizes[name] for name in read_often(spec, many=False))
    in_memory = conditioned <= memory_budget()
    weights = FLOAT * COPIES * (parameters + _numbers(parts.objective)) if spec.trains else FLOAT * parameters
    return RunPlan(
        title=f"{spec.title} on {spec.dataset.name}, seed {spec.seed}",
        folder=str(folder),
        status=_status(record.status if record else None, folder),
        detectors=shape.detectors,
        sample_rate=shape.sample_rate,
        window=shape.window,
        windows=dict(shape.sizes),
        data="to be made" if windows else "there",
        data_bytes=_data_bytes(shape) if windows else 0,
        labels=labels,
        epochs=-(-steps // batches) if batches else 0,
        steps=steps,
        batch_size=spec.training.batch_size if spec.training else 0,
        parameters=parameters,
        embed_dim=parts.encoder.embed_dim * views if parts.encoder else 0,
        conditioned_bytes=conditioned,
        conditioned_in="memory" if in_memory else "disk",
        memory_bytes=(conditioned if in_memory else 0) + weights + trial.activation_bytes,
        free_bytes=free_memory(),
        seconds=seconds,
        seconds_from=known_from,
    )


def _status(recorded: str | None, folder: Path) -> Literal["done", "failed", "interrupted", "missing"]:
    if recorded:
        return "done" if recorded == "ok" else "failed"
    return "interrupted" if (folder / CHECKPOINTS).is_dir() else "missing"


def _data_bytes(shape: DataShape) -> int:
    return FLOAT * len(shape.detectors) * (shape.window + 2 * shape.margin) * sum(shape.sizes.values())


def _numbers(module: object) -> int:
    parameters = getattr(module, "parameters", None)
    return sum(p.numel() for p in parameters() if p.requires_grad) if parameters else 0
