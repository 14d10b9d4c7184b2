"""One campaign: a command is left alone once, then killed at random moments and started again until it is done."""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.crash.campaigns import Campaign

WORLD = ("runs", "cache", "strain", "home", "tmp")
"""The folders that a command may write to."""

PATIENCE = 300.0
"""Seconds that a command may take to its end."""

FAREWELL = 30.0
"""Seconds in which the processes that a killed one had started must end."""


@dataclass
class Outcome:
    """What came of a campaign.

    Attributes:
        kills: processes killed.
        rounds: times that the command was brought to its end after kills.
        problems: what was wrong.
    """

    kills: int = 0
    rounds: int = 0
    problems: list[str] = field(default_factory=list)


def carry_out(campaign: Campaign, folder: Path, kills: int, rng: random.Random) -> Outcome:
    """Kill a command so often, in rounds of two to six kills; each round ends with the command done.

    Args:
        campaign: which command.
        folder: to work in; it is made.
        kills: how many.
        rng: draws the moments.
    """
    inputs, alone = folder / "inputs", folder / "alone"
    inputs.mkdir(parents=True)
    campaign.prepare(inputs)
    outcome = Outcome()
    seconds = 0.0
    for here in (alone, folder / "alone-again"):
        begun = time.monotonic()
        if (code := finish(campaign, here, inputs)) != 0:
            outcome.problems.append(f"left alone it ends with {code}: {last_lines(here)}")
            return outcome
        seconds = time.monotonic() - begun
    expected, names = dict(campaign.results(alone)), listing(alone)
    outcome.problems += [f"alone again: {text}" for text in compared(expected, dict(campaign.results(here)))]
    while outcome.kills < kills:
        outcome.rounds += 1
        here = folder / f"round-{outcome.rounds}"
        for _ in range(min(rng.randint(2, 6), kills - outcome.kills)):
            # From the start to somewhat behind the end: the last writes are hit too.
            if not kill_once(campaign, here, inputs, rng.uniform(0, 1.05 * seconds), rng.random() < 0.5, outcome):
                break
        grow_old(here)
        for attempt in ("after the kills", "once more"):
            if (code := finish(campaign, here, inputs)) != 0:
                outcome.problems.append(f"{here.name}: {attempt} it ends with {code}: {last_lines(here)}")
        outcome.problems += [f"{here.name}: {text}" for text in compared(expected, dict(campaign.results(here)))]
        extra = listing(here) - names
        outcome.problems += [f"{here.name}: left over: {name}" for name in sorted(extra)]
    return outcome


def kill_once(
    campaign: Campaign, folder: Path, inputs: Path, moment: float, everything: bool, outcome: Outcome
) -> bool:
    """Start the command and kill it at a moment, alone or with all that it started; whether it still ran."""
    pid = start(campaign, folder, inputs)
    until = time.monotonic() + moment
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            if status:
                outcome.problems.append(f"{folder.name}: it ends with {status}: {last_lines(folder)}")
            return False
        time.sleep(0.002)
    others = members(pid)
    if everything:
        os.killpg(pid, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    outcome.kills += 1
    _, alive = psutil.wait_procs(others, timeout=FAREWELL)
    for process in alive:
        outcome.problems.append(f"{folder.name}: its process {process.pid} still runs {FAREWELL:g} s later")
        with suppress(psutil.Error):
            process.kill()
    return True


def start(campaign: Campaign, folder: Path, inputs: Path) -> int:
    """Start the command in a process of its own session; its id.

    It is forked from this one, which has imported everything and computed nothing, or the kills would hit imports.
    """
    for name in WORLD:
        (folder / name).mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os.chdir(folder / "home")
        # A library's own cache, of which a kill may leave a lock, is none of ours.
        os.environ |= {"MPLCONFIGDIR": str(folder.parent / "matplotlib")}
        os.environ |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1",
                       "XDG_CACHE_HOME": str(folder / "home"), "GWBENCH_CACHE": str(folder / "cache")}  # fmt: skip
        tempfile.tempdir = None
        sys.argv = ["gwbench", *campaign.words(folder, inputs)]
        from gwbench.cli.main import main

        main()
    except SystemExit as stop:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(stop.code if isinstance(stop.code, int) else 1)
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    os._exit(99)


def finish(campaign: Campaign, folder: Path, inputs: Path) -> int:
    """Let the command come to its end; its exit code, or -9 where it does not."""
    pid = start(campaign, folder, inputs)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -9


def members(leader: int) -> list[psutil.Process]:
    """The processes that a session's leader has started, and those that these have."""
    with suppress(psutil.Error):
        return list(psutil.Process(leader).children(recursive=True))
    return []


def grow_old(folder: Path) -> None:
    """As if an hour had passed: what is young may be another process's."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name.startswith("."):
            os.utime(path, (time.time() - 3600,) * 2)
    for path in (folder / "tmp").iterdir():
        os.utime(path, (time.time() - 3600,) * 2)


def listing(folder: Path) -> set[str]:
    """Everything in a folder, by relative path."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def compared(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """How results differ from those of a command left alone."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found or name not in expected:
            yield f"{name} is {'missing' if name not in found else 'one too many'}"
        elif expected[name] != found[name]:
            yield f"{name} differs: {difference(expected[name], found[name])}"


def difference(expected: Any, found: Any, place: str = "") -> str:
    """The first place at which two values differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            if expected.get(key) != found.get(key):
                return difference(expected.get(key), found.get(key), f"{place}.{key}")
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            if one != other:
                return difference(one, other, f"{place}[{number}]")
    return f"{place} {str(found)[:200]}, expected {str(expected)[:200]}"


def last_lines(folder: Path, count: int = 5) -> str:
    """The end of what the command said."""
    with suppress(OSError):
        return " | ".join((folder / "log").read_text(errors="replace").splitlines()[-count:])
    return ""


def shares(campaigns: Sequence[Campaign], kills: int) -> list[int]:
    """How many kills each campaign gets; all kills together, at least one each where there are enough."""
    total = sum(campaign.share for campaign in campaigns)
    given = [max(int(kills * campaign.share / total), 1) for campaign in campaigns]
    for number in range(max(kills - sum(given), 0)):
        given[number % len(given)] += 1
    return given
