"""What the verbs of `gwbench runs` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from gwbench.cli.options import UserPath

F = TypeVar("F", bound=Callable[..., Any])


def out_option(command: F) -> F:
    """`--out FOLDER`."""
    option = click.option("--out", default="runs", show_default=True, type=UserPath(), help="Folder of the runs.")
    return option(command)


def size_text(size: int) -> str:
    """Bytes in words."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def confirm(question: str, *, yes: bool) -> bool:
    """Whether the user agrees; `yes` answers before the question is put.

    Raises:
        UserError: nobody answers.
    """
    from gwbench.errors import UserError

    if yes:
        return True
    try:
        return click.confirm(question, err=True)
    except click.Abort as error:
        raise UserError("Nothing was removed: no answer. Add --yes to remove without a question.") from error
