"""HTTP requests that are repeated, a bounded number of times, where they fail for a reason that may pass.

urllib3's `Retry` counts the attempts, tells which failures may pass and reads the header Retry-After. It sees an answer
up to its headers; a connection that breaks in the body is counted here, with `ReportingRetry.after`.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError, NewConnectionError, ProtocolError, TimeoutError
from urllib3.util import Retry

from gwbench.errors import UserError
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import MIB
from gwbench.utils.untrusted_text import LARGEST

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from gwbench.utils.progress import Progress

ATTEMPTS = 4
"""Most attempts in a row that fail; 1, 2 and 4 s pass between them."""

LONGEST_PAUSE = 60.0
"""Seconds that a server may ask to wait (Retry-After) before gwbench gives up instead."""

TIMEOUT = (10.0, 30.0)
"""Seconds to wait for a connection, and for the next bytes of an answer."""

DIGITS = 9
"""Most digits of a number of seconds in a header."""

ASK_AGAIN = frozenset({408, 413, 429, *range(500, 600)})
"""Status codes of failures that may pass."""


class Unusable(ProtocolError):
    """An answer that is whole as HTTP goes, but not what was asked for; its message says why."""


class ReportingRetry(Retry):
    """urllib3's `Retry` that tells the user of every failure, and gives up where a server asks for a long wait.

    Attributes:
        asked: the address that is asked for, for messages.
        progress: is told of every failure.
    """

    asked: str
    progress: Progress

    @classmethod
    def of(cls, asked: str, progress: Progress) -> ReportingRetry:
        """With all attempts left."""
        # No "other" retries: those are of certificates that are not accepted.
        retry = cls(ATTEMPTS - 1, other=0, status_forcelist=ASK_AGAIN, raise_on_status=False)
        retry.asked, retry.progress = asked, progress
        return retry

    def new(self, **changes: Any) -> ReportingRetry:
        """A copy; urllib3 makes one after every failure."""
        retry = super().new(**changes)
        retry.asked, retry.progress = self.asked, self.progress
        return retry

    def get_backoff_time(self) -> float:
        """1, 2 and 4 s. urllib3 itself would not wait before the second attempt."""
        return float(2 ** (len(self.history) - 1))

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait before the next attempt, at least the seconds that the server asked for.

        Raises:
            UserError: the server asks for too long a wait.
        """
        host, error = urlsplit(self.asked).netloc, self.history[-1].error
        problem = f"the server answers {status(response)}" if response is not None else _problem(error)
        wait = 0.0 if response is None else self._asked_for(response)
        if wait > LONGEST_PAUSE:
            raise UserError(f"{host} asks to wait {wait:.0f} s ({problem}). Give the same command again after that.")
        pause = max(self.get_backoff_time(), wait)
        self.progress.say(f"{host}: {problem}; trying again in {pause:.0f} s.")
        sleep(pause)

    def _asked_for(self, response: BaseHTTPResponse) -> float:
        """Seconds that the server asks to wait; 0 where it asks for nothing that can be understood."""
        asked = (response.headers.get("Retry-After") or "").strip()
        if asked.isdecimal() and len(asked) > DIGITS:
            return float(10**DIGITS)
        try:
            return float(self.get_retry_after(response) or 0.0)
        except (InvalidHeader, ValueError, OverflowError, OSError):  # a date that is none
            return 0.0

    def after(self, error: Exception) -> ReportingRetry:
        """What is left after a failure that urllib3 did not see, once its wait is over.

        Raises:
            UserError: there have been enough attempts, or the failure will not pass.
        """
        cause = _cause(error)
        if not isinstance(cause, (ProtocolError, TimeoutError)):
            raise self.refused(str(error)) from error
        try:
            retry: ReportingRetry = self.increment("GET", self.asked, error=cause)
        except MaxRetryError:
            raise self.exhausted(_problem(cause)) from error
        retry.sleep()
        return retry

    def exhausted(self, problem: str) -> UserError:
        """Says that there have been enough attempts."""
        return UserError(
            f"Cannot fetch {printable(self.asked)}: {printable(problem)}, {ATTEMPTS} times in a row. Check the network "
            "and --host, and give the same command again: it goes on where this one stopped."
        )

    def refused(self, problem: str) -> UserError:
        """Says that a failure will not pass."""
        return UserError(f"Cannot fetch {printable(self.asked)}: {printable(problem)}. Check the address and --host.")


