"""`gwbench data make continuous`: beside `gwbench data make DATASET`, and what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from gwbench.cli.data import data
from gwbench.errors import UserError


def invoke(*words: str) -> Result:
    return CliRunner().invoke(data, ["make", "continuous", *words], prog_name="gwbench data")


def test_two_words_name_the_verb_and_make_still_takes_any_dataset() -> None:
    context = click.Context(data)
    name, command, rest = data.resolve_command(context, ["make", "continuous", "--hours", "1"])
    assert (name, rest) == ("make continuous", ["--hours", "1"]) and command is data.commands["make continuous"]
    for words in (["make", "bbh"], ["make", "--", "continuous"], ["make"]):
        name, command, rest = data.resolve_command(context, words)
        assert name == "make" and command is data.commands["make"] and rest == words[1:]
    assert "Usage: gwbench data make continuous" in invoke("--help").output


def test_it_makes_a_set_once_and_says_where(tmp_path: Path) -> None:
    words = ("--hours", "0.05", "--detectors", "H1", "V1", "--seed", "2", "--out", str(tmp_path / "set"), "--json")
    first, second = invoke(*words), invoke(*words)
    assert first.exit_code == second.exit_code == 0, first.output
    said: dict[str, Any] = json.loads(first.stdout)
    assert said["made"] and not json.loads(second.stdout)["made"]
    assert said["livetime"] == 180 and said["segments"] == [[1238166018, 1238166198]]
    assert said["command"] == "gwbench data make continuous --hours 0.05 --detectors H1,V1 --seed 2"
    for name in ("foreground", "background", "injections"):
        assert Path(said[name]) == tmp_path / "set" / f"{name}.hdf" and Path(said[name]).is_file()
    assert "AdvVirgo (V1)" in said["notes"][0] and "aLIGOZeroDetHighPower (H1)" in said["notes"][0]


def test_without_out_it_lies_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GWBENCH_CACHE", str(tmp_path))
    made = invoke("--hours", "0.05")
    assert made.exit_code == 0
    (folder,) = (tmp_path / "continuous").iterdir()
    assert f"{folder} is made." in made.output and folder.name.startswith("gaussian-0.05h-s0-")
    assert f"{folder} is there already." in invoke("--hours", "0.05").output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--hours", "-1"), "--hours: it should be greater than 0"),
        (("--spacing", "24"), "--spacing 24: expected two numbers"),
        (("--noise", "gaussian", "--noise", "glitches"), "give one of them"),
        (("--noise", "real.hdf5", "--segments", "2"), "--segments belongs to simulated noise"),
        (("--noise", "real.hdf5", "--psd", "AdvVirgo"), "--psd belongs to simulated noise"),
        (("--glitch-rate", "1"), "add --noise glitches"),
        (("--noise", "absent.hdf5"), "--noise=absent.hdf5 names no strain file"),
        (("--detectors", "X1"), "Unknown detector 'X1'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    refused = invoke("--out", str(tmp_path / "set"), *words)
    assert isinstance(refused.exception, UserError) and message in str(refused.exception)
    assert not (tmp_path / "set" / "foreground.hdf").exists()
