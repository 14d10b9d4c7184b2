"""A run's record and test scores as they are published: small, and without the paths of whoever made them."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gwbench.errors import UserError
from gwbench.experiment.record import DIAGNOSTICS, PREDICTIONS, RECORD, LoadedRecord, load_record
from gwbench.registry import REGISTRY
from gwbench.utils.files import atomic
from gwbench.utils.untrusted_arrays import read_npz
from gwbench.utils.untrusted_files import UnusableError

ARRAYS = ("label", "score", "snr")
"""What a table needs of a run's test windows."""

_PATH = re.compile(r"(?<![\w:/.~-])(?:~[\w.-]*)?(?:/[^\s'\"`:,;()\[\]=/]+){2,}/?")
"""A path from the root, or from somebody's home, of two folders or more; none of a network address."""

_FREE_TEXT = ("command", "reason", "details", "training")
"""Fields of a record whose texts are no part of its identity, beside the notes of its data."""


def copy_run(source: Path, target: Path) -> None:
    """Copy what a table needs of a finished run: record, labels, scores and SNRs; no weights, no embeddings.

    Raises:
        UserError: one of the files cannot be read.
    """
    files = published_files(source)
    for name, content in files.items():
        write_if_new(target / name, content)


def published_files(source: Path, weights: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """The contents of a run's published files by name.

    Args:
        source: folder of the run.
        weights: hashes of its further files, which the record then names; by default it names those that it did.

    Raises:
        UserError: one of its files cannot be read.
    """
    try:
        loaded = load_record(source / RECORD)
        arrays = read_npz(source / PREDICTIONS)
        kept = {name: arrays[name] for name in ARRAYS}
    except (UnusableError, KeyError) as error:
        raise UserError(f"The run in {source} cannot be published: {error}. Run it again with --rerun.") from None
    kept["score"] = short_scores(kept["score"])
    stream = BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **kept)
    predictions = stream.getvalue()
    document = scrubbed(loaded)
    recorded = document.get("files")
    if recorded is not None or weights is not None:
        others = {name: each for name, each in (recorded or {}).items() if name not in (PREDICTIONS, DIAGNOSTICS)}
        document["files"] = {PREDICTIONS: hashlib.sha256(predictions).hexdigest(), **others, **(weights or {})}
    if document == loaded.document:
        text = (source / RECORD).read_bytes()
    else:
        text = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    return {RECORD: text, PREDICTIONS: predictions}


def short_scores(score: NDArray[Any]) -> NDArray[Any]:
    """Scores in half the bytes, if that keeps their order and their ties."""
    with np.errstate(over="ignore"):
        short = score.astype(np.float32)
    same = np.array_equal(np.unique(score, return_inverse=True)[1], np.unique(short, return_inverse=True)[1])
    return short if same else score


def write_if_new(path: Path, content: bytes) -> bool:
    """Write a file unless it holds just that already; returns whether it was written."""
    if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
        return False
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    return True


# --- paths --------------------------------------------------------------------------------------------------


def scrubbed(loaded: LoadedRecord) -> dict[str, Any]:
    """The document of a record with names of files in place of paths, wherever its identity does not hold them."""
    document: dict[str, Any] = copy.deepcopy(loaded.document)
    if isinstance(document.get("command"), str):
        document["command"] = _command_without_paths(document["command"])
    for field in _FREE_TEXT:
        if field in document:
            document[field] = _without_paths(document[field])
    if isinstance(document.get("data"), dict) and "notes" in document["data"]:
        document["data"]["notes"] = _without_paths(document["data"]["notes"])
    parameters = document["spec"]["dataset"].get("parameters", {})
    for name in _places(loaded):
        if isinstance(parameters.get(name), str):
            parameters[name] = _file_name(parameters[name])
    document.pop("folder", None)
    return document


def paths_left(document: Mapping[str, Any]) -> list[str]:
    """Paths that a scrubbed record still holds, since they are part of what it is the record of."""
    return list(dict.fromkeys(found for text in _texts(document) for found in _PATH.findall(text)))


def _places(loaded: LoadedRecord) -> tuple[str, ...]:
    """Parameters of the dataset that say where its files lie, and are no part of the run's identity."""
    try:
        plugin = REGISTRY.get("dataset", loaded.record.spec.dataset.name)
    except UserError:
        return ()
    return tuple(getattr(plugin.target, "places", ()))


def _command_without_paths(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        return str(_without_paths(command))
    kept = []
    for word in words:
        key, equals, value = word.partition("=")
        kept.append(f"{key}={_file_name(value)}" if equals and "/" in value else _file_name(word))
    return shlex.join(kept)


def _file_name(text: str) -> str:
    """A path's last part; other text as it is."""
    if "/" not in text or "://" in text or " " in text:
        return text
    return text.rstrip("/").rpartition("/")[2] or text


def _without_paths(value: Any) -> Any:
    if isinstance(value, str):
        return _PATH.sub(lambda found: _file_name(found[0]), value)
    if isinstance(value, dict):
        return {name: _without_paths(each) for name, each in value.items()}
    return [_without_paths(each) for each in value] if isinstance(value, list) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    parts: Iterable[Any] = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _texts(part)
