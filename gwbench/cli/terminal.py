"""The terminal that the verbs print to."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import click

from gwbench.cli.streams import results
from gwbench.utils.printable import printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderHook

PIPE_WIDTH = 160
"""Columns of output that goes to a pipe or file: wide enough that a row stays on one line for `grep`."""


def echo(text: Any = "", *, nl: bool = True, styled: bool = False) -> None:
    """Print to standard output, as the verb's own word.

    Args:
        text: what a file, a plugin or a server may have a part in: characters that move a cursor are written out.
        nl: whether a line break follows.
        styled: whether the text has styles of our own, and has been made printable already.
    """
    click.echo(text if styled else printable_lines(text, None), file=results(), nl=nl)


def width() -> int:
    """Columns of standard output."""
    return shutil.get_terminal_size().columns if results().isatty() else PIPE_WIDTH


def console() -> Console:
    """Standard output for tables and styles."""
    from rich.console import Console

    made = Console(file=results(), width=width(), highlight=False)
    made.push_render_hook(_printable_hook())
    return made


def _printable_hook() -> RenderHook:
    """Has a console write out the characters that move a cursor, wherever they come from; styles stay."""
    from rich.console import ConsoleOptions, ConsoleRenderable, RenderHook
    from rich.segment import Segment

    class Printable:
        def __init__(self, inner: ConsoleRenderable) -> None:
            self._inner = inner

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
            for text, style, control in console.render(self._inner, options):
                yield Segment(text if control else printable_lines(text, None), style, control)

    class Hook(RenderHook):
        def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
            return [Printable(each) for each in renderables]

    return Hook()
