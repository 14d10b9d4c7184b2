"""What identifies an object that a run was given in place of a plugin's name: its code and its state.

The code is that of its classes and functions, and of those that these use by their names, as far as they are written
outside installed packages: reduced as that of plugins is (`code_identity`), so that comments and layout do not count.
Where Python keeps no source, as of what was typed into `exec`, the compiled code counts instead, and with it the
version of Python. The state is every number and text that the object holds: weights, buffers and attributes.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
import pickle
import sys
import textwrap
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.registry.code_identity import code_hash
from gwbench.registry.metadata import GivenObject

LONGEST = 64 * 1024
"""Characters of source that are kept."""


def identify(given: Any) -> GivenObject:
    """The identity of an object, a class or a function."""
    walk = _Walk()
    walk.value(given)
    subject = given if _is_code(given) else type(given)
    written = sorted(walk.code.items()) or [(qualified_name(subject), "installed")]
    code = hashlib.sha256("\n".join(f"{name} {each}" for name, each in written).encode())
    source = "\n\n".join(walk.sources.values())
    return GivenObject(qualified_name(subject), code.hexdigest(), walk.state.hexdigest(), source[:LONGEST])


def qualified_name(subject: Any) -> str:
    """Module and name of a class or a function."""
    return f"{subject.__module__}.{subject.__qualname__}"


def _is_code(value: Any) -> bool:
    return isinstance(value, (type, types.FunctionType))


class _Walk:
    """Goes through all that an object holds, and through the code that it is made of."""

    def __init__(self) -> None:
        self.state = hashlib.sha256()
        self.code: dict[str, str] = {}
        self.sources: dict[str, str] = {}
        self._seen: dict[int, Any] = {}  # the objects themselves, so that no other takes their identity meanwhile

    def value(self, value: Any) -> None:
        """Take in a value, whatever it is."""
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, Path)):
            self._note(f"{type(value).__name__} {value!r}")
        elif _is_code(value):
            self._code_of(value)
        elif isinstance(value, types.ModuleType):
            self._note(f"module {value.__name__}")
        elif id(value) in self._seen:
            self._note("seen")
        else:
            self._seen[id(value)] = value
            self._container(value)

    def _container(self, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.dtype != object:
            self._note(f"array {value.dtype.str} {value.shape}")
            self.state.update(np.ascontiguousarray(value).tobytes())
        elif isinstance(value, np.generic):
            self._note(f"number {value!r}")
        elif hasattr(value, "detach") and hasattr(value, "dtype"):
            self._tensor(value)
        elif isinstance(value, Mapping):
            self._note(f"mapping {len(value)}")
            self._all(part for item in value.items() for part in item)
        elif isinstance(value, (list, tuple)):
            self._note(f"{type(value).__name__} {len(value)}")
            self._all(value)
        elif isinstance(value, (set, frozenset)):
            self._note(f"set {sorted(map(repr, value))}")
        elif isinstance(value, (types.MethodType, types.BuiltinFunctionType)):
            self._note(value.__qualname__)
            self.value(getattr(value, "__self__", None))
            self._code_of(getattr(value, "__func__", type(value)))
        else:
            self._instance(value)

    def _instance(self, value: Any) -> None:
        """An object of some class: the class's code, and its attributes; without attributes, as it pickles."""
        self._code_of(type(value))
        self._note(qualified_name(type(value)))
        if getattr(type(value), "fingerprinted", False):
            return  # a dataset whose fingerprint covers all that it holds
        attributes = getattr(value, "__dict__", None)
        if attributes is not None:
            self._all(part for item in sorted(attributes.items()) for part in item)
        for name in (name for cls in type(value).__mro__ for name in _slots(cls)):
            self._all((name, getattr(value, name, None)))
        if not attributes and not any(map(_slots, type(value).__mro__)):
            try:
                self.state.update(pickle.dumps(value))
            except Exception:  # such as an open file, which is no state of a method
                self._note("without a state")

    def _tensor(self, tensor: Any) -> None:
        if type(tensor).__name__.startswith("Uninitialized"):
            self._note("not yet made")
            return
        self._note(f"tensor {tensor.dtype} {tuple(tensor.shape)}")
        import torch

        flat = tensor.detach().cpu().contiguous().reshape(-1)
        self.state.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")

    def _all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.value(value)

    def _note(self, text: str) -> None:
        self.state.update(f"{text}\n".encode())

    def _code_of(self, subject: Any) -> None:
        """A class or function, and what its code names, unless an installed package has it."""
        name = qualified_name(subject)
        self._note(name)
        if id(subject) in self._seen or _is_installed(subject):
            return
        self._seen[id(subject)] = subject
        if isinstance(subject, type):
            for base in subject.__bases__:
                self._code_of(base)
        try:
            source = source_of(subject)
            digest = code_hash(source)
        except (OSError, TypeError, SyntaxError):  # typed in, or a lambda, whose line may hold others
            digest, names = _compiled(subject)
            self._all(part for item in _class_values(subject) for part in item)
        else:
            self.sources[name] = source
            names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        self.code[name] = digest
        self._all(_values_of(subject, names))


