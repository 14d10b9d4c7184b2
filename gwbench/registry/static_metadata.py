"""What a plugin's source says of it, without importing it (for `gwbench list`)."""

from __future__ import annotations

import ast
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from gwbench.errors import in_words
from gwbench.registry.metadata import Origin, Plugin, odd_metadata


def read_plugin(kind: str, name: str, module: str, attribute: str) -> Plugin:
    """Metadata of the plugin class `module:attribute`, or the reason why it cannot be used.

    Finds what an import would trip over: a missing file, a syntax error, a missing class, an import of a module
    that is not installed. What only running the module would show is found when the plugin is loaded.
    """
    try:
        spec = _find(module)
    except Exception as error:
        return Plugin(kind, name, origin=Origin(module), problem=in_words(error))
    if spec is None or spec.origin is None:
        return Plugin(kind, name, origin=Origin(module), problem=f"there is no module {module}")
    file = str(Path(spec.origin).resolve())
    try:
        status = Path(file).stat()
        key = (kind, name, module, attribute, file, status.st_mtime_ns, status.st_size)
        if key not in _SOUND:
            tree = ast.parse(Path(file).read_bytes(), file)
            plugin = _of_tree(tree, kind, name, module, attribute, file)
            if plugin.problem:  # which the user may mend elsewhere, such as by installing what it imports
                return plugin
            _SOUND[key] = plugin
    except Exception as error:  # such as RecursionError, where it is nested too deeply
        return Plugin(kind, name, origin=Origin(file), problem=in_words(error))
    return _SOUND[key]


_SOUND: dict[tuple[str, str, str, str, str, int, int], Plugin] = {}
"""What was read of files in which nothing was wrong, by the time and size of the file: a spec asks for it each time."""


def _of_tree(tree: ast.Module, kind: str, name: str, module: str, attribute: str, file: str) -> Plugin:
    missing = _missing_import(tree)
    problem = f"it imports {missing!r}, which is not installed" if missing else None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == attribute:
            return _from_class(kind, name, file, node, problem)
    return Plugin(kind, name, origin=Origin(file), problem=problem or f"{module} has no class {attribute}")


def _from_class(kind: str, name: str, file: str, node: ast.ClassDef, problem: str | None) -> Plugin:
    summary = (ast.get_docstring(node) or "").split("\n", 1)[0]
    for decorator in node.decorator_list:
        if not isinstance(decorator, ast.Call) or [_literal(a) for a in decorator.args] != [kind, name]:
            continue
        origin = Origin(file, decorator.lineno)
        meta = {word.arg: value for word in decorator.keywords if (value := _literal(word.value)) is not _UNKNOWN}
        if odd := odd_metadata(meta):
            return Plugin(kind, name, summary, origin=origin, problem=odd)
        return Plugin(
            kind,
            name,
            summary,
            citation=meta.get("citation", ""),
            version=meta.get("version", 1),
            tags=tuple(meta.get("tags", ())),
            aliases=tuple(meta.get("aliases", ())),
            origin=origin,
            problem=problem,
        )
    return Plugin(kind, name, summary, origin=Origin(file, node.lineno), problem=problem)


_UNKNOWN = object()
"""What only running the module would tell."""


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _UNKNOWN


def _missing_import(tree: ast.Module) -> str | None:
    for node in tree.body:
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules = [node.module]
        else:
            continue
        for module in modules:
            root = module.split(".")[0]
            if _find(root) is None:
                return root
    return None


def _find(module: str) -> ModuleSpec | None:
    """Where a module is. Unlike `importlib.util.find_spec`, this imports none of the packages above it."""
    if module in sys.modules:
        return sys.modules[module].__spec__
    parent = module.rpartition(".")[0]
    package = _find(parent) if parent else None
    path = package.submodule_search_locations if package else None
    if parent and path is None:
        return None
    try:
        finders: list[Any] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]  # old ones have not
        return next(filter(None, (finder.find_spec(module, path) for finder in finders)), None)
    except KeyError:  # a namespace package within another looks for that one in sys.modules
        return importlib.util.find_spec(module)
