"""A program: carry a suite out in a process that is killed ten times at random moments, then let it end.

Some moments are drawn from the start of a process, some from behind a pre-training's first epoch, and some from behind
a cell's end, so that all of these are hit on a machine of any speed.

    python -m tests.suite.kill_nine FILE FOLDER

The processes are forked from this one, which has imported everything and computed nothing, or ten starts would take
minutes. Prints what there was after every kill, as JSON: the digest of every record by its run's folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import lightly.utils.scheduler
import sklearn.linear_model

import gwbench.experiment.context
from gwbench.suite.run import Plan, execute, plan

KILLS = 10


def child(suite: str, out: Path, cache: Path, *only: str) -> int:
    """Start a process that carries the suite out; its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = len(execute(planned(suite, out, cache, *only)).failed)
    finally:
        os._exit(code)


def planned(suite: str, out: Path, cache: Path, *only: str) -> Plan:
    """The plan as the command line makes it."""
    return plan(suite, out=out, cache=cache, device="cpu", only=only)


def records(out: Path) -> dict[str, str]:
    """Digest of every record by its folder."""
    return {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*/record.json")}


def main(suite: str, folder: Path) -> None:
    """Once undisturbed, once disturbed."""
    cache, alone, disturbed = folder / "cache", folder / "alone", folder / "disturbed"
    planned(suite, alone, cache)  # imports the plugins
    assert gwbench.experiment.context
    assert sklearn.linear_model
    assert lightly.utils.scheduler
    finish(suite, folder / "first", cache, "random-init*seed 0")  # makes the data
    begun = time.monotonic()
    finish(suite, alone, cache)
    whole, rng = time.monotonic() - begun, random.Random(9)
    seen = []
    for moment in rng.sample(["start", "epoch", "record"], KILLS, counts=[3, 4, 3]):
        before = records(disturbed)
        pid = child(suite, disturbed, cache)
        while (moment == "record" and records(disturbed) == before) or (
            moment == "epoch" and not list(disturbed.glob("*/checkpoints/last.ckpt"))
        ):
            time.sleep(0.005)
        cell = whole / len(records(alone))
        time.sleep(rng.uniform(0, 0.1 * cell if moment == "epoch" else 0.7 * cell))
        os.kill(pid, signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        seen.append(records(disturbed))
    finish(suite, disturbed, cache)
    json.dump({"seen": seen, "end": records(disturbed)}, sys.stdout)


def finish(suite: str, out: Path, cache: Path, *only: str) -> None:
    """Let a process carry the suite out to its end."""
    _, status = os.waitpid(child(suite, out, cache, *only), 0)
    assert status == 0


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
