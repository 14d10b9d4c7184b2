"""A process that does what it is told."""

from __future__ import annotations

import os
import time
from functools import partial

from gwbench.errors import UserError
from gwbench.utils.worker_process import ParentProcess


class OddError(Exception):
    """Cannot be unpickled: it wants two values."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def serve(descriptor: int) -> None:
    parent = ParentProcess(descriptor)
    while True:
        what, value = parent.receive()
        if what == "stop":
            return
        if what == "raise":
            raise SystemExit(value)
        parent.answer(partial(ACTIONS[what], value))


def _fail(message: str) -> None:
    raise ValueError(message)


def _refuse(message: str) -> None:
    raise UserError(message)


def _odd(message: str) -> None:
    raise OddError(message, "!")


def _about(name: str) -> tuple[int, int, str | None]:
    return os.getpid(), os.getpgid(0), os.environ.get(name)


ACTIONS = {
    "echo": lambda value: value,
    "double": lambda value: 2 * value,
    "lambda": lambda value: lambda: value,
    "fail": _fail,
    "refuse": _refuse,
    "odd": _odd,
    "about": _about,
    "signal": lambda number: os.kill(os.getpid(), number),
    "sleep": time.sleep,
    "read": lambda descriptor: os.pread(descriptor, 100, 0),
}
