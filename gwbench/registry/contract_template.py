"""A plugin to fill in, made from its kind's contract: for kinds of which there is no example to start from."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from pathlib import Path

from gwbench.registry.metadata import KINDS

HEADER = '"""What $name is, in a sentence."""\n\nfrom __future__ import annotations\n'


def contract_template(kind: str) -> str:
    """A class with every method that the contract asks for, none of which does anything yet.

    Args:
        kind: of the plugin.

    Returns:
        The text of the module, with $$name for the plugin's name and $$cls for that of its class.
    """
    from gwbench import contracts

    contract = KINDS[kind].contract
    file = inspect.getsourcefile(getattr(contracts, contract))
    assert file is not None
    module = ast.parse(Path(file).read_text())
    (cls,) = (node for node in module.body if isinstance(node, ast.ClassDef) and node.name == contract)
    methods = [node for node in cls.body if isinstance(node, ast.FunctionDef) and _is_abstract(node)]
    body = "\n\n".join(_method(node) for node in methods)
    imports = _imports(module, methods, contract)
    return (
        f"{HEADER}\n{imports}\n\n"
        f'@register("{kind}", "$name", citation="")\n'
        f"class $cls({contract}):\n"
        f'    """What it does, in a sentence."""\n' + (f"\n{body}\n" if body else "")
    )


def _is_abstract(node: ast.FunctionDef) -> bool:
    return any(
        isinstance(decorator, ast.Name) and decorator.id == "abstractmethod" for decorator in node.decorator_list
    )


def _method(node: ast.FunctionDef) -> str:
    """A method to fill in, with its signature and the first line of its docstring."""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    lines = [f"    def {node.name}({ast.unparse(node.args)}){returns}:"]
    summary = (ast.get_docstring(node) or "").split("\n", 1)[0]
    if summary:
        lines.append(f'        """{summary}"""')
    if node.name == "__init__":
        lines += [f"        self.{argument.arg} = {argument.arg}" for argument in node.args.args[1:]]
    else:
        lines.append(f'        raise NotImplementedError("{node.name}")')
    return "\n".join(lines).replace("$", "$$")


def _imports(module: ast.Module, methods: list[ast.FunctionDef], contract: str) -> str:
    """The imports of the names in the methods' signatures, those of the contract's module from gwbench.contracts."""
    signatures = [part for node in methods for part in (node.args, node.returns) if part]
    used = {name.id for part in signatures for name in ast.walk(part) if isinstance(name, ast.Name)}
    imported: dict[str, str] = {}
    for statement in ast.walk(module):
        if isinstance(statement, ast.Import):
            imported |= {alias.asname or alias.name: f"import {alias.name}" for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom) and not (statement.module or "").startswith("gwbench"):
            imported |= {alias.asname or alias.name: f"from {statement.module} import" for alias in statement.names}
    own = sorted({contract, *(name for name in used if name not in imported and not hasattr(builtins, name))})
    modules: dict[str, list[str]] = {}
    for name in sorted(used & set(imported)):
        modules.setdefault(imported[name], []).append(name)
    lines = [line if line.startswith("import") else f"{line} {', '.join(names)}" for line, names in modules.items()]
    standard = [line for line in lines if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
    gwbench = [f"from gwbench.contracts import {', '.join(own)}", "from gwbench.registry import register"]
    groups = [standard, [line for line in lines if line not in standard], gwbench]
    return "\n\n".join("\n".join(sorted(group, key=_place)) for group in groups if group) + "\n"


def _place(line: str) -> tuple[bool, str]:
    """Where an import stands among others: `import` before `from`."""
    return line.startswith("from"), line.lower()
