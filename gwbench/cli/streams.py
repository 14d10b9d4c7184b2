"""Standard output holds what a verb says and nothing else, so that scripts can rely on it.

Plugins, libraries and C libraries print where they like: while the command line works, all of that goes to standard
error. What a verb has to say goes to `results()`.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

BROKEN_PIPE = 141
"""Exit code where the reader of a pipe has gone: that of programs which SIGPIPE ends."""

_kept: list[TextIO] = []


class OutputLostError(Exception):
    """Standard output cannot be written.

    Attributes:
        reader_gone: whether it is a pipe that nobody reads any more, as of `gwbench list | head -1`.
        reason: why, in words.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.reader_gone = error.errno == errno.EPIPE
        self.reason = error.strerror or str(error)


class _Checked(io.TextIOWrapper):
    """Standard output whose failures are told from those of other files."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise OutputLostError(error) from None

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise OutputLostError(error) from None

    def close(self) -> None:
        with contextlib.suppress(OutputLostError):
            super().close()


def take_standard_output() -> None:
    """Keep the descriptor of standard output for `results`, and point descriptor 1 at standard error.

    What a C library or a subprocess writes to it goes there too, at whatever time its buffer is emptied. A descriptor
    that was closed (`>&-`) reads and writes nothing; otherwise the next file that is opened would take its place.
    Where standard output is captured within Python, as in tests, this does nothing.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    if descriptor != 1:
        return
    sys.stdout.flush()
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    stream = _Checked(own, encoding=sys.stdout.encoding, errors="backslashreplace", line_buffering=own.isatty())
    sys.stdout = sys.__stdout__ = stream  # type: ignore[misc] # the terminal's size is asked of it


def finish() -> None:
    """Write out what is left. What is printed later, as at exit, goes to standard error.

    Raises:
        OutputLostError: it cannot be written.
    """
    stream = sys.stdout
    give_up()
    stream.flush()


def give_up() -> None:
    """Print to standard output no more."""
    if isinstance(sys.stdout, _Checked):
        sys.stdout = sys.__stdout__ = sys.stderr  # type: ignore[misc,assignment]


@contextlib.contextmanager
def working() -> Iterator[None]:
    """Within it, whatever prints to standard output prints to standard error."""
    if _kept:
        yield
        return
    _kept.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _kept.clear()


def results() -> TextIO:
    """Standard output, for what a verb has to say."""
    return _kept[0] if _kept else sys.stdout
