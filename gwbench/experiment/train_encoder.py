"""Pre-training as every process that takes part in it carries it out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gwbench import seeds
from gwbench.contracts import Array, Objective, StrainInfo, StrainSplits
from gwbench.errors import in_words
from gwbench.experiment.context import ExperimentContext
from gwbench.experiment.extension import training_start
from gwbench.experiment.objective_file import save_objective
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.preprocessing.conditioning import Conditioner
from gwbench.preprocessing.noise_source import coloured_noise_factory
from gwbench.preprocessing.signal_source import simulated_signals_factory
from gwbench.registry import REGISTRY
from gwbench.training.diagnostics import GENERATIVE_TAG, diagnose
from gwbench.training.distributed import ProcessGroup
from gwbench.training.ema import MomentumObjective, slow_target
from gwbench.training.method import SslMethod
from gwbench.training.pretrain import Trained, monitored, pretrain
from gwbench.training.validation_watch import Validation
from gwbench.utils.progress import Progress

if TYPE_CHECKING:
    from gwbench.evaluation.statistics import Interval


def train_encoder(
    context: ExperimentContext, encoder: DetectorEncoder, checkpoints: Path, process_group: ProcessGroup | None = None
) -> Trained:
    """Train an encoder in place with the run's pairing, augmentations and objective.

    Args:
        context: of the run; its training split is read, its labels are not.
        encoder: as pre-training starts from it.
        checkpoints: folder of the checkpoint, from which an interrupted training goes on.
        process_group: the processes that train together, which are connected; by default this one alone.

    Raises:
        UserError: the batch does not fit the data, or the training diverged.
    """
    assert context.spec.training
    process_group = process_group or ProcessGroup()
    device = process_group.device(context.device)
    start = training_start(context.spec, context.mode.extended_from, encoder)
    method = build_method(context, encoder)
    if process_group.is_main and not context.mode.extended_from:
        _warn_of_slow_target(context, method)
    trained = pretrain(
        method,
        context.strain["train"],
        context.spec.training,
        seed=context.seed,
        precision=context.precision,
        device=device,
        folder=checkpoints,
        progress=context.progress,
        process_group=process_group,
        validation=_validation(context, process_group, device, method.objective),
        start=start,
    )
    if not process_group.is_main:
        return trained
    save_objective(checkpoints.parent, method.objective)
    begun = time.perf_counter()
    diagnostics = _diagnostics(context, method, device)
    seconds = trained.diagnostics_seconds + time.perf_counter() - begun
    return replace(trained, diagnostics=diagnostics, diagnostics_seconds=seconds)


def build_method(context: ExperimentContext, encoder: DetectorEncoder) -> SslMethod:
    """The run's encoder, pairing, augmentations and objective; the objective's weights are those of the seed."""
    spec = context.spec
    assert spec.pairing and spec.objective
    info = strain_info(context.conditioner, context.splits, seed=context.seed, progress=context.progress)
    with seeds.torch_global(context.seed, "init", 1):
        objective = spec.objective.build("objective", encoder.embed_dim)
    return SslMethod(
        encoder=encoder,
        pairing=spec.pairing.build("pairing", info),
        augmentations=[choice.build("augmentation", info) for choice in spec.augmentations],
        objective=objective,
    )


def strain_info(conditioner: Conditioner, splits: StrainSplits, *, seed: int, progress: Progress) -> StrainInfo:
    """What pairings and augmentations may know of conditioned strain, and draw from.

    Args:
        conditioner: of the strain.
        splits: that it was fitted on.
        seed: of what is drawn.
        progress: where to report.
    """
    return StrainInfo(
        detectors=splits.detectors,
        sample_rate=splits.sample_rate,
        window=splits.window,
        coloured_noise=coloured_noise_factory(conditioner, seed=seed, progress=progress),
        signals=simulated_signals_factory(conditioner, splits.train.strain, seed=seed, progress=progress),
    )


def _validation(
    context: ExperimentContext, process_group: ProcessGroup, device: str, objective: Objective
) -> Validation | None:
    """What rank 0 looks at of the validation split while training goes on; None where nothing is asked for."""
    assert context.spec.training and context.spec.objective
    if not process_group.is_main or not (context.mode.probe_every or context.spec.training.stop != "none"):
        return None

    def judge(encoder: DetectorEncoder) -> Interval:
        if context.spec.uses_labels:
            return context.probe_on_validation(encoder, device)
        return context.score_on_validation(encoder, objective, device)

    return Validation(
        strain=context.strain["val"],
        paired=GENERATIVE_TAG not in REGISTRY.get("objective", context.spec.objective.name).tags,
        probe=judge,
        probe_every=context.mode.probe_every,
    )


def _warn_of_slow_target(context: ExperimentContext, method: SslMethod) -> None:
    """Say it where the objective's EMA target can hardly leave its random weights in so few steps."""
    settings = context.spec.training
    assert settings
    if not isinstance(method.objective, MomentumObjective):
        return
    steps = settings.steps(len(context.strain["train"]) // settings.batch_size)
    if steps and (said := slow_target(method.objective.first_momentum(steps), steps)):
        context.progress.say(said)


def _diagnostics(context: ExperimentContext, method: SslMethod, device: str) -> dict[str, Array]:
    """What there is to look at afterwards; nothing, with the reason said, where it cannot be had."""
    assert context.spec.objective
    if GENERATIVE_TAG in REGISTRY.get("objective", context.spec.objective.name).tags:
        return {}
    try:
        return diagnose(method, monitored(context.strain["train"]), seed=context.seed, device=device)
    except Exception as error:  # a training that went well must not be lost for a picture of it
        context.progress.say(f"No cross-correlation matrix is kept: {in_words(error)}")
        return {}
