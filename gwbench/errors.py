"""The one exception that means "the user can mend this"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake outside gwbench: a bad name, value, file or folder.

    The command line shows its message without a traceback and exits with code 2. The message names the
    value, what was expected and the next step.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The hint `` Did you mean 'x'?`` for the known name nearest to `name`, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


LONGEST = 500
"""Characters of an exception's text that a message shows."""


def in_words(error: BaseException) -> str:
    """The type and the text of an exception in one line of printable characters, even where it has no text to give."""
    try:
        text = str(error)
    except Exception as other:
        text = f"its text cannot be made ({type(other).__name__})"
    text = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * LONGEST])
    text = " ".join(text.split())
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__
