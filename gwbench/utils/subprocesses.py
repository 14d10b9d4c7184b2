"""Other processes of this machine that work for this one.

Each is a new interpreter that knows this one's import path and nothing else of it. Unlike a forked process it
inherits no thread or lock; unlike those of `multiprocessing` it does not run the caller's script again, so that a
script without `if __name__ == "__main__"` may start some.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
           "NUMEXPR_NUM_THREADS")  # fmt: skip
"""What says how many threads a process computes with; it is read when numpy and torch are imported."""


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_variables(cores: int) -> dict[str, str]:
    """The environment of a process that computes on so many cores; $OMP_NUM_THREADS of this one is a limit to it."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    threads = min(cores, int(allowed)) if allowed.isdigit() else cores
    return dict.fromkeys(THREADS, str(max(threads, 1)))


def take_threads() -> int:
    """Have torch compute with as many threads as `thread_variables` gave this process; returns how many."""
    import torch

    threads = int(os.environ[THREADS[0]])
    torch.set_num_threads(threads)
    return threads


def start(
    module: str, descriptor: int, environment: Mapping[str, str], *, kept: Sequence[int] = (), quiet: bool = False
) -> subprocess.Popen[bytes]:
    """Start an interpreter that calls `serve(descriptor)` of a module. It prints nothing, and hears no Ctrl-C.

    Args:
        module: the module's name.
        descriptor: its end of a connection with this process, which closes its own copy.
        environment: variables besides this process's.
        kept: further descriptors that it is handed.
        quiet: whether it gives no warnings.

    Raises:
        OSError: it cannot be started.
    """
    program = f"import sys; sys.path[:] = {sys.path!r}; from {module} import serve; serve({descriptor})"
    return subprocess.Popen(
        [sys.executable, *(["-W", "ignore"] if quiet else []), "-c", program],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[descriptor, *kept],
        process_group=0,  # Ctrl-C is for the process that started it, which ends it
    )


def exit_reason(process: subprocess.Popen[bytes], remedy: str = "") -> str:
    """Such as "ended with exit code 1", of a process that has hung up.

    Args:
        process: the process.
        remedy: what helps, where it most likely wanted memory.
    """
    code = process.wait()
    if code == -signal.SIGKILL:
        return "ended with SIGKILL, most likely for want of memory" + (f": {remedy}" if remedy else "")
    return f"ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
