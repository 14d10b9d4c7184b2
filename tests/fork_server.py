"""A program: carry commands out in processes that are forked from this one, which has imported all of gwbench.

    python -m tests.fork_server DESCRIPTOR

A request on the socket DESCRIPTOR is JSON with four descriptors: standard input, output and error of the process, and
a pipe to which its number, and later its exit status, are written. `tests.forked` is the other end.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import resource
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any

import lightly.utils.scheduler
import pycbc.noise
import pycbc.waveform
import sklearn.linear_model
import torch._dynamo

import gwbench.cli.data
import gwbench.cli.main
import gwbench.cli.run
import gwbench.cli.scan
import gwbench.cli.suite
import gwbench.cli.summary
import gwbench.experiment.checkpoint
import gwbench.experiment.context
import gwbench.experiment.pretrain_step
import gwbench.experiment.runner

IMPORTED = (lightly.utils.scheduler, pycbc.noise, pycbc.waveform, sklearn.linear_model, torch._dynamo, gwbench)
"""What takes seconds to import. Nothing is computed: a library's threads would not be there in a forked process."""


def serve(requests: socket.socket) -> Callable[[], Any]:
    """Fork a process for every request until the other end has gone; returns in the forked process what it does."""
    woken, wakes = socket.socketpair()
    for end in (woken, wakes):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno())
    selector = selectors.DefaultSelector()
    selector.register(requests, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    statuses: dict[int, int] = {}
    gc.freeze()
    while True:
        ready = {key.fileobj for key, _ in selector.select()}
        if woken in ready:
            woken.recv(4096)
            _tell_ends(statuses)
        if requests in ready:
            content, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 4)
            if not content:
                sys.exit()
            *streams, status = descriptors
            pid = os.fork()
            if not pid:
                selector.close()
                for each in (requests, woken, wakes):
                    each.close()
                for descriptor in (status, *statuses.values()):
                    os.close(descriptor)
                return lambda: _begin(json.loads(content), streams)
            statuses[pid] = status
            os.write(status, f"{pid}\n".encode())
            for descriptor in streams:
                os.close(descriptor)


def _tell_ends(statuses: dict[int, int]) -> None:
    """Write the exit statuses of the processes that have ended."""
    while statuses:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        descriptor = statuses.pop(pid)
        os.write(descriptor, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os.close(descriptor)


def _begin(asked: dict[str, Any], streams: list[int]) -> None:
    """Be the process that was asked for, from its streams and its environment on."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if asked["session"]:
        os.setsid()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    if asked["file_size"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["file_size"],) * 2)
    sys.path[0] = asked["folder"]  # as after `python -m gwbench` and `python -c`
    sys.argv = ["-c" if asked["code"] else "gwbench", *asked["words"]]
    code = 1
    try:
        if asked["code"]:
            exec(asked["code"], {"__name__": "__main__"})
            code = 0
        else:
            gwbench.cli.main.main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            sys.stderr.write(f"{stop.code}\n")
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    ctypes.CDLL(None).fflush(None)
    os._exit(code)  # a library that waits at exit for a thread of its own waits for ever: threads are not forked


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))()
