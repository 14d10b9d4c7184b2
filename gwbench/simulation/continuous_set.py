"""A set of continuous strain on disk: its files, what they say of themselves, and that it is made once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from gwbench.data.psd import psd_files
from gwbench.data.store.cache import CACHE_VARIABLE, CacheDir
from gwbench.errors import UserError
from gwbench.simulation.continuous_noise import ContinuousNoise
from gwbench.simulation.continuous_settings import EDGE, ContinuousSettings
from gwbench.simulation.continuous_strain import BACKGROUND, FOREGROUND, INJECTED, ContinuousStrain, as_attributes
from gwbench.simulation.recorded_noise import recorded_noise
from gwbench.utils.files import atomic, digests_by_name, file_digest, unwritable
from gwbench.utils.locks import acquire
from gwbench.utils.models import FrozenModel
from gwbench.utils.progress import Progress
from gwbench.utils.untrusted_files import AbsentError, UnusableError
from gwbench.utils.untrusted_text import read_json

MANIFEST = "continuous.json"
LOCK = ".continuous.lock"

SOFTWARE = ("gwbench-ssl", "numpy", "scipy", "pycbc", "lalsuite", "h5py")


class SetFile(FrozenModel):
    """One file of a set: its bytes, and their SHA-256."""

    size: int
    sha256: str


class ContinuousManifest(FrozenModel):
    """What `continuous.json` says of a set.

    Attributes:
        settings: what it is made of.
        sources: SHA-256 of the population's priors and of all files that were read.
        command: that makes it, but for the folder.
        software: versions.
        segments: GPS start and end of each.
        injections: how many.
        notes: what a reader must know, in sentences.
        files: of the set.
    """

    schema_version: Literal[1] = 1
    kind: Literal["continuous-strain"] = "continuous-strain"
    settings: ContinuousSettings
    sources: dict[str, str]
    command: str
    software: dict[str, str]
    segments: tuple[tuple[float, float], ...]
    injections: int
    notes: tuple[str, ...]
    files: dict[str, SetFile]


@dataclass(frozen=True)
class ContinuousSet:
    """A set on disk.

    Attributes:
        folder: where it lies.
        made: False where it was there already.
        manifest: what it says of itself.
    """

    folder: Path
    made: bool
    manifest: ContinuousManifest


def make_continuous(
    settings: ContinuousSettings,
    out: Path | None = None,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> ContinuousSet:
    """Make continuous strain with injections, unless it is there.

    The folder gets `foreground.hdf`, `background.hdf` and `injections.hdf`, written as the MLGWSC-1 challenge writes
    them (arXiv:2209.11146), and `continuous.json`. An interrupted command leaves no file that is not whole, and the
    same command makes them.

    Args:
        settings: what it is made of.
        out: the folder; by default one in the cache, named by what the set is made of.
        workers: threads.
        progress: where it is reported.

    Raises:
        UserError: settings that cannot be, files that cannot be read, or a folder that holds something else.
    """
    progress = progress or Progress()
    settings.check()
    signals = settings.signals()
    segments, files, notes = _noise(settings, progress)
    sources = {f"population {signals.population.name}": signals.population.digest, **digests_by_name(files)}
    folder = out or _default_folder(settings, sources)
    release = _locked(folder, progress)
    try:
        found = _existing(folder, settings, sources)
        if found is not None:
            return ContinuousSet(folder, made=False, manifest=found)
        about = ContinuousManifest(
            settings=settings,
            sources=sources,
            command=settings.command(),
            software=_software(),
            segments=tuple((one.start, one.start + one.samples / settings.sample_rate) for one in segments),
            injections=0,
            notes=(*notes, f"Injected: {signals}, none within {EDGE:g} s of a segment's ends."),
            files={},
        )
        strain = ContinuousStrain(segments, signals, settings.detectors, settings.sample_rate, settings.seed)
        said = as_attributes(about.model_dump(mode="json", exclude={"files", "injections"}))
        with ExitStack() as stack:
            paths = {name: stack.enter_context(atomic(folder / name)) for name in (FOREGROUND, BACKGROUND, INJECTED)}
            count = strain.write(paths, said, workers=workers, progress=progress)
            whole = {name: _set_file(path) for name, path in paths.items()}
            manifest = about.model_copy(update={"injections": count, "files": whole})
            # In place before the files it is of: where one of them is missing, the set is made again.
            with atomic(folder / MANIFEST) as path:
                path.write_text(manifest.model_dump_json(indent=2) + "\n")
    finally:
        release()
    return ContinuousSet(folder, made=True, manifest=manifest)


def _noise(
    settings: ContinuousSettings, progress: Progress
) -> tuple[Sequence[ContinuousNoise], list[Path], tuple[str, ...]]:
    """The segments, the files that were read for them, and notes."""
    if settings.recorded:
        found = recorded_noise(settings.noise, settings.detectors, settings.sample_rate, settings.hours, progress)
        return found.segments, list(found.files), found.notes
    names = settings.psd_names()
    segments = settings.simulated_segments()
    pairs = ", ".join(f"{psd} ({name})" for name, psd in zip(settings.detectors, names, strict=True))
    notes = [f"Gaussian noise of PSD {pairs}, none below 10 Hz, independent in every detector."]
    if segments[0].glitches:
        notes.append(f"Glitches in foreground and background alike: {segments[0].glitches}.")
    return segments, list(dict.fromkeys(psd_files(names))), tuple(notes)


def _default_folder(settings: ContinuousSettings, sources: dict[str, str]) -> Path:
    """`continuous/...` in $GWBENCH_CACHE, or beside the datasets in the user's cache folder."""
    root = CacheDir().root
    root = root if os.environ.get(CACHE_VARIABLE) else root.parent
    identity = json.dumps([settings.model_dump(mode="json"), sources], sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    hours = "" if settings.hours is None else f"-{settings.hours:g}h"
    noise = "recorded" if settings.recorded else settings.noise[0]
    return root / "continuous" / f"{noise}{hours}-s{settings.seed}-{digest}"


def _locked(folder: Path, progress: Progress) -> Callable[[], None]:
    """Hold a folder, which is made; returns what lets it go."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return acquire(folder / LOCK, lambda: progress.say(f"Waiting for another process that makes {folder}."))
    except OSError as error:
        raise unwritable(folder, error) from error


def _existing(folder: Path, settings: ContinuousSettings, sources: dict[str, str]) -> ContinuousManifest | None:
    """The manifest of the set in a folder; None where there is none yet.

    Raises:
        UserError: the folder holds another set, or files that are not of a set.
    """
    try:
        manifest = ContinuousManifest.model_validate(read_json(folder / MANIFEST))
    except AbsentError:
        if all((folder / name).exists() for name in (FOREGROUND, BACKGROUND, INJECTED)):
            raise UserError(
                f"{folder} holds {FOREGROUND}, {BACKGROUND} and {INJECTED}, and no {MANIFEST} that says what they are: "
                "choose another folder with --out."
            ) from None
        return None
    except (UnusableError, ValidationError):
        raise UserError(
            f"{folder / MANIFEST} cannot be read: remove it, or choose another folder with --out."
        ) from None
    if (manifest.settings, manifest.sources) != (settings, sources):
        raise UserError(f"{folder} holds another set ({manifest.command}): choose another folder with --out.")
    for name, whole in manifest.files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != whole.size:
            return None
    return manifest


def _set_file(path: Path) -> SetFile:
    return SetFile(size=path.stat().st_size, sha256=file_digest(path))


def _software() -> dict[str, str]:
    """The versions of what strain depends on."""
    versions = {}
    for name in SOFTWARE:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # a build under another name
            continue
    return versions


__all__ = ["MANIFEST", "ContinuousManifest", "ContinuousSet", "make_continuous"]
