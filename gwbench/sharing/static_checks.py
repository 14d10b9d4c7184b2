"""What can be checked of a run without its data: figures, identity, seeds, code and files."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from gwbench import seeds
from gwbench.errors import UserError
from gwbench.evaluation.version import PROTOCOL
from gwbench.experiment import record as files
from gwbench.experiment.record import PluginUsed, RunRecord
from gwbench.experiment.scorer_file import read_scorer
from gwbench.registry import REGISTRY
from gwbench.reporting.records.predictions import read_predictions
from gwbench.reporting.records.recompute import disagreements, is_rate
from gwbench.sharing.check import ProofCheck
from gwbench.sharing.entry_layout import hash_of_source, source_files
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import AbsentError, UnusableError, link_target, linked_digest

SHOWN = 5
"""Disagreements that a check names."""


def static_checks(record: RunRecord) -> Iterator[ProofCheck]:
    """Every check of a finished run that needs no data."""
    yield figures(record)
    yield identity(record)
    yield folder_name(record)
    yield splits(record)
    yield run_seeds(record)
    yield protocol(record)
    yield from code(record)
    yield from hashes(record)
    if (_folder(record) / files.SCORER).exists():
        yield scorer(record)


def figures(record: RunRecord) -> ProofCheck:
    """The metrics follow from the test scores."""
    name = "figures"
    if record.metrics is None:
        task = record.spec.task.name if record.spec.task else "unknown"
        why = f"the figures of the task {task!r} need its data; --rerun-probe compares them"
        return ProofCheck(name=name, status="not checkable", detail=why)
    folder, metrics = _folder(record), record.metrics
    if not os.path.lexists(folder / files.PREDICTIONS):
        return ProofCheck(name=name, status="not checkable", detail=f"there is no {files.PREDICTIONS}")
    odd = [rate for rate in (*metrics.tpr_at_fpr, *metrics.snr_at_half) if not is_rate(rate)]
    if odd:
        return ProofCheck(name=name, status="failed", detail=f"{printable(odd[0])} is no false-positive rate")
    try:
        predictions = read_predictions(folder, metrics.n_test + metrics.n_unlabelled)
        found = [str(each) for each in islice(disagreements(record, predictions), SHOWN + 1)]
    except UnusableError as error:
        return ProofCheck(name=name, status="failed", detail=str(error))
    if found:
        more = "; and more" if len(found) > SHOWN else ""
        return ProofCheck(name=name, status="failed", detail="; ".join(found[:SHOWN]) + more)
    interval = metrics.auc
    detail = f"ROC-AUC {interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f}) and all others but kNN's"
    return ProofCheck(name=name, status="passed", detail=detail)


def identity(record: RunRecord) -> ProofCheck:
    """The run's identity is the hash of its spec, its plugins' code, its data's fingerprint and its protocol."""
    name = "identity"
    used = [(each.kind, each.name) for each in record.plugins]
    if used != [(kind, choice.name) for kind, choice in record.spec.choices()]:
        return ProofCheck(name=name, status="failed", detail="the plugins of the record are not those of its spec")
    try:
        canonical = record.spec.canonical()
    except UserError as error:
        return ProofCheck(name=name, status="not checkable", detail=str(error))
    sources = [(each.kind, each.name, each.version, each.source_hash) for each in record.plugins]
    data = sorted(record.data.fingerprint.items()) if record.data else []
    found = hashlib.sha256(json.dumps([record.protocol, canonical, sources, data]).encode()).hexdigest()[:16]
    if found != record.run_id:
        why = f"spec, code and data give {found}, and the record says {printable(record.run_id)}"
        return ProofCheck(name=name, status="failed", detail=why)
    return ProofCheck(name=name, status="passed", detail=f"{found}, by spec, code, data and protocol")


def folder_name(record: RunRecord) -> ProofCheck:
    """The folder is named by the run's identity."""
    name, found = "folder", _folder(record).resolve().name
    ending = re.fullmatch(r".*-([0-9a-f]{8})", found)
    if ending is None:
        return ProofCheck(name=name, status="not checkable", detail=f"{printable(found)} is a name of somebody's own")
    if not record.run_id.startswith(ending[1]):
        why = f"it is named by the run {ending[1]}, and the record is that of {printable(record.run_id)}"
        return ProofCheck(name=name, status="failed", detail=why)
    return ProofCheck(name=name, status="passed", detail=f"named by the run {ending[1]}")


