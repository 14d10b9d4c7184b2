"""What a suite is called and asks, written beside the runs that it is of, so that a page of them can say it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from gwbench.utils.files import atomic
from gwbench.utils.models import FrozenModel
from gwbench.utils.untrusted_files import MIB, UnusableError
from gwbench.utils.untrusted_text import read_json

ENDING = ".suite.json"
"""Of the files: NAME.suite.json for the suite NAME."""

LARGEST = 8 * MIB

MOST = 100
"""Files of a folder that are read."""


class SuiteTitle(FrozenModel):
    """A suite, as far as readers of its results need it.

    Attributes:
        name: of its file, without the ending.
        title: what it is called; "" where the file says nothing.
        about: the question that it asks.
        runs: names of the folders of its cells' runs.
    """

    schema_version: Literal[1] = 1
    name: str
    title: str
    about: str
    runs: tuple[str, ...]

    @property
    def heading(self) -> str:
        """The title, or else the name as words."""
        words = self.name.replace("-", " ").replace("_", " ")
        return self.title or words[:1].upper() + words[1:]


def title_text(suite: SuiteTitle) -> str:
    """The content of a suite's file."""
    return json.dumps(suite.model_dump(mode="json"), indent=1, ensure_ascii=True) + "\n"


def write_title(folder: Path, suite: SuiteTitle) -> None:
    """Write a suite's file, with the runs that an earlier one of the same suite named as well."""
    path = folder / f"{suite.name}{ENDING}"
    before = read_title(path)
    runs = sorted({*suite.runs, *(before.runs if before else ())})
    text = title_text(suite.model_copy(update={"runs": tuple(runs)}))
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_title(path: Path) -> SuiteTitle | None:
    """A suite's file; None where it is not there or cannot serve, since a page does without."""
    try:
        return SuiteTitle.model_validate(read_json(path, largest=LARGEST))
    except (UnusableError, ValidationError):
        return None


def suites_of(records: Iterable[str]) -> list[tuple[SuiteTitle, int]]:
    """The suites that some runs are of, each with how many of them are its own, those with most first.

    Args:
        records: paths of the runs' records. A suite's file lies beside the folders of its runs, or one folder above.
    """
    names: dict[Path, set[str]] = {}
    for path in map(Path, records):
        names.setdefault(path.parent.parent, set()).add(path.parent.name)
    found: dict[str, tuple[SuiteTitle, int]] = {}
    for folder, runs in names.items():
        for place in (folder, folder.parent):
            for path in sorted(place.glob(f"*{ENDING}"))[:MOST]:
                suite = read_title(path)
                own = len(runs & set(suite.runs)) if suite else 0
                if suite and own:
                    found[suite.name] = (suite, own + found.get(suite.name, (suite, 0))[1])
    return sorted(found.values(), key=lambda each: (-each[1], each[0].name))
