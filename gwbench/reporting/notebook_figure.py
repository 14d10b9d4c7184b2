"""A matplotlib figure that a notebook shows by itself; import `gwbench.utils.matplotlib_import` before this module."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gwbench.utils.matplotlib_import import import_matplotlib

NOTEBOOK_DPI = 100


class NotebookFigure(Figure):
    """A figure of matplotlib that pyplot does not know of.

    So no window opens, nothing is to be closed, and a notebook shows it once: where it is the value of a cell.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        """What a notebook shows where `%matplotlib inline` has not registered figures."""
        picture = io.BytesIO()
        with _no_boxes():
            self.savefig(picture, format="png", dpi=NOTEBOOK_DPI, bbox_inches="tight")
        return picture.getvalue()


def drawn(style: Mapping[Any, Any], draw: Callable[[], NotebookFigure]) -> NotebookFigure:
    """A figure drawn in a style of matplotlib, whatever the user's settings are; these stay as they are."""
    mpl = import_matplotlib()
    with mpl.rc_context(), _no_boxes():
        mpl.rcdefaults()
        mpl.rcParams.update(style)
        return draw()


@contextmanager
def _no_boxes() -> Iterator[None]:
    """No warning for a name in a script that the font lacks: it is drawn as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


__all__ = ["NotebookFigure", "drawn"]
