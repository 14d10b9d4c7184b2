"""HTTP with patience: a request that failed for a passing reason is made again, a bounded number of times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gwbench.errors import UserError

if TYPE_CHECKING:
    import requests

    from gwbench.utils.progress import Progress

PAUSES = (1.0, 2.0, 4.0)
"""Seconds before the second, third and fourth attempt."""

LONGEST_PAUSE = 60.0
"""Seconds that a server may ask to wait (Retry-After) before gwbench gives up instead."""

HEADWAY = 1 << 20
"""Bytes of a file that count as progress."""

TIMEOUT = (10.0, 30.0)
"""Seconds to wait for a connection, and for the next bytes of an answer."""

ASK_AGAIN = frozenset({408, 413, 429, *range(500, 600)})
"""Status codes of failures that may pass."""


class Patience:
    """Counts the failures of one request in a row, and waits between them.

    Args:
        url: what is asked for.
        progress: is told of every failure.
    """

    def __init__(self, url: str, progress: Progress) -> None:
        self._url, self._progress = url, progress
        self._failures = self._furthest = 0

    def failed(self, problem: str, asked: float = 0.0) -> None:
        """Wait before the next attempt, at least the seconds that the server asked for.

        Raises:
            UserError: there have been enough attempts, or the server asks for too long a wait.
        """
        host = urlsplit(self._url).netloc
        if asked > LONGEST_PAUSE:
            raise UserError(f"{host} asks to wait {asked:.0f} s ({problem}). Give the same command again after that.")
        if self._failures == len(PAUSES):
            raise UserError(
                f"Cannot fetch {self._url}: {problem}, {self._failures + 1} times in a row. Check the network and "
                "--host, and give the same command again: it goes on where this one stopped."
            )
        pause = max(PAUSES[self._failures], asked)
        self._failures += 1
        self._progress.say(f"{host}: {problem}; trying again in {pause:.0f} s.")
        sleep(pause)

    @contextmanager
    def tried(self) -> Iterator[None]:
        """A block that ends where a request fails for a reason that may pass, after the wait of `failed`.

        Raises:
            UserError: as `failed`; the reason will not pass.
        """
        import requests

        try:
            yield
        except requests.RequestException as error:
            problem, passes = _diagnosis(error)
            if not passes:
                raise UserError(f"Cannot fetch {self._url}: {problem}. Check the address and --host.") from error
            self.failed(problem)

    def reached(self, position: int) -> None:
        """Forget the failures so far, if this many bytes of a file are well beyond what was reached before."""
        if position - self._furthest > HEADWAY:
            self._furthest, self._failures = position, 0


class Web:
    """A session of HTTP requests; gwosc's client takes it where it takes a `requests.Session`."""

    def __init__(self, progress: Progress) -> None:
        import requests

        self.progress = progress
        self._session = requests.Session()

    def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, stream: bool = False, **_unused: Any
    ) -> requests.Response:
        """The answer to a GET request, of any status that will not pass.

        Raises:
            UserError: the server is out of reach, or failed at every attempt.
        """
        patience = Patience(url, self.progress)
        while True:
            with patience.tried():
                response = self._session.get(url, headers=headers, stream=stream, timeout=TIMEOUT)
                if response.status_code not in ASK_AGAIN:
                    return response
                response.close()
                patience.failed(f"the server answers {status(response)}", _asked_pause(response))


def status(response: requests.Response) -> str:
    """The status of an answer, such as "404 Not Found"."""
    return f"{response.status_code} {response.reason or ''}".strip()


def _diagnosis(error: requests.RequestException) -> tuple[str, bool]:
    """What went wrong in plain words, and whether it may pass."""
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        return f"its certificate is not accepted ({error!s})", False
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "no answer in time", True
    if isinstance(error, requests.exceptions.ChunkedEncodingError) or "IncompleteRead" in str(error):
        return "the connection broke off", True
    if isinstance(error, requests.ConnectionError):
        unknown = "NameResolutionError" in str(error)
        return "its name is not known (is this machine online?)" if unknown else "no connection", True
    return str(error), False


def _asked_pause(response: requests.Response) -> float:
    """Seconds that the header Retry-After asks for: a number or a date; 0 where there is none."""
    text = response.headers.get("Retry-After", "")
    try:
        return float(text) if text.isdigit() else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
