"""Modules beside a plugin's file: the file imports them by name, as a script may, from whatever folder it is run.

What is installed comes first, so that a file beside a plugin hides no package. The folder is not put on Python's path,
where everything in it could be imported by everybody.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

_FOLDERS: list[Path] = []
_IMPORTING: list[Path] = []


class _FirstFinder:
    """While a plugin is imported, finds what lies beside it before anything else does."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Called by Python's import."""
        return _find(_IMPORTING[-1:], name) if path is None else None


class _LastFinder:
    """Finds what lies beside any plugin that was imported, where nothing else finds it: some import when they run."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Called by Python's import."""
        return _find(_FOLDERS, name) if path is None else None


def _find(folders: Sequence[Path], name: str) -> ModuleSpec | None:
    folder = next((each for each in folders if _lies_in(each, name)), None)
    return PathFinder.find_spec(name, [str(folder)]) if folder else None


def sibling_folders() -> list[str]:
    """The folders of plugins that were imported from files, for a process that is started."""
    return [str(folder) for folder in _FOLDERS]


def know_folders(folders: Sequence[str]) -> None:
    """Find the modules in these folders too."""
    for folder in map(Path, folders):
        if folder not in _FOLDERS:
            _FOLDERS.append(folder)
    if _FOLDERS and _FirstFinder not in sys.meta_path:
        sys.meta_path.insert(0, _FirstFinder)
        sys.meta_path.append(_LastFinder)


@contextmanager
def siblings_importable(file: Path) -> Iterator[None]:
    """Within it, the file is imported and finds what lies beside it, whatever else is imported by the same names."""
    file = file.resolve()
    know_folders([str(file.parent)])
    own = {str(path) for path in sibling_files(file)}
    names = {Path(path).relative_to(file.parent).parts[0].removesuffix(".py") for path in own}
    others: dict[str, Any] = {}
    for loaded, module in list(sys.modules.items()):
        if loaded.partition(".")[0] in names and getattr(module, "__file__", None) not in own:
            others[loaded] = sys.modules.pop(loaded)
    _IMPORTING.append(file.parent)
    try:
        yield
    finally:
        _IMPORTING.pop()
        sys.modules.update(others)


def forget_siblings(file: Path) -> None:
    """Have the modules beside a file imported anew: one of them was edited."""
    own = {str(path) for path in sibling_files(file.resolve())}
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) in own:
            del sys.modules[name]
    importlib.invalidate_caches()


def sibling_files(file: Path) -> list[Path]:
    """The files beside a plugin's file that it imports anywhere, and those that these import, in alphabetical order.

    Args:
        file: of the plugin, resolved.
    """
    found: set[Path] = set()
    left = [file]
    while left:
        for path in _imported_by(left.pop(), file.parent):
            if path != file and path not in found:
                found.add(path)
                left.append(path)
    return sorted(found)


def _imported_by(file: Path, folder: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    package = file.parent.relative_to(folder).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(folder, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            above = list(package[: len(package) - node.level + 1]) if node.level else []
            module = above + (node.module.split(".") if node.module else [])
            for alias in node.names:
                yield from _files(folder, [*module, alias.name])


def _files(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """The files that importing `a.b.c` executes, as far as they lie in a folder."""
    if not parts or not _lies_in(folder, parts[0]):
        return
    place = folder
    for part in parts:
        place /= part
        for path in (place / "__init__.py", place.with_name(f"{part}.py")):
            if path.is_file():
                yield path.resolve()
                break
        if not place.is_dir():
            return


def _lies_in(folder: Path, name: str) -> bool:
    """Whether a folder has the module of this name, and it is not that of an installed package."""
    if name in sys.stdlib_module_names or name == "gwbench":
        return False
    if not (folder / f"{name}.py").is_file() and not (folder / name).is_dir():
        return False
    installed = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    return PathFinder.find_spec(name, installed) is None
