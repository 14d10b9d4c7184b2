"""What every call of LAL needs: quiet, an approximant's number, and its refusals in words."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from gwbench.errors import UserError

_LOCK = threading.Lock()
"""LAL's debug level is global: without a lock one thread would restore what another has just silenced."""


@contextmanager
def quiet_lal() -> Iterator[None]:
    """Keep LAL from writing to stderr what it also raises."""
    import lal

    with _LOCK:
        level = lal.GetDebugLevel()
        lal.ClobberDebugLevel(0)
        try:
            yield
        finally:
            lal.ClobberDebugLevel(level)


@cache
def approximant_number(name: str) -> int:
    """LAL's number of an approximant; -1 where LAL has none of this name."""
    import lalsimulation as lalsim

    with quiet_lal():
        try:
            return int(lalsim.SimInspiralGetApproximantFromString(name))
        except RuntimeError:
            return -1


def refused(approximant: str, mass_1: float, mass_2: float, spins: Sequence[float], error: Exception) -> UserError:
    """The message where no waveform comes back."""
    listed = ", ".join(f"{spin:g}" for spin in spins)
    return UserError(
        f"{approximant} gives no waveform for masses {mass_1:g} and {mass_2:g} solar masses, spins {listed} ({error}); "
        "choose narrower ranges or another approximant."
    )


__all__ = ["approximant_number", "quiet_lal", "refused"]
