"""Every command in the documentation: it is run, or at least its verbs, options, plugins and settings exist."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import gwbench
from gwbench.cli.main import gwbench as command_line
from gwbench.cli.main import main
from gwbench.cli.options import parse_settings
from gwbench.cli.run import run as run_verb
from gwbench.cli.run_request import run_request
from gwbench.registry import Registry
from tests.docs.pages import PAGES, ROOT, Block, blocks, given

ENDS = {"|", ">", ">>", "<", "&&", "||", ";", "2>", "&"}
"""Words that end a command."""

ALL_BLOCKS = [(page, block) for page in PAGES for block in blocks(page)]


def place(page: Path, block: Block) -> str:
    return f"{page.relative_to(ROOT)}:{block.line}"


@pytest.mark.parametrize(("page", "block"), ALL_BLOCKS, ids=[place(*each) for each in ALL_BLOCKS])
def test_every_block_says_how_it_is_tested(page: Path, block: Block) -> None:
    assert block.how in ("run", "file", "parse"), f"{place(page, block)} needs a mark: see tests/docs/pages.py"
    assert block.how != "parse" or len(block.rest) > 5, f"{place(page, block)} says not why it is not run"


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_the_commands_of_a_page(
    page: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if not (found := blocks(page)):
        pytest.skip("no command is on this page")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GWBENCH_CACHE", str(tmp_path / ".cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in given(page):
        GIVEN[name](request)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in found:
        where = place(page, block)
        if block.how == "file":
            Path(block.text.splitlines()[0].removeprefix("#").strip()).write_text(block.text)
        elif block.python:
            code = compile(block.text, where, "exec")
            if block.how == "run":
                with _python_runs_are(block.rest, monkeypatch):
                    exec(code, names)
        else:
            _shell(block, where, monkeypatch)


def _shell(block: Block, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check every command of a block, and run them where the block is to be run."""
    for line in _lines(block.text):
        for words in _commands(line):
            _check(words, where)
        if block.how == "run":
            _run(line, block.rest, where, monkeypatch)


def _lines(text: str) -> list[str]:
    """Commands, one each, without remarks."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [line for each in joined.splitlines() if (line := each.strip()) and not line.startswith("#")]


def _commands(line: str) -> Iterator[list[str]]:
    """The words of every `gwbench` command in a line of the shell."""
    words: list[str] = []
    for word in [*_split(line), ";"]:
        if word in ENDS:
            while words and (re.fullmatch(r"\w+=\S*", words[0]) or words[0] in ("do", "!", "time")):
                del words[0]
            if words and Path(words[0]).name in ("gwbench", "python", "python3"):
                yield words
            words = []
        else:
            words.append(word)


def _split(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";|<>&")
    lexer.whitespace_split = True
    return list(lexer)


# --- checked ---


def _check(words: list[str], where: str) -> None:
    """Refuse verbs, options, plugins and settings that are not there."""
    if Path(words[0]).name != "gwbench":
        script = next((word for word in words[1:] if word.endswith(".py") and "/" in word), None)
        assert script is None or (ROOT / script).is_file(), f"{where}: there is no {script}"
        return
    command: click.Command = command_line
    path, rest = "gwbench", [re.sub(r"\$\{?\w+\}?", "1", word) for word in words[1:]]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        verb, found, rest = command.resolve_command(click.Context(command, info_name=path), rest)
        assert found is not None
        command, path = found, f"{path} {verb}"
    context = click.Context(command, info_name=path)
    if isinstance(command, click.Group) or {"--help", "-h", "--version"} & set(rest):
        return
    rest = [word for word in rest if word not in ("...", "…")]
    context = command.make_context(path, rest)
    of_another = context.params.get("config") or context.params.get("extend") or context.params.get("encoder_from")
    if path == "gwbench run" and not of_another:
        own = inspect.signature(run_verb.callback or print).parameters  # the others are of the run itself
        options = {name: value for name, value in context.params.items() if name not in own}
        pairs = parse_settings(context.params["pairs"])
        run_request(context, options, pairs, None).spec("cpu")


# --- run ---


def _run(line: str, extra: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a line: a single `gwbench` command in this process, anything else in the shell."""
    words = _split(_with_runs(line))
    target = None
    if len(words) > 2 and words[-2] == ">":
        target = Path(words[-1])
        words = words[:-2]
    if words[0] != "gwbench" or ENDS & set(words):
        _in_shell(line, where)
        return
    arguments = [path for word in words[1:] for path in _globbed(word)]
    if words[1] == "run":
        arguments += shlex.split(extra)
    monkeypatch.setattr(sys, "argv", ["gwbench", *arguments])
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors), pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0, f"{where}: {shlex.join(['gwbench', *arguments])}: {errors.getvalue()}"
    if target is not None:
        target.write_text(output.getvalue())


