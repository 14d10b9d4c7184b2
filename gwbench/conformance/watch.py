"""What a plugin does besides its work: print, touch global random state, change what it was given."""

from __future__ import annotations

import ctypes
import os
import random
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO

import numpy as np
import torch

LONGEST = 4000
"""Characters of what a plugin prints that are told."""

STATE_SEED = 20150914
"""Of the global generators while they are watched; a plugin that seeds one itself will hardly choose this."""

READERS: dict[str, Callable[[], object]] = {
    "torch": lambda: torch.get_rng_state().tolist(),
    "torch's CUDA": lambda: torch.cuda.get_rng_state().tolist() if torch.cuda.is_initialized() else None,
    "numpy": lambda: str(np.random.get_state(legacy=False)),  # noqa: NPY002 - this is what is watched
    "Python": random.getstate,
}
"""The state of every global generator."""


def random_state_touched(use: Callable[[], object]) -> list[str]:
    """The global generators whose state a call changes; they are as before afterwards."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(STATE_SEED)
            np.random.seed(STATE_SEED)  # noqa: NPY002
            random.seed(STATE_SEED)
            before = {name: read() for name, read in READERS.items()}
            use()
            return [name for name, read in READERS.items() if read() != before[name]]
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def printed(use: Callable[[], object]) -> str:
    """What a call writes to standard output and error, warnings included, from Python or from a compiled library."""
    text = StringIO()
    with _descriptors() as compiled, redirect_stdout(text), redirect_stderr(text), warnings.catch_warnings():
        warnings.simplefilter("always")
        use()
    return text.getvalue() + compiled()


def quoted(text: str) -> str:
    """What was printed, whole: a warning's advice stands at its end."""
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")


@contextmanager
def _descriptors() -> Iterator[Callable[[], str]]:
    """Send file descriptors 1 and 2 to a file; what is yielded reads it, after the block too."""
    content = ""

    def read() -> str:
        return content

    with tempfile.TemporaryFile() as file:
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, ValueError):
                stream.flush()
        kept = [os.dup(number) for number in (1, 2)]
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield read
        finally:
            ctypes.CDLL(None).fflush(None)  # what a library printed waits in C's own buffer
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            file.seek(0)
            content = file.read().decode(errors="replace")
