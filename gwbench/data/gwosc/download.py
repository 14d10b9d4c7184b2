"""One file over HTTP, resumed where it broke off."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import requests
from pydantic import BaseModel

from gwbench.data.gwosc.web import ReportingRetry, Unusable, Web, status
from gwbench.errors import UserError
from gwbench.utils.printable import printable

PIECE = 1 << 16
"""Bytes held in memory at a time; also the most that a broken connection costs."""

HEADWAY = 1 << 20
"""Bytes of a file beyond what was reached before that count as progress: the attempts are then counted anew."""

LARGEST = 1 << 36
"""Bytes of a file: GWOSC's have at most some hundred million."""

WHOLE, CONTINUED, OUT_OF_RANGE = 200, 206, 416
"""Status codes of answers to a request for the rest of a file."""


class PartialDownload(BaseModel):
    """What is known of a file under way.

    Attributes:
        url: where it comes from.
        validator: its ETag or date; the server continues the file only if these have not changed.
        size: bytes of the whole; None where the server does not say.
        md5: of the whole, in hexadecimal; empty where the server does not say.
    """

    url: str
    validator: str = ""
    size: int | None = None
    md5: str = ""


def download(
    url: str,
    path: Path,
    known: PartialDownload | None,
    *,
    web: Web,
    title: str,
    remember: Callable[[PartialDownload], None],
) -> PartialDownload:
    """Download into `path`, or go on with what is there.

    Memory is bounded: the file is written in pieces. Whatever ends the download, the pieces stay for the next call.

    Args:
        url: where the file is.
        path: the partial file.
        known: what `remember` was told of that partial file; None to start anew.
        web: makes the requests.
        title: of the progress bar.
        remember: is called before the first byte is written.

    Returns:
        What the server says of the file, whose last byte is now in `path`.

    Raises:
        UserError: the server is out of reach, keeps failing, refuses, or sends more than it announced.
        OSError: the file cannot be written.
    """
    retry, furthest = ReportingRetry.of(url, web.progress), 0
    if known is not None and known.url != url:
        known = None
    while True:
        have = path.stat().st_size if known and path.exists() else 0
        if known and known.size is not None and have > known.size:
            known, have = None, 0
        if known and have == known.size:
            return known
        with web.get(url, headers=_headers(known, have), stream=True) as response:
            if response.status_code == WHOLE:
                known, have = _described(response, url), 0
                path.unlink(missing_ok=True)  # before it is remembered, or a kill in between could join two files
                remember(known)
            elif not known or response.status_code not in (CONTINUED, OUT_OF_RANGE):
                raise UserError(f"Cannot fetch {url}: the server answers {status(response)}. Try again later.")
            elif not _continues(response, known, have):
                known = None
                retry = retry.after(Unusable("what it has is no continuation of the part that is here"))
                continue
            try:
                _receive(response, path, have, known.size, web, title)
            except (requests.RequestException, Unusable) as error:
                if path.stat().st_size - furthest > HEADWAY:
                    furthest, retry = path.stat().st_size, ReportingRetry.of(url, web.progress)
                retry = retry.after(error)
            else:
                if known.size is None:
                    return known


def _headers(known: PartialDownload | None, have: int) -> dict[str, str]:
    """Of the request for all that is not here."""
    headers = {"Accept-Encoding": "identity"}  # or the bytes would not be those of the file
    if known and have:
        headers["Range"] = f"bytes={have}-"
        if known.validator:
            headers["If-Range"] = known.validator
    return headers


def _described(response: requests.Response, url: str) -> PartialDownload:
    """What the headers of a whole file say of it."""
    headers = response.headers
    if headers.get("Content-Encoding", "identity") != "identity":
        raise UserError(f"Cannot fetch {url}: the server, or a proxy, sends it compressed although told not to.")
    tag = headers.get("ETag", "")
    length = headers.get("Content-Length", "")
    try:
        md5 = b64decode(headers.get("Content-MD5", ""), validate=True).hex()
    except ValueError:
        md5 = ""
    return PartialDownload(
        url=url,
        validator=headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag,
        size=int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None,
        md5=md5,
    )


def _continues(response: requests.Response, known: PartialDownload, have: int) -> bool:
    """Whether an answer is the rest of the file of which `have` bytes are here."""
    span = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", response.headers.get("Content-Range", ""))
    if response.status_code != CONTINUED or span is None:
        return False
    return int(span[1]) == have and (known.size is None or span[2] in ("*", str(known.size)))


def _receive(response: requests.Response, path: Path, have: int, size: int | None, web: Web, title: str) -> None:
    """Write an answer behind the first `have` bytes of a file.

    Raises:
        requests.RequestException: the connection broke off.
        Unusable: the answer is shorter or longer than announced.
    """
    start = have
    with path.open("ab" if have else "wb") as stream, web.progress.task(title, (size or 0) / 1e6, "MB") as task:
        task.advance(have / 1e6)
        for piece in response.iter_content(PIECE):
            stream.write(piece)
            have += len(piece)
            if have > (LARGEST if size is None else size):
                raise UserError(
                    f"{printable(response.url)} sends more than {(size or LARGEST):,} bytes for a strain file. "
                    "Check --host."
                )
            task.advance(len(piece) / 1e6, note=f"{have / 1e6:.1f} MB" + (f" of {size / 1e6:.1f}" if size else ""))
    if size is not None and have != size:
        raise Unusable(f"it sent {have - start:,} bytes and announced {size - start:,}")
