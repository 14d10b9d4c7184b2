"""The version of the evaluation protocol, apart from what carries it out."""

from __future__ import annotations

PROTOCOL = 1
"""Raised whenever a change would move the scores of an old run."""
