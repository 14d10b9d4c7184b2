from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from gwbench.utils.progress import Progress, TerminalProgress, default

NOTE = "epoch 3/5 loss 372.2 rank 145"


def shown(width: int | None) -> str:
    """What a person sees last of a task, on a terminal of some width or in a pipe."""
    stream = io.StringIO()
    terminal = width is not None
    console = Console(file=stream, force_terminal=terminal, width=width or 80, color_system=None)
    with TerminalProgress(console).task("Pre-train", 512, "windows") as task:
        for _ in range(2):
            time.sleep(0.2)  # or the rate would have eleven digits
            task.advance(256, NOTE)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_shows_a_bar_with_time_left_and_the_note_on_one_line(width: int) -> None:
    (line,) = [line for line in re.split(r"[\r\n]+", shown(width)) if NOTE in line][-1:]
    assert re.search(r"Pre-train +━+.*\d:\d\d:\d\d left epoch 3/5", line)
    assert len(line.rstrip()) <= width


def test_a_pipe_gets_a_plain_line() -> None:
    line = shown(None)
    assert re.fullmatch(r"Pre-train: done, 0 s, [\d,]+ windows/s, epoch 3/5 loss 372.2 rank 145\n", line)


def test_work_that_fails_does_not_say_that_it_is_done() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="on purpose"), TerminalProgress(Console(file=stream)).task("Embed", 2):
        raise ValueError("on purpose")
    assert "done" not in stream.getvalue()


def test_the_default_off_a_terminal_is_silent() -> None:
    assert type(default()) is Progress
    with default().task("Embed", 2) as task:
        task.advance()
