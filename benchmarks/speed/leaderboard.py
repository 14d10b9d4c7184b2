"""A leaderboard over ten thousand synthetic records: seconds and memory of the command.

    python benchmarks/speed/leaderboard.py
    python benchmarks/speed/leaderboard.py --seeds 2 --windows 500

The records are 5 sets of data x 100 methods x 4 shares of labels x 5 seeds, with test scores of 2,000 windows beside
those of the share at which methods are ranked (no others are read). They are written to a temporary folder, which takes
200 MB and most of the time. Times are those of a new process with one thread and a warm page cache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.evaluation.metrics import evaluate_scores
from gwbench.experiment.record import PREDICTIONS, RECORD, Data, Environment, Phase, PluginUsed, RunRecord, write_arrays
from gwbench.experiment.spec import RunSpec

FRACTIONS = (0.01, 0.05, 0.25, 1.0)
RANKED = 0.25
MIB = 2**20


def template() -> dict[str, Any]:
    """A record as a run would write it, without its metrics."""
    spec = RunSpec.create(precision="fp32")
    record = RunRecord(
        status="ok",
        run_id="0" * 16,
        protocol=1,
        created="2026-01-01T00:00:00+00:00",
        command=spec.command(),
        spec=spec,
        plugins=[
            PluginUsed(kind=kind, name=each.name, version=1, source_hash="0" * 64) for kind, each in spec.choices()
        ],
        seeds={},
        data=Data(
            content_hash="",
            fingerprint={},
            detectors=("H1", "L1", "V1"),
            sample_rate=2048.0,
            sizes={"train": 8000, "val": 2000, "test": 0},
            labelled=2000,
            notes=("Simulated.",) * 3,
        ),
        parameters=300_000,
        phases={"pretrain": Phase(seconds=90.0, samples_per_second=500.0), "evaluate": Phase(seconds=9.0)},
        peak_memory=2 * 2**30,
        environment=Environment(gwbench="0", git_commit=None, packages={}, hardware={}, device="cpu", precision="fp32"),
        details={"probe_path": [{"strength": 10.0**power, "val_auc": 0.9} for power in range(6)]},
    )
    found: dict[str, Any] = record.model_dump(mode="json", exclude={"folder"})
    return found


def cells(sets: int, methods: int, seeds: int) -> Iterator[tuple[int, int, float, int]]:
    """The data, method, share of labels and seed of every record."""
    for data in range(sets):
        for method in range(methods):
            for fraction in FRACTIONS:
                for seed in range(seeds):
                    yield data, method, fraction, seed


def write(root: Path, sets: int, methods: int, seeds: int, windows: int) -> None:
    """Fill a folder with runs."""
    record = template()
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], windows // 2).astype(np.int8)
    snr = np.where(label == 1, rng.uniform(6, 20, len(label)), np.nan).astype(np.float32)
    noise = {data: rng.normal(size=len(label)) for data in range(sets)}  # windows that are hard for everyone
    pool: dict[int, str] = {}
    for data, method, fraction, seed in cells(sets, methods, seeds):
        folder = root / f"run-{data}-{method}-{fraction}-{seed}"
        folder.mkdir()
        own = rng.normal(size=len(label))
        score = (noise[data] + own + label * (1.0 + 0.01 * method) * np.nan_to_num(snr) / 5).astype(np.float32)
        if fraction == RANKED:
            write_arrays(folder / PREDICTIONS, {"label": label, "score": score, "snr": snr})
            metrics = evaluate_scores(label, score, snr).model_dump(mode="json")
        else:
            metrics = json.loads(pool.setdefault(method, json.dumps(evaluate_scores(label, score, snr).model_dump())))
        record["metrics"] = metrics
        record["data"]["content_hash"] = hashlib.sha256(str(data).encode()).hexdigest()
        record["data"]["sizes"]["test"] = len(label)
        record["spec"]["data_seed"], record["spec"]["seed"] = data, seed
        record["spec"]["evaluation"]["label_fraction"] = fraction
        record["spec"]["training"]["epochs"] = 1 + method
        (folder / RECORD).write_text(json.dumps(record, indent=2))


def measure(root: Path, form: str) -> tuple[float, float, str]:
    """Seconds, MiB at the peak, and standard error of `gwbench leaderboard`."""
    words = [sys.executable, "-m", "gwbench", "leaderboard", str(root), "--format", form]
    begun = time.perf_counter()
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=errors) as process,
    ):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - begun
        errors.seek(0)
        problem = errors.read().decode() if process.returncode else ""
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MIB, problem


def main() -> None:
    """Write the records, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("sets", 5), ("methods", 100), ("seeds", 5), ("windows", 2000), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: what is in memory here when another program starts counts towards that one's peak.
        shape = (Path(folder), asked.sets, asked.methods, asked.seeds, asked.windows)
        writer = multiprocessing.get_context("spawn").Process(target=write, args=shape)
        writer.start()
        writer.join()
        count = sum(1 for _ in Path(folder).glob(f"*/{RECORD}"))
        print(f"{count:,} records, {asked.windows:,} test windows")
        for form in ("terminal", "csv", "json"):
            found = [measure(Path(folder), form) for _ in range(asked.repeats)]
            seconds, memory, problem = min(found)
            print(f"{form:<9} {seconds:.2f} s, {memory:,.0f} MiB {problem[:300]}")


if __name__ == "__main__":
    main()
