"""One walk through folders of strain: what it passes over in silence, and what it leaves out and why.

Hidden files, wastebaskets and backups are nobody's strain. All else that is not read is reported with its reason: a
detector whose files are out of reach must not vanish without a word.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

SHOWN = 3
"""How many names of one reason are shown; the others are counted."""

BROKEN, LOOPED = "broken link", "link that leads back to itself"
CLOSED_FOLDER, CLOSED_FILE = "folder without permission", "file without permission"
NOT_PLAIN, EMPTY, UNFINISHED = "no plain file", "empty file", "unfinished download"
TWICE = "another name of a file that is read"

TRASH = ("$recycle.bin", "lost+found", "__macosx", "recycler", "system volume information", "__pycache__", "@eadir")
"""Folders that systems make and nobody's strain is in; hidden ones need no list."""

PARTIAL = (".part", ".partial", ".crdownload", ".download", ".opdownload", ".filepart", ".tmp", ".aria2", ".!qb")
"""Suffixes that downloads have until they are whole."""

PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".7z", ".rar", ".tar", ".tgz", ".npy", ".npz", ".mat", ".fits")
"""Suffixes of files that may well hold strain, in a form that is not read."""

PROSE = 1 << 18
"""Bytes; a text file that is longer holds numbers rather than notes."""

TEXT = (".txt", ".csv", ".dat", ".asc", ".ascii", ".bin", ".tsv", ".xml")

STRAIN_NAME = re.compile(r"(?<![a-z0-9])[ahlvkgi][12](?![a-z0-9])|strain", re.IGNORECASE)
"""In the name of a file: a detector, or the word."""

SIGNATURES = (b"\x89HDF", b"IGWD", b"\x93NUMPY")
"""How files of strain begin: HDF5, GWF, numpy."""

SNIFFED = 1000
"""At most so many files of other suffixes are opened in one walk, to see how they begin."""


class LeftOut:
    """Files and folders that were left out, by reason."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, path: str | os.PathLike[str], reason: str) -> None:
        """Remember one."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        names = self._names.setdefault(reason, [])
        if len(names) < SHOWN:
            names.append(printable(os.fspath(path)))

    def join(self, other: LeftOut) -> None:
        """Add what another one holds."""
        for reason, names in other._names.items():
            mine = self._names.setdefault(reason, [])
            mine += names[: SHOWN - len(mine)]
            self._counts[reason] = self._counts.get(reason, 0) + other._counts[reason]

    def sentences(self) -> list[str]:
        """One for every reason: the first few by name, and how many more."""
        lines = []
        for reason, names in self._names.items():
            more = self._counts[reason] - len(names)
            lines.append(f"Left out ({reason}): {', '.join(names)}{f' and {more} more' if more else ''}.")
        return lines


