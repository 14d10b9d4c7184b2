"""Messages name options of the verb at hand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gwbench.cli.main import VERBS
from gwbench.cli.main import gwbench as command_line
from gwbench.cli.verb import OPTION, SNIPPET, Verb
from gwbench.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def verbs() -> dict[str, Verb]:
    """Every verb, by what is typed."""
    found: dict[str, Verb] = {}
    context = click.Context(command_line)
    for name in VERBS:
        command = command_line.get_command(context, name)
        if isinstance(command, click.Group):
            found |= {f"{name} {each}": verb for each, verb in command.commands.items() if isinstance(verb, Verb)}
        elif isinstance(command, Verb):
            found[name] = command
    return found


def messages() -> Iterator[str]:
    """The literal texts of every UserError of gwbench and its plugins."""
    for file in sorted([*(ROOT / "gwbench").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error"):
                texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
                yield " ".join(text for text in texts if isinstance(text, str))


def test_every_verb_is_one() -> None:
    assert {"run", "check", "data plot", "data make", "suite run", "leaderboard"} <= set(verbs())
    assert len(verbs()) == 34


@pytest.mark.parametrize("name", verbs())
def test_no_message_names_an_option_that_the_verb_has_not(name: str) -> None:
    verb = verbs()[name]
    own = {option for parameter in verb.params for option in parameter.opts}
    of_gwbench = {option for each in verbs().values() for parameter in each.params for option in parameter.opts}
    for message in messages():
        told = verb.in_own_words(message)
        for place, part in enumerate(SNIPPET.split(told)):
            for found in OPTION.finditer(part) if place % 2 == 0 else ():
                owned = part[found.end() :] == " of "  # `gwbench run`, which stands behind it
                assert found[0] in own or owned or found[0] not in of_gwbench, (message, told)


@pytest.mark.parametrize(
    ("name", "message", "told"),
    [
        ("data plot", "Set conditioning.high below 512.", "Set --high below 512."),
        ("data plot", "Name one with dataset.channel.", "Name one with --channel."),
        ("leaderboard", "choose another folder with --out.", "choose another folder with --output."),
        ("report", "choose another folder with --out.", "choose another folder with --output."),
        ("doctor", "Name one with --cache-dir or GWBENCH_CACHE.", "Name one with GWBENCH_CACHE."),
        ("suite run", "Lower --batch-size or use more data.", "Lower training.batch_size or use more data."),
        ("compare", "Run with --rerun to make it again.", "Run with --rerun of `gwbench run` to make it again."),
        ("run", "Set conditioning.high, or --lr.", "Set conditioning.high, or --lr."),
        ("leaderboard", "`gwbench run --lr 1` and torchrun --nnodes 2", "`gwbench run --lr 1` and torchrun --nnodes 2"),
        ("leaderboard", "the folder /a/--out is not there", "the folder /a/--out is not there"),
    ],
)
def test_settings_are_named_as_the_verb_spells_them(name: str, message: str, told: str) -> None:
    assert verbs()[name].in_own_words(message) == told


def test_entry_points_on_which_other_libraries_fail_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import entry_points

    folder = tmp_path / "bad-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[other]\nno equals sign\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    command = Verb("verb", callback=lambda: entry_points(group="torch.backends"))
    with pytest.raises(UserError, match=r"fail on broken entry points of bad \("):
        command.main([], standalone_mode=False)
