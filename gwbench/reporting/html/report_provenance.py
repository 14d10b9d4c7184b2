"""How a run was done: the sections in words, and those that a person needs who does it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gwbench.reporting.html.formatting import count, seconds_text, value_cell, value_text, words
from gwbench.reporting.html.page import (
    TableCell,
    TableColumn,
    TableRow,
    escape,
    facts,
    fold,
    listing,
    prose,
    section,
    table,
)
from gwbench.reporting.records.method import as_text, method_of

if TYPE_CHECKING:
    from gwbench.experiment.record import RunRecord


def in_words(record: RunRecord) -> str:
    """The method section: how the encoder came about, and how it was judged."""
    spec, metrics, known = record.spec, record.metrics, record.data
    assert metrics and known
    made = (
        f"Strain of {spec.dataset.name} ({', '.join(known.detectors)} at {known.sample_rate:g} Hz) was conditioned by "
        f"“{spec.conditioning.method}” between {spec.conditioning.low:g} and {spec.conditioning.high:g} Hz."
    )
    if spec.training and spec.encoder and spec.pairing and spec.objective:
        views = f"the pairing {spec.pairing.name}"
        if spec.augmentations:
            views += f" and the augmentations {', '.join(choice.name for choice in spec.augmentations)}"
        made += (
            f" The encoder {spec.encoder.name} ({_encoders(record)}) was pre-trained for "
            f"{count(spec.training.epochs, 'epoch')} on {known.sizes.get('train', 0):,} training windows without "
            f"their labels: {views} made two views of every window, and the loss was that of {spec.objective.name}."
        )
        if "pretrained_by" in record.details:
            made += f" That pre-training is the one of run {record.details['pretrained_by']}, which was taken over."
    if spec.baseline:
        start = " from there" if spec.training else f" with the encoder {spec.encoder.name}" if spec.encoder else ""
        judged = (
            f"The baseline {spec.baseline.name} gave the scores{start}. {known.labelled:,} labelled training windows "
            "were open to it."
        )
    else:
        judged = (
            f"The encoder was then frozen. A linear probe on its embeddings learnt from {known.labelled:,} labelled "
            f"windows, and {known.sizes.get('val', 0):,} validation windows chose its strength."
        )
    judged += (
        f" The {metrics.n_test:,} test windows, {metrics.n_signal:,} with a signal and {metrics.n_noise:,} without, "
        "were scored once."
    )
    return f"<p>{prose(made)}</p>\n<p>{prose(judged)}</p>\n"


def _encoders(record: RunRecord) -> str:
    groups = record.spec.encoder_groups
    serves = {
        "shared": "one for all detectors",
        "each": "one for each detector",
        "network": "seeing all detectors at once",
    }
    size = f"{record.parameters:,} parameters, " if record.parameters else ""
    return size + serves.get(groups, f"one for each group of {groups}")


def details(record: RunRecord) -> str:
    """What the method reports of itself: single values, then tables, then the rest as it is."""
    single: list[tuple[str, object]] = []
    tables: list[str] = []
    for name, value in record.details.items():
        if isinstance(value, (str, int, float, bool)) or value is None:
            single.append((words(name), value_text(value)))
        elif rows := _as_rows(value):
            columns = [TableColumn(words(str(key)), left=not number) for number, key in enumerate(rows[0])]
            body = [TableRow([value_cell(row[key]) for key in rows[0]]) for row in rows]
            tables.append(fold(words(name), table(columns, body, name=f"details-{len(tables)}", noun=words(name))))
        elif isinstance(value, list):
            single.append((words(name), ", ".join(map(value_text, value))))
        else:
            single.append((words(name), json.dumps(value)))
    if not record.details:
        return ""
    return section("The method’s own account", facts(single) + "".join(tables), anchor="details")


def _as_rows(value: Any) -> list[dict[str, Any]] | None:
    """A list of mappings with the same keys."""
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) and each for each in value):
        return None
    return value if all(each.keys() == value[0].keys() for each in value) else None


def data_used(record: RunRecord) -> str:
    """The dataset, its windows, and the hashes by which they are known."""
    known = record.data
    assert known
    sizes = ", ".join(f"{name} {count:,}" for name, count in known.sizes.items())
    pairs: list[tuple[str, object]] = [
        ("dataset", record.spec.dataset.name),
        ("detectors", ", ".join(known.detectors)),
        ("sample rate", f"{known.sample_rate:g} Hz"),
        ("windows", sizes),
        ("labels used", f"{known.labelled:,}"),
        ("test windows without a label", f"{record.metrics.n_unlabelled:,}" if record.metrics else "–"),
        ("content hash", known.content_hash),
        *((f"fingerprint: {name}", digest) for name, digest in known.fingerprint.items()),
    ]
    return section("Data", facts(pairs) + listing(known.notes), anchor="data")


def timing(record: RunRecord) -> str:
    """What every phase took, and the peak memory."""
    if not record.phases:
        return ""
    total = sum(phase.seconds for phase in record.phases.values())
    rows = [
        TableRow(
            [
                TableCell(name, name),
                TableCell(seconds_text(phase.seconds), phase.seconds),
                TableCell(f"{100 * phase.seconds / total:.0f} %" if total else "–", phase.seconds),
                TableCell(f"{rate:,.0f}", rate) if (rate := phase.samples_per_second) else TableCell("–"),
            ]
        )
        for name, phase in record.phases.items()
    ]
    columns = [TableColumn("phase", left=True), TableColumn("time"), TableColumn("share"), TableColumn("windows/s")]
    memory = f"{record.peak_memory / 2**30:.2f} GiB" if record.peak_memory else "not recorded"
    note = (
        "The time of a pre-training that was taken over is the one that it took then. "
        if ("pretrained_by" in record.details)
        else ""
    )
    body = facts([("in all", seconds_text(total)), ("peak memory", memory)])
    return section("Time and memory", body + table(columns, rows, name="phases", noun="phases"), note=escape(note))


def provenance(record: RunRecord) -> str:
    """Code, machine, plugins, settings and seeds."""
    environment = record.environment
    pairs: list[tuple[str, object]] = [
        ("gwbench", environment.gwbench),
        ("commit", environment.git_commit or "not run from a checkout"),
        ("device", environment.device),
        *([("devices", environment.devices)] if environment.devices > 1 else []),
        *([("machines", environment.nodes)] if environment.nodes > 1 else []),
        *((name.replace("_", " "), value) for name, value in environment.hardware.items()),
    ]
    plugins = table(
        [
            TableColumn("plugin", left=True),
            TableColumn("kind", left=True),
            TableColumn("version"),
            TableColumn("SHA-256 of its source", left=True),
        ],
        [
            TableRow([used.name, used.kind, TableCell(str(used.version), used.version), used.source_hash or "unknown"])
            for used in record.plugins
        ],
        name="plugins",
        noun="plugins",
    )
    dataset = {f"dataset.{name}": value for name, value in record.spec.dataset.parameters.items()}
    parameters = {
        **dataset,
        **method_of(record).parameters,
        "evaluation.label_fraction": record.spec.evaluation.label_fraction,
    }
    settings = {name: as_text(value) for name, value in parameters.items() if " " not in name}  # not versions and code
    versions = {
        "record schema": record.schema_version,
        "evaluation protocol": record.protocol,
        **environment.packages,
    }
    folds = (
        fold("All settings", _pairs("setting", settings, "settings"))
        + fold("Versions", _pairs("package", versions, "versions"))
        + (fold("Seeds", _pairs("role", record.seeds, "seeds")) if record.seeds else "")
    )
    return section("Provenance", facts(pairs) + plugins + folds, anchor="provenance")


def _pairs(heading: str, values: Mapping[str, object], name: str) -> str:
    rows = [TableRow([key, str(value)]) for key, value in values.items()]
    return table([TableColumn(heading, left=True), TableColumn("value", left=True)], rows, name=name, noun=name)
