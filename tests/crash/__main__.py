"""`python -m tests.crash --kills 100 --seed 0`: kill commands at random moments, and check what they come to."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightly.utils.scheduler
import sklearn.linear_model

import gwbench.cli.data
import gwbench.cli.run
import gwbench.cli.suite
import gwbench.cli.summary
import gwbench.data.gwosc.fetch
import gwbench.experiment.checkpoint
import gwbench.experiment.context
import gwbench.experiment.pretrain_step
from gwbench.registry import REGISTRY, Registry
from tests.crash.campaign import carry_out, shares
from tests.crash.campaigns import CAMPAIGNS

WARM = (lightly.utils.scheduler, sklearn.linear_model, gwbench)
"""Imported before the first command, so that the kills hit what commands do and not their imports."""


def say(text: str) -> None:
    """A line at once, for a log that is watched."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def server() -> Iterator[str]:
    """A GWOSC on 127.0.0.1, in a process of its own; its address."""
    words = [sys.executable, "-m", "tests.crash.server"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def main() -> int:
    """Exit code 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="how many processes are killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", action="append", help="a campaign's name; repeatable")
    parser.add_argument("--folder", type=Path, help="where to work; kept [default: a temporary one]")
    options = parser.parse_args()
    chosen = [each for each in CAMPAIGNS if not options.only or each.name in options.only]
    for plugin in Registry().list():
        REGISTRY.get(plugin.kind, plugin.name)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="crash-"))
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["NO_PROXY"] = "127.0.0.1,localhost"
    begun, kills, problems = time.monotonic(), 0, 0
    with server() as address:
        os.environ["GWBENCH_GWOSC_HOST"] = address
        for campaign, count in zip(chosen, shares(chosen, options.kills), strict=True):
            here = folder / campaign.name.replace(" ", "-").replace(",", "")
            outcome = carry_out(campaign, here, count, random.Random(f"{options.seed} {campaign.name}"))
            kills, problems = kills + outcome.kills, problems + len(outcome.problems)
            counts = f"{outcome.kills} kills in {outcome.rounds} rounds, {len(outcome.problems)} problems"
            say(f"{campaign.name}: {counts}")
            for problem in outcome.problems:
                say(f"  {problem}")
            if not outcome.problems and not options.folder:
                shutil.rmtree(here)
    say(f"{kills} kills, {problems} problems, {time.monotonic() - begun:.0f} s")
    if not problems and not options.folder:
        shutil.rmtree(folder)
    elif problems:
        say(f"kept: {folder}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
