"""Navigation: an entry such as `how-to/*` stands for the pages of that folder that no other entry names."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Called by mkdocs: put pages in place of every `FOLDER/*`, and leave out empty sections."""
    docs = Path(config.docs_dir)
    named = set(_pages(config.nav))
    config.nav = _expanded(config.nav, docs, named)
    return config


def _pages(nav: Any) -> list[str]:
    """The pages that a part of the navigation names, patterns left out."""
    if isinstance(nav, str):
        return [] if nav.endswith("/*") else [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [page for entry in entries for page in _pages(entry)]


def _expanded(nav: Any, docs: Path, named: set[str]) -> Any:
    if isinstance(nav, dict):
        return {title: _expanded(entry, docs, named) for title, entry in nav.items()}
    if isinstance(nav, str):
        return nav
    entries: list[Any] = []
    for entry in nav:
        if isinstance(entry, str) and entry.endswith("/*"):
            folder = docs / entry.removesuffix("/*")
            found = [*folder.glob("*.md"), *(path.with_suffix(".md") for path in folder.glob("*.ipynb"))]
            pages = {path.relative_to(docs).as_posix() for path in found}
            entries += sorted(pages - named)
        else:
            entries.append(_expanded(entry, docs, named))
    return entries
