"""A plugin to start from: a file that keeps its kind's contract as it stands, and its test."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from gwbench.errors import UserError, did_you_mean
from gwbench.registry.contract_template import contract_template
from gwbench.registry.metadata import KINDS, get_kind
from gwbench.registry.registry import REGISTRY
from gwbench.utils.files import unwritable
from gwbench.utils.paths import user_path

TEMPLATES = {"dataset": {"simulation": "dataset", "files": "dataset-files"}}
"""The examples of kinds that have several, by what a user calls them; the first is the default.

The test of one is `test-EXAMPLE.txt` where there is such a file, else `test.txt`.
"""

EXAMPLE_FILES = {"dataset-files": "dataset.path=FOLDER"}
"""What `--set` tells a plugin of an example that needs files."""


@dataclass(frozen=True)
class Scaffold:
    """What was written.

    Attributes:
        plugin, test: the files.
        commands: what to do next.
    """

    plugin: Path
    test: Path
    commands: tuple[str, ...]


def write_plugin(kind: str, name: str, folder: str | Path = ".", template: str | None = None) -> Scaffold:
    """Write a plugin of a kind and its test.

    Args:
        kind: one of `gwbench.registry.KINDS`.
        name: of the plugin, kebab-case; the file has it in snake_case, the class in CamelCase.
        folder: where to write; made if it is missing.
        template: which example to start from, of a kind that has several (`TEMPLATES`); by default the first.

    Raises:
        UserError: the kind, the template or the name will not do, a file is there already, or the folder cannot be
            written.
    """
    get_kind(kind)
    example = _example(kind, template)
    module = _module(kind, name)
    folder = user_path(folder)
    plugin, test = folder / f"{module}.py", folder / f"test_{module}.py"
    for path in (plugin, test):
        if path.exists():
            raise UserError(f"{path} is there already. Choose another name or another folder (--out).")
    words = {"name": name, "module": module, "cls": "".join(part.capitalize() for part in name.split("-"))}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in ((plugin, _plugin_template(kind, example)), (test, _test_template(example))):
            path.write_text(Template(text).substitute(words))
    except OSError as error:
        raise unwritable(folder, error) from None
    place = ["--set", EXAMPLE_FILES[example]] if example in EXAMPLE_FILES else []
    commands = [["gwbench", "check", str(plugin), *place], ["pytest", str(test)]]
    if KINDS[kind].about:
        commands.append(["gwbench", "run", "--plugin", str(plugin), KINDS[kind].flag, name, *place])
    return Scaffold(plugin, test, tuple(map(shlex.join, commands)))


def _example(kind: str, template: str | None) -> str:
    """The name of the example's file, without its ending.

    Raises:
        UserError: the kind has no such template.
    """
    known = TEMPLATES.get(kind, {})
    if template is None:
        return next(iter(known.values()), kind)
    if template not in known:
        there = f"it has {' and '.join(known)}" if known else "it has one alone: leave out --template"
        raise UserError(
            f"A {kind} has no template {template!r}.{did_you_mean(template, known)} As to templates, {there}."
        )
    return known[template]


def _plugin_template(kind: str, example: str) -> str:
    """An example of the kind; one made from its contract where nobody wrote any."""
    try:
        return _template(example)
    except FileNotFoundError:
        return contract_template(kind)


def _test_template(example: str) -> str:
    try:
        return _template(f"test-{example}")
    except FileNotFoundError:
        return _template("test")


def _template(name: str) -> str:
    return (files("gwbench.registry") / "templates" / f"{name}.txt").read_text()


def _module(kind: str, name: str) -> str:
    """The name of the plugin's module.

    Raises:
        UserError: the name will not do.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UserError(f"{name!r} will not do as a name: it is kebab-case and starts with a letter, as my-{kind} is.")
    for plugin in REGISTRY.list(kind, name):
        raise UserError(f"The name is taken: {kind} {name!r} is at {plugin.origin}. Choose another one.")
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or importlib.util.find_spec(module):
        raise UserError(f"{name!r} will not do as a name: {module}.py would hide Python's {module!r}. Try my-{name}.")
    return module
