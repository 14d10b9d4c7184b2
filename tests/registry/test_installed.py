"""Entry points of other packages, of which any may be broken."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from gwbench.errors import UserError
from gwbench.registry import Registry
from gwbench.registry.installed import installed, unreadable
from tests.registry.plugin_files import ENCODER


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def package(site: Path, name: str, entry_points: str | bytes, metadata: str | None = "Metadata-Version: 2.1\n") -> None:
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir()
    if metadata is not None:
        (folder / "METADATA").write_text(f"{metadata}Name: {name}\nVersion: 1.0\n" if metadata else "")
    text = entry_points if isinstance(entry_points, bytes) else f"[gwbench.encoders]\n{entry_points}\n".encode()
    (folder / "entry_points.txt").write_bytes(text)


@pytest.mark.parametrize("value", ["no such thing", "a b:c", "", ":Cls", "module", "module:", "!!", "m:C extra"])
def test_a_value_that_is_no_class_is_listed_with_the_reason(site: Path, value: str) -> None:
    package(site, "odd", f"odd = {value}")
    listed = {plugin.name: plugin.problem for plugin in Registry().list("encoder")}
    assert "is not of the form MODULE:CLASS" in str(listed["odd"])
    assert listed["cnn1d"] is None
    with pytest.raises(UserError, match=r"encoder 'odd' cannot be loaded from .*MODULE:CLASS"):
        Registry().get("encoder", "odd")


@pytest.mark.parametrize(
    "text", [b"[gwbench.encoders]\nno equals sign\n", b"\xff\xfe\x00 = :\n", b"[gwbench.encoders\nx = y\n"]
)
@pytest.mark.parametrize("metadata", ["Metadata-Version: 2.1\n", "", None])
def test_metadata_that_cannot_be_read_stop_no_other_package(site: Path, text: bytes, metadata: str | None) -> None:
    package(site, "spoilt", text, metadata)
    package(site, "good", "mine = good_plugin:Toy")
    (site / "good_plugin.py").write_text(ENCODER.format(name="mine"))
    names = {entry.name for entry in installed("gwbench.encoders")}
    assert {"cnn1d", "mine"} <= names
    assert {"cnn1d", "mine"} <= {plugin.name for plugin in Registry().list("encoder")}
    broken = Registry().broken
    assert broken == unreadable()
    assert all("spoilt" in name for name in broken)


RAISING = {
    "SystemExit": "raise SystemExit(3)",
    "BaseException": "class Odd(BaseException): pass\nraise Odd('no')",
    "Skipped": "import pytest\npytest.skip('not here', allow_module_level=True)",
    "its text cannot be made": (
        "class Mute(Exception):\n    def __str__(self): raise ValueError('mute')\nraise Mute()"
    ),
    "RecursionError": "def f(): f()\nf()",
    "is no plugin": "class Toy: pass",
}


@pytest.mark.parametrize("reason", RAISING)
def test_a_module_that_raises_anything_is_named_when_it_is_used(
    site: Path, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = RAISING[reason] if reason == "is no plugin" else f"{RAISING[reason]}\nclass Toy: pass"
    package(site, "loud", f"loud-{reason.split()[0].lower()} = loud_plugin:Toy")
    (site / "loud_plugin.py").write_text(code)
    monkeypatch.delitem(sys.modules, "loud_plugin", raising=False)
    registry = Registry()
    name = f"loud-{reason.split()[0].lower()}"
    assert {"cnn1d", name} <= {plugin.name for plugin in registry.list("encoder")}
    expected = (
        "does not register encoder" if reason == "is no plugin" else "Odd" if reason == "BaseException" else reason
    )
    with pytest.raises(UserError, match=f"encoder '{name}' cannot be loaded from .*{expected}"):
        registry.get("encoder", name)
    monkeypatch.delitem(sys.modules, "loud_plugin", raising=False)


@pytest.mark.parametrize("reason", [each for each in RAISING if each != "is no plugin"])
def test_a_file_that_raises_anything_is_named_among_the_broken(registry: Registry, tmp_path: Path, reason: str) -> None:
    path = tmp_path / "loud.py"
    path.write_text(RAISING[reason])
    registry.load_source(str(path))
    expected = "Odd" if reason == "BaseException" else reason
    assert expected in registry.broken[str(path)]


@pytest.mark.parametrize("given", ["tags=5", "tags='abc'", "tags=(1,)", "version='x'", "version=0", "version=True",
                                   "citation=5", "aliases=7"])  # fmt: skip
def test_metadata_of_the_wrong_type_are_named(registry: Registry, site: Path, tmp_path: Path, given: str) -> None:
    code = ENCODER.replace('"{name}")', f'"odd", {given})').replace("{name}", "odd")
    name, _, value = given.partition("=")
    path = tmp_path / "file_of_odd.py"
    path.write_text(code)
    with pytest.raises(UserError, match=rf"encoder 'odd' at .*file_of_odd.py:6: {name}=.* is not valid: expected"):
        registry.load_source(str(path))
    package(site, "odd", "odd = module_of_odd:Toy")
    (site / "module_of_odd.py").write_text(code)
    (plugin,) = Registry().list("encoder", "odd")
    assert str(plugin.problem).startswith(f"{name}={value}")
    assert "is not valid: expected" in str(plugin.problem)


def test_a_package_that_comes_changes_or_goes_meanwhile_is_noticed(site: Path) -> None:
    def names() -> set[str]:
        return {entry.name for entry in installed("gwbench.encoders")} & {"one", "two", "three"}

    package(site, "first", "one = first:Toy")
    assert names() == {"one"}
    package(site, "second", "two = second:Toy")
    assert names() == {"one", "two"}
    (site / "first-1.0.dist-info" / "entry_points.txt").write_text("[gwbench.encoders]\nthree = first:Toy\n")
    assert names() == {"two", "three"}
    shutil.rmtree(site / "second-1.0.dist-info")
    assert names() == {"three"}
