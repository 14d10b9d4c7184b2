# ruff: noqa: E402
"""Constant-Q transforms per second on one core: nnAudio and cqt2d side by side, and the effect on training.

    python benchmarks/speed/cqt.py

nnAudio's CQT1992v2 is called view by view, and on a whole batch. gwbench's transform computes the same numbers with
short kernels where nnAudio's are padded with zeros, and keeps them: a later pass over the same windows reads them. The
training is BYOL on two detectors of each window, whose EMA copy sees the same views: with nnAudio, with gwbench's
transform on windows seen for the first time, and on windows seen before. The last line is the ratio of views/s of a
later pass to nnAudio's view by view.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before torch is imported: one core

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch
from nnAudio.features.cqt import CQT1992v2
from torch import Tensor

from gwbench import seeds
from gwbench.contracts import InputShape, SignalSource, StrainInfo, View
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.plugins.encoders.cqt2d import FLOOR, Cqt2d
from gwbench.plugins.objectives.byol import Byol
from gwbench.plugins.pairings.any_pair import AnyPair
from gwbench.training.front_end_cache import FrontEndCache
from gwbench.training.method import SslMethod
from gwbench.training.pretrain import Pretraining
from gwbench.training.settings import TrainingSettings
from gwbench.utils.progress import Progress

DETECTORS = ("H1", "L1", "V1")


class PlainCqt2d(Cqt2d):
    """The encoder with nnAudio's transform in every forward pass, view by view or of a batch at once."""

    per_view = False  # while the constructor tries the backbone

    def __init__(self, shape: InputShape, *, per_view: bool, backbone: str) -> None:
        super().__init__(shape, backbone=backbone)
        self.fixed_front_end = False
        self.per_view = per_view

    def front_end(self, strain: Tensor) -> Tensor:
        """The same image, [B, 1, n_bins, n]."""
        return log_magnitude(self.cqt, strain[:, 0], self.per_view).unsqueeze(1)


def log_magnitude(cqt: CQT1992v2, strain: Tensor, per_view: bool) -> Tensor:
    """[B, T] -> [B, n_bins, n]."""
    parts: Tensor = torch.cat([cqt(view) for view in strain]) if per_view else cqt(strain)
    image: Tensor = (parts.square().sum(dim=3) + FLOOR).log() / 2
    return image


def seconds_of(work: Callable[[], Any]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def transforms(shape: InputShape, batch: int, rounds: int) -> dict[str, float]:
    """Seconds a view."""
    encoder = Cqt2d(shape, backbone="test_resnet")
    strain = torch.randn(batch, 1, shape.samples, generator=torch.Generator().manual_seed(0))
    view = View(strain, torch.zeros(batch, 1, dtype=torch.long))
    windows = torch.arange(batch)
    kept = FrontEndCache(batch, 1, "cpu", Progress())

    def read(front_end_cache: FrontEndCache) -> Tensor:
        return front_end_cache.serve(view, windows).front_end_features(encoder.front_end)

    apart = (read(kept).exp() - log_magnitude(encoder.cqt, strain[:, 0], False).unsqueeze(1).exp()).abs().max()
    sys.stdout.write(f"largest difference of a magnitude to nnAudio's: {apart:.1e}\n")
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        works = {
            "nnAudio, view by view": partial(log_magnitude, encoder.cqt, strain[:, 0], True),
            "nnAudio, a batch at once": partial(log_magnitude, encoder.cqt, strain[:, 0], False),
            "gwbench, first pass": partial(read, FrontEndCache(batch, 1, "cpu", Progress())),
            "gwbench, later passes": partial(read, kept),
        }
        for name, work in works.items():
            times.setdefault(name, []).append(seconds_of(work) / batch)
    return {name: median(found) for name, found in times.items()}


def nothing(_: object) -> SignalSource:
    """The pairing asks for neither noise nor signals."""
    raise NotImplementedError


def training(shape: InputShape, backbone: str, batch: int, rounds: int) -> dict[str, float]:
    """Seconds a view of a training step: two views of every window."""
    strain = torch.randn(batch, len(DETECTORS), shape.samples, generator=torch.Generator().manual_seed(0))
    windows = torch.arange(batch)
    info = StrainInfo(DETECTORS, shape.sample_rate, shape.samples, nothing, nothing)  # type: ignore[arg-type]

    def stepper(build: Callable[[], Cqt2d]) -> tuple[Pretraining, Any]:
        with seeds.torch_global(0, "init"):
            encoder = DetectorEncoder(build, [list(range(len(DETECTORS)))])
            method = SslMethod(encoder, AnyPair(info), [], Byol(encoder.embed_dim))
        module = Pretraining(method, TrainingSettings(batch_size=batch), seed=0, total_steps=1000).train()
        return module, module.configure_optimizers()["optimizer"]

    def step(module: Pretraining, optimizer: Any) -> None:
        loss = module.training_step((strain, windows), 0)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        module.objective.after_step(1, 1000)

    def fresh() -> FrontEndCache:
        return FrontEndCache(batch, len(DETECTORS), "cpu", Progress())

    per_view, batched = (
        stepper(partial(PlainCqt2d, shape, per_view=per_view, backbone=backbone)) for per_view in (True, False)
    )
    ours = stepper(partial(Cqt2d, shape, backbone=backbone))
    times: dict[str, list[float]] = {}
    for turn in range(rounds + 1):  # the first warms up
        for name, pair in (("nnAudio, view by view", per_view), ("nnAudio, a batch at once", batched)):
            times.setdefault(name, []).append(seconds_of(partial(step, *pair)) / (2 * batch))
        ours[0].front_end_cache = fresh()
        for name in ("gwbench, first pass", "gwbench, later passes"):  # the same pairs again
            times.setdefault(name, []).append(seconds_of(partial(step, *ours)) / (2 * batch))
        if not turn:
            times.clear()
    return {name: median(found) for name, found in times.items()}


def main() -> None:
    """Measure the ways in turns, and print the figures."""
    parser = argparse.ArgumentParser(description="Views/s of constant-Q transforms: gwbench beside nnAudio.")
    parser.add_argument("--rate", type=int, default=2048, help="samples/s")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a window")
    parser.add_argument("--batch", type=int, default=128, help="windows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backbones", nargs="*", default=["resnet18", "lcnet_050"], help="timm's names")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    shape = InputShape(1, round(arguments.seconds * arguments.rate), float(arguments.rate))
    out = sys.stdout
    out.write(f"windows of {arguments.seconds:g} s at {arguments.rate} Hz, batches of {arguments.batch}, one core\n")
    cost = transforms(shape, arguments.batch, arguments.rounds)
    tables = {"transform": cost} | {
        f"training, {name}": training(shape, name, arguments.batch, arguments.rounds) for name in arguments.backbones
    }
    out.write(f"{'views/s':<26}" + "".join(f"{title:>26}{'ratio':>8}" for title in tables) + "\n")
    for row in cost:
        found = [(1 / table[row], table["nnAudio, view by view"] / table[row]) for table in tables.values()]
        out.write(f"{row:<26}" + "".join(f"{speed:>26,.0f}{ratio:>8.2f}" for speed, ratio in found) + "\n")
    out.write(f"ratio: {cost['nnAudio, view by view'] / cost['gwbench, later passes']:.2f}\n")


if __name__ == "__main__":
    main()
