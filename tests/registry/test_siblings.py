"""Helper modules beside a plugin's file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gwbench.registry import Registry
from gwbench.utils.sibling_modules import sibling_files
from tests.forked import run_forked

PLUGIN = '''
import torch
from gwbench.contracts import Encoder, InputShape
from gwbench.registry import register
from toy_helpers import WIDTH
from toy_package.nets import Net

@register("encoder", "helped")
class Helped(Encoder):
    """An encoder with helpers."""
    def __init__(self, shape: InputShape, *, width: int = WIDTH) -> None:
        super().__init__()
        self.embed_dim = width
        self.net = Net(shape.samples, width)
    def forward(self, strain):
        from toy_late import scale
        return scale(self.net(strain.mean(1)))
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a folder"
    (folder / "toy_package").mkdir(parents=True)
    (folder / "helped.py").write_text(PLUGIN)
    (folder / "toy_helpers.py").write_text("WIDTH = 4\n")
    (folder / "toy_late.py").write_text("def scale(x):\n    return 2 * x\n")
    (folder / "toy_package" / "__init__.py").write_text("")
    (folder / "toy_package" / "nets.py").write_text("from . import base\nNet = base.Net\n")
    (folder / "toy_package" / "base.py").write_text("import torch\nNet = torch.nn.Linear\n")
    (folder / "unused.py").write_text("1 / 0\n")
    (folder / "random.py").write_text("1 / 0\n")  # hides nothing of Python's own
    for name in [each for each in sys.modules if each.startswith("toy_")]:
        monkeypatch.delitem(sys.modules, name)
    return folder / "helped.py"


def test_what_a_file_imports_of_its_folder(plugin: Path) -> None:
    names = [str(path.relative_to(plugin.parent)) for path in sibling_files(plugin)]
    assert names == ["toy_helpers.py", "toy_late.py", "toy_package/__init__.py", "toy_package/base.py",
                     "toy_package/nets.py"]  # fmt: skip


def _identity(registry: Registry, plugin: Path) -> str:
    registry.load_source(str(plugin))
    assert not registry.broken.get(str(plugin)), registry.broken
    return registry.get("encoder", "helped").source_hash


@pytest.mark.parametrize("edited", ["toy_helpers.py", "toy_late.py", "toy_package/base.py"])
def test_helpers_are_imported_and_count_in_the_identity(registry: Registry, plugin: Path, edited: str) -> None:
    before = _identity(registry, plugin)
    assert _identity(registry, plugin) == before
    file = plugin.parent / edited
    text = file.read_text()
    file.write_text(f"# a comment\n{text}")
    assert _identity(registry, plugin) == before
    file.write_text(f"{text}OTHER = 1\n")
    assert _identity(registry, plugin) != before
    (plugin.parent / "unused.py").write_text("2 / 0\n")
    file.write_text(text)
    assert _identity(registry, plugin) == before


def test_an_edited_helper_is_imported_anew(registry: Registry, plugin: Path) -> None:
    registry.load_source(str(plugin))
    (plugin.parent / "toy_helpers.py").write_text("WIDTH = 16\n")
    registry.load_source(str(plugin))
    defaults = registry.get("encoder", "helped").target.__init__.__kwdefaults__  # type: ignore[misc]
    assert defaults == {"width": 16}


def test_two_folders_may_have_helpers_of_one_name(registry: Registry, plugin: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "second.py").write_text("from toy_helpers import NAME\nassert NAME == 'second'\n")
    (other / "toy_helpers.py").write_text("NAME = 'second'\n")
    registry.load_source(str(plugin))
    registry.load_source(str(other / "second.py"))
    assert "registers no plugin" in registry.broken[str(other / "second.py")]  # so far it got
    assert registry.get("encoder", "helped")


def test_a_helper_hides_no_module_of_others(registry: Registry, plugin: Path) -> None:
    (plugin.parent / "hypothesis.py").write_text("1 / 0\n")
    registry.load_source(str(plugin))
    import random

    import hypothesis

    assert random.__file__ and hypothesis.__file__
    assert str(plugin.parent) not in random.__file__ + hypothesis.__file__


def test_a_run_from_another_folder_finds_them(plugin: Path, tmp_path: Path) -> None:
    words = ["run", "--plugin", str(plugin), "--encoder", "helped", "--baseline", "random-init", "--json", "--quiet"]
    words += ["--set", "dataset.train=64", "--set", "dataset.val=32", "--set", "dataset.test=32"]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "toy_helpers.py").write_text("WIDTH = 'of the current folder'\n")
    done = run_forked(words, folder=tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["spec"]["encoder"]["parameters"] == {"width": 4}
    assert str(plugin) in record["command"]
