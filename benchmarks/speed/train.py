# ruff: noqa: E402
"""Training samples per second of the seed network: gwbench and the same network in plain PyTorch side by side.

    python benchmarks/speed/train.py
    python benchmarks/speed/train.py --threads 1
    python benchmarks/speed/train.py --compile --default

Both networks start from the same weights, see the same batches of noise and go through gwbench's own pre-training
step: Lightning's fit, pairing, projector, Barlow Twins loss, clipping, AdamW. The plain one is `nn.Conv1d`,
`nn.BatchNorm1d`, `nn.SiLU` and a power for GeM, in fp32. The three take turns, so that other work on the machine
affects all of them equally; figures are medians, and the first step of every fit is not counted. A window gives two
views.

The share of the peak counts the multiplications of the plain network for all three, and a large matrix multiplication
measures the peak: gwbench may exceed 100 %, since convolution by FFT needs fewer multiplications.

With --compile, the plain network takes part in bf16 and through torch.compile, too, which wants a C++ compiler and a
minute or two.

The first, smaller comparison is the default encoder of `gwbench run`, the second the seed network. The last lines say
how many times as fast gwbench is as the plain network in fp32: "default" of the default encoder, the others of the seed
network; "fp32 ratio" in fp32 too, the others in bf16.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

THREADS = int(sys.argv[sys.argv.index("--threads") + 1]) if "--threads" in sys.argv[:-1] else 0
if THREADS:
    for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[_name] = str(THREADS)  # before torch is imported

import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from gwbench.contracts import Encoder, InputShape, StrainInfo
from gwbench.nn.detector_encoder import DetectorEncoder, frozen_embedding
from gwbench.registry import REGISTRY
from gwbench.training.method import SslMethod
from gwbench.training.pretrain import Pretraining
from gwbench.training.settings import TrainingSettings
from gwbench.training.trainer import fit

DETECTORS = ("H1", "L1", "V1")
RATE, SAMPLES = 2048.0, 4096
SHAPE = InputShape(1, SAMPLES, RATE)
SCHEDULE = 625  # steps: 5 epochs of 8,000 windows; the learning rate rises over the first tenth
WAYS = {"plain, fp32": "fp32", "gwbench, fp32": "fp32", "gwbench, bf16": "bf16"}
PLAIN, OURS, OURS_BF16 = WAYS
COMPILED = {"plain, compiled": "bf16"}
"""What --compile adds to `WAYS`."""


@dataclass(frozen=True)
class Size:
    """An encoder and its projector."""

    width: int
    embed_dim: int
    stride: int
    projector: int


SEED = Size(64, 2048, 1, 3192)
DEFAULT = Size(32, 128, 4, 512)
TINY = Size(4, 8, 8, 16)


class PlainGeM(nn.Module):
    """Generalised-mean pooling as its paper has it."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.p = nn.Parameter(torch.ones(1) * 3)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T // kernel]."""
        return F.avg_pool1d(x.clamp(min=1e-6).pow(self.p), self.kernel).pow(1.0 / self.p)


class PlainGru(nn.GRU):
    """torch's own, which `DetectorEncoder` leaves as it is."""


class PlainCnn1d(Encoder):
    """The seed network with torch's one-dimensional layers."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.embed_dim, stride, width = size.embed_dim, size.stride, size.width

        def block(channels: int, wider: int, kernel: int, pool: int = 1, active: bool = True) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv1d(channels * width, wider * width, max(kernel // stride, 1)),
                *([PlainGeM(pool)] if pool > 1 else []),
                nn.BatchNorm1d(wider * width),
                *([nn.SiLU()] if active else []),
            )

        first = nn.Sequential(nn.Conv1d(1, width, 64, stride), nn.BatchNorm1d(width), nn.SiLU())
        before = [block(1, 1, 32, 2), block(1, 1, 32), block(1, 1, 32, 4), block(1, 2, 32), block(2, 2, 16, 6)]
        self.before = nn.Sequential(first, *before, block(2, 4, 16, active=False))
        self.gru = PlainGru(4 * width, 2 * width, batch_first=True, bidirectional=True)
        self.after = nn.Sequential(block(4, 4, 16, 4), block(4, 4, 1))
        with torch.no_grad():
            features = self._features(torch.zeros(2, 1, SAMPLES)).shape[1]
        self.head = nn.Linear(features, size.embed_dim)

    def forward(self, strain: Tensor) -> Tensor:
        """[B, 1, T] -> [B, embed_dim]."""
        return self.head(self._features(strain))  # type: ignore[no-any-return]

    def _features(self, strain: Tensor) -> Tensor:
        recurrent, _ = self.gru(self.before(strain).transpose(1, 2))
        return self.after(recurrent.transpose(1, 2)).flatten(1)  # type: ignore[no-any-return]


class Clock(Callback):
    """Seconds and loss of every step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.losses: list[float] = []
        self._started = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        """A step begins."""
        self._started = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        """The optimiser has stepped."""
        self.seconds.append(time.perf_counter() - self._started)
        self.losses.append(float(outputs["loss"]))


