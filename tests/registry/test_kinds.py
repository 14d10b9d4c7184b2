"""A kind of plugin is a line in the table of kinds and a class in the contracts; everything else follows."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import pytest

from gwbench import contracts
from gwbench.cli.main import main
from gwbench.conformance import checks
from gwbench.contracts import Array, PluginContract
from gwbench.registry import KINDS, METHOD_KINDS, Kind, Registry


class Veto(PluginContract, ABC):
    """Says which windows are not to be used."""

    @abstractmethod
    def vetoed(self, strain: Array, detectors: Sequence[str]) -> Array:
        """Which windows [N] of strain [N, D, T] are not to be used."""


class Located(PluginContract, ABC):
    """Is handed something before its parameters."""

    @abstractmethod
    def __init__(self, place: str) -> None: ...


PLUGIN = '''"""A veto."""

from gwbench.contracts import Veto
from gwbench.registry import register


@register("veto", "loud", tags=("default",))
class Loud(Veto):
    """Windows with a sample above a threshold.

    Args:
        threshold: in standard deviations.
    """

    def __init__(self, *, threshold: float = 8.0) -> None:
        self.threshold = threshold

    def vetoed(self, strain, detectors):
        return abs(strain).max((1, 2)) > self.threshold
'''


@pytest.fixture
def gwbench(registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gwbench:
    monkeypatch.setitem(KINDS, "veto", Kind("veto", "Veto", positional=0))
    monkeypatch.setitem(KINDS, "located", Kind("located", "Located", positional=1))
    monkeypatch.setattr(contracts, "Veto", Veto, raising=False)
    monkeypatch.setattr(contracts, "Located", Located, raising=False)
    return Gwbench(monkeypatch, capsys)


class Gwbench:
    """The command line, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> str:
        self.monkeypatch.setattr(sys, "argv", ["gwbench", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = self.capsys.readouterr()
        assert (stop.value.code, err) == (0, "")
        return str(out)


def test_a_plugin_of_a_new_kind_is_listed_shown_and_checked(gwbench: Gwbench, tmp_path: Path) -> None:
    file = tmp_path / "loud.py"
    file.write_text(PLUGIN)
    listed = json.loads(gwbench("list", "vetos", "--json", "--plugin", str(file)))["plugins"]
    assert [(each["kind"], each["name"], each["tags"]) for each in listed] == [("veto", "loud", ["default"])]
    shown = gwbench("show", "veto", "loud", "--plugin", str(file))
    assert "Windows with a sample above a threshold." in shown
    assert "--set veto.threshold=" in shown
    table = gwbench("check", str(file), "--set", "veto.threshold=5")
    assert "1 parameters" in table
    assert "3 passed, 0 failed, 0 skipped" in table


def test_a_new_kind_has_something_to_start_from(gwbench: Gwbench, tmp_path: Path) -> None:
    out = gwbench("new", "veto", "my-veto", "--out", str(tmp_path))
    plugin = tmp_path / "my_veto.py"
    assert out.splitlines()[1:] == [f"  gwbench check {plugin}", f"  pytest {tmp_path / 'test_my_veto.py'}"]
    text = plugin.read_text()
    assert "from collections.abc import Sequence\n\nfrom gwbench.contracts import Array, Veto\n" in text
    assert "    def vetoed(self, strain: Array, detectors: Sequence[str]) -> Array:\n" in text
    assert "3 passed, 0 failed, 0 skipped" in gwbench("check", str(plugin))
    gwbench("new", "located", "my-place", "--out", str(tmp_path))
    assert (
        "def __init__(self, place: str) -> None:\n        self.place = place\n"
        in (tmp_path / "my_place.py").read_text()
    )
    assert "2 passed, 0 failed, 1 skipped" in gwbench("check", str(tmp_path / "my_place.py"))


def test_general_checks_catch_what_any_plugin_may_get_wrong(gwbench: Gwbench, tmp_path: Path) -> None:
    file = tmp_path / "loud.py"
    broken = {
        "defaults": PLUGIN.replace("float = 8.0", "float = 'high'"),
        "combines": PLUGIN.replace(
            "    def vetoed", "    @classmethod\n    def skip(cls, parts):\n        return None\n\n    def vetoed"
        ),
        "builds_quietly": PLUGIN.replace("self.threshold = threshold", "print(threshold)"),
    }
    assert [each.name for each in checks("veto")] == list(broken)
    from gwbench.conformance import Case, Subject
    from gwbench.registry import REGISTRY

    for name, text in broken.items():
        file.write_text(text)
        REGISTRY.load_source(str(file))
        subject = Subject(REGISTRY.get("veto", "loud"))
        results = {each.name: Case(subject, each).run().result for each in checks("veto")}
        assert results[name] == "failed"


def test_the_kinds_of_a_method_are_those_that_a_leaderboard_ranks() -> None:
    assert METHOD_KINDS == ("encoder", "pairing", "augmentation", "objective", "baseline")
    assert {kind: KINDS[kind].flag for kind in ("encoder", "augmentation", "objective", "task")} == {
        "encoder": "--encoder",
        "augmentation": "--augment",
        "objective": "--loss",
        "task": "--task",
    }
