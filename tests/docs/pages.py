"""The pages of the documentation, and the blocks of code in them with the marks that say how they are tested.

A mark is a comment on the line above a block, which no reader sees:

    <!-- test: run -->                             the block is run
    <!-- test: run with --limit 16 --epochs 1 -->  the same, with these options added to every `gwbench run`;
                                                   of Python `run with limit=16`, added to every `gwbench.run`
    <!-- test: file -->                            the block is written to the file that its first line names: `# FILE`
    <!-- test: parse, trains for minutes -->       not run, for this reason: only the names of verbs, options, plugins
                                                   and settings are checked, or that Python compiles

The blocks of a page are taken in order, in one empty folder, which begins with what the page is given:

    <!-- test: given g2net -->                     a folder as `test_commands.GIVEN` makes it
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        *(
            ROOT / name
            for name in (
                "README.md",
                "CONTRIBUTING.md",
                "benchmarks/README.md",
                "benchmarks/SUBMITTING.md",
                "gwbench/data/README.md",
            )
        ),
    ]
)

LANGUAGES = {"sh", "bash", "shell", "console", "python", "py"}
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S)
MARK = re.compile(r"^ *<!-- (?P<what>.*?) -->$")
GIVEN = re.compile(r"^<!-- test: given ([\w-]+) -->$", re.M)


@dataclass(frozen=True)
class Block:
    """A block of code in a page.

    Attributes:
        line: its first line in the page.
        language: as its fence names it.
        text: what it holds.
        how: "run", "file" or "parse"; empty without a mark.
        rest: options for a run, or the reason of "parse".
    """

    line: int
    language: str
    text: str
    how: str
    rest: str

    @property
    def python(self) -> bool:
        """Whether it is Python, or else the shell's."""
        return self.language.startswith("py")


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that are code, and those that are files."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in FENCE.finditer(text):
        how, rest = _mark(text[: fence.start()])
        if fence["language"] in LANGUAGES or how:
            indent = len(fence["indent"])
            code = "".join(line[indent:] or "\n" for line in fence["text"].splitlines(keepends=True))
            line = text.count("\n", 0, fence.start()) + 1
            found.append(Block(line, fence["language"], code, how, rest))
    return found


def given(page: Path) -> list[str]:
    """What the page's folder begins with."""
    return GIVEN.findall(page.read_text(encoding="utf-8"))


def _mark(before: str) -> tuple[str, str]:
    """The mark in the comments right above a block."""
    for line in reversed(before.splitlines()):
        if not (mark := MARK.match(line)):
            break
        if mark["what"] == "test command":
            return "parse", ".ci/run runs it"
        if mark["what"].startswith("test: "):
            how, _, rest = mark["what"].removeprefix("test: ").partition(" ")
            return how.rstrip(","), rest.removeprefix("with ").strip()
    return "", ""
