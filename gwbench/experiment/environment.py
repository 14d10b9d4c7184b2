"""The machine and the software under a run."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gwbench.errors import UserError
from gwbench.utils.gpus import what_is_visible
from gwbench.utils.subprocesses import usable_cores

PACKAGES = ("torch", "lightly", "pytorch-lightning", "timm", "nnAudio", "pycbc", "lalsuite", "numpy", "scipy",
            "scikit-learn", "h5py")  # fmt: skip


def resolve_device(asked: str) -> str:
    """The device for "auto", "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        UserError: the device is unknown or not there.
    """
    import torch

    if asked == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, number = asked.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdigit())):
        raise UserError(f"There is no device {asked!r}. Use auto, cpu, cuda, cuda:N or mps.")
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there[kind]:
        seen = f" {what_is_visible()}" if kind == "cuda" else ""
        raise UserError(
            f"The device {asked!r} is not available on this machine.{seen} Use --device auto or --device cpu."
        )
    return asked


def resolve_precision(asked: str, device: str) -> str:
    """The precision for "auto", "fp32" or "bf16"; auto is bf16 where the processor computes in it.

    Raises:
        UserError: the precision is unknown.
    """
    if asked in ("fp32", "bf16"):
        return asked
    if asked != "auto":
        raise UserError(f"There is no precision {asked!r}. Use auto, fp32 or bf16.")
    import torch

    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device == "cpu" and _cpu_has_bf16() else "fp32"


def packages() -> dict[str, str]:
    """Versions of the packages that move numbers."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def hardware(device: str) -> dict[str, str | int | float]:
    """Processor, cores, memory and accelerator."""
    import psutil
    import torch

    facts: dict[str, str | int | float] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _cpu_info("model name") or platform.processor() or "unknown",
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }
    if device.startswith("cuda") and torch.cuda.is_available():  # a failure may be recorded by another machine
        facts["accelerator"] = torch.cuda.get_device_name(device)
    return facts


def peak_memory() -> int:
    """Largest resident memory of this process so far, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


def git_commit() -> str | None:
    """Commit of the checkout that gwbench runs from, with "+" where it is changed; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _cpu_info(key: str) -> str | None:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return None
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return None


def _cpu_has_bf16() -> bool:
    flags = (_cpu_info("flags") or "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags
