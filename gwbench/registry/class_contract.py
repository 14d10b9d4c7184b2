"""What a class has to be to serve as a plugin, and what its docstring says."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap

from gwbench.errors import UserError
from gwbench.registry.metadata import Kind, Origin

RESERVED = {
    "name": "in the files of suites and runs that key holds the plugin's own name; call it what it names",
}
"""Names that a parameter cannot have, and why."""


def check_class(kind: Kind, name: str, cls: type, origin: Origin) -> None:
    """Raise `UserError` where a class does not keep its kind's contract."""
    from gwbench import contracts

    where = f"{kind.name} {name!r} at {origin}"
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UserError(f"{where}: a name is kebab-case, such as 'my-{kind.name}'.")
    if not inspect.isclass(cls):
        raise UserError(f"{where}: gwbench.register decorates a class, not {type(cls).__name__}.")
    if not issubclass(cls, getattr(contracts, kind.contract)):
        raise UserError(f"{where}: class {cls.__name__} must subclass gwbench.contracts.{kind.contract}.")
    if not docstring(cls) and sys.flags.optimize < 2:
        raise UserError(f"{where}: class {cls.__name__} needs a docstring; its first line is shown in listings.")
    check_constructor(kind, where, cls)


def check_constructor(kind: Kind, where: str, cls: type) -> None:
    """Raise `UserError` where a class cannot be constructed as its kind's contract says.

    Args:
        kind: of the plugin.
        where: what the message begins with.
        cls: a subclass of the kind's contract.
    """
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        raise UserError(f"{where}: class {cls.__name__} does not implement {missing}.")
    try:
        arguments = list(inspect.signature(cls).parameters.values())
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: the constructor's arguments cannot be told ({error}).") from None
    keywords = [argument for argument in arguments if argument.kind is argument.KEYWORD_ONLY]
    positional = [a for a in arguments if a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD)]
    if len(positional) != kind.positional or len(positional) + len(keywords) != len(arguments):
        raise UserError(
            f"{where}: the constructor takes {kind.positional} positional argument(s) "
            f"(see gwbench.contracts.{kind.contract}), then parameters behind a `*`; found {inspect.signature(cls)}."
        )
    for argument in keywords:
        if argument.name in RESERVED:
            raise UserError(f"{where}: a parameter cannot be called {argument.name!r}: {RESERVED[argument.name]}.")
        if argument.annotation is argument.empty or argument.default is argument.empty:
            raise UserError(f"{where}: parameter {argument.name!r} needs a type and a default.")


def docstring(cls: type) -> str:
    """A class's own docstring; read from its source where Python was told to drop docstrings (PYTHONOPTIMIZE=2)."""
    if cls.__doc__ or sys.flags.optimize < 2:
        return (inspect.getdoc(cls) or "") if cls.__doc__ else ""
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return ""
    return (ast.get_docstring(node) or "") if isinstance(node, ast.ClassDef) else ""
