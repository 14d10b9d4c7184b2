"""`gwbench list` and `gwbench show`: what ships, what a user adds, what cannot be used and why."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import termios
import textwrap
from pathlib import Path
from typing import Any

import click
import pytest

from gwbench.cli.main import main
from gwbench.registry import KINDS, Registry

PLUGIN = '''
"""Found by its entry point or by its file."""
from typing import Annotated, Literal
import torch
from pydantic import Field
from gwbench import register
from gwbench.contracts import Encoder, InputShape

@register("encoder", "NAME", citation="Doe, Journal of [Toys] 1", version=3, tags=("toy", "one-d"))
class Toy(Encoder):
    """A toy with [brackets] in its summary.

    More about it.
    """

    def __init__(
        self,
        shape: InputShape,
        *,
        width: Annotated[int, Field(ge=2, multiple_of=2)] = 4,
        share: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        mode: Literal["fast", "good", 3] = "fast",
        bias: bool = True,
        path: str = "",
        span: tuple[float, float] | None = None,
        names: tuple[str, ...] = ("H1", "L1"),
    ) -> None:
        super().__init__()
        self.embed_dim = width

    def forward(self, strain):
        return strain.mean(1)[:, : self.embed_dim]
'''
PARAMETERS = {
    "width": ("int (at least 2, a multiple of 2)", "4"),
    "share": ("float (above 0, below 1)", "0.5"),
    "mode": ("fast, good or 3", "fast"),
    "bias": ("true or false", "true"),
    "path": ("str", "''"),
    "span": ("float,float or none", "none"),
    "names": ("str,str,...", "H1,L1"),
}
LINE = PLUGIN[: PLUGIN.index("@register")].count("\n") + 1
"""Where the plugin is written in its file."""


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return str(path)


class CommandLine:
    """`gwbench WORDS` in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["gwbench", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        assert isinstance(stop.value.code, int)
        return stop.value.code, *self.capsys.readouterr()

    def listed(self, *words: str) -> dict[str, Any]:
        code, out, err = self("list", "--json", *words)
        assert (code, err) == (0, "")
        found: dict[str, Any] = json.loads(out)
        return found


@pytest.fixture
def gwbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


# --- what ships ---


def test_the_table_is_grouped_by_kind(gwbench: CommandLine) -> None:
    code, out, err = gwbench("list")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.removesuffix("s:") for line in lines if line.endswith("s:") and line[0] != " "] == list(KINDS)
    encoder = lines[lines.index("encoders:") + 1]
    assert encoder.split()[0] == "cnn1d"
    assert "GeM pooling" in encoder
    assert "[default, " in encoder
    assert "`gwbench show KIND NAME`" in lines[-1]
    assert not any(line != line.rstrip() for line in lines)


def test_the_table_fits_a_terminal() -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    with subprocess.Popen([sys.executable, "-m", "gwbench", "list"], stdout=slave, env=environment) as process:
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 4096):
                shown += part
        except OSError:  # Linux says so when the other end is closed
            pass
        os.close(master)
    assert process.returncode == 0
    assert b"\x1b[" in shown
    lines = click.unstyle(shown.decode()).splitlines()
    assert "encoders:" in lines
    assert max(map(len, lines)) <= 80


def test_a_kind_and_a_pattern(gwbench: CommandLine) -> None:
    for kind in ("encoder", "encoders"):
        _, out, _ = gwbench("list", kind, "--pattern", "c*")
        assert "cnn1d" in out
        assert "pairings:" not in out
    assert [plugin["name"] for plugin in gwbench.listed("pairing", "--pattern", "noise-in*")["plugins"]] == [
        "noise-injection"
    ]
    code, out, _ = gwbench("list", "encoder", "--pattern", "z*")
    assert (code, out) == (0, "No encoder matches 'z*'. `gwbench list` shows all plugins.\n")


def test_json_holds_the_metadata(gwbench: CommandLine) -> None:
    found = gwbench.listed("encoder", "--pattern", "cnn1d")
    assert found["broken"] == {}
    (plugin,) = found["plugins"]
    assert (plugin["kind"], plugin["name"], plugin["problem"]) == ("encoder", "cnn1d", None)
    assert "default" in plugin["tags"]
    assert plugin["version"] >= 1
    assert plugin["citation"]
    file, _, line = plugin["origin"].rpartition(":")
    assert Path(file).read_text().splitlines()[int(line) - 1].startswith("@register(")


