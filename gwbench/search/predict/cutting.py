"""The part of a window that a run takes: its detectors by name, and as much margin as its whitening consumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gwbench.data.dataset import Array
from gwbench.errors import UserError
from gwbench.search.windows.source import WindowSource


@dataclass(frozen=True)
class InputWindow:
    """What a run takes.

    Attributes:
        detectors: names in channel order.
        sample_rate: Hz.
        window: T, samples of a conditioned window.
        margin: samples that whitening consumes on either side.
    """

    detectors: tuple[str, ...]
    sample_rate: float
    window: int
    margin: int

    def __str__(self) -> str:
        rate = f"{self.sample_rate:g} Hz"
        margins = f" with {self.margin} more on either side" if self.margin else ""
        return f"windows of {', '.join(self.detectors)}, {self.window} samples at {rate}{margins}"


@dataclass(frozen=True)
class WindowCut:
    """Takes a part of windows.

    Attributes:
        channels: which of their channels, in order; None for all.
        left_out: samples at either end that are left out.
    """

    channels: tuple[int, ...] | None
    left_out: int

    def __call__(self, strain: Array) -> Array:
        """[n, D, T + 2 margin] of windows [n, D', K]."""
        chosen = strain if self.channels is None else strain[:, list(self.channels)]
        return chosen[..., self.left_out : chosen.shape[-1] - self.left_out] if self.left_out else chosen


def cut_for(source: WindowSource, wanted: InputWindow) -> WindowCut:
    """The part of a source's windows that a run takes.

    Raises:
        UserError: they do not fit; the message says what would help.
    """
    if source.sample_rate is not None and abs(source.sample_rate / wanted.sample_rate - 1) > 1e-6:
        raise UserError(
            f"{source.title} is sampled at {source.sample_rate:g} Hz, and the run takes {wanted}. Resample the "
            "windows, or take a run that was trained at their rate."
        )
    return WindowCut(_channels(source, wanted), _left_out(source, wanted))


def margin_of(source: WindowSource, wanted: InputWindow) -> int:
    """The margin that a conditioner can have which is measured on a source's windows themselves.

    Raises:
        UserError: they are shorter than the run's windows, or not longer by the same at both ends.
    """
    spare = source.shape[1] - wanted.window
    if spare < 0 or spare % 2:
        raise UserError(_unfit(source, wanted))
    return spare // 2 if source.margin is None else min(source.margin, spare // 2)


def _channels(source: WindowSource, wanted: InputWindow) -> tuple[int, ...] | None:
    if source.detectors:
        missing = [name for name in wanted.detectors if name not in source.detectors]
        if missing:
            raise UserError(
                f"{source.title} has {', '.join(source.detectors)}, and the run needs {', '.join(missing)}: it takes "
                f"{wanted}. Use a run of these detectors."
            )
        channels = tuple(source.detectors.index(name) for name in wanted.detectors)
        return None if channels == tuple(range(source.shape[0])) else channels
    if source.shape[0] != len(wanted.detectors):
        raise UserError(
            f"{source.title} has {source.shape[0]} channels, and the run takes {wanted}. Give these detectors, in this "
            "order."
        )
    return None


def _left_out(source: WindowSource, wanted: InputWindow) -> int:
    spare = source.shape[1] - wanted.window - 2 * wanted.margin
    known = source.margin is not None and source.shape[1] - 2 * source.margin == wanted.window
    if spare == 0:
        return 0
    if spare > 0 and spare % 2 == 0 and known:
        return spare // 2
    raise UserError(_unfit(source, wanted))


def _unfit(source: WindowSource, wanted: InputWindow) -> str:
    length = source.shape[1]
    needed = wanted.window + 2 * wanted.margin
    text = f"{source.title} has windows of {length} samples, and the run takes {needed}: {wanted}."
    if wanted.margin and wanted.window <= length < needed and (length - wanted.window) % 2 == 0:
        return (
            f"{text} Give longer windows, so that whitening has something to consume; or --conditioning refitted, "
            "which measures the noise of these windows and whitens them to their ends."
        )
    return f"{text} Cut the windows to that length, or take a run that was trained on windows of theirs."


def titles(sources: Sequence[WindowSource]) -> tuple[str, ...]:
    """Where windows are, each place once."""
    return tuple(dict.fromkeys(source.title for source in sources))
