"""What `import gwbench` offers: complete in `dir`, each with its words, and nothing imported before it is used."""

from __future__ import annotations

import ast
import inspect
import types
from pathlib import Path

import pytest

import gwbench

NAMES = [name for name in gwbench.__all__ if name != "__version__"]


def test_dir_is_what_is_public() -> None:
    shown = {name for name in dir(gwbench) if not name.startswith("__")}
    assert shown == set(NAMES)
    assert gwbench.__all__ == sorted(gwbench.__all__)
    assert set(NAMES) == set(gwbench._HOMES) | set(gwbench._MODULES)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(gwbench.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imported = {
        alias.asname or alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gwbench")
        for alias in node.names
    }
    assert imported == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_says_what_it_is(name: str) -> None:
    value = getattr(gwbench, name)
    words = inspect.getdoc(value) or ""
    assert len(words.split("\n", 1)[0]) > 5
    if isinstance(value, types.ModuleType):
        assert value.__name__ == f"gwbench.{name}"
        return
    for member, each in vars(value).items() if inspect.isclass(value) else ():
        if not member.startswith("_") and inspect.isfunction(each):
            assert inspect.getdoc(each), f"{name}.{member}"


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="leaderbord"):
        _ = gwbench.leaderbord
