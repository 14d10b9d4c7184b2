"""The terminal that the verbs print to."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import click

from gwbench.cli.streams import results

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 160
"""Columns of output that goes to a pipe or file: wide enough that a row stays on one line for `grep`."""


def echo(text: Any = "", *, nl: bool = True) -> None:
    """Print to standard output, as the verb's own word."""
    click.echo(text, file=results(), nl=nl)


def width() -> int:
    """Columns of standard output."""
    return shutil.get_terminal_size().columns if results().isatty() else PIPE_WIDTH


def console() -> Console:
    """Standard output for tables and styles."""
    from rich.console import Console

    return Console(file=results(), width=width(), highlight=False)
