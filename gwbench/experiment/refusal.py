"""The error of settings that are refused before anything ran, apart from what checks them, which needs torch."""

from __future__ import annotations

from gwbench.errors import UserError


class SettingsRefusedError(UserError):
    """Settings that do not fit each other or the data, found before anything ran."""
