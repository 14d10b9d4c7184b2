"""A GWOSC on 127.0.0.1 that prints its address and serves until standard input ends. It is slow, to be interrupted."""

from __future__ import annotations

import sys
import time
from typing import Any

from tests.data.gwosc import gwosc_server

PIECES, PAUSE = 20, 0.02
"""An answer comes in so many pieces, so many seconds apart."""


class SlowWriter:
    """Writes an answer a little at a time."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, content: Any) -> int:
        """Called by the handler; short answers go at once."""
        view = memoryview(content)
        step = max(len(view) // PIECES, 4096)
        for start in range(0, len(view), step):
            self._stream.write(view[start : start + step])
            if len(view) > step:
                time.sleep(PAUSE)
        return len(view)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def main() -> None:
    """Serve."""
    handler = gwosc_server._Handler
    setup = handler.setup

    def slow(self: Any) -> None:
        setup(self)
        self.wfile = SlowWriter(self.wfile)

    handler.setup = slow  # type: ignore[method-assign]
    with gwosc_server.serving() as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
