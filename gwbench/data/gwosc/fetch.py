"""Strain from GWOSC into a folder: resumed where it stopped, checked, never fetched twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from gwbench.data.detectors import DETECTORS, detector_name
from gwbench.data.gwosc.api import HOST, Gwosc, RemoteFile, file_span
from gwbench.data.gwosc.download import PartialDownload, download
from gwbench.data.gwosc.web import Web
from gwbench.data.store.cache import CACHE_VARIABLE, CacheDir
from gwbench.data.strain_files.frame_integrity import check_frame_file
from gwbench.data.strain_files.known_events import EVENTS, KnownEvent, KnownEvents
from gwbench.errors import UserError, did_you_mean
from gwbench.utils.files import atomic, file_digest, unwritable
from gwbench.utils.leftovers import sweep_files
from gwbench.utils.locks import acquire
from gwbench.utils.paths import user_path
from gwbench.utils.printable import printable
from gwbench.utils.progress import Progress
from gwbench.utils.untrusted_files import AbsentError, UnusableError
from gwbench.utils.untrusted_text import read_json

SAMPLE_RATES = (4096, 16384)
SUFFIXES = {"hdf5": ".hdf5", "gwf": ".gwf"}
SIGNATURES = {".hdf5": b"\x89HDF\r\n\x1a\n", ".gwf": b"IGWD"}
"""How files of a format begin."""

BLOCK = 1 << 20
"""Samples read at a time when a file is checked."""

MANIFEST = "fetched.json"


class Whole(BaseModel):
    """A file that was fetched: where from, its bytes and its SHA-256."""

    url: str
    size: int
    sha256: str


class Manifest(BaseModel):
    """What lies in a folder of fetched strain (`fetched.json`), by file name."""

    files: dict[str, Whole] = {}
    parts: dict[str, PartialDownload] = {}


@dataclass(frozen=True)
class FetchedFile:
    """One file of a `Fetched`.

    Attributes:
        detector: such as "H1".
        path: the file.
        start, end: GPS times.
        size: bytes.
        sha256: of its content.
        downloaded: False where it was there already.
    """

    detector: str
    path: Path
    start: int
    end: int
    size: int
    sha256: str
    downloaded: bool


@dataclass(frozen=True)
class Fetched:
    """What came of a fetch.

    Attributes:
        target: the event or the GPS time asked for.
        gps: its GPS time.
        folder: where the files are.
        files: by detector, then time.
        missing: detectors without open strain at that time.
        events: the catalogues' events within the folder's files; also in `events.json`.
    """

    target: str
    gps: float
    folder: Path
    files: tuple[FetchedFile, ...]
    missing: tuple[str, ...]
    events: tuple[KnownEvent, ...]


def strain_folder() -> Path:
    """`strain` in $GWBENCH_CACHE, or beside the datasets in the user's cache folder."""
    root = CacheDir().root
    return (root if os.environ.get(CACHE_VARIABLE) else root.parent) / "strain"


def fetch(
    target: str,
    detectors: Sequence[str] = ("H1", "L1", "V1"),
    *,
    duration: float | None = None,
    sample_rate: int = 4096,
    file_format: str = "hdf5",
    out: str | Path | None = None,
    host: str = HOST,
    progress: Progress | None = None,
) -> Fetched:
    """Fetch open strain around an event or a GPS time.

    A file takes its name when it is whole: of the announced length and MD5 (where the server announces them), and
    in order by the checksums that HDF5 and GWF files carry. Until then it is `.NAME.part`, and the next fetch
    goes on from there. `fetched.json` holds the SHA-256 of every whole file; one that differs is fetched again.
    `events.json` lists the catalogues' events within the files, written anew each time.

    Args:
        target: name of an event, such as "GW150914" or "GW150914-v3", or a GPS time.
        detectors: their names; those without strain then are reported in `Fetched.missing`.
        duration: seconds around the time that the files should cover; by default one file for every detector, of
            mostly 4096 s.
        sample_rate: 4096 or 16384 Hz.
        file_format: "hdf5" or "gwf".
        out: folder of the files; by default one of this target's name in `strain_folder()`.
        host: address of the GWOSC server.
        progress: shows bars and messages.

    Raises:
        UserError: a bad argument, an unknown event, no strain at all; a server out of reach or that sends something
            else; a folder that cannot be written. What was downloaded is kept.
    """
    progress = progress or Progress()
    names = _checked(detectors, duration, sample_rate, file_format)
    web = Web(progress)
    gwosc = Gwosc(host, web)
    gps = gwosc.gps(target)
    remote = gwosc.strain_files(target, gps, names, duration, sample_rate, SUFFIXES[file_format])
    if not remote:
        raise UserError(
            f"{host} has no {sample_rate} Hz strain of {', '.join(names)} at GPS {gps:.10g} as {file_format} files. "
            "See https://gwosc.org/timeline for when detectors observed."
        )
    folder = user_path(out).absolute() if out else strain_folder() / target
    with _locked(folder, progress):
        sweep_files(folder, (MANIFEST, EVENTS), held=True)
        manifest = _read_manifest(folder, progress)
        spans = filter(None, map(file_span, {*manifest.files, *(file.name for file in remote)}))
        events = tuple(gwosc.events(list(spans)))
        # Before the strain: no file may lie here whose events a dataset would take for noise.
        _write(folder / EVENTS, KnownEvents(events=events).model_dump_json(indent=2))
        files = tuple(_bring(file, folder, manifest, web) for file in remote)
    observed = {file.detector for file in remote}
    return Fetched(target, gps, folder, files, tuple(name for name in names if name not in observed), events)


