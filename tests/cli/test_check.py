"""`gwbench check`: a table or JSON, and what the exit code says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gwbench.cli.main import main
from gwbench.conformance import checks
from gwbench.registry import Registry
from tests.forked import run_forked

PLUGIN = '''
"""An encoder, and an augmentation under the same name."""
import torch
from gwbench import register
from gwbench.contracts import Augmentation, Encoder, InputShape, StrainInfo, View

@register("encoder", "two-faced")
class TwoFaced(Encoder):
    """The first samples of the window."""

    def __init__(self, shape: InputShape, *, width: int = 8) -> None:
        super().__init__()
        self.embed_dim = width

    def forward(self, strain):
        return strain.mean(1)[:, : self.embed_dim]

@register("augmentation", "two-faced")
class Flip(Augmentation):
    """Flips the sign."""

    def __init__(self, info: StrainInfo) -> None:
        pass

    def augment(self, view, generator):
        return View(SAMPLES, view.detectors)
'''


class CommandLine:
    """`gwbench check WORDS` in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *words: str | Path) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["gwbench", "check", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert isinstance(stop.value.code, int)
        return stop.value.code, *self.capsys.readouterr()


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], registry: Registry) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.py"
    path.write_text(PLUGIN.replace("SAMPLES", "-view.samples"))
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.py"
    path.write_text(PLUGIN.replace("SAMPLES", "view.samples.neg_()"))
    return path


def test_a_file_is_checked_whole_and_shown_as_a_table(check: CommandLine, good: Path) -> None:
    code, out, err = check(good)
    assert (code, err) == (0, "")
    assert f"encoder two-faced, {good}:7" in out
    assert f"augmentation two-faced, {good}:18" in out
    assert out.count("check  ") == 2
    for kind in ("encoder", "augmentation"):
        for each in checks(kind):
            assert each.summary in out
    encoder, augmentation = len(checks("encoder")), len(checks("augmentation"))
    assert f"{encoder - 1} passed, 0 failed, 1 skipped" in out  # there is no parameter for a gradient to reach
    assert f"{augmentation - 1} passed, 0 failed, 1 skipped" in out  # nothing is drawn


def test_a_failed_check_is_exit_code_1_and_says_what_was_found(check: CommandLine, bad: Path) -> None:
    code, out, _ = check(bad, "--kind", "augmentations")
    assert code == 1
    (line,) = (line for line in out.splitlines() if "failed " in line)
    assert "Does not change its input" in line
    assert "2 detectors: the input changed" in line
    assert "encoder two-faced" not in out


def test_json_holds_every_finding(check: CommandLine, bad: Path) -> None:
    code, out, err = check(bad, "--json")
    assert (code, err) == (1, "")
    found = json.loads(out)
    assert [(each["kind"], each["name"]) for each in found] == [("encoder", "two-faced"), ("augmentation", "two-faced")]
    for each in found:
        assert [one["check"] for one in each["checks"]] == [one.summary for one in checks(each["kind"])]
        assert {one["result"] for one in each["checks"]} <= {"passed", "failed", "skipped"}
    failed = [one["check"] for each in found for one in each["checks"] if one["result"] == "failed"]
    assert failed == ["Does not change its input"]


def test_a_name_is_checked_in_every_kind_that_has_it(check: CommandLine, good: Path) -> None:
    code, out, _ = check("two-faced", "--plugin", str(good))
    assert code == 0
    assert "encoder two-faced" in out
    assert "augmentation two-faced" in out


def test_parameters_can_be_set(check: CommandLine, good: Path) -> None:
    code, out, _ = check(good, "--kind", "encoder", "--set", "encoder.width=3")
    assert code == 0
    assert "C=1: [4, 3]" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("two-face",), "There is no plugin 'two-face'. Did you mean 'two-faced'?"),
        (("missing.py",), "There is no plugin file missing.py"),
        (("two-faced", "--kind", "pairing"), "There is no pairing 'two-faced'"),
        (("two-faced", "--kind", "shoe"), "There is no plugin kind 'shoe'"),
        (("two-faced", "--set", "width=3"), "write encoder or augmentation.PARAMETER"),
        (("two-faced", "--set", "encoder.depth=3"), "has no parameter 'depth'"),
        ((__file__,), "registers no plugin"),
        ((), "Missing argument 'NAME_OR_FILE'"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(
    words: tuple[str, ...], message: str, check: CommandLine, good: Path
) -> None:
    plugin = () if words == () else ("--plugin", str(good))
    code, out, err = check(*words, *plugin)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_file_that_cannot_be_imported_is_the_users_to_mend(check: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import nothing_of_this_name")
    code, _, err = check(path)
    assert code == 2
    assert f"{path} cannot be used: ModuleNotFoundError: No module named 'nothing_of_this_name'. Mend that" in err


def test_a_file_of_another_kind_says_what_it_registers(check: CommandLine, good: Path) -> None:
    code, _, err = check(good, "--kind", "objective")
    assert code == 2
    assert "registers no objective; it registers encoder 'two-faced', augmentation 'two-faced'." in err


CHATTY = '''
import warnings
from gwbench import register
from gwbench.contracts import Augmentation, StrainInfo, View

@register("augmentation", "chatty")
class Chatty(Augmentation):
    """Warns at length."""

    def __init__(self, info: StrainInfo) -> None:
        pass

    def augment(self, view, generator):
        warnings.warn("It is " + 40 * "very " + "long, and its ADVICE stands at its end.")
        return View(-view.samples, view.detectors)
'''


def test_a_warning_is_told_to_its_end(tmp_path: Path) -> None:
    source = tmp_path / "chatty.py"
    source.write_text(CHATTY)
    done = run_forked(["check", source, "--json"])  # pytest keeps warnings to itself
    assert done.returncode == 1
    checks = json.loads(done.stdout)[0]["checks"]
    (found,) = (one["found"] for one in checks if one["found"].startswith("it prints "))
    assert 40 * "very " + "long, and its ADVICE stands at its end." in found


def test_where_nothing_was_checked_the_exit_code_is_1(check: CommandLine) -> None:
    code, out, err = check("g2net")
    assert code == 1
    assert "0 passed, 0 failed, " in out
    assert err == "Nothing of dataset 'g2net' was checked: every check was skipped.\n"


def test_a_parameter_that_files_could_not_set_is_refused_with_the_reason(check: CommandLine, tmp_path: Path) -> None:
    source = tmp_path / "named.py"
    source.write_text(PLUGIN.replace("width", "name").replace("SAMPLES", "-view.samples"))
    code, out, err = check(source)
    assert (code, out) == (2, "")
    assert "encoder 'two-faced' at" in err
    assert "a parameter cannot be called 'name': in the files of suites and runs that key holds the plugin's own" in err
