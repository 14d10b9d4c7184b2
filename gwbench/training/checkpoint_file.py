"""The checkpoint of an interrupted training: checked before it is trusted.

A file that opens may still hold something else: a dictionary of another program, another run's weights, counters that
contradict each other. Lightning would end in an exception at every start, or go on from there without a word.
"""

from __future__ import annotations

import math
import os
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from gwbench.errors import UserError
from gwbench.training.distributed import ProcessGroup
from gwbench.training.learning_curve import check_curve
from gwbench.training.stopping import check_stopper
from gwbench.training.trainer import weight_groups

if TYPE_CHECKING:
    from gwbench.utils.progress import Progress


class UnfitCheckpointError(Exception):
    """Why a checkpoint cannot be resumed from."""


def agree_on_checkpoint(
    checkpoint: Path,
    module: pl.LightningModule,
    epochs: int,
    batches: int,
    progress: Progress,
    process_group: ProcessGroup,
) -> str | None:
    """The checkpoint that all processes resume from.

    Args:
        checkpoint: where it would be.
        module: what is to be trained.
        epochs: of the whole training.
        batches: of an epoch.
        progress: told of a checkpoint that cannot serve, which is removed.
        process_group: who trains.

    Raises:
        UserError: this node does not see the checkpoint of the others.
    """
    path = _usable(checkpoint, module, epochs, batches, progress) if process_group.is_main else None
    if process_group.channel:
        path = process_group.channel.agree(path)
    if path and not checkpoint.exists():
        raise UserError(f"There is no {checkpoint} on this node: give --out a folder that all nodes share.")
    return path and str(checkpoint)


def _usable(checkpoint: Path, module: pl.LightningModule, epochs: int, batches: int, progress: Progress) -> str | None:
    """The checkpoint to resume from, if there is one from which this training can go on."""
    if not os.path.lexists(checkpoint):
        return None
    try:
        check_checkpoint(checkpoint, module, epochs, batches)
    except UnfitCheckpointError as error:
        set_aside(checkpoint, str(error), progress)
        return None
    return str(checkpoint)


def set_aside(checkpoint: Path, reason: str, progress: Progress) -> None:
    """Say why a checkpoint cannot serve, and take it out of the way."""
    progress.say(f"The checkpoint {checkpoint} cannot be used ({reason}): starting over.")
    if checkpoint.is_dir() and not checkpoint.is_symlink():
        shutil.rmtree(checkpoint)
    else:
        checkpoint.unlink(missing_ok=True)