class Contest:
    """The ways to train, from the same weights."""

    def __init__(self, size: Size, batch: int, ways: dict[str, str]) -> None:
        self.size, self.batch, self.ways = size, batch, ways
        with torch.random.fork_rng():
            torch.manual_seed(0)
            parameters = {"width": size.width, "embed_dim": size.embed_dim, "stride": size.stride}
            ours = self._method(lambda: plugin("encoder", "cnn1d", SHAPE, **parameters))
            plain = self._method(lambda: PlainCnn1d(size))
        for given, taken in ((ours.encoder, plain.encoder), (ours.objective, plain.objective)):
            weights = zip(taken.state_dict().items(), given.state_dict().values(), strict=True)
            taken.load_state_dict({name: theirs.reshape(own.shape) for (name, own), theirs in weights})
        self.methods = {PLAIN: plain, OURS: ours, OURS_BF16: copy.deepcopy(ours)}
        for way in ways.keys() - self.methods.keys():
            self.methods[way] = copy.deepcopy(plain)
            for module in self.methods[way].encoder.modules():
                if isinstance(module, PlainCnn1d):
                    module.compile()

    def _method(self, build: Callable[[], Encoder]) -> SslMethod:
        projector = {"hidden_dim": self.size.projector, "output_dim": self.size.projector}
        return SslMethod(
            DetectorEncoder(build, [[0, 1, 2]]),
            plugin(
                "pairing", "cross-detector", StrainInfo(DETECTORS, RATE, SAMPLES, None, None)
            ),  # asks for neither noise nor signals
            [],
            plugin("objective", "barlow", self.size.embed_dim, **projector),
        )

    def strain(self, steps: int) -> list[tuple[Tensor, Tensor]]:
        """Batches of white noise with a chirp in it, and the positions of their windows."""
        generator = torch.Generator().manual_seed(1)
        shape = (steps, self.batch, len(DETECTORS), SAMPLES)
        noise = torch.randn(shape, generator=generator)
        time_s = torch.arange(SAMPLES) / RATE
        loudness = torch.rand((steps, self.batch, 1, 1), generator=generator)
        windows = noise + loudness * torch.sin(2 * torch.pi * (30 * time_s + 40 * time_s**3))
        return list(zip(windows, torch.arange(steps * self.batch).view(steps, self.batch), strict=True))

    def train(self, way: str, steps: int) -> Clock:
        """Some more steps of one way, from its current weights."""
        settings = TrainingSettings(epochs=1, batch_size=self.batch, lr=1e-4, weight_decay=1e-8)
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            fit(
                Pretraining(self.methods[way], settings, seed=0, total_steps=SCHEDULE),
                DataLoader(self.strain(steps), batch_size=None),  # type: ignore[arg-type]
                epochs=1,
                device="cpu",
                precision=self.ways[way],
                clip=settings.clip,
                callbacks=[clock],
                folder=Path(folder),
            )
        return clock

    def embed(self, way: str) -> float:
        """Windows/s of frozen embeddings, three detectors each."""
        strain, _ = self.strain(1)[0]
        start = time.perf_counter()
        frozen_embedding(self.methods[way].encoder, strain)
        return self.batch / (time.perf_counter() - start)

    def arithmetic(self) -> float:
        """Floating-point operations of the plain network's training step."""
        module = Pretraining(copy.deepcopy(self.methods[PLAIN]), TrainingSettings(), seed=0, total_steps=1)
        strain, windows = self.strain(1)[0]
        with FlopCounterMode(display=False) as counter:
            module.training_step((strain[:2], windows[:2]), 0).backward()
        return float(counter.get_total_flops()) * self.batch / 2


def plugin(kind: str, name: str, *given: Any, **parameters: Any) -> Any:
    """An instance of a shipped plugin."""
    target = REGISTRY.get(kind, name).target
    assert target is not None
    return target(*given, **parameters)


