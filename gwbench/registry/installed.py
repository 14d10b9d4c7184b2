"""The entry points of installed packages, of which any may be broken without harm to the others."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.metadata import (
    Distribution,
    EntryPoint,
    distributions,
    entry_points,
    packages_distributions,
    version,
)
from pathlib import Path

from gwbench.errors import in_words
from gwbench.registry.metadata import KINDS, Plugin
from gwbench.registry.source_hash import FILE_MODULE


def installed(group: str, name: str | None = None) -> list[EntryPoint]:
    """The entry points of a group, or those of one name; packages whose metadata cannot be read have none."""
    return [entry for entry in _KEPT.of(group) if name is None or entry.name == name]


class _KeptEntryPoints:
    """The entry points of groups, read again when what is installed may have changed.

    Reading those of some hundred packages takes 7 ms, and a spec asks for the plugins of every kind.
    """

    def __init__(self) -> None:
        self._groups: dict[str, list[EntryPoint]] = {}
        self._state: object = None

    def of(self, group: str) -> list[EntryPoint]:
        """The entry points of a group."""
        if self._state != self._now():
            self._groups = {}
        if group not in self._groups:
            try:
                self._groups[group] = list(entry_points(group=group))
            except Exception:  # of one package, and nothing says of which
                return [entry for entries in _readable() for entry in entries if entry.group == group]
            self._state = self._now()
        return self._groups[group]

    def _now(self) -> object:
        """What changes when a package comes, goes or is installed anew: folders of packages, and their times."""
        ours = {getattr(entry.dist, "_path", None) for entries in self._groups.values() for entry in entries}
        files = sorted(f"{folder}/entry_points.txt" for folder in ours - {None})
        return [(path, _time(Path(path).absolute())) for path in (*sys.path, *files)]


_KEPT = _KeptEntryPoints()


def _time(path: Path) -> tuple[str, int]:
    with suppress(OSError):
        return str(path), path.stat().st_mtime_ns
    return str(path), 0


def unreadable() -> dict[str, str]:
    """Packages whose entry points cannot be read, with the reason; empty where all can."""
    try:
        entry_points(group="gwbench.encoders")
    except Exception:
        return {_title(each): in_words(error) for each in distributions() if (error := _problem(each))}
    return {}


def package_of(plugin: Plugin) -> str | None:
    """The name and version of the installed package that a plugin comes from, as "my-package 1.2".

    None for gwbench's own, for one from a file, and for one from a module that is of no installed package.
    """
    top = plugin.target.__module__.partition(".")[0] if plugin.target else ""
    if not top or top == "gwbench" or top.startswith(FILE_MODULE):
        return None
    try:
        declared = [entry for entry in installed(KINDS[plugin.kind].group) if entry.module.partition(".")[0] == top]
        dist = next((entry.dist for entry in declared if entry.dist is not None), None)
        name = dist.name if dist else next(iter(packages_distributions().get(top, ())), None)
        return f"{name} {dist.version if dist else version(name)}" if name else None
    except Exception:  # metadata without a name or a version, or that cannot be read
        return None


def malformed(entry: EntryPoint) -> str | None:
    """Why an entry point leads to no class; None where it may."""
    match = EntryPoint.pattern.match(entry.value)
    if match is None or not match["attr"]:
        return f"its entry point {entry.value!r} is not of the form MODULE:CLASS"
    return None


def _readable() -> list[list[EntryPoint]]:
    """The entry points of every package; where one is installed twice, of the one that is imported."""
    packages: dict[str, list[EntryPoint]] = {}
    for package in distributions():
        if _problem(package) is None:
            packages.setdefault(_title(package).lower().replace("_", "-"), list(package.entry_points))
    return list(packages.values())


def _problem(package: Distribution) -> Exception | None:
    try:
        for entry in package.entry_points:
            str(entry.name + entry.value + entry.group)
    except Exception as error:
        return error
    return None


def _title(package: Distribution) -> str:
    """The name of a package; where its metadata do not tell, of its folder."""
    try:
        name = package.metadata["Name"]
    except Exception:
        name = None
    return str(name or getattr(package, "_path", None) or "a package without a name")
