"""Pages with parts from elsewhere, and links that work both in the repository and on the site.

A page asks for a part by a comment on a line of its own:

    <!-- include: ../CHANGELOG.md -->      a file of the repository, without its title
    <!-- generate: commands -->            what a function of `generators.py` writes

Links are written relative to the file that they stand in, so that they work where the repository is browsed. Here, a
link to a file that a page includes becomes a link to that page, and one to a file that the site does not have, such as
a suite, becomes its name alone.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import generators  # beside this file, which mkdocs loads by its path

DIRECTIVE = re.compile(r"^<!-- (include|generate): (\S+) -->$", re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"(^ *(`{3,}|~{3,}).*?^ *\2`*~* *$)", re.MULTILINE | re.DOTALL)
SCHEME = re.compile(r"^[a-z]+:|^#")

_homes: dict[Path, str] = {}
"""By a file that a page includes: the page."""


def on_files(files: Any, *, config: Any) -> Any:
    """Called by mkdocs: learn which page includes which file."""
    docs = Path(config.docs_dir)
    _homes.clear()
    for file in files.documentation_pages():
        path = docs / file.src_uri
        if path.is_file():
            for kind, name in DIRECTIVE.findall(path.read_text(encoding="utf-8")):
                if kind == "include":
                    _homes[(path.parent / name).resolve()] = file.src_uri
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Called by mkdocs: put the parts in, and turn the links."""
    docs = Path(config.docs_dir)
    here = docs / page.file.src_uri

    def part(found: re.Match[str]) -> str:
        kind, name = found.groups()
        if kind == "generate":
            return generators.GENERATORS[name]()
        source = (here.parent / name).resolve()
        text = re.sub(r"\A# .*\n", "", source.read_text(encoding="utf-8"))
        return _turned(text, source, here, docs, files)

    return DIRECTIVE.sub(part, _turned(markdown, here, here, docs, files))


def _turned(text: str, source: Path, page: Path, docs: Path, files: Any) -> str:
    """A text of the file `source` with links as its page needs them; code is left alone."""

    def link(found: re.Match[str]) -> str:
        mark, label, target = found.groups()
        if SCHEME.match(target):
            return found[0]
        path, hash_, anchor = target.partition("#")
        aim = (source.parent / path).resolve()
        uri = _homes.get(aim)
        if uri is None and aim.is_relative_to(docs):
            uri = aim.relative_to(docs).as_posix()
        if uri is None and aim == docs.parent / "README.md":
            uri = "index.md"
        made = uri.removesuffix(".ipynb") + ".md" if uri and uri.endswith(".ipynb") else None  # of a notebook
        if made and docs / made != page and files.get_file_from_path(made) is not None:
            uri = made
        if uri is None or files.get_file_from_path(uri) is None:
            return label if aim.exists() and not mark else found[0]
        way = os.path.relpath(docs / uri, page.parent)
        return f"{mark}[{label}]({Path(way).as_posix()}{hash_}{anchor})"

    parts = FENCE.split(text)
    # A fence gives two entries to the split: itself and its mark.
    return "".join(
        LINK.sub(link, part) if place % 3 == 0 else part for place, part in enumerate(parts) if place % 3 < 2
    )
