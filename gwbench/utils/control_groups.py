"""The limits of a container or of a cluster's job: Linux control groups of version 1 and 2, nested ones too."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

ROOT, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def control_groups(root: Path = ROOT, own: Path = OWN) -> list[Path]:
    """The control groups of version 2 that this process is in, the innermost first."""
    for line in _lines(own):
        if line.startswith("0::/"):
            return _up(root / line.removeprefix("0::/"), root)
    return []


def legacy_groups(controller: str, root: Path = ROOT, own: Path = OWN) -> list[Path]:
    """The control groups of version 1 of a controller, "memory" or "cpu", that this process is in, innermost first.

    A container often sees its own group as the outermost, by whatever path the machine knows it.
    """
    for line in _lines(own):
        number, _, rest = line.partition(":")
        names, _, inner = rest.partition(":")
        if number != "0" and controller in names.split(",") and inner.startswith("/"):
            mounts = (root / names, root / controller)
            mount = next((each for each in mounts if each.is_dir()), mounts[-1])
            return _up(mount / inner.removeprefix("/"), mount)
    return []


def memory_left(groups: list[Path], legacy: list[Path]) -> Iterator[int]:
    """Bytes that the memory limit of each group leaves; pages of files count as free, for they make room."""
    for group in groups:
        try:
            limit = (group / "memory.max").read_text().strip()
            if limit.isdecimal():
                yield int(limit) - _figures(group / "memory.stat")["anon"]
        except (OSError, ValueError, KeyError):
            continue
    for group in legacy:
        try:
            figures = _figures(group / "memory.stat")
            limits = [int((group / "memory.limit_in_bytes").read_text())]
            if "hierarchical_memory_limit" in figures:  # of the groups above, which a container does not see
                limits.append(figures["hierarchical_memory_limit"])
            yield min(limits) - figures.get("total_rss", figures.get("rss", 0))
        except (OSError, ValueError):
            continue


def cpu_quota(groups: list[Path] | None = None, legacy: list[Path] | None = None) -> int | None:
    """How many cores the processor time that this process may take amounts to, rounded up; None without a limit.

    `docker --cpus=2` and Kubernetes limit it so, on a machine whose cores can all be seen.

    Args:
        groups: of version 2; by default those that this process is in.
        legacy: of version 1, for "cpu"; by default those that this process is in.
    """
    quotas: list[float] = []
    for group in control_groups() if groups is None else groups:
        try:
            quota, period = (group / "cpu.max").read_text().split()
            quotas += [int(quota) / int(period)] if quota != "max" else []
        except (OSError, ValueError, ZeroDivisionError):
            continue
    for group in legacy_groups("cpu") if legacy is None else legacy:
        try:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            quotas += [int(quota) / int(period)] if int(quota) > 0 else []
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return max(math.ceil(min(quotas)), 1) if quotas else None


def _lines(own: Path) -> list[str]:
    try:
        return own.read_text().splitlines()
    except (OSError, ValueError):
        return []


def _up(inner: Path, root: Path) -> list[Path]:
    return [inner, *(folder for folder in inner.parents if folder.is_relative_to(root))]


def _figures(file: Path) -> dict[str, int]:
    """The lines "name number" of a file."""
    pairs = (line.split() for line in file.read_text().splitlines())
    return {name: int(number) for name, number in pairs}
