"""Searches as they lie on disk, without having been made."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from gwbench.experiment.spec import RunSpec
from gwbench.search.reach_record import FoundShare, InjectionsUsed, ReachPoint
from gwbench.search.record import (
    BackgroundUsed,
    DetectorPart,
    RankedTrigger,
    SearchedRun,
    SearchedStrain,
    SearchRecord,
    SearchResources,
    SearchSettings,
    write_search_record,
)
from tests.reporting.synthetic_runs import digest

START, HOURS = 1_238_166_018.0, 4.0
INJECTIONS = 529


def sphere(distance: float) -> float:
    """Mpc^3."""
    return 4 / 3 * math.pi * distance**3


def point(far: float, distance: float, error: float, found: int, threshold: float | None = 3.0) -> ReachPoint:
    """Reach with a given distance; its volume's error is what linear error propagation gives."""
    return ReachPoint(
        far=far,
        threshold=threshold,
        volume=sphere(distance),
        volume_error=4 * math.pi * distance**2 * error,
        distance=distance,
        distance_error=error,
        found=found,
        injections=INJECTIONS,
    )


def shares(far: float, by: str, edges: list[float], found: list[int], of: int) -> list[FoundShare]:
    """Found shares of bins with as many injections each."""
    made = []
    for low, high, k in zip(edges[:-1], edges[1:], found, strict=True):
        ends = beta.ppf([0.025, 0.975], [max(k, 1e-9), k + 1], [of - k + 1, max(of - k, 1e-9)])
        share: Any = {"by": by, "far": far, "low": low, "high": high, "found": k, "injections": of, "share": k / of}
        made.append(FoundShare(**share, share_low=float(ends[0]), share_high=float(ends[1])))
    return made


def search(
    *,
    title: str = "cnn1d + any-pair + simclr",
    distance: float = 2500.0,
    rates: tuple[float, ...] = (900.0, 180.0),
    injections: str = "ds1",
    seed: int = 0,
    baseline: str | None = None,
    foreign: bool = False,
    created: str = "2026-11-28T00:00:00+00:00",
    triggers: int = 60,
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> SearchRecord:
    """A search of four hours of H1 and L1."""
    parts: dict[str, Any] = {"baseline": baseline} if baseline else {"pairing": "any-pair", "objective": "simclr"}
    spec = RunSpec.create(seed=seed, settings={}, **parts)
    rng = np.random.default_rng([seed, int(digest(title)[:8], 16)])
    scores = np.sort(np.concatenate([rng.normal(1, 1.5, triggers), rng.uniform(4, 14, triggers // 4)]))[::-1]
    background = np.sort(rng.normal(0.5, 1.4, 4000))
    run = SearchedRun(
        run_id=digest(spec.canonical())[:16], title=spec.title, folder=f"run-{seed}", spec=spec, labels=1000
    )
    ranked = []
    for place, score in enumerate(scores.tolist()):
        louder = int((background >= score).sum())
        far = louder / 160
        ranked.append(
            RankedTrigger(
                time=START + float(rng.uniform(0, 3600 * HOURS)),
                score=score,
                var=0.3,
                probability=1 / (1 + math.exp(-score)),
                detectors={
                    "H1": DetectorPart(time=START, score=score / 2),
                    "L1": DetectorPart(time=START, score=score / 2),
                },
                far=far,
                far_low=0.8 * far,
                far_high=1.2 * far + 0.01,
                ifar=2_592_000 / far if far else None,
                rank=place + 1,
            )
        )
    fields: dict[str, Any] = {
        "created": created,
        "command": "gwbench scan runs/x ds1.hdf5 --injections inj.hdf5",
        "title": title,
        "run": None if foreign else run,
        "strain": SearchedStrain(
            files={"foreground.hdf5": digest("strain")},
            detectors=("H1", "L1"),
            sample_rate=2048.0,
            segments=((START, START + 7200), (START + 7300, START + 7300 + 7200)),
            left_out=("100 s between the segments have no strain.",),
        ),
        "settings": SearchSettings(
            stride=0.1, window=2.0, threshold=-2.0, cluster_window=1.0, var=0.3, conditioning="refitted",
            slides=100, **(settings or {}),
        ),
        "livetime": 14_000.0,
        "whitened_variance": {"H1": 1.01, "L1": 0.99},
        "triggers": tuple(ranked),
        "background": BackgroundUsed(
            livetime=160 * 2_592_000.0, slides=100, zero_lag="removed", loudest=tuple(background[::-1][:100].tolist()),
            thresholds=tuple(background[::40].tolist()),
            counts=tuple(int((background >= value).sum()) for value in background[::40]),
        ),
        "reach": tuple(point(far, distance - 60 * n, 90.0, 110 - 5 * n) for n, far in enumerate(rates)),
        "found": (
            *shares(rates[0], "snr", [4, 6, 8, 10, 12, 15, 20, 40], [0, 2, 10, 25, 30, 24, 19], 30),
            *shares(rates[0], "chirp_mass", [8, 14, 20, 26, 32, 44], [10, 14, 25, 30, 31], 100),
            *shares(rates[0], "distance", [500, 1500, 2500, 3500, 5000], [95, 70, 20, 2], 100),
        ),
        "injections": InjectionsUsed(
            sha256=digest(injections), name=f"{injections}.hdf5", count=INJECTIONS, weighting="chirp-distance"
        ),
        "resources": SearchResources(seconds=100.0, cpu_seconds=92.0, cpu_seconds_per_hour=23.0),
    }  # fmt: skip
    return SearchRecord(**{**fields, **changes})


def write_search(root: Path, name: str, **given: Any) -> SearchRecord:
    """Write the folder of a search."""
    record = search(**given)
    (root / name).mkdir(parents=True, exist_ok=True)
    write_search_record(root / name, record)
    return record