def source_of(subject: Any) -> str:
    """The text of a class or a function, from its first column.

    Python finds no file of a class that was typed into a notebook. Its functions know the cell they were typed into.

    Raises:
        OSError, TypeError, SyntaxError: there is none.
    """
    if subject.__name__ == "<lambda>":
        raise OSError("a part of a line, which may hold others")
    if isinstance(subject, type) and not getattr(sys.modules.get(subject.__module__), "__file__", None):
        for function in _functions(subject):
            text = "".join(linecache.getlines(function.__code__.co_filename))
            for node in ast.walk(ast.parse(text)):
                if not isinstance(node, ast.ClassDef) or node.name != subject.__name__:
                    continue
                if node.lineno <= function.__code__.co_firstlineno <= (node.end_lineno or 0):
                    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                    return textwrap.dedent("".join(text.splitlines(keepends=True)[first - 1 : node.end_lineno]))
    return textwrap.dedent(inspect.getsource(subject))


def _class_values(subject: Any) -> list[tuple[str, Any]]:
    """What a class without a source holds besides its functions, by name."""
    if not isinstance(subject, type):
        return []
    own = {name: value for name, value in vars(subject).items() if not (name.startswith("__") and name.endswith("__"))}
    return sorted((name, value) for name, value in own.items() if not isinstance(value, types.FunctionType))


def _values_of(subject: Any, names: Iterable[str]) -> list[Any]:
    """What the names in the code of a class or function stand for, in its module and in the functions around it."""
    functions = [each for each in _functions(subject) if each.__closure__]
    around: dict[str, Any] = {}
    for function in functions:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                around[name] = cell.cell_contents
            except ValueError:  # not bound yet
                continue
    around.pop("__class__", None)
    module = next((each.__globals__ for each in _functions(subject)), None)
    if module is None:  # a class of values alone
        module = vars(sys.modules.get(subject.__module__, types))
    if not isinstance(subject, type) and subject.__defaults__:
        around["defaults"] = subject.__defaults__
    wanted = {name: module[name] for name in names if name in module} | around
    return [part for name in sorted(wanted) for part in (name, wanted[name])]


def _functions(subject: Any) -> list[Any]:
    members = vars(subject).values() if isinstance(subject, type) else (subject,)
    return [each for each in members if isinstance(each, types.FunctionType)]


def _compiled(subject: Any) -> tuple[str, set[str]]:
    """A hash of compiled code, and the names that it reads."""
    names: set[str] = set()
    digest = hashlib.sha256()
    pending = [function.__code__ for function in _functions(subject)]
    while pending:
        code = pending.pop(0)
        names |= set(code.co_names)
        constants = [each for each in code.co_consts if not isinstance(each, types.CodeType)]
        digest.update(code.co_code + repr((code.co_names, code.co_varnames, constants)).encode())
        pending += [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return digest.hexdigest(), names


def _is_installed(subject: Any) -> bool:
    """Whether a class or function comes from Python, from gwbench or from an installed package."""
    top = subject.__module__.partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return True
    if top in ("gwbench", "builtins"):
        return not subject.__module__.startswith("gwbench.plugins")
    file = getattr(sys.modules.get(subject.__module__), "__file__", None) or ""
    return bool({"site-packages", "dist-packages"} & set(Path(file).parts))


def _slots(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else slots
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))
