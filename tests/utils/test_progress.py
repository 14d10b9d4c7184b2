from __future__ import annotations

import io
import logging
import re
import textwrap
import time

import nbformat
import pytest
from nbclient import NotebookClient
from rich.console import Console

from gwbench.utils.progress import LoggedProgress, TerminalProgress, default

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


def test_the_default_off_a_terminal_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    assert type(default()) is LoggedProgress
    with default().task("Embed", 2) as task:
        task.advance()
    default().say("A record cannot be read.")
    assert capfd.readouterr() == ("", "")


def test_a_logger_that_is_configured_gets_what_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="gwbench"), default().task("Embed", 2048, "windows") as task:
        task.advance(2048)
        default().say("A record cannot be read.")
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said[:2] == [("INFO", "Embed: 2,048 windows"), ("WARNING", "A record cannot be read.")]
    assert re.fullmatch(r"Embed: done, \d+\.\d s", said[2][1])


def test_a_notebook_shows_one_bar_for_each_piece_of_work() -> None:
    cell = """
        import time
        from gwbench.utils.progress import default
        with default().task("Embed <all>", 4, "windows") as task:
            for part in range(4):
                time.sleep(0.3)
                task.advance(1, "loss 0.5")
        default().say("2 < 3")
    """
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell))])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    bar, line = notebook.cells[0].outputs
    assert 'value="1.0000"' in bar["data"]["text/html"]
    assert "Embed &lt;all&gt;: 100 %" in bar["data"]["text/html"]
    assert re.search(r"Embed <all>: 100 %, \d s, .*loss 0.5", bar["data"]["text/plain"])
    assert line["data"]["text/html"] == "<div>2 &lt; 3</div>"
