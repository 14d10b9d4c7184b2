# ruff: noqa: E402
"""Conditioned samples per second in random order: gwbench's store and a folder of .npy files side by side.

    python benchmarks/speed/load.py
    python benchmarks/speed/load.py --cores 2

The other side is the seed recipe as in G2Net's notebooks: a torch DataLoader whose dataset reads one .npy file
(float64 [3, 4096]), applies a Tukey window and `sosfiltfilt`, and divides by 1e-21. The taper and the filter are
designed only once, to its advantage. With one core it runs in the main process, with N cores in N worker processes.

In the first pass gwbench reads the same windows from its store and conditions them batch by batch. The result goes to
a file at the same time, so that later passes only read. Both sides run on the same cores, in turns, in batches of 256,
and must agree to 1e-5 of the rms before anything is timed.

The page cache is warm, so that computing is compared; lines marked "cold" drop the files from it first. The last
section passes over data ten times as large as the memory allowed for them. Needs 2.5 GB of disk.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CORES = int(sys.argv[sys.argv.index("--cores") + 1]) if "--cores" in sys.argv[:-1] else 1
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = str(CORES)  # before numpy is imported

import numpy as np
import psutil
import torch
from scipy import signal
from torch.utils.data import DataLoader, Dataset, Sampler

from gwbench.contracts import Array, Block, Layout, Split
from gwbench.data.store.cache import CacheContext, CacheDir, dataset_recipe
from gwbench.dataloading.cache_files import conditioned_files
from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.dataloading.prefetch import Batches
from gwbench.preprocessing.conditioning import Conditioner, Conditioning, fit_conditioner
from gwbench.utils.progress import Progress

DETECTORS = ("H1", "L1", "V1")
RATE, SAMPLES, BATCH = 2048, 4096, 256
MIB = 2**20
SECTIONS = signal.butter(8, (20, 600), "bandpass", fs=RATE, output="sos")
POLYNOMIALS = signal.butter(8, (20, 600), "bandpass", fs=RATE)
TAPER = signal.windows.tukey(SAMPLES, 0.1)


class Noise:
    """Windows of noise that falls towards 100 Hz, as a detector's does; a `contracts.Windows`."""

    def block(self, rng: np.random.Generator, split: str, start: int, n: int) -> Block:
        """Positions `start` to `start + n`."""
        frequencies = np.fft.rfftfreq(SAMPLES, 1 / RATE)
        amplitude = 3e-22 / (1 + (frequencies / 50) ** 2) + 2e-23
        white = rng.standard_normal((n, len(DETECTORS), SAMPLES), dtype=np.float32)
        strain = np.fft.irfft(np.fft.rfft(white) * amplitude * np.sqrt(RATE / 2)).astype(np.float32)
        return Block(split, start, strain, np.full(n, -1, np.int8), np.full(n, np.nan, np.float32))


class Seed(Dataset[torch.Tensor]):
    """One file after the other: read, taper, filter, scale."""

    def __init__(self, files: list[Path], polynomials: bool) -> None:
        self._files, self._polynomials = files, polynomials

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> torch.Tensor:
        strain = np.load(self._files[index]) * TAPER
        filtered = signal.filtfilt(*POLYNOMIALS, strain) if self._polynomials else signal.sosfiltfilt(SECTIONS, strain)
        return torch.from_numpy((filtered / 1e-21).astype(np.float32))


