"""One fit by Lightning: quiet, with callbacks of our own for progress and checkpoints."""

from __future__ import annotations

import io
import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import DDPStrategy
from torch import nn
from torch.optim import Optimizer

from gwbench.training.distributed import ProcessGroup, cluster


class DirectCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint where it is told to.

    Lightning's own goes through the system's folder for temporary files, where a process that is killed leaves it.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Called by Lightning. A full disk is an `OSError` here, and would be torch's own error if torch wrote."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        Path(path).write_bytes(content.getbuffer())


def weight_groups(module: nn.Module, weight_decay: float, **settings: Any) -> list[dict[str, Any]]:
    """A module's trained parameters for an optimiser: weights decay, biases and normalisation layers do not."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay, **settings},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0, **settings},
    ]
    return [group for group in groups if group["params"]]


def adamw(groups: list[dict[str, Any]], **settings: Any) -> torch.optim.AdamW:
    """AdamW in one pass over the weights, ten times as fast on a CPU as torch's default."""
    optimizer = torch.optim.AdamW(groups, fused=True, **settings)
    # Lightning refuses to clip for an optimiser that may unscale gradients itself; bf16 has no scale.
    optimizer._step_supports_amp_scaling = False
    return optimizer


def scheduled(optimizer: Optimizer, warmup: float, total_steps: int) -> dict[str, Any]:
    """What `configure_optimizers` returns: a linear warm-up over a share of the steps, then a cosine, per step."""
    from lightly.utils.scheduler import CosineWarmupScheduler

    scheduler = CosineWarmupScheduler(
        optimizer,
        int(warmup * total_steps),
        total_steps + 1,  # the rate reaches 0 one step after the last
        end_value=0.0,
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def fit(
    module: pl.LightningModule,
    loader: Any,
    *,
    epochs: int,
    device: str,
    precision: str,
    clip: float,
    callbacks: Sequence[Callback],
    folder: Path | None = None,
    checkpoint: str | None = None,
    process_group: ProcessGroup | None = None,
    max_steps: int = -1,
) -> None:
    """Train a module in place.

    Args:
        module: says its loss and its optimiser.
        loader: an epoch's batches, with their `sampler`.
        epochs: passes over the loader.
        device: "cpu", "cuda", "cuda:1" or "mps".
        precision: "fp32" or "bf16" (autocast).
        clip: largest norm of the gradient; 0 for no limit.
        callbacks: in the order in which they are called.
        folder: where Lightning may write.
        checkpoint: to resume from.
        process_group: the processes that train together, which are connected; by default this one alone.
        max_steps: after which training ends, in the middle of an epoch too; -1 for no limit.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    with _quiet():
        trainer = pl.Trainer(
            max_epochs=epochs,
            max_steps=max_steps,
            accelerator="gpu" if device.startswith("cuda") else device.split(":")[0],
            **_processes(device, process_group or ProcessGroup()),
            precision="bf16-mixed" if precision == "bf16" else "32-true",
            gradient_clip_val=clip or None,
            callbacks=list(callbacks),
            enable_checkpointing=False,
            default_root_dir=folder,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        on_interrupt = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as stop:
            signal.signal(signal.SIGINT, on_interrupt)  # or Lightning would have every later Ctrl-C ignored
            raise KeyboardInterrupt from stop  # Lightning turns Ctrl-C into an exit; the caller decides about that


def _processes(device: str, process_group: ProcessGroup) -> dict[str, Any]:
    """The trainer's arguments that say who trains."""
    if process_group.size == 1:
        devices = [int(device.split(":")[1])] if ":" in device else 1
        return {
            "devices": devices,
            "plugins": [LightningEnvironment(), DirectCheckpointIO()],
        }  # inside a cluster's job too
    # A batch may have no window of a group of detectors, whose encoder then has no gradient.
    strategy = DDPStrategy(find_unused_parameters=True)
    return {
        "devices": 1 if process_group.own_gpu else process_group.devices,
        "num_nodes": process_group.size if process_group.own_gpu else process_group.nodes,
        "strategy": strategy,
        "plugins": [cluster(process_group), DirectCheckpointIO()],
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's adverts and hints to itself for the block."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"pytorch_lightning|lightning_fabric|torch\.utils\.data")
            warnings.filterwarnings("ignore", message=r".*(num_workers|pin_memory|LeafSpec|find_unused_parameters).*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
