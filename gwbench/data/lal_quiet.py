"""What every call of LAL needs: quiet, an approximant's number, and its refusals in words.

LAL raises "Generic failure" and writes to stderr what is missing, such as the file of a reduced-order model.
"""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from typing import TypeVar

from gwbench.errors import UserError

Result = TypeVar("Result")

_LOCK = threading.RLock()
"""LAL's debug level is global: without a lock one thread would restore what another has just silenced."""

_LEVEL = [0]
"""LAL's debug level while it is called: quiet, or 1 while its errors are listened to. Changed under the lock."""

PUBLISHED = "https://zenodo.org/records/14999310", "https://git.ligo.org/lscsoft/lalsuite-extra"
"""Where data files of approximants are published: those that LAL needs since its version 7.25, and older ones."""


@contextmanager
def quiet_lal() -> Iterator[None]:
    """Keep LAL from writing to stderr what it also raises."""
    import lal

    with _LOCK:
        level = lal.GetDebugLevel()
        lal.ClobberDebugLevel(_LEVEL[0])
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


def with_data(approximant: str, make: Callable[[], Result]) -> Result:
    """What a call of LAL gives.

    Until the approximant has given one waveform, LAL's errors are listened to: some data files are looked for once in
    the life of a process, and LAL says so only then.

    Args:
        approximant: its name.
        make: the call.

    Raises:
        UserError: a data file of the approximant is missing.
        RuntimeError, ValueError: as the call.
    """
    if approximant in _GIVEN:
        return make()
    written = io.StringIO()
    try:
        with _listening(written):
            made = make()
    except (RuntimeError, ValueError) as error:
        said = _missing(approximant, written.getvalue())
        if said is None:
            raise
        _MISSING[approximant] = said
        raise UserError(said) from error
    _GIVEN.add(approximant)
    return made


_GIVEN: set[str] = set()
"""Approximants that have given a waveform."""

_MISSING: dict[str, str] = {}
"""What is missing, by approximant."""


def _missing(approximant: str, written: str) -> str | None:
    """The message where LAL's errors say that data are missing."""
    file = re.search(r"resolve data file '?([\w.+-]+?)'? in \$LAL_DATA_PATH", written)
    if file is None and not re.search("LAL_DATA_PATH|surrogate data", written, re.IGNORECASE):
        return None
    if file is None and approximant in _MISSING:
        return _MISSING[approximant]
    named = f"the data file {file[1]}" if file else "data files"
    given = os.environ.get("LAL_DATA_PATH")
    place = f"no folder of LAL_DATA_PATH ({given})" if given else "no folder, because LAL_DATA_PATH is not set"
    return (
        f"{approximant} needs {named}, which LAL finds in {place}. Download it from "
        f"{PUBLISHED[0] if 'zenodo' in written else PUBLISHED[1]}, set LAL_DATA_PATH to its folder and start again; or "
        "choose an approximant without data files, such as IMRPhenomXPHM."
    )


@contextmanager
def _listening(written: io.StringIO) -> Iterator[None]:
    """Write LAL's errors there, instead of nowhere."""
    import lal

    with _LOCK, redirect_stderr(written), redirect_stdout(io.StringIO()):
        before = lal.swig_redirect_standard_output_error(True)
        _LEVEL[0] = 1
        try:
            yield
        finally:
            _LEVEL[0] = 0
            lal.swig_redirect_standard_output_error(before)


def refused(approximant: str, mass_1: float, mass_2: float, spins: Sequence[float], error: Exception) -> UserError:
    """The message where no waveform comes back."""
    listed = ", ".join(f"{spin:g}" for spin in spins)
    return UserError(
        f"{approximant} gives no waveform for masses {mass_1:g} and {mass_2:g} solar masses, spins {listed} ({error}); "
        "choose narrower ranges or another approximant."
    )


__all__ = ["approximant_number", "quiet_lal", "refused", "with_data"]
