"""Whether a run fits its data, asked before these are made: their shape is enough to tell.

What is refused here would otherwise end a run after its data were made and conditioned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from gwbench import seeds
from gwbench.contracts import InputShape, StrainInfo
from gwbench.errors import UserError
from gwbench.experiment import transfer
from gwbench.experiment.checkpoint import build_encoder
from gwbench.experiment.choice import Choice
from gwbench.experiment.data_shape import DataShape
from gwbench.experiment.refusal import SettingsRefusedError
from gwbench.nn.detector_encoder import DetectorEncoder, parse_groups
from gwbench.preprocessing.conditioning import require_fit
from gwbench.preprocessing.noise_source import coloured_noise_factory
from gwbench.preprocessing.signal_source import simulated_signals_factory
from gwbench.registry import REGISTRY
from gwbench.registry.parameters import parameters
from gwbench.training.pretrain import require_batch
from gwbench.utils.progress import Progress

if TYPE_CHECKING:
    from gwbench.contracts import Objective
    from gwbench.experiment.spec import RunSpec

WINDOWS = 2
"""Windows of noise that are embedded to see of what shape an embedding is."""

LONGER = re.compile(r"[,;:]?( or)? *raise dataset\.duration\b")
"""Advice that only datasets with windows of any length can follow."""


@dataclass(frozen=True)
class CheckedRun:
    """The parts of a run, constructed for its data.

    Attributes:
        encoder: untrained; None where the run has none.
        objective: None where nothing is pre-trained.
    """

    encoder: DetectorEncoder | None
    objective: Objective | None


def check_run(spec: RunSpec, shape: DataShape) -> CheckedRun:
    """Construct the parts of a run for data of a shape.

    Raises:
        SettingsRefusedError: a part, or a setting, does not fit them.
    """
    try:
        return _check_run(spec, shape)
    except UserError as error:
        raise SettingsRefusedError(str(error)) from error


def _check_run(spec: RunSpec, shape: DataShape) -> CheckedRun:
    spec.require_labels()
    transfer.require_fit(spec, shape)
    require_fit(spec.conditioning, shape.sample_rate, shape.window, shape.margin)
    spec.build_task()
    if spec.baseline:
        spec.baseline.build("baseline")
    encoder = _checked_encoder(spec, shape) if spec.encoder else None
    if spec.training is None:
        return CheckedRun(encoder, None)
    assert encoder and spec.pairing and spec.objective
    info = _strain_info(spec, shape)
    for kind, choice in (("pairing", spec.pairing), *(("augmentation", choice) for choice in spec.augmentations)):
        _try_build(kind, choice, info)
    with seeds.torch_global(spec.seed, "init", 1):
        objective: Objective = spec.objective.build("objective", encoder.embed_dim)
    require_batch(shape.sizes["train"], spec.training, objective.min_batch)
    return CheckedRun(encoder, objective)


def _try_build(kind: str, choice: Choice, info: StrainInfo) -> None:
    """Construct a part; raise what it refuses by itself.

    What fails otherwise may have drawn of sources that are not there yet: the run tells.
    """
    try:
        choice.build(kind, info)
    except UserError as error:
        if error.__cause__ is None:
            raise


def _strain_info(spec: RunSpec, shape: DataShape) -> StrainInfo:
    """What pairings and augmentations are constructed with; nothing is drawn of its sources."""
    conditioner: Any = SimpleNamespace(
        detectors=shape.detectors,
        sample_rate=shape.sample_rate,
        window=shape.window,
        margin=shape.margin,
        settings=spec.conditioning,
    )
    strain: Any = None
    progress = Progress()
    return StrainInfo(
        detectors=shape.detectors,
        sample_rate=shape.sample_rate,
        window=shape.window,
        coloured_noise=coloured_noise_factory(conditioner, seed=spec.seed, progress=progress),
        signals=simulated_signals_factory(conditioner, strain, seed=spec.seed, progress=progress),
    )


def _checked_encoder(spec: RunSpec, shape: DataShape) -> DetectorEncoder:
    """The untrained encoder, whose embeddings are of the shape that it promises.

    Raises:
        UserError: it does not take such windows, or its embeddings are of another shape.
    """
    assert spec.encoder
    parse_groups(spec.encoder_groups, shape.detectors)
    channels = len(shape.detectors) if spec.encoder_groups == "network" else 1
    input_shape = InputShape(channels, shape.window, shape.sample_rate)
    try:
        with seeds.torch_global(spec.seed, "init"):
            encoder = build_encoder(spec, shape.detectors, shape.window, shape.sample_rate)
    except UserError as error:
        raise UserError(_advice_that_fits(str(error), spec, input_shape)) from error
    network: Any = encoder.encoders[0]
    generator = seeds.torch_generator(spec.seed, "diagnostics")
    strain = torch.randn(WINDOWS, channels, shape.window, generator=generator)
    try:
        with seeds.torch_global(spec.seed, "diagnostics"), torch.inference_mode():
            found = tuple(network.eval()(strain).shape)
    except Exception:  # a bug of the encoder's, which the run shows with all that leads to it
        return encoder.train()
    if found != (WINDOWS, encoder.embed_dim):
        raise UserError(
            f"The encoder {spec.encoder.name!r} gives embeddings of shape {list(found)} for {WINDOWS} windows, and its "
            f"embed_dim asks for [{WINDOWS}, {encoder.embed_dim}]. `gwbench check {_name_or_file(spec.encoder.name)}` "
            "checks all that an encoder promises."
        )
    return encoder.train()


def _name_or_file(encoder: str) -> str:
    """What `gwbench check` takes for an encoder."""
    plugin = REGISTRY.get("encoder", encoder)
    return next(iter(REGISTRY.sources_of([plugin])), encoder)


def _advice_that_fits(message: str, spec: RunSpec, shape: InputShape) -> str:
    """An encoder's refusal of windows, without advice that the dataset cannot follow, and with encoders that fit."""
    if "dataset.duration" not in message:
        return message
    dataset = REGISTRY.get("dataset", spec.dataset.name)
    if not any(parameter.name == "duration" for parameter in parameters(dataset)):
        message = f"{LONGER.sub('', message).rstrip(' .')}."
    own = spec.encoder and spec.encoder.name
    fitting = [each.name for each in REGISTRY.list("encoder") if each.name != own and _takes(each.name, shape)]
    if not fitting:
        return message
    return f"{message} Other encoders take windows of {shape.samples} samples as they are: {', '.join(fitting)}."


def _takes(encoder: str, shape: InputShape) -> bool:
    """Whether an encoder with its default parameters can be built for windows."""
    try:
        with torch.random.fork_rng(devices=[]):
            Choice.of("encoder", encoder, {}).build("encoder", shape)
    except Exception:
        return False
    return True