class Web:
    """A session of HTTP requests; gwosc's client takes it where it takes a `requests.Session`."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._adapter = HTTPAdapter()
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)

    def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, stream: bool = False, **_unused: Any
    ) -> requests.Response:
        """The answer to a GET request, of any status that will not pass; with `stream`, its body is still to be read.

        Raises:
            UserError: the server is out of reach, or failed at every attempt.
        """
        retry = ReportingRetry.of(url, self.progress)
        while True:
            response = self._headers(url, headers, retry)
            if stream:
                return response
            try:
                _read_body(response)
            except requests.RequestException as error:
                retry = response.raw.retries.after(error)
            else:
                return response

    def _headers(self, url: str, headers: Mapping[str, str] | None, retry: ReportingRetry) -> requests.Response:
        """An answer whose body is still to be read."""
        self._adapter.max_retries = retry
        try:
            response = self._answer(url, headers)
        except UserError:
            raise
        except requests.exceptions.SSLError as error:
            raise retry.refused(f"its certificate is not accepted ({error!s})") from error
        except requests.RequestException as error:
            if isinstance(error, requests.ConnectionError):
                raise retry.exhausted(_problem(_cause(error))) from error
            raise retry.refused(str(error)) from error
        except (ValueError, HTTPError) as error:  # an address, or a header, that requests does not understand
            raise retry.refused(f"the answer is not understood ({error})") from error
        if response.status_code in ASK_AGAIN:
            response.close()
            raise retry.exhausted(f"the server answers {status(response)}")
        return response

    def _answer(self, url: str, headers: Mapping[str, str] | None) -> requests.Response:
        """As the session gives it; where it fails, no connection stays open, nor those of redirects on the way."""
        seen: list[requests.Response] = []

        def note(response: requests.Response, **_: Any) -> None:
            seen.append(response)

        try:
            return self._session.get(url, headers=headers, stream=True, timeout=TIMEOUT, hooks={"response": note})
        except BaseException:
            for response in seen:
                response.close()
            raise


def _read_body(response: requests.Response) -> None:
    """Read an answer into memory.

    Raises:
        requests.RequestException: the connection broke off.
        UserError: it is larger than any answer that is expected.
    """
    parts, size = [], 0
    for part in response.iter_content(1 << 16):
        size += len(part)
        if size > LARGEST:
            response.close()
            raise UserError(
                f"{urlsplit(response.url).netloc} answers with more than {LARGEST / MIB:.0f} MiB to a question "
                "about files. Check --host."
            )
        parts.append(part)
    response._content = b"".join(parts)


def status(response: requests.Response | BaseHTTPResponse) -> str:
    """The status of an answer, such as "404 Not Found"."""
    code = response.status_code if isinstance(response, requests.Response) else response.status
    return printable(f"{code} {response.reason or ''}".strip(), 80)


def _cause(error: Exception) -> Exception | None:
    """urllib3's own error behind one of requests."""
    cause = error.args[0] if isinstance(error, requests.RequestException) and error.args else error
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    return cause if isinstance(cause, Exception) else None


def _problem(cause: Exception | None) -> str:
    """What went wrong, in plain words."""
    if isinstance(cause, Unusable):
        return str(cause)
    if type(cause).__name__ == "NameResolutionError":  # new in urllib3 2
        return "its name is not known (is this machine online?)"
    if isinstance(cause, TimeoutError) and not isinstance(cause, NewConnectionError):
        return "no answer in time"
    return "the connection broke off" if "Connection broken" in str(cause) else "no connection"