def splits(record: RunRecord) -> ProofCheck:
    """All windows of the test split were scored, and no more labels used than the training split has."""
    assert record.data is not None
    sizes, labelled = record.data.sizes, record.data.labelled
    scored = record.metrics.n_test + record.metrics.n_unlabelled if record.metrics else sizes.get("test", 0)
    if scored != sizes.get("test"):
        why = f"{scored:,} test windows were scored, and the test split has {sizes.get('test', 0):,}"
        return ProofCheck(name="splits", status="failed", detail=why)
    if not 0 <= labelled <= sizes.get("train", 0):
        why = f"{labelled:,} labels were used, and the training split has {sizes.get('train', 0):,} windows"
        return ProofCheck(name="splits", status="failed", detail=why)
    detail = f"all {scored:,} test windows scored; labels of {labelled:,} training windows"
    return ProofCheck(name="splits", status="passed", detail=detail)


def run_seeds(record: RunRecord) -> ProofCheck:
    """The seed behind every role is the one that the run's seeds give."""
    spec = record.spec
    for role, value in record.seeds.items():
        if role not in seeds.ROLES:
            return ProofCheck(
                name="seeds", status="not checkable", detail=f"this gwbench knows no role {printable(role)}"
            )
        if value != seeds.integer(spec.data_seed if role == "data" else spec.seed, role):
            return ProofCheck(
                name="seeds", status="failed", detail=f"that of {role} is not the one that the spec gives"
            )
    return ProofCheck(name="seeds", status="passed", detail=f"seed {spec.seed}, of the data {spec.data_seed}")


def protocol(record: RunRecord) -> ProofCheck:
    """The run was judged as this gwbench judges."""
    same = record.protocol == PROTOCOL
    own = "" if same else f"; this gwbench has {PROTOCOL}, so that only its scores can be checked, not the probe"
    detail = f"version {record.protocol}{own}"
    return ProofCheck(name="protocol", status="passed" if same else "not checkable", detail=detail)


def code(record: RunRecord) -> Iterator[ProofCheck]:
    """Every plugin does what the one that is installed here does."""
    for used in record.plugins:
        name = f"code of {used.kind} {used.name}"
        try:
            plugin = REGISTRY.get(used.kind, used.name)
        except UserError:
            yield _code_beside(name, record, used)
            continue
        if not used.source_hash:
            yield ProofCheck(name=name, status="not checkable", detail="no hash to check: it had no source")
        elif plugin.version == used.version and plugin.is_of(used.source_hash):
            yield ProofCheck(name=name, status="passed", detail=f"same code, version {used.version}")
        else:
            why = f"other code: version {used.version} there, {plugin.version} here"
            yield ProofCheck(name=name, status="not checkable", detail=why)


def _code_beside(name: str, record: RunRecord, used: PluginUsed) -> ProofCheck:
    """The code of a plugin that is not installed, by the source that an entry holds, which is not executed."""
    package = f" (it is of {used.package})" if used.package else ""
    for path in source_files(_folder(record)):
        if used.source_hash and hash_of_source(path) == used.source_hash:
            return ProofCheck(
                name=name, status="passed", detail=f"same code as {path.name} of this entry, not executed"
            )
    return ProofCheck(name=name, status="not checkable", detail=f"not installed here{package}; --plugin loads it")


def hashes(record: RunRecord) -> Iterator[ProofCheck]:
    """Every file is the one that the run wrote."""
    folder, recorded = _folder(record), record.files or {}
    for file in files.KEPT:
        name, there = f"file {file}", os.path.lexists(folder / file)
        wanted = recorded.get(file)
        if wanted is None and not there:
            continue
        if wanted is None:
            why = "no hash to check: the record is older than hashes of files"
            if record.files is not None:
                yield ProofCheck(
                    name=name, status="failed", detail="the run did not write it: the record has no hash of it"
                )
            else:
                yield ProofCheck(name=name, status="not checkable", detail=why)
        elif not there:
            yield ProofCheck(name=name, status="not checkable", detail=f"not here; its hash is {printable(wanted)}")
        else:
            yield _hash_of(name, folder / file, wanted)


def _hash_of(name: str, path: Path, wanted: str) -> ProofCheck:
    try:
        found = linked_digest(path)
    except (AbsentError, UnusableError) as error:
        return ProofCheck(name=name, status="failed", detail=str(error))
    if found != wanted:
        why = f"it was changed, or is another run's: its hash is {found[:16]}, recorded is {printable(wanted[:16])}"
        return ProofCheck(name=name, status="failed", detail=why)
    return ProofCheck(name=name, status="passed", detail=f"hash {found[:16]}")


def scorer(record: RunRecord) -> ProofCheck:
    """The scorer is that of this run."""
    try:
        header, _ = read_scorer(link_target(_folder(record) / files.SCORER))
    except UnusableError as error:
        return ProofCheck(name="scorer", status="failed", detail=printable(error))
    if header.run_id != record.run_id:
        why = f"it is that of another run, {printable(header.run_id)}"
        return ProofCheck(name="scorer", status="failed", detail=why)
    return ProofCheck(name="scorer", status="passed", detail=f"made by this run; of the kind {header.kind}")


def _folder(record: RunRecord) -> Path:
    assert record.folder is not None
    return Path(record.folder)