def test_unknown_kind(gwbench: CommandLine) -> None:
    code, out, err = gwbench("list", "encodr")
    assert (code, out) == (2, "")
    assert "no plugin kind 'encodr'" in err
    assert "Did you mean 'encoder'?" in err


def test_show_what_ships(gwbench: CommandLine) -> None:
    for kind in ("encoder", "encoders"):
        code, out, err = gwbench("show", kind, "cnn1d")
        assert (code, err) == (0, "")
    assert out.startswith("encoder cnn1d, version ")
    for text in ("bidirectional GRU", "--set encoder.width=", "int (at least ", "arXiv:1711.02512", "cnn1d.py:"):
        assert text in out
    assert "no parameters" in gwbench("show", "baseline", "random-init")[1]


# --- files and modules that a user names ---


def test_show_a_plugin_file(gwbench: CommandLine, registry: Registry, tmp_path: Path) -> None:
    source = write(tmp_path / "toy.py", PLUGIN.replace("NAME", "toy"))
    code, out, err = gwbench("show", "encoder", "toy", "--plugin", source)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    for text in (
        "encoder toy, version 3",
        "A toy with [brackets] in its summary.",
        "More about it.",
        "citation: Doe, Journal of [Toys] 1",
        "tags: toy, one-d",
        f"origin: {source}:{LINE}",
    ):
        assert text in lines
    for name, (kind, default) in PARAMETERS.items():
        (row,) = (line for line in lines if line.startswith(f"--set encoder.{name}="))
        assert re.split(r"\s{2,}", row.strip()) == [f"--set encoder.{name}=", kind, default]


def test_a_broken_plugin_file_is_listed_with_its_reason(
    gwbench: CommandLine, registry: Registry, tmp_path: Path
) -> None:
    broken = write(tmp_path / "broken.py", "def broken(:\n")
    needs = write(tmp_path / "needs.py", "import no_such_module\n")
    good = write(tmp_path / "good.py", PLUGIN.replace("NAME", "good"))
    words = ("list", "encoder", "--plugin", broken, "--plugin", needs, "--plugin", good)
    code, out, err = gwbench(*words)
    assert (code, err) == (0, "")
    flat = " ".join(out.split())
    assert f"{broken} cannot be used: SyntaxError" in flat
    assert f"{needs} cannot be used: ModuleNotFoundError: No module named 'no_such_module'" in flat
    assert "good A toy with [brackets] in its summary. [toy, one-d]" in flat
    assert "cnn1d" in out
    assert set(gwbench.listed(*words[1:])["broken"]) == {broken, needs}


def test_sources_in_the_environment(tmp_path: Path) -> None:
    broken = write(tmp_path / "broken.py", "raise RuntimeError('on purpose')\n")
    good = write(tmp_path / "good.py", PLUGIN.replace("NAME", "good"))
    done = run("list", "--json", "encoder", GWBENCH_PLUGINS=os.pathsep.join((broken, good)))
    found = json.loads(done.stdout)
    assert {"cnn1d", "good"} <= {plugin["name"] for plugin in found["plugins"]}
    assert found["broken"] == {broken: "RuntimeError: on purpose"}
    refused = run("list", expect=2, GWBENCH_PLUGINS="gone.py")
    assert "no plugin file gone.py" in refused.stderr
    assert "GWBENCH_PLUGINS" in refused.stderr


# --- installed packages ---


