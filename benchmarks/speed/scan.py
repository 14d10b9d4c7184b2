# ruff: noqa: E402
"""CPU seconds that a scan spends on scores for an hour of strain: window by window, and with what windows share.

    python benchmarks/speed/scan.py

White noise of two detectors stands for conditioned strain, and untrained encoders for trained ones, which cost the
same. Both ways take turns on the same strain, some minutes of it, one by one a tenth of that; the fastest round counts,
scaled to an hour. Reading and conditioning are not in it. The last column is how far scores lie apart at most.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before torch is imported: one core

import argparse
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gwbench import seeds
from gwbench.contracts import InputShape, Scorer
from gwbench.nn.detector_encoder import DetectorEncoder, frozen_embedding, parse_groups
from gwbench.nn.encoder_scorer import EncoderScorer
from gwbench.nn.linear_head import LinearHead
from gwbench.registry import REGISTRY
from gwbench.search.stretch_scorer import StretchScorer, shared_step

DETECTORS = ("H1", "L1")
SEED_NETWORK: dict[str, Any] = {"width": 64, "embed_dim": 2048, "stride": 1}


@dataclass(frozen=True)
class Untrained:
    """What `shared_step` asks of a run."""

    scorer: Scorer
    window: int
    sample_rate: float
    detectors: tuple[str, ...] = DETECTORS


def noise(samples: int, seed: int) -> Tensor:
    """White noise [D, samples] of unit variance."""
    return torch.randn(len(DETECTORS), samples, generator=torch.Generator().manual_seed(seed))


def untrained(name: str, groups: str, window: int, rate: float, parameters: dict[str, Any]) -> Untrained:
    """An encoder at random with BatchNorms that have seen noise, and a head at random that gives log-odds of 4."""
    network = groups == "network"
    shape = InputShape(len(DETECTORS) if network else 1, window, rate)
    build = partial(REGISTRY.get("encoder", name).target, shape, **parameters)
    with seeds.torch_global(0, "init"):
        encoder = DetectorEncoder(build, parse_groups(groups, DETECTORS), network=network)
    strain = noise(32 * window, 1).unfold(1, window, window).transpose(0, 1)
    for norm in encoder.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
    with torch.no_grad():
        encoder.embed(strain)
    embedding = frozen_embedding(encoder.eval(), strain).double()
    weight = torch.randn(embedding.shape[1], generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    head = LinearHead.plain(4 * weight / (embedding @ weight).std(), torch.tensor(0.0))
    return Untrained(EncoderScorer(encoder, head), window, rate)


def measure(method: Untrained, step: int, minutes: dict[bool, float], rounds: int) -> tuple[dict[bool, float], float]:
    """CPU seconds an hour of strain, by whether windows share, and the largest difference of scores."""
    ways = {share: StretchScorer(method.scorer, method.window, step, share=share) for share in (False, True)}
    counts = {share: max(2, round(60 * minutes[share] * method.sample_rate / step)) for share in ways}
    strain = noise(max(counts.values()) * step + method.window, 3)
    best = dict.fromkeys(ways, float("inf"))
    scores = {}
    for turn in range(rounds + 1):
        for share, way in ways.items():
            part = strain[:, : (counts[share] - 1) * step + method.window]
            start = time.process_time()
            scores[share] = way.scores(part)[0]
            if turn:  # the first warms up, and compares the two ways
                hours = counts[share] * step / method.sample_rate / 3600
                best[share] = min(best[share], (time.process_time() - start) / hours)
    common = min(map(len, scores.values()))
    return best, float(np.abs(scores[True][:common] - scores[False][:common]).max())


def main() -> None:
    """Measure the encoders in turn, and print the figures."""
    parser = argparse.ArgumentParser(description="CPU seconds per hour of strain: window by window, and shared.")
    parser.add_argument("--rate", type=float, default=2048.0, help="samples/s")
    parser.add_argument("--window", type=float, default=2.0, help="seconds")
    parser.add_argument("--stride", type=float, default=0.1, help="seconds, to the nearest step that windows share at")
    parser.add_argument("--minutes", type=float, default=6.0, help="of strain in a round; a tenth of it one by one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encoders", nargs="*", help="names; by default all, and the seed network")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    window = round(arguments.window * arguments.rate)
    cases: list[tuple[str, str, str, dict[str, Any]]] = []
    for plugin in REGISTRY.list("encoder"):
        cases.append((plugin.name, plugin.name, "shared", {}))
        if plugin.name == REGISTRY.default("encoder"):
            cases.append((f"{plugin.name}, network", plugin.name, "network", {}))
            cases.append((f"{plugin.name}, seed network", plugin.name, "shared", SEED_NETWORK))
    out = sys.stdout
    out.write(f"{len(DETECTORS)} detectors at {arguments.rate:g} Hz, windows of {arguments.window:g} s, one core\n")
    heads = f"{'stride (s)':>12}{'one by one':>12}{'shared':>10}{'ratio':>8}{'apart':>10}"
    out.write(f"{'CPU s per hour of strain':<26}{heads}\n")
    for title, name, groups, parameters in cases:
        if arguments.encoders and name not in arguments.encoders:
            continue
        method = untrained(name, groups, window, arguments.rate, parameters)
        step = shared_step(method, arguments.stride)  # type: ignore[arg-type]
        share = 0.1 if parameters else 1.0  # the seed network takes its time
        minutes = {False: share * arguments.minutes / 10, True: share * arguments.minutes}
        cost, apart = measure(method, step, minutes, arguments.rounds)
        line = f"{step / arguments.rate:>12.5f}{cost[False]:>12.1f}{cost[True]:>10.1f}{cost[False] / cost[True]:>8.1f}"
        out.write(f"{title:<26}{line}{apart:>10.1e}\n")
        out.flush()


if __name__ == "__main__":
    main()