def _in_shell(line: str, where: str) -> None:
    folder = Path(".bin")
    folder.mkdir(exist_ok=True)
    for name, start in {"gwbench": "-m gwbench", "python": ""}.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {start} "$@"\n')
        script.chmod(0o755)
    way = os.pathsep.join(str(Path(part)) for part in (ROOT, os.environ.get("PYTHONPATH", "")) if str(part))
    environment = {**os.environ, "PATH": f"{folder.resolve()}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": way}
    done = subprocess.run(["bash", "-euc", line], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{where}: {line}: {done.stderr}"


def _with_runs(line: str) -> str:
    """A line in which `runs/NAME` is the latest run, and `runs/A` and `runs/B` the latest two."""
    folders = sorted(Path("runs").glob("*/record.json"), key=lambda path: path.stat().st_mtime)
    for name, back in {"NAME": 1, "B": 1, "A": 2}.items():
        if len(folders) >= back:
            line = re.sub(rf"\bruns/{name}\b", f"runs/{folders[-back].parent.name}", line)
    return line


def _globbed(word: str) -> list[str]:
    if "=" in word or not re.search(r"[*?]", word):
        return [word]
    return sorted(str(path) for path in Path().glob(word)) or [word]


@contextlib.contextmanager
def _python_runs_are(options: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every `gwbench.run` has these options, too."""
    if not options:
        yield
        return
    added: dict[str, Any] = eval(f"dict({options})")
    run = gwbench.run

    @functools.wraps(run)
    def smaller(**given_options: Any) -> Any:
        settings = {**given_options.pop("settings", {}), **added.get("settings", {})}
        return run(**{**given_options, **added, "settings": settings})

    with monkeypatch.context() as patch:
        patch.setattr(gwbench, "run", smaller, raising=False)
        yield


# --- what a page is given ---


def _g2net(_: pytest.FixtureRequest) -> None:
    """A folder of the challenge with 64 files, half of them with a signal, which is a short sine here."""
    root = Path("g2net-gravitational-wave-detection")
    random = np.random.default_rng(0)
    lines = ["id,target"]
    for number in range(64):
        name, label = f"{number:010x}"[::-1], number % 2
        strain = random.normal(size=(3, 4096)) * 1e-20
        strain[:, 2000:2400] += label * 2e-20 * np.sin(np.arange(400) / 6.0)
        path = root / "train" / name[0] / name[1] / name[2] / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, strain)
        lines.append(f"{name},{label}")
    (root / "training_labels.csv").write_text("\n".join(lines) + "\n")


def _gw150914(request: pytest.FixtureRequest) -> None:
    """The files that `gwbench data fetch GW150914 --duration 32` leaves in the folder gw150914."""
    data: Path = request.getfixturevalue("test_data")
    Path("gw150914").mkdir()
    for path in (data / "gwosc").glob("*.hdf5"):
        Path("gw150914", path.name).symlink_to(path)


def _o3a_noise(request: pytest.FixtureRequest) -> None:
    """500 s of one detector's noise, as noise.hdf5."""
    data: Path = request.getfixturevalue("test_data")
    Path("noise.hdf5").symlink_to(data / "o3a-noise" / "real_noise.hdf")


GIVEN: dict[str, Callable[[pytest.FixtureRequest], None]] = {
    "g2net": _g2net,
    "gw150914": _gw150914,
    "o3a-noise": _o3a_noise,
}
"""What a page's folder may begin with, by name."""
