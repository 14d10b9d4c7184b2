from __future__ import annotations

from tests.reporting.html.browser import browser

__all__ = ["browser"]
