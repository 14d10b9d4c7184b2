"""gwbench: a benchmark toolkit for self-supervised learning on gravitational-wave strain."""

from __future__ import annotations

from gwbench._version import __version__

__all__ = ["__version__"]
