"""A server that answers as GWOSC's does, and time that does not pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gwosc.api import v2

from tests.data.gwosc.gwosc_server import GwoscServer, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GwoscServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    v2.JSON_CACHE.clear()  # a port may come again
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that would have been waited."""
    waited: list[float] = []
    monkeypatch.setattr("gwbench.data.gwosc.web.sleep", waited.append)
    return waited