def printable(text: str) -> str:
    """A file's name as a terminal and JSON can show it: without control characters and bytes that are no text."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def reason_of(error: OSError, *, folder: bool = False) -> str:
    """Why something cannot be reached."""
    if error.errno == errno.ENOENT:
        return BROKEN
    if error.errno == errno.ELOOP:
        return LOOPED
    if error.errno in (errno.EACCES, errno.EPERM):
        return CLOSED_FOLDER if folder else CLOSED_FILE
    return (error.strerror or type(error).__name__).lower()


class Folder(NamedTuple):
    """One folder of a walk: its path below the given one, and its entries whose suffix is asked for, of any kind."""

    path: str
    entries: list[os.DirEntry[str]]


class FolderWalk:
    """Walks to the bottom of a folder, through links too, to every real folder once.

    Args:
        suffixes: of the files that are asked for, in lower case; files have them in any case.
        left_out: takes what is left out.
        named: suffixes of files that are read only where somebody names the file itself.
        strict: raise where a folder cannot be listed, instead of leaving it out.
    """

    def __init__(
        self, suffixes: Sequence[str], left_out: LeftOut, *, named: Sequence[str] = (), strict: bool = False
    ) -> None:
        self._suffixes, self._left_out, self._strict = tuple(suffixes), left_out, strict
        self._named = tuple(named)
        self._visited: list[str] = []
        self._seen: set[tuple[int, int]] = set()
        self._sniffed = 0

    def folders(self, root: str | os.PathLike[str]) -> Iterator[Folder]:
        """The folder and those below it, in order of name; linked ones after all others.

        Raises:
            OSError: a folder cannot be listed, and the walk is strict.
        """
        waiting = [(os.fspath(root), bool(self._visited or self._seen))]
        linked: list[str] = []
        while waiting or linked:
            # Only where a link was followed may a folder come up for the second time.
            path, by_link = waiting.pop() if waiting else (linked.pop(0), True)
            try:
                if by_link and not self._is_new(path):
                    continue
                entries, below, links = self._list(path)
            except OSError as error:
                if self._strict:
                    raise
                self._left_out.add(path, reason_of(error, folder=True))
                continue
            self._visited.append(path)
            waiting += [(each, by_link) for each in sorted(below, reverse=True)]
            linked += sorted(links)
            yield Folder(path, entries)

    def wanted(self, name: str) -> bool:
        """Whether a file's suffix is asked for."""
        return name.endswith(self._suffixes) or name.lower().endswith(self._suffixes)

    def unfinished(self, path: str, name: str) -> bool:
        """Whether it is a download that did not end, of a file that is asked for; such a one is left out."""
        stem, suffix = os.path.splitext(name.lower())  # noqa: PTH122
        unfinished = suffix in PARTIAL and stem.endswith(self._suffixes) and not stem.startswith("._")
        if unfinished:
            self._left_out.add(path, UNFINISHED)
        return unfinished

    def looks_like_strain(self, path: str, name: str) -> str:
        """Why a file of another suffix is worth a word; empty where it is not."""
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - faster than Path, and there may be many
        named = name.lower().removesuffix(".gz").endswith(self._named)
        not_read = f"{suffix} is read only where the file itself is named" if named else f"{suffix} is not read"
        if suffix in PACKED:
            return not_read
        try:
            size = os.stat(path).st_size  # noqa: PTH116
            if suffix in TEXT and (STRAIN_NAME.search(name) or size > PROSE):
                return not_read
            if size and self._begins_as_strain(path):
                return f"strain, but {f'the suffix {suffix}' if suffix else 'a name without suffix'} is not read"
        except OSError:
            pass  # what cannot be looked into and has a name like nothing known is not missed
        return ""

    def _begins_as_strain(self, path: str) -> bool:
        self._sniffed += 1
        return self._sniffed <= SNIFFED and first_bytes(path).startswith(SIGNATURES)

    def _is_new(self, path: str) -> bool:
        """Whether a folder has not been visited; a link to a folder around itself is left out."""
        while self._visited:
            with suppress(OSError):  # it went meanwhile
                self._seen.add(_identity(self._visited.pop()))
        if _identity(path) not in self._seen:
            return True
        if os.path.islink(path):  # noqa: PTH114
            around = os.path.realpath(os.path.dirname(os.path.abspath(path)))  # noqa: PTH100, PTH120
            real = os.path.realpath(path)
            if os.path.commonpath([around, real]) == real:
                self._left_out.add(path, LOOPED)
        return False

    def _list(self, path: str) -> tuple[list[os.DirEntry[str]], list[str], list[str]]:
        """Entries of a folder whose suffix is asked for; folders within; linked folders within."""
        entries: list[os.DirEntry[str]] = []
        below: list[str] = []
        links: list[str] = []
        suffixes = self._suffixes
        with os.scandir(path) as found:
            for entry in found:
                name = entry.name
                hidden = name[0] == "."
                if not hidden and name.endswith(suffixes) and entry.is_file(follow_symlinks=False):
                    entries.append(entry)  # nearly all are such
                elif hidden:
                    self.unfinished(entry.path, name)
                elif entry.is_symlink():
                    self._follow(entry, entries, links)
                elif entry.is_dir(follow_symlinks=False):
                    if name.lower() not in TRASH:
                        below.append(entry.path)
                        entries += [entry] if self.wanted(name) else []
                elif self.wanted(name):
                    entries.append(entry)
                else:
                    self._pass_over(entry)
        return entries, below, links

    def _follow(self, entry: os.DirEntry[str], entries: list[os.DirEntry[str]], links: list[str]) -> None:
        """Sort out a symbolic link; one that leads nowhere but is named like a file asked for is the caller's."""
        try:
            folder = entry.is_dir()
            if folder and entry.name.lower() not in TRASH:
                links.append(entry.path)
            elif not folder and self.wanted(entry.name):
                entries.append(entry)
            elif not folder:
                entry.stat()
                self._pass_over(entry)
        except OSError as error:
            if self.wanted(entry.name):
                entries.append(entry)
            else:
                self._left_out.add(entry.path, reason_of(error))

    def _pass_over(self, entry: os.DirEntry[str]) -> None:
        """A file of another suffix."""
        if not self.unfinished(entry.path, entry.name) and not entry.name.endswith("~"):
            reason = self.looks_like_strain(entry.path, entry.name)
            if reason:
                self._left_out.add(entry.path, reason)


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116
    return status.st_dev, status.st_ino


def first_bytes(path: str) -> bytes:
    """How a plain file begins; never waits for a writer.

    Raises:
        OSError: it cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(handle, 8) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)
