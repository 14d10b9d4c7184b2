"""The terminal that the verbs print to."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 160
"""Columns of output that goes to a pipe or file: wide enough that a row stays on one line for `grep`."""


def width() -> int:
    """Columns of standard output."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH


def console() -> Console:
    """Standard output for tables and styles."""
    from rich.console import Console

    return Console(width=width(), highlight=False)