def run(*words: str, expect: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """`gwbench WORDS` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "gwbench", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    return done


def install(site: Path, package: str, source: str, *, name: str) -> str:
    """Put a package with one encoder where pip would; its file."""
    write(site / package / "__init__.py", "import sys\nprint('imported', file=sys.stderr)\n")
    file = write(site / package / "toys.py", source.replace("NAME", name))
    information = site / f"{package}-1.0.dist-info"
    write(information / "METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    write(information / "entry_points.txt", f"[gwbench.encoders]\n{name} = {package}.toys:Toy\n")
    return file


def encoders(site: Path) -> dict[str, dict[str, Any]]:
    """What `gwbench list` says of the encoders, once it is known to import none of them."""
    done = run("list", "encoder", "--json", PYTHONPATH=str(site))
    assert done.stderr == ""
    return {plugin["name"]: plugin for plugin in json.loads(done.stdout)["plugins"]}


def test_an_installed_package_is_listed_unimported_and_loads(tmp_path: Path) -> None:
    file = install(tmp_path, "toybox", PLUGIN, name="toy")
    assert encoders(tmp_path)["toy"] == {
        "kind": "encoder",
        "name": "toy",
        "summary": "A toy with [brackets] in its summary.",
        "citation": "Doe, Journal of [Toys] 1",
        "version": 3,
        "tags": ["toy", "one-d"],
        "origin": f"{file}:{LINE}",
        "problem": None,
    }
    shown = run("show", "encoder", "toy", PYTHONPATH=str(tmp_path))
    assert shown.stderr == "imported\n"
    assert f"origin: {file}:{LINE}" in shown.stdout


@pytest.mark.parametrize("name", ["toy", "cnn1d"])
def test_a_name_that_is_taken_names_both_places(tmp_path: Path, name: str) -> None:
    places = [f"{install(tmp_path, package, PLUGIN, name=name)}:{LINE}" for package in ("toybox", "toychest")]
    problem = encoders(tmp_path)[name]["problem"]
    assert "registered twice" in problem
    refused = run("show", "encoder", name, expect=2, PYTHONPATH=str(tmp_path))
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    for place in (*places, *(["cnn1d.py:"] if name == "cnn1d" else [])):
        assert place in problem
        assert place in refused.stderr
    assert "random-init" in run("show", "baseline", "random-init", PYTHONPATH=str(tmp_path)).stdout


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module\n" + PLUGIN, "it imports 'no_such_module', which is not installed"),
        ("def broken(:\n", "SyntaxError"),
        ("class Other: ...\n", "toybox.toys has no class Toy"),
    ],
)
def test_a_package_that_cannot_be_used_is_listed_with_its_reason(tmp_path: Path, source: str, reason: str) -> None:
    install(tmp_path, "toybox", source, name="toy")
    found = encoders(tmp_path)
    assert reason in found["toy"]["problem"]
    assert found["cnn1d"]["problem"] is None
    assert f"cannot be used: {reason}" in run("list", PYTHONPATH=str(tmp_path)).stdout
    refused = run("show", "encoder", "toy", expect=2, PYTHONPATH=str(tmp_path)).stderr
    assert refused.startswith("Error: The encoder 'toy' cannot be loaded from ")
    assert reason in refused
    assert "`gwbench list encoder`" in refused


def test_a_package_that_registers_another_name(tmp_path: Path) -> None:
    install(tmp_path, "toybox", PLUGIN.replace("NAME", "other"), name="toy")
    refused = run("show", "encoder", "toy", expect=2, PYTHONPATH=str(tmp_path)).stderr
    assert "toybox.toys:Toy does not register encoder 'toy'" in refused


@pytest.mark.parametrize("name", ["bbh", "bns", "nsbh"])
def test_inherited_parameters_are_explained(name: str) -> None:
    """Every parameter in the table has its line of meaning."""
    from click.testing import CliRunner

    from gwbench.cli.show import show

    shown = CliRunner().invoke(show, ["dataset", name]).output
    parameters = re.findall(r"--set dataset\.(\w+)=", shown)
    assert len(parameters) > 20
    for parameter in parameters:
        assert re.search(rf"^ +{parameter}: ", shown, re.M), parameter


@pytest.mark.parametrize("section", ["training", "evaluation", "conditioning"])
def test_a_section_of_settings_is_shown_with_defaults_and_meaning(section: str) -> None:
    from click.testing import CliRunner

    from gwbench.cli.show import show
    from gwbench.experiment.sections import OWN_SECTIONS

    shown = CliRunner().invoke(show, [section])
    assert shown.exit_code == 0
    for name, field in OWN_SECTIONS[section].model_fields.items():
        (line,) = (line for line in shown.output.splitlines() if f"--set {section}.{name}=" in line)
        assert str(field.default).lower() in line
        assert len(line.split(str(field.default).lower(), 1)[1].strip()) > 5, line  # what it means


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["training", "epochs"], "training is a section of settings and has no 'epochs'"),
        (["encoders"], "Which encoder? `gwbench show encoder NAME`"),
        (["trainin"], "There is no plugin kind 'trainin'. Did you mean 'training'?"),
    ],
)
def test_what_is_neither_a_plugin_nor_a_section_is_refused(words: list[str], says: str) -> None:
    from click.testing import CliRunner

    from gwbench.cli.show import show

    assert says in str(CliRunner().invoke(show, words).exception)
