"""The entry points of installed packages, of which any may be broken without harm to the others."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points

from gwbench.errors import in_words


def installed(group: str, name: str | None = None) -> list[EntryPoint]:
    """The entry points of a group, or those of one name; packages whose metadata cannot be read have none."""
    try:
        found: Iterable[EntryPoint] = entry_points(group=group)
    except Exception:  # of one package, and nothing says of which
        found = [entry for entries in _readable() for entry in entries if entry.group == group]
    return [entry for entry in found if name is None or entry.name == name]


def unreadable() -> dict[str, str]:
    """Packages whose entry points cannot be read, with the reason; empty where all can."""
    try:
        entry_points(group="gwbench.encoders")
    except Exception:
        return {_title(each): in_words(error) for each in distributions() if (error := _problem(each))}
    return {}


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
