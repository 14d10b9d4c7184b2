"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path

from gwbench.errors import UserError


def user_path(given: str | Path) -> Path:
    """A path whose first part may be `~` or `~user`.

    Raises:
        UserError: there is no such user, or this one has no home folder.
    """
    try:
        return Path(given).expanduser()
    except RuntimeError:
        first = Path(given).parts[0]
        who = "HOME is not set and this user has no home folder" if first == "~" else f"there is no user {first[1:]!r}"
        raise UserError(f"{str(given)!r} names no folder: {who}. Write the whole path.") from None


def has_home() -> bool:
    """Whether this user has a home folder, as may not be the case in a container."""
    try:
        return Path.home().is_absolute()
    except RuntimeError:
        return False
