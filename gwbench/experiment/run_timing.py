"""How long a run will take: as an earlier run of the same kind did, or measured on a few windows of noise."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gwbench import seeds
from gwbench.contracts import View
from gwbench.data.store.generate import BLOCK
from gwbench.data.store.workers import make_block
from gwbench.errors import UserError
from gwbench.experiment.record import RECORD, read_record
from gwbench.training.distributed import ProcessGroup

if TYPE_CHECKING:
    from gwbench.contracts import Windows
    from gwbench.experiment.data_shape import DataShape
    from gwbench.experiment.preflight import CheckedRun
    from gwbench.experiment.spec import RunSpec

TRIED = 32
"""Windows of a trial step, where the objective does not need more."""

MADE = 8
"""Windows of the data that are made, and dropped, to see how long it takes."""

READ = 500
"""Records of earlier runs that are looked at, at most."""


@dataclass(frozen=True)
class TrialTimes:
    """What a few windows tell.

    Attributes:
        seconds: of each phase that could be measured.
        activation_bytes: that one step of training keeps for its gradients.
        source: how the times are known.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    activation_bytes: int = 0
    source: str = ""


def earlier_seconds(spec: RunSpec, out: str | Path) -> tuple[dict[str, float], str] | None:
    """Mean seconds by phase of finished runs that differ from a run in their seeds alone; None without any."""
    wanted = _without_seeds(spec)
    found: list[dict[str, float]] = []
    paths = sorted(Path(out).glob(f"*/{RECORD}")) if Path(out).is_dir() else []
    for path in paths[:READ]:
        try:
            record = read_record(path.parent)
            same = record.status == "ok" and _without_seeds(record.spec.current()) == wanted
        except UserError:
            continue
        if same and "pretrained_by" not in record.details:
            found.append({name: phase.seconds for name, phase in record.phases.items()})
    if not found:
        return None
    phases = dict.fromkeys(name for each in found for name in each)
    mean = {name: fmean(each.get(name, 0.0) for each in found) for name in phases}
    return mean, f"as {len(found)} finished run{'s' if len(found) > 1 else ''} of other seeds took"


def trial_seconds(
    spec: RunSpec,
    shape: DataShape,
    parts: CheckedRun,
    windows: Windows | None,
    *,
    labels: int,
    device: str,
    workers: int,
    process_group: ProcessGroup,
) -> TrialTimes:
    """Measure a step on noise, and the making of a few windows; what cannot be measured is left out.

    Args:
        spec: the run.
        shape: of its data.
        parts: of the run, which are changed.
        windows: make the data; None where these are there.
        labels: training windows that are probed.
        device: where the run would compute.
        workers: threads or processes that make data.
        process_group: who would pre-train.
    """
    seconds: dict[str, float] = {}
    kept = 0
    if windows is not None:
        made = _attempt(lambda: _making(windows, spec.data_seed))
        if made is not None:
            seconds["data"] = made * sum(shape.sizes.values()) / workers
    if parts.encoder is not None:
        channels = len(shape.detectors) if spec.encoder_groups == "network" else 1
        views = len(shape.detectors) // channels
        parts.encoder.to(device)
        judged = labels + shape.sizes["val"] + shape.sizes["test"]
        forward = _attempt(lambda: _embedding(parts, _noise(spec, shape, channels, TRIED, device)))
        if parts.objective is not None and spec.training is not None:
            parts.objective.to(device)
            tried = min(max(TRIED, parts.objective.min_batch), spec.training.batch_size)
            step = _attempt(lambda: _training(spec, parts, _views(spec, shape, channels, tried, device)))
            if step is not None:
                spent, saved = step
                batches = shape.sizes["train"] // spec.training.batch_size
                trained = spec.steps(batches) * spec.training.batch_size
                seconds["pretrain"] = spent / tried * trained / process_group.size
                kept = round(saved / tried * spec.training.batch_size / process_group.size)
        if forward is not None and not (spec.baseline and spec.trains):
            seconds["baseline" if spec.baseline else "evaluate"] = forward / TRIED * views * judged
    if spec.baseline and (parts.encoder is None or spec.trains):
        return TrialTimes(seconds, kept, "measured on a few windows of noise, but for what the baseline does itself")
    return TrialTimes(seconds, kept, "measured on a few windows of noise")


def _attempt(measure: Callable[[], Any]) -> Any:
    """What a measurement gives; None where it fails, which the run itself would tell."""
    try:
        return measure()
    except Exception:
        return None


def _making(windows: Windows, seed: int) -> float:
    """Seconds that a window takes to make; the first block imports what it needs."""
    make_block(windows, seed, BLOCK, "train", 0, 2)
    begun = time.perf_counter()
    make_block(windows, seed, BLOCK, "train", 0, MADE)
    return (time.perf_counter() - begun) / MADE


def _noise(spec: RunSpec, shape: DataShape, channels: int, count: int, device: str) -> Tensor:
    """White noise [count, C, T], as conditioned strain without signals is."""
    generator = seeds.torch_generator(spec.seed, "diagnostics")
    return torch.randn(count, channels, shape.window, generator=generator).to(device)


def _views(spec: RunSpec, shape: DataShape, channels: int, count: int, device: str) -> tuple[View, View]:
    """Two views of noise; where an encoder sees one detector at a time, of the detectors in turn."""
    strain = _noise(spec, shape, channels, 2 * count, device)
    if channels > 1:
        index = torch.arange(channels, device=device).expand(count, channels)
        return View(strain[:count], index), View(strain[count:], index)
    index = (torch.arange(count, device=device) % len(shape.detectors))[:, None]
    return View(strain[:count], index), View(strain[count:], (index + 1) % len(shape.detectors))


def _embedding(parts: CheckedRun, strain: Tensor) -> float:
    """Seconds that a batch takes to embed."""
    network: Any = parts.encoder.encoders[0] if parts.encoder else None
    network.eval()
    with torch.inference_mode():
        return _timed(lambda: network(strain))


def _training(spec: RunSpec, parts: CheckedRun, views: tuple[View, View]) -> tuple[float, int]:
    """Seconds of a step without its optimiser, and the bytes that it keeps for its gradients."""
    assert parts.encoder and parts.objective
    encoder, objective = parts.encoder.train(), parts.objective.train()
    device = views[0].samples.device.type
    storages: Mapping[int, int] = {}

    def step() -> None:
        nonlocal storages
        found: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
            return tensor

        with (
            seeds.torch_global(spec.seed, "diagnostics"),
            torch.autocast(device, dtype=torch.bfloat16, enabled=spec.precision == "bf16"),
            torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        ):
            loss = objective(*views, encoder)
        loss.backward()
        storages = found

    objective.attach(encoder)
    return _timed(step), sum(storages.values())


def _timed(work: Callable[[], object]) -> float:
    """Seconds that work takes, once it is warm: the faster of two."""
    work()
    spent = []
    for _ in range(2):
        _wait()
        begun = time.perf_counter()
        work()
        _wait()
        spent.append(time.perf_counter() - begun)
    return min(spent)


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _without_seeds(spec: RunSpec) -> str:
    return spec.model_copy(update={"seed": 0, "data_seed": 0}).canonical()
