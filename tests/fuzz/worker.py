"""The process that mutates inputs and reads them, and tells what happened: `python -m tests.fuzz.worker FOLDER SEED`.

It reads "reader first count" lines and answers one JSON line for each input. The input lies in the folder before it is
read, so that it is there still when this process dies.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from tests.fuzz.mutate import KINDS
from tests.fuzz.readers import READERS, Reader

SECONDS = 10.0
"""That reading an input may take."""

GROWTH, CHILD = 512 * 2**20, int(2.5 * 2**30)
"""Bytes by which this process may grow for one input, and that a child of it may take."""

EXECUTES = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "os.startfile")
REACHES = ("socket.connect", "urllib.Request", "http.client.connect")
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.chmod", "shutil.rmtree")
DANGEROUS = re.compile(
    r"(os|posix|nt|subprocess|sys|pty|shutil|importlib|runpy|code|ctypes|socket|webbrowser|operator)(\.|$)"
    r"|builtins\.(eval|exec|compile|open|getattr|setattr|__import__)"
)
"""Names that no pickle that is loaded may hold."""

READS_FILES = ("gwbench.utils.reader_process", "gwbench.utils.worker_process")


class Canary:
    """Notes what nothing that is read may cause."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.armed, self.seen = str(folder.resolve()), False, list[str]()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        shown = f"{event} {arguments!r}"[:300]
        if event.startswith(EXECUTES) or event in REACHES:
            self.seen.append(shown)
        elif event == "subprocess.Popen":
            if not any(each in str(arguments) for each in READS_FILES):
                self.seen.append(shown)
        elif event == "pickle.find_class":
            if DANGEROUS.match(".".join(map(str, arguments))):
                self.seen.append(shown)
        elif event == "open":
            if self._writes(*arguments) and self._outside(arguments[0]):
                self.seen.append(shown)
        elif event in CHANGES and self._outside(arguments[0]):
            self.seen.append(shown)

    @staticmethod
    def _writes(path: Any, mode: Any, flags: Any) -> bool:
        return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))

    def _outside(self, path: Any) -> bool:
        if isinstance(path, int) or str(path) == os.devnull:
            return False
        return not os.path.realpath(os.fsdecode(path)).startswith(self.folder)


def make_input(reader: Reader, inputs: Path, seed: int, name: str, number: int) -> tuple[str, bytes]:
    """The file name and the content of an input, which its numbers alone determine."""
    rng = random.Random(f"{seed} {name} {number}")
    paths = sorted(path for path in inputs.iterdir() if path.is_file())
    others = [path.read_bytes() for path in paths]
    place = rng.randrange(len(paths))
    try:
        content = KINDS[reader.kind](others[place], rng, others)
    except Exception:  # the library that writes it refuses
        content = KINDS["bytes"](others[place], random.Random(f"{seed} {name} {number} again"), others)
    return reader.name or paths[place].name, content


def judge(reader: Reader, path: Path, canary: Canary, *, armed: bool = True) -> tuple[str, str]:
    """Read a file: "read", "refused" or a failure, and the message or what went wrong."""
    memory, used = _peak(), time.process_time()
    result, text = "read", ""
    try:
        refusals = reader.refusals()
    except (ImportError, AttributeError):
        return "absent", ""
    canary.armed = armed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("gwbench"):
            return "absent", ""
        result, text = "traceback", traceback.format_exc()
    except refusals as error:
        result, text = "refused", _message(error)
        if not text.isprintable():
            result = "unprintable"
        elif reader.named and path.name not in text and "a-run" not in text:
            result = "unnamed"
    except BaseException:
        result, text = "traceback", traceback.format_exc()
    finally:
        canary.armed = False
    if canary.seen or Path("canary").exists():
        result, text = "escaped", "; ".join(canary.seen) or "the canary file is there"
        canary.seen.clear()
        Path("canary").unlink(missing_ok=True)
    elif (armed and _peak() - memory > GROWTH) or any(each > CHILD for each in _children()):
        result, text = "memory", f"{(_peak() - memory) / 2**20:.0f} MiB more; children {list(_children())}"
    elif time.process_time() - used > SECONDS:
        result, text = "slow", f"{time.process_time() - used:.1f} s of processor time"
    return result, text


def _message(error: BaseException) -> str:
    return str(getattr(error, "message", None) or error)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _children() -> list[int]:
    """The most memory that each child of this process has taken."""
    found = []
    for number in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        try:
            status = Path(f"/proc/{number}/status").read_text()
        except OSError:
            continue
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        found.append(int(peak[1]) * 1024 if peak else 0)
    return found


def serve(folder: Path, seed: int) -> None:
    """Read what is asked for, until there is no more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    work = folder / "work"
    work.mkdir(exist_ok=True)
    os.chdir(work)
    canary = Canary(folder)
    sys.addaudithook(canary)
    warm: set[str] = set()
    for line in sys.stdin:
        name, first, count = line.split()
        reader, inputs = READERS[name], folder / "good" / name
        if name not in warm:  # imports are not the inputs' doing
            for path in sorted(path for path in inputs.iterdir() if path.is_file()):
                good = work / (reader.name or path.name)
                good.write_bytes(path.read_bytes())
                result, text = judge(reader, good, canary, armed=False)
                if result not in ("read", "absent"):
                    said = f"{path.name}: {result} {text[-2000:]}"
                    answers.write(json.dumps([name, -1, "good input", 0.0, said]) + "\n")
            canary.seen.clear()
            warm.add(name)
        for number in range(int(first), int(first) + int(count)):
            file, content = make_input(reader, inputs, seed, name, number)
            path = work / file
            path.write_bytes(content)
            began = time.monotonic()
            result, text = judge(reader, path, canary)
            answers.write(json.dumps([name, number, result, time.monotonic() - began, text[-3000:]]) + "\n")


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
