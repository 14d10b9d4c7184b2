"""What a plugin's code does, as a hash: two sources with the same hash are the same method.

The hash is of the syntax tree without what changes nothing: comments, docstrings, annotations, layout, the order and
the paths of imports from gwbench, imports that only annotations use, and the call of `register`, whose version is part
of a run's identity by itself. So a file may be moved, documented and typed without orphaning its records.

Older records hold the hash of the file's bytes instead. `former_hashes.json` lists the hashes of that kind under which
results were published, each with the hash of what that source did (`benchmarks/former_hashes.py` makes it from the
commits at that time). Where it is what the plugin does today, the old hash stands for the same plugin.

The list also names code that has changed and gives the same scores ("same_scores"): a plugin that does more than it
did, such as keeping what it fitted, and ranks every window as before. It stands for the same plugin too, as long as the
plugin stays as it was when that was tested.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

LEDGER = Path(__file__).with_name("former_hashes.json")

_IGNORED = {"annotation", "returns", "type_comment", "type_params", "ctx", "kind"}
"""Fields of syntax nodes that change nothing of what the code does."""

_COMBINATIONS = 256
"""Most former hashes of one plugin that are told apart."""


def text_hash(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def code_hash(source: str | bytes, renamed: Mapping[str, str] | None = None) -> str:
    """SHA-256 of what Python source does.

    Args:
        source: of a module.
        renamed: names to read as others, for source that was written before gwbench renamed a helper.

    Raises:
        SyntaxError, ValueError: it is no Python.
    """
    reduced = _Reduction(renamed or {}).module(ast.parse(source))
    return text_hash(json.dumps(reduced, separators=(",", ":")))


def joined_hash(own: str, others: Iterable[str]) -> str:
    """The hash of a source that builds on others."""
    others = sorted(others)
    return text_hash(" ".join([own, *others])) if others else own


def former_hashes(
    kind: str, name: str, current: str, file_hash: str, others: Iterable[Sequence[str]]
) -> frozenset[str]:
    """Hashes of a file's bytes that stand for the very code that a plugin has today.

    Args:
        kind, name: of the plugin.
        current: what its code does, and that of the plugins that it builds on.
        file_hash: SHA-256 of its file as it is.
        others: of every plugin that it builds on, the former hashes.
    """
    plugin = f"{kind} {name}"
    earlier = {old for old, today in _ledger("same_scores").get(plugin, {}).items() if today == current}
    published = {old for old, meaning in _ledger().get(plugin, {}).items() if meaning in {current, *earlier}} | earlier
    combinations = itertools.islice(itertools.product(*others), _COMBINATIONS)
    return frozenset(published | {joined_hash(file_hash, each) for each in combinations})


def same_code(kind: str, name: str, recorded: str) -> str:
    """The hash of what the recorded source did, or later code with its scores, where known; otherwise as recorded."""
    plugin = f"{kind} {name}"
    meaning = _ledger().get(plugin, {}).get(recorded, recorded)
    return _ledger("same_scores").get(plugin, {}).get(meaning, meaning)


@cache
def _ledger(part: str = "plugins") -> dict[str, dict[str, str]]:
    listed: dict[str, dict[str, str]] = json.loads(LEDGER.read_text())[part]
    return listed


class _Reduction:
    """Reduces syntax to nested lists that are equal on every version of Python."""

    def __init__(self, renamed: Mapping[str, str]) -> None:
        self._renamed = renamed
        self._used: set[str] = set()

    def module(self, tree: ast.Module) -> list[Any]:
        """All statements of a module; the imports come last, when it is known what is used."""
        imports: list[ast.Import | ast.ImportFrom] = []
        rest = [each for each in _flat(tree.body) if not _sort_out(each, imports)]
        statements = self._body(rest, in_class=False)
        return [self._imports(imports, only_used=True), statements]

    def _body(self, body: Sequence[ast.stmt], *, in_class: bool) -> list[Any]:
        reduced: list[Any] = []
        imports: list[ast.Import | ast.ImportFrom] = []
        for statement in _flat(body):
            if _sort_out(statement, imports) or _does_nothing(statement):
                continue
            if isinstance(statement, ast.AnnAssign) and not in_class:
                if statement.value is None:
                    continue
                statement = ast.Assign(targets=[statement.target], value=statement.value)
            reduced.append(self._node(statement))
        return [self._imports(imports), *reduced] if imports else reduced

    def _node(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._node(each) for each in node]
        if not isinstance(node, ast.AST):
            return self._renamed.get(node, node) if isinstance(node, str) else node
        if isinstance(node, ast.Constant):
            return ["Constant", type(node.value).__name__, repr(node.value)]
        if isinstance(node, ast.JoinedStr):
            return ["JoinedStr", _joined([self._node(part) for part in node.values])]
        if isinstance(node, ast.Name):
            self._used.add(node.id)
        fields: list[Any] = []
        for name, value in ast.iter_fields(node):
            if name in _IGNORED or value is None or value == []:
                continue
            if name in ("body", "orelse", "finalbody") and isinstance(value, list):
                reduced = self._body(value, in_class=isinstance(node, ast.ClassDef))
            elif name == "decorator_list":
                registered = isinstance(node, ast.ClassDef)
                reduced = [self._node(each) for each in value if not (registered and _registers(each))]
            else:
                reduced = self._node(value)
            if reduced != []:
                fields.append([name, reduced])
        return [type(node).__name__, *fields]

    def _imports(self, imports: Iterable[ast.Import | ast.ImportFrom], *, only_used: bool = False) -> list[Any]:
        """What is imported, in an order of its own."""
        names = set()
        for statement in imports:
            for alias in statement.names:
                bound = alias.asname or alias.name
                if isinstance(statement, ast.Import):
                    names.add((_place(alias.name), "", alias.asname or ""))
                elif not only_used or bound in self._used or bound == "*":
                    name = self._renamed.get(alias.name, alias.name)
                    place = "." if statement.level else _place(statement.module or "")
                    names.add((place, name, self._renamed.get(bound, bound)))
        return sorted(map(list, names))


def _flat(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    """The statements that are executed: those for type checkers alone are not."""
    for statement in body:
        if isinstance(statement, ast.If) and _for_type_checkers(statement.test):
            yield from _flat(statement.orelse)
        else:
            yield statement


def _for_type_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _sort_out(statement: ast.stmt, imports: list[ast.Import | ast.ImportFrom]) -> bool:
    """Whether it is an import, which then is among `imports`."""
    if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
        return True
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        imports.append(statement)
        return True
    return False


def _does_nothing(statement: ast.stmt) -> bool:
    """Whether it is `pass`, `...` or a text that documents what stands before it."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and (statement.value.value is ... or isinstance(statement.value.value, str))
    )


def _registers(decorator: ast.expr) -> bool:
    """Whether it is gwbench's `register`, however that is imported."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(called, ast.Attribute) and called.attr == "register":
        home = called.value.attr if isinstance(called.value, ast.Attribute) else getattr(called.value, "id", "")
        return home in ("gwbench", "registry")
    return isinstance(called, ast.Name) and called.id == "register"


def _place(module: str) -> str:
    return "gwbench" if module.partition(".")[0] == "gwbench" else module


def _joined(parts: list[Any]) -> list[Any]:
    """The parts of an f-string, neighbouring texts in one: versions of Python split them differently."""
    merged: list[Any] = []
    for part in parts:
        if merged and part[0] == merged[-1][0] == "Constant":
            merged[-1] = ["Constant", "str", repr(ast.literal_eval(merged[-1][2]) + ast.literal_eval(part[2]))]
        else:
            merged.append(part)
    return merged
