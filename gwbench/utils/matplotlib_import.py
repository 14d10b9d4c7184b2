"""matplotlib, whatever $MPLBACKEND says."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

VARIABLE = "MPLBACKEND"


def import_matplotlib() -> Any:
    """Import matplotlib, which refuses to be imported where $MPLBACKEND names a backend that is not installed.

    Jupyter and Colab set it for whatever a cell starts, in other environments too. Figures of gwbench need no backend;
    one that is installed is chosen all the same, for the figures of the program that uses gwbench.
    """
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    asked = os.environ.pop(VARIABLE, None)
    try:
        import matplotlib as mpl
    finally:
        if asked is not None:
            os.environ[VARIABLE] = asked
    if asked:
        with suppress(ValueError):
            mpl.rcParams["backend"] = asked
    return mpl


def settle_backend() -> None:
    """Import matplotlib before the libraries of a run do, where $MPLBACKEND could stop them."""
    if os.environ.get(VARIABLE):
        import_matplotlib()