class Order(Sampler[torch.Tensor]):
    """Positions of random batches, each window once."""

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed

    def __len__(self) -> int:
        return -(-self._count // BATCH)

    def __iter__(self) -> Iterator[torch.Tensor]:
        generator = torch.Generator().manual_seed(self._seed)
        yield from torch.randperm(self._count, generator=generator).split(BATCH)


class Repeated:
    """The strain of a store, repeated."""

    def __init__(self, strain: Any, times: int) -> None:
        self._strain = strain
        self.shape = (times * strain.shape[0], *strain.shape[1:])

    def __getitem__(self, index: slice | Array) -> Array:
        found: Array = self._strain[np.arange(self.shape[0])[index] % self._strain.shape[0]]
        return found


class Pass:
    """One pass over batches: samples/s, the processor's share of the time, and memory.

    Attributes:
        rate: samples/s.
        busy: seconds of processor per second and core, all processes.
        grown: MiB of resident memory at most, above what it was before, with what worker processes do not share.
    """

    def __init__(self, batches: Iterable[torch.Tensor]) -> None:
        process = psutil.Process()
        before = peak = process.memory_info().rss
        spent, start, count = _processor(), time.perf_counter(), 0
        for batch in batches:
            count += len(batch)
            own = sum(child.memory_full_info().uss for child in process.children())
            peak = max(peak, process.memory_info().rss + own)
        seconds = time.perf_counter() - start
        self.rate = count / seconds
        self.busy = (_processor() - spent) / seconds / CORES
        self.grown = (peak - before) / MIB


def _processor() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def peer(files: list[Path], seed: int, polynomials: bool = False) -> DataLoader[torch.Tensor]:
    """The seed recipe's way."""
    return DataLoader(
        Seed(files, polynomials),
        batch_size=BATCH,
        shuffle=True,
        num_workers=CORES if CORES > 1 else 0,
        generator=torch.Generator().manual_seed(seed),
    )


def write_npy(folder: Path, split: Split) -> list[Path]:
    """The windows as G2Net has them: float64 in folders of three characters."""
    files = []
    for start in range(0, len(split), BATCH):
        for i, window in enumerate(split.strain[start : start + BATCH], start):
            name = f"{i * 2654435761 % 2**32:08x}"  # spreads over the folders
            path = folder / name[0] / name[1] / name[2] / f"{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, window.astype(np.float64))
            files.append(path)
    return files


def forget(files: Iterable[Path]) -> None:
    """Drop files from the page cache."""
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def kept(folder: Path, split: Split, conditioner: Conditioner, gib: float, content: str) -> ConditionedStrain:
    """A split within `gib` GiB of memory, the rest on disk."""
    os.environ["GWBENCH_MEMORY"] = str(gib)
    strain = ConditionedStrain(split, conditioner, "train")
    strain.keep(Progress(), folder, content)
    return strain


def require_agreement(strain: ConditionedStrain, files: list[Path]) -> None:
    """Check that both sides give the same conditioned strain, as otherwise their speeds cannot be compared."""
    ours = strain[:8].numpy()
    theirs = np.stack([Seed(files, polynomials=False)[i].numpy() for i in range(8)])
    error = np.abs(ours - theirs).max() / theirs.std()
    if error > 1e-5:
        raise SystemExit(f"The two sides differ by {error:.1e} of the rms.")


def compare(folder: Path, count: int, rounds: int) -> tuple[dict[str, float], Split, dict[str, Conditioner]]:
    """Median samples/s of every way, and memory; prints the table."""
    layout = Layout(DETECTORS, RATE, SAMPLES, 0, {"train": count, "val": 1, "test": 1})
    cache = CacheDir(folder / "store")
    recipe = dataset_recipe("load-benchmark", 1, {"count": count}, 0, {})
    splits = CacheContext(0, 1, Progress(), cache, recipe).stored(layout, Noise())
    files = write_npy(folder / "npy", splits.train)
    conditioners = {
        method: fit_conditioner(
            splits.train, sample_rate=RATE, margin=0, detectors=DETECTORS, settings=Conditioning(method=method)
        )
        for method in ("seed", "whiten")
    }
    require_agreement(ConditionedStrain(splits.train, conditioners["seed"], "train"), files)

    found: dict[str, list[Pass]] = {}

    def measure(name: str, batches: Iterable[torch.Tensor]) -> None:
        found.setdefault(name, []).append(Pass(batches))

    for turn in range(rounds):
        measure("peer: .npy, seed recipe", peer(files, turn))
        measure("peer: .npy, seed recipe by filtfilt", peer(files, turn, polynomials=True))
        for method, conditioner in conditioners.items():
            strain = kept(cache.root, splits.train, conditioner, 0, f"turn {turn}")
            measure(f"gwbench: {method}, first pass", Batches(strain, Order(count, turn), "cpu"))
            for later in range(2):
                measure(f"gwbench: {method}, later passes", Batches(strain, Order(count, 100 + later), "cpu"))
    for path in conditioned_files(cache.root):
        path.unlink()
    forget(files)
    measure("peer: .npy, seed recipe, cold", peer(files, 0))
    strain = kept(cache.root, splits.train, conditioners["seed"], 0, "cold")
    forget(cache.root.glob("*.h5"))
    measure("gwbench: seed, first pass, cold", Batches(strain, Order(count, 0), "cpu"))
    forget(conditioned_files(cache.root))
    measure("gwbench: seed, later passes, cold", Batches(strain, Order(count, 1), "cpu"))
    for path in conditioned_files(cache.root):
        path.unlink()

    rates = {name: float(np.median([one.rate for one in passes])) for name, passes in found.items()}
    write = sys.stdout.write
    write(f"{count} windows [3, 4096], random batches of {BATCH}, {CORES} core(s), median of {rounds} rounds\n")
    write(f"{'':<40}{'samples/s':>11}{'x peer':>8}{'x filtfilt':>12}{'busy':>7}{'memory':>12}\n")
    for name, rate in rates.items():
        versus = [rate / rates[f"peer: .npy, seed recipe{form}"] for form in ("", " by filtfilt")]
        busy = np.median([one.busy for one in found[name]])
        grown = max(one.grown for one in found[name])
        write(f"{name:<40}{rate:>11.0f}{versus[0]:>8.2f}{versus[1]:>12.2f}{busy:>7.0%}{grown:>+8.0f} MiB\n")
    write("\n")
    sys.stdout.flush()
    return rates, splits.train, conditioners


def bounded(folder: Path, split: Split, conditioner: Conditioner, mib: int) -> None:
    """Passes over data ten times as large as the memory allowed for them; prints the figures."""
    times = -(-10 * mib * MIB // (len(split) * 4 * len(DETECTORS) * SAMPLES))
    count = times * len(split)
    large = Split(Repeated(split.strain, times), np.full(count, -1, np.int8), np.full(count, np.nan, np.float32))
    size = count * 4 * len(DETECTORS) * SAMPLES / MIB
    torch.set_num_threads(CORES)
    strain = kept(folder, large, conditioner, mib / 1024, "bounded")
    write = sys.stdout.write
    write(f"{size:.0f} MiB conditioned, {mib} MiB of memory allowed: {count} windows, whitened, kept on disk\n")
    for name in ("first pass", "later pass"):
        one = Pass(Batches(strain, Order(count, len(name)), "cpu"))
        write(f"{name:<40}{one.rate:>11.0f} samples/s, processor {one.busy:.0%}, memory {one.grown:+.0f} MiB\n")
    sys.stdout.flush()


def main() -> None:
    """Measure the ways in turns, and print the figures."""
    parser = argparse.ArgumentParser(description="Conditioned samples/s: gwbench's store beside .npy files.")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--count", type=int, default=3072, help="windows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=128, help="MiB of memory in the last section")
    parser.add_argument("--folder", type=Path, help="where to put the files; they are removed at the end")
    arguments = parser.parse_args()
    torch.set_num_threads(CORES)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory(prefix="gwbench-load-", dir=arguments.folder) as name:
        rates, split, conditioners = compare(Path(name), arguments.count, arguments.rounds)
        # In a process of its own, since memory once taken is not always given back.
        job = (Path(name) / "store", split, conditioners["whiten"], arguments.budget)
        child = multiprocessing.get_context("spawn").Process(target=bounded, args=job)
        child.start()
        child.join()
        if child.exitcode:
            raise SystemExit(child.exitcode)
    seed = rates["peer: .npy, seed recipe"]
    sys.stdout.write(f"first pass ratio: {rates['gwbench: seed, first pass'] / seed:.2f}\n")
    sys.stdout.write(f"ratio: {rates['gwbench: seed, later passes'] / seed:.2f}\n")


if __name__ == "__main__":
    main()
