"""`gwbench doctor`."""

from __future__ import annotations

import sys

import click

from gwbench.cli.terminal import echo
from gwbench.cli.verb import verb
from gwbench.utils.namesake import ADVICE
from gwbench.utils.printable import printable_lines


@verb(spellings={"--cache-dir or GWBENCH_CACHE": "GWBENCH_CACHE"})
def doctor() -> None:
    """Check this installation: packages, device, cache folder and plugins. The exit code is 1 if there is a problem."""
    from importlib.metadata import distributions

    from gwbench.data.store.cache import CacheDir
    from gwbench.experiment import environment
    from gwbench.registry import REGISTRY

    problems = []
    names = {package.metadata["Name"].lower() for package in distributions() if package.metadata["Name"]}
    if "gwbench" in names:
        problems.append(ADVICE)
    for package, version in environment.packages().items():
        echo(f"{package:<18} {version}")
    device = environment.resolve_device("auto")
    echo(f"{'device':<18} {device}, {environment.resolve_precision('auto', device)}")
    for line in _gpu_lines():
        echo(f"{'':<18} {line}")
    echo(f"{'data cache':<18} {CacheDir().root}")
    problems += [f"{p.kind} {p.name!r}: {p.problem}" for p in REGISTRY.list() if p.problem]
    problems += [f"plugin source {source}: {reason}" for source, reason in REGISTRY.broken.items()]
    for problem in problems:
        click.echo(printable_lines(f"problem: {problem}"), err=True)
    if problems:
        sys.exit(1)
    echo("No problem found.")


def _gpu_lines() -> list[str]:
    """The GPUs that there are for this process, and slices of GPUs that it does not see."""
    import os

    from gwbench.utils import gpus

    names = gpus.gpu_names()
    lines = [f"cuda:{number} {name}" for number, name in enumerate(names)]
    visible = gpus.visible_entries()
    if visible is not None:
        lines.append(f"{gpus.VISIBLE}={os.environ[gpus.VISIBLE]}: {len(names)} of the machine's GPUs are seen")
    slices = gpus.listed_slices(gpus.nvidia_smi_listing())
    if slices:
        listed = ", ".join(f"{name} ({profile})" for profile, name in slices)
        lines.append(f"slices of GPUs (MIG), of which a process sees one: {listed}")
    return lines