def peak(dtype: torch.dtype, size: int) -> float:
    """Floating-point operations per second of a large matrix multiplication, the best of many short ones."""
    a, b = torch.randn(2, size, size).to(dtype)
    seconds = []
    for _ in range(50):
        start = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def compare(name: str, size: Size, arguments: argparse.Namespace, peaks: dict[str, float]) -> dict[str, float]:
    """Seconds of a step by way; prints the losses and the table."""
    write = sys.stdout.write
    ways = WAYS | (COMPILED if arguments.compile else {})
    contest = Contest(size, arguments.batch, ways)
    for way in ways.keys() - WAYS.keys():
        contest.train(way, 1)  # compiles
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    embedded: dict[str, list[float]] = {PLAIN: [], OURS: []}
    losses: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        for way in ways:
            clock = contest.train(way, arguments.steps + 1)
            seconds[way] += clock.seconds[1:]
            losses.setdefault(way, clock.losses)
        for way, rates in embedded.items():
            rates.append(contest.embed(way))
    write(f"{name}: {size}\n")
    for way in ways:
        write(f"  losses, {way:<14} {' '.join(f'{loss:.6g}' for loss in losses[way])}\n")
    pairs = zip(losses[PLAIN], losses[OURS], strict=True)
    write(f"  largest relative difference in fp32: {max(abs(a - b) / abs(a) for a, b in pairs):.1e}\n")
    step = {way: median(found) for way, found in seconds.items()}
    operations = contest.arithmetic()
    write(f"  {'training':<16}{'s/step':>9}{'windows/s':>11}{'views/s':>9}{'ratio':>7}{'share of the peak':>19}\n")
    for way, taken in step.items():
        rate, share = arguments.batch / taken, operations / taken / peaks[ways[way]]
        write(f"  {way:<16}{taken:>9.3f}{rate:>11.1f}{2 * rate:>9.1f}{step[PLAIN] / taken:>7.2f}{share:>19.0%}\n")
    plain, ours = (median(embedded[way]) for way in (PLAIN, OURS))
    write(f"  inference in fp32, windows/s: plain {plain:.1f}, gwbench {ours:.1f}, ratio {ours / plain:.2f}\n")
    for way in (OURS, OURS_BF16):
        shares = ", ".join(f"{part} {share:.0%}" for part, share in parts(contest, way).items())
        write(f"  where a step of {way} goes: {shares}\n")
    write("\n")
    sys.stdout.flush()
    return step


PARTS = {
    "matrix products": r"aten::(b|add|badd)?mm",
    "sliding convolutions": r"aten::(mkldnn_)?convolution(_backward)?|aten::_slow_conv.*",
    "BatchNorm and SiLU": r"aten::(native_batch_norm|silu).*",
    "powers of GeM": r"aten::(log2|exp2|clamp|threshold).*",
    "copies and layout": r"aten::(copy|fill|cat|zero).*",
    "optimiser and clipping": r"aten::_(foreach|fused).*|Optimizer.*",
    "other": r".*",
}
"""What torch calls the operations of a part; the first that fits counts."""


def parts(contest: Contest, way: str) -> dict[str, float]:
    """Shares of the processor's time in two steps, by kind of operation."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        contest.train(way, 2)
    times = dict.fromkeys(PARTS, 0.0)
    for event in found.key_averages():
        part = next(part for part, names in PARTS.items() if re.fullmatch(names, event.key))
        times[part] += event.self_cpu_time_total
    return {part: spent / sum(times.values()) for part, spent in times.items()}


def main() -> None:
    """Measure the ways in turns, and print the figures."""
    parser = argparse.ArgumentParser(description="Training samples/s: gwbench beside the plain seed network.")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="cores to use, by default all")
    parser.add_argument("--batch", type=int, default=64, help="windows per step")
    parser.add_argument("--steps", type=int, default=2, help="steps per fit that are timed, after a first one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="the plain network through torch.compile, too")
    parser.add_argument("--default", action="store_true", help="the default encoder alone")
    parser.add_argument("--tiny", action="store_true", help="a network of no interest, to see that all runs")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    matrix = 256 if arguments.tiny else 1536
    peaks = {"fp32": peak(torch.float32, matrix), "bf16": peak(torch.bfloat16, matrix)}
    write = sys.stdout.write
    form = f"batches of {arguments.batch} windows, {arguments.rounds} rounds, torch {torch.__version__}"
    write(f"{arguments.threads} thread(s), {form}\n")
    write(f"peak: {peaks['fp32'] / 1e9:.0f} GFLOP/s in fp32, {peaks['bf16'] / 1e9:.0f} in bf16\n\n")
    if arguments.tiny:
        small = step = compare("tiny encoder", TINY, arguments, peaks)
    else:
        small = compare("default encoder", DEFAULT, arguments, peaks)
        step = {} if arguments.default else compare("seed encoder", SEED, arguments, peaks)
    write(f"default fp32 ratio: {small[PLAIN] / small[OURS]:.2f}\n")
    write(f"default ratio: {small[PLAIN] / small[OURS_BF16]:.2f}\n")
    if step:
        write(f"fp32 ratio: {step[PLAIN] / step[OURS]:.2f}\n")
        write(f"ratio: {step[PLAIN] / step[OURS_BF16]:.2f}\n")


if __name__ == "__main__":
    main()