def _checked(detectors: Sequence[str], duration: float | None, sample_rate: int, file_format: str) -> list[str]:
    """The detectors, each once, after a look at all arguments."""
    names = list(dict.fromkeys(map(detector_name, detectors)))
    for name in names:
        if name not in DETECTORS:
            raise UserError(f"No detector {name!r}.{did_you_mean(name, DETECTORS)} Known: {', '.join(DETECTORS)}.")
    if not names:
        raise UserError(f"No detector is named. Known: {', '.join(DETECTORS)}.")
    if duration is not None and not 0 < duration < float("inf"):
        raise UserError(f"--duration {duration:g}: expected seconds above 0, such as 4096.")
    if sample_rate not in SAMPLE_RATES:
        raise UserError(f"--sample-rate {sample_rate}: GWOSC offers 4096 and 16384 Hz.")
    if file_format not in SUFFIXES:
        raise UserError(f"--format {file_format!r}: expected {' or '.join(SUFFIXES)}.")
    return names


@contextmanager
def _locked(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold a folder, so that two processes do not fetch into it at once.

    Raises:
        UserError: the folder cannot be written, in the block too.
    """

    def wait() -> None:
        progress.say(f"Another process fetches into {folder}; waiting for it.")

    try:
        folder.mkdir(parents=True, exist_ok=True)
        release = acquire(folder / ".fetch.lock", wait)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        release()


def _read_manifest(folder: Path, progress: Progress) -> Manifest:
    path = folder / MANIFEST
    try:
        return Manifest.model_validate(read_json(path))
    except AbsentError:
        return Manifest()
    except (UnusableError, ValidationError):
        progress.say(f"{path} cannot be read; every file is fetched again.")
        return Manifest()


def _write(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text + "\n")


def _bring(file: RemoteFile, folder: Path, manifest: Manifest, web: Web) -> FetchedFile:
    """One file: as it was fetched before, or fetched now."""
    path = folder / file.name
    known = manifest.files.get(file.name)
    same = known is not None and known.url == file.url and path.is_file() and file_digest(path) == known.sha256
    if known is None or not same:
        if path.exists():
            web.progress.say(f"{path} is not what was fetched from there; fetching it again.")
        if known is not None:
            # If this fetch fails, what is known to be bad must not be read as strain.
            path.unlink(missing_ok=True)
        known = _download(file, folder, manifest, web)
    return FetchedFile(file.detector, path, file.start, file.end, known.size, known.sha256, downloaded=not same)


def _download(file: RemoteFile, folder: Path, manifest: Manifest, web: Web) -> Whole:
    """Download a file, check it and give it its name."""
    path, part = folder / file.name, folder / f".{file.name}.part"

    def save() -> None:
        _write(folder / MANIFEST, manifest.model_dump_json(indent=2))

    def remember(described: PartialDownload) -> None:
        manifest.files.pop(file.name, None)
        manifest.parts[file.name] = described
        save()

    title = f"Fetch {file.detector}"
    described = download(file.url, part, manifest.parts.get(file.name), web=web, title=title, remember=remember)
    problem = _problem(part, path.suffix, described.md5)
    del manifest.parts[file.name]
    if problem:
        part.unlink()
        save()
        raise UserError(
            f"What came from {file.url} is not used: {problem}. Give the same command again, or see --host."
        )
    whole = Whole(url=file.url, size=part.stat().st_size, sha256=file_digest(part))
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(path)
    manifest.files[file.name] = whole
    save()
    return whole


def _problem(path: Path, suffix: str, md5: str) -> str:
    """Why a downloaded file is no strain file; empty where it is one."""
    with path.open("rb") as stream:
        begin = stream.read(40)
        stream.seek(0)
        if not begin.startswith(SIGNATURES[suffix]):
            return (
                f"it is no {suffix[1:].upper()} file but begins with {printable(repr(begin.decode(errors='replace')))}"
            )
        if md5 and hashlib.file_digest(stream, "md5").hexdigest() != md5:
            return "its MD5 is not the one that the server announced"
    try:
        if suffix == ".hdf5":
            return "" if _holds_strain(path) else "it holds no strain/Strain"
        check_frame_file(path)
    except (OSError, RuntimeError, ValueError) as error:
        return f"it is damaged ({printable(error)})"
    return ""


def _holds_strain(path: Path) -> bool:
    """Whether an HDF5 file has strain; it is read to its end, and h5py raises where a checksum inside does not fit."""
    import h5py

    with h5py.File(path, "r") as file:
        strain = file.get("strain/Strain")
        if not isinstance(strain, h5py.Dataset) or strain.ndim != 1 or not strain.size:
            return False
        for start in range(0, strain.size, BLOCK):
            strain[start : start + BLOCK]
    return True