def check_checkpoint(path: Path, module: pl.LightningModule, epochs: int, batches: int) -> None:
    """Raise unless a training can go on from a file.

    Args:
        path: of the checkpoint.
        module: what is to be trained.
        epochs: of the whole training.
        batches: of an epoch.

    Raises:
        UnfitCheckpointError: the file does not open, or holds anything but this training after some of its epochs.
    """
    try:
        _refuse_compressed(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnfitCheckpointError:
        raise
    except Exception as error:
        raise UnfitCheckpointError(f"it cannot be read: {type(error).__name__}") from None
    try:
        done = _check_history(content, epochs)
        _check_watch(content["callbacks"], module, epochs, done)
        _check_counters(content, done, min(done * batches, int(getattr(module, "total_steps", done * batches))))
        _check_weights(content["state_dict"], module)
        _check_optimizer(content["optimizer_states"], module)
    except UnfitCheckpointError:
        raise
    except Exception as error:  # an entry is missing, or of another type
        raise UnfitCheckpointError(f"it is of something else: {type(error).__name__}") from None


def _refuse_compressed(path: Path) -> None:
    """A checkpoint is as large as what it holds; one that is not could fill the memory."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
            raise UnfitCheckpointError("it declares more than it holds")


def _check_history(content: Mapping[str, Any], epochs: int) -> int:
    """The number of epochs that are done, after a check of what the monitor noted."""
    history = content["callbacks"]["History"]
    losses, figures = history["loss"], history["collapse"]
    numbers = [*losses, *(each[name] for each in figures for name in ("spread", "effective_rank"))]
    numbers += [history["seconds"], history.get("looking", 0.0)]
    if not all(isinstance(number, float) and math.isfinite(number) for number in numbers):
        raise UnfitCheckpointError("its figures of the epochs are no numbers")
    if not 0 < len(losses) == len(figures) <= epochs or min(numbers[-2:]) < 0:
        raise UnfitCheckpointError(f"it has figures of {len(losses)} epochs, of {epochs} in all")
    return len(losses)


def _check_watch(states: Mapping[str, Any], module: pl.LightningModule, epochs: int, done: int) -> None:
    """What looked at the validation split, where something did."""
    problem = check_curve(states["LearningCurve"]["points"]) if "LearningCurve" in states else ""
    if getattr(module, "schedule", None):
        problem = problem or check_stopper(states["PlateauStopper"], epochs, done)
    if problem:
        raise UnfitCheckpointError(problem)


def _check_counters(content: Mapping[str, Any], done: int, steps: int) -> None:
    found = (content["epoch"], content["global_step"], content["callbacks"]["History"]["steps"])
    if found != (done - 1, steps, steps) or not all(type(number) is int for number in found):
        raise UnfitCheckpointError("its counts of epochs and steps contradict each other")
    loops = content["loops"]
    progress = loops["fit_loop"]["epoch_progress"]["current"]
    if progress["processed"] != done or loops["fit_loop"]["epoch_loop.batch_progress"]["total"]["completed"] != steps:
        raise UnfitCheckpointError("its loops are at another epoch")
    if not all(type(number) in (int, bool) and 0 <= number <= steps for number in _leaves(loops)):
        raise UnfitCheckpointError("its loops count what cannot be")
    (schedule,) = content["lr_schedulers"]
    if schedule["last_epoch"] != steps:
        raise UnfitCheckpointError("its schedule is at another step")


def _leaves(tree: Any) -> Iterable[Any]:
    if not isinstance(tree, Mapping):
        return [tree]
    return [leaf for branch in tree.values() for leaf in _leaves(branch)]


def _check_weights(weights: Mapping[str, Any], module: pl.LightningModule) -> None:
    wanted, trained = module.state_dict(), dict(module.named_parameters())
    if weights.keys() != wanted.keys():
        raise UnfitCheckpointError("its weights are those of another network")
    for name, value in weights.items():
        if not isinstance(value, Tensor) or (value.shape, value.dtype) != (wanted[name].shape, wanted[name].dtype):
            raise UnfitCheckpointError(f"its {name} is not {wanted[name].dtype} {list(wanted[name].shape)}")
        if name in trained and not torch.isfinite(value).all():
            raise UnfitCheckpointError(f"its {name} holds NaN or infinite numbers")


def _check_optimizer(states: Any, module: pl.LightningModule) -> None:
    """Every weight has its optimiser's tensors, each of the weight's shape or a single number."""
    (state,) = states
    weights = [weight for group in weight_groups(module, 0.0) for weight in group["params"]]
    fresh: Any = module.configure_optimizers()
    if [_settings(group) for group in state["param_groups"]] != [
        _settings(group) for group in fresh["optimizer"].state_dict()["param_groups"]
    ] or not all(math.isfinite(group["lr"]) for group in state["param_groups"]):
        raise UnfitCheckpointError("its optimiser is another")
    if not state["state"].keys() <= set(range(len(weights))):
        raise UnfitCheckpointError("its optimiser is that of another network")
    for number, values in state["state"].items():
        for value in values.values():
            if isinstance(value, Tensor) and value.ndim and value.shape != weights[number].shape:
                raise UnfitCheckpointError("its optimiser's numbers are those of another network")


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    """What stays the same of a group of weights all through a training."""
    kept = {"weight_decay", "betas", "eps", "momentum", "dampening", "nesterov", "initial_lr", "params"}
    return {
        name: list(value) if name in ("betas", "params") else value for name, value in group.items() if name in kept
    }


__all__ = ["UnfitCheckpointError", "agree_on_checkpoint", "check_checkpoint", "set_aside"]
