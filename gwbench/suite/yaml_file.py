"""YAML as plain data: text, numbers, lists and mappings, and the line on which each of them stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gwbench.errors import UserError
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import MIB, UnusableError
from gwbench.utils.untrusted_text import read_named

YamlPosition = tuple[str | int, ...]
"""Where a value stands: keys and positions from the top, such as ("encoders", 1, "width")."""

TAG = "tag:yaml.org,2002:"
LARGEST = 4 * MIB
"""Bytes of a file."""

DEEPEST, LONGEST_NUMBER = 50, 300
"""Lists and mappings within each other; characters of a number."""

SCALARS = {TAG + name for name in ("null", "bool", "int", "float", "str")}


@dataclass(frozen=True)
class Document:
    """A file's data and lines.

    Attributes:
        path: of the file.
        data: what it says.
        lines: the line of every place, counted from 1.
    """

    path: Path
    data: Any
    lines: Mapping[YamlPosition, int]

    def error(self, place: YamlPosition, message: str) -> UserError:
        """The message with file, line and key of the nearest place that the file has."""
        while place not in self.lines:
            place = place[:-1]
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
        where = f", {printable(key)}" if key else ""
        return UserError(f"{self.path}, line {self.lines[place]}{where}: {message}")


def read_yaml(path: Path) -> Document:
    """The plain data of a YAML file; nothing in it can build an object.

    Raises:
        UserError: the file cannot be read, is no YAML, or holds tags, aliases or a key twice.
    """
    try:
        text = read_named(path, LARGEST).decode("utf-8-sig")
        _refuse(path, text)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        lines: dict[YamlPosition, int] = {(): 1}
        data = None if node is None else _plain(loader, node, path, (), lines)
    except UnusableError as error:
        raise UserError(f"The file {path} cannot be read: {error}.") from None
    except UnicodeDecodeError:
        raise UserError(f"The file {path} is not text in UTF-8.") from None
    except yaml.MarkedYAMLError as error:
        what = ", ".join(filter(None, (error.context, error.problem)))
        raise _at(path, error.problem_mark or error.context_mark, f"this is not YAML: {printable(what)}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"The file {path} is not YAML: {printable(error)}.") from None
    return Document(path, data, lines)


def _refuse(path: Path, text: str) -> None:
    """Refuse what would take more memory, time or depth than its text shows."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        # An alias can stand for a list of aliases, and ten lines for more data than memory holds.
        if isinstance(event, yaml.AliasEvent):
            name = printable(event.anchor)
            raise _at(path, event.start_mark, f"the alias *{name} is refused: write the value out.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise _at(
                    path, event.start_mark, f"this is not YAML that is read: it is nested more than {DEEPEST} deep."
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _plain(loader: Any, node: Any, path: Path, place: YamlPosition, lines: dict[YamlPosition, int]) -> Any:
    """A node's value; notes the lines of all that it holds."""
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode) and node.tag == TAG + "map":
        mapping: dict[str, Any] = {}
        for key, key_node, value in _items(loader, node, path):
            if key in mapping:
                raise _at(path, key_node.start_mark, f"the key {printable(repr(key))} comes twice.")
            lines[*place, key] = key_node.start_mark.line + 1
            mapping[key] = _plain(loader, value, path, (*place, key), lines)
        return mapping
    if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
        return [_plain(loader, item, path, (*place, i), lines) for i, item in enumerate(node.value)]
    return _scalar(loader, node, path)


def _items(loader: Any, node: Any, path: Path) -> Iterator[tuple[str, Any, Any]]:
    for key_node, value in node.value:
        key = _scalar(loader, key_node, path)
        if not isinstance(key, str):
            raise _at(path, key_node.start_mark, f"the key {printable(repr(key))} is not text.")
        yield key, key_node, value


def _scalar(loader: Any, node: Any, path: Path) -> Any:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in SCALARS:
        tag = node.tag.replace(TAG, "!!")
        raise _at(
            path,
            node.start_mark,
            f"{printable(tag)} is refused: expected text, numbers, lists and mappings, nothing that builds objects. "
            "Put text that looks like something else in quotes.",
        )
    if node.tag in (TAG + "int", TAG + "float") and len(node.value) > LONGEST_NUMBER:
        raise _at(path, node.start_mark, f"a number has {len(node.value):,} digits.")
    return loader.construct_object(node)


def _at(path: Path, mark: Any, message: str) -> UserError:
    return UserError(f"{path}, line {mark.line + 1 if mark else 1}: {message}")
