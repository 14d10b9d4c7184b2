"""Text from records and plugins, made harmless for where it is shown."""

from __future__ import annotations

import re

from gwbench.utils.printable import LONGEST
from gwbench.utils.printable import printable as plain

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the start of a formula, in both widths."""

LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textasciigrave{}",
    "[": "{[}",
    "]": "{]}",
    "\u00b1": r"$\pm$",
    "\u2264": r"$\le$",
    "\u2265": r"$\ge$",
    "\u2212": "$-$",
    "\u2013": "--",
    "\u2020": r"\textdagger{}",
    "\u00b7": r"\textperiodcentered{}",
}


def markdown(text: object) -> str:
    """For a cell or a line of GitHub-flavoured Markdown: no markup, no HTML, no link."""
    shown = re.sub(r"([\\`*\[\]|~$!#])", r"\\\1", plain(text))
    shown = re.sub(r"(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])", r"\\_", shown)
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"(?i)(:)(?=//)|(?<=www)(\.)", lambda match: f"&#{ord(match[0])};", shown)


def latex(text: object) -> str:
    """For running text and cells of LaTeX."""
    return "".join(LATEX.get(character, character) for character in plain(text))


def csv_text(text: object) -> str:
    """For a cell that a spreadsheet must not take for a formula."""
    shown = plain(text)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) else shown


__all__ = ["LONGEST", "csv_text", "latex", "markdown", "plain"]
