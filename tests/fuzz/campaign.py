"""Many inputs for many readers: processes that read, restarted when they die, and a table of what happened."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.fuzz.readers import READERS
from tests.fuzz.worker import SECONDS, make_input

BATCH = 20
"""Inputs that a process is asked for at once."""

STALLED = 60.0
"""Seconds after which an input that takes no processor time hangs; a machine may be busy with something else."""

GOOD = ("read", "refused")


@dataclass
class Tally:
    """What happened to the inputs of a reader.

    Attributes:
        results: how many inputs ended how.
        seconds: that they took.
        slowest: seconds of the slowest.
        failures: number, result and text of those that went wrong.
    """

    results: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: float = 0.0
    failures: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, number: int, result: str, seconds: float, text: str) -> None:
        """One more input."""
        self.results[result] += 1
        self.seconds += seconds
        self.slowest = max(self.slowest, seconds)
        if result not in (*GOOD, "absent"):
            self.failures.append((number, result, text))


def make_good_inputs(folder: Path, names: Sequence[str]) -> None:
    """The good inputs of some readers, each in a folder of its own."""
    for name in names:
        inputs = folder / "good" / name
        if not inputs.is_dir():
            inputs.mkdir(parents=True)
            READERS[name].make(inputs)


class Worker:
    """A process that reads inputs of any reader."""

    def __init__(self, folder: Path, seed: int) -> None:
        command = [sys.executable, "-m", "tests.fuzz.worker", str(folder), str(seed)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "GWBENCH_CACHE": str(folder / "cache")}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
        )
        self._buffer = b""

    def run(self, name: str, first: int, count: int) -> Iterator[tuple[int, str, float, str]]:
        """Number, result, seconds and text of so many inputs; of one less for each that ends the process."""
        assert self.process.stdin
        self.process.stdin.write(f"{name} {first} {count}\n".encode())
        self.process.stdin.flush()
        number = first
        while number < first + count:
            line = self._line(patient=number == first)
            if line is None or line == b"":
                hangs = line is None
                self.close()
                how = "hang" if hangs else f"died ({_signal(self.process.returncode)})"
                yield number, how, SECONDS, ""
                return
            _, number, result, seconds, text = json.loads(line)
            yield number, result, seconds, text
            number = max(first, number + 1)

    def _line(self, *, patient: bool) -> bytes | None:
        """The next answer; empty where the process has died; None where it hangs."""
        assert self.process.stdout
        began, cpu = time.monotonic(), self._cpu()
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], 0.5)
            if ready:
                piece = os.read(self.process.stdout.fileno(), 1 << 20)
                if not piece:
                    self.process.wait()
                    return b""
                self._buffer += piece
                continue
            waited, used = time.monotonic() - began, self._cpu() - cpu
            slack = 60.0 if patient else 0.0  # imports, and the good inputs
            if (waited > SECONDS + slack and used > SECONDS + slack) or waited > STALLED + 2 * slack:
                return None
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _cpu(self) -> float:
        try:
            process = psutil.Process(self.process.pid)
            times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
        except psutil.Error:
            return 0.0
        return float(sum(each.user + each.system for each in times))

    def close(self) -> None:
        """End the process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if pipe:
                    pipe.close()


def _signal(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def campaign(
    folder: Path, seed: int, names: Sequence[str], *, minutes: float = 0.0, inputs: int = 0
) -> dict[str, Tally]:
    """Read mutated inputs, in turns, until the time is over or every reader has had so many.

    Args:
        folder: of the inputs; those that went wrong are kept in its folder `failures`.
        seed: of the mutations.
        names: of the readers.
        minutes: of all; 0 for no limit.
        inputs: for every reader; 0 for no limit.
    """
    make_good_inputs(folder, names)
    tallies = {name: Tally() for name in names}
    done = dict.fromkeys(names, 0)
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    worker = Worker(folder, seed)
    try:
        while time.monotonic() < end and any(not inputs or done[name] < inputs for name in names):
            # The reader that has taken the least time so far is next.
            open_ = [name for name in names if not inputs or done[name] < inputs]
            name = min(open_, key=lambda each: (tallies[each].seconds, done[each]))
            count = min(BATCH, inputs - done[name]) if inputs else BATCH
            for number, result, seconds, text in worker.run(name, done[name], count):
                tallies[name].add(number, result, seconds, text)
                done[name] = max(done[name], number + 1)
                if result not in (*GOOD, "absent") and number >= 0:
                    keep(folder, seed, name, number, result, text)
            tallies[name].seconds += 1e-3 * count
            if worker.process.poll() is not None:
                worker = Worker(folder, seed)
    finally:
        worker.close()
    return tallies


def keep(folder: Path, seed: int, name: str, number: int, result: str, text: str) -> Path:
    """Write an input that went wrong, and beside it what happened."""
    file, content = make_input(READERS[name], folder / "good" / name, seed, name, number)
    kept = folder / "failures" / name / f"{seed}-{number}-{file}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(content)
    kept.with_name(f"{kept.name}.why").write_text(f"{result}\n{text}\n", errors="backslashreplace")
    return kept


def table(tallies: dict[str, Tally]) -> str:
    """Counts by reader, and what went wrong."""
    lines = [f"{'reader':<22}{'inputs':>8}{'read':>8}{'refused':>9}{'failed':>8}{'slowest':>10}"]
    for name, tally in tallies.items():
        read, refused, failed = tally.results["read"], tally.results["refused"], len(tally.failures)
        if tally.results["absent"]:
            lines.append(f"{name:<22}  not in this tree")
            continue
        lines.append(f"{name:<22}{read + refused + failed:>8}{read:>8}{refused:>9}{failed:>8}{tally.slowest:>9.1f}s")
    total = sum(tally.results[each] for tally in tallies.values() for each in tally.results if each != "absent")
    failed = sum(len(tally.failures) for tally in tallies.values())
    lines.append(f"{'all':<22}{total:>8}{'':>17}{failed:>8}")
    for name, tally in tallies.items():
        for (result, last), count in Counter(_kind(*failure[1:]) for failure in tally.failures).most_common():
            lines.append(f"  {name}: {count} x {result}: {last}")
    return "\n".join(lines)


def _kind(result: str, text: str) -> tuple[str, str]:
    """Failures of one kind: how they ended, and the last line of what was said."""
    lines = text.strip().splitlines() or [""]
    return result, "".join(letter if letter.isprintable() else "?" for letter in lines[-1][:160])


def replay(path: Path, name: str, folder: Path) -> tuple[str, str]:
    """Read one file in this process as its reader does."""
    from tests.fuzz.worker import Canary, judge

    make_good_inputs(folder, [name])
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    reader = READERS[name]
    good = min(each for each in (folder / "good" / name).iterdir() if each.is_file())
    canary, before = Canary(folder), Path.cwd()
    os.chdir(work)
    try:
        for source, armed in (
            (good, False),
            (path, True),
        ):  # what the good one imports does not count
            file = work / (reader.name or source.name)
            shutil.copy(source, file)
            answer = judge(reader, file, canary, armed=armed)
        return answer
    finally:
        os.chdir(before)
