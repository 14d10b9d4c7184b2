"""How a run was done: the method in sentences, and what a person needs who does it again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gwbench.reporting.html.formatting import count, seconds_text, spaced, value_cell, value_text
from gwbench.reporting.html.report_section import Fact, ReportSection
from gwbench.reporting.html.tables import HtmlTable, TableCell, TableColumn, TableRow
from gwbench.reporting.records.method import as_text, method_of

if TYPE_CHECKING:
    from gwbench.experiment.record import RunRecord


def method(record: RunRecord) -> ReportSection:
    """How the encoder was trained, and how it was evaluated."""
    spec, metrics, data = record.spec, record.metrics, record.data
    assert data
    trained = (
        f"Strain of {spec.dataset.name} ({', '.join(data.detectors)} at {data.sample_rate:g} Hz) was conditioned by "
        f"“{spec.conditioning.method}” between {spec.conditioning.low:g} and {spec.conditioning.high:g} Hz."
    )
    if spec.training and spec.encoder and spec.pairing and spec.objective:
        views = f"the pairing {spec.pairing.name}"
        if spec.augmentations:
            views += f" and the augmentations {', '.join(choice.name for choice in spec.augmentations)}"
        trained += (
            f" The encoder {spec.encoder.name} ({_encoders(record)}) was pre-trained for "
            f"{count(_epochs(record), 'epoch')} on {data.sizes.get('train', 0):,} training windows without "
            f"their labels: {views} made two views of every window, and the loss was that of {spec.objective.name}."
        )
        if spec.extends:
            trained += f" That went on from run {spec.extends.run_id}, after its {spec.extends.epochs} epochs."
        if "pretrained_by" in record.details:
            trained += f" That pre-training is the one of run {record.details['pretrained_by']}, which was taken over."
    frozen = "then frozen" if spec.training else "frozen"
    if spec.encoder_from:
        trained += _lent(record)
    if spec.baseline:
        start = " from there" if spec.training else f" with the encoder {spec.encoder.name}" if spec.encoder else ""
        evaluated = (
            f"The baseline {spec.baseline.name} gave the scores{start}. {data.labelled:,} labelled training windows "
            "were open to it."
        )
    elif not spec.uses_labels and spec.objective:
        evaluated = (
            f"The encoder was {frozen}, and no label was used: the score is the log-odds that the head of the "
            f"objective {spec.objective.name} gives by itself."
        )
    else:
        evaluated = (
            f"The encoder was {frozen}. A linear probe on its embeddings learnt from {data.labelled:,} labelled "
            f"windows, and {data.sizes.get('val', 0):,} validation windows chose its strength."
        )
    tested = (
        f" The {metrics.n_test:,} test windows, {metrics.n_signal:,} with a signal and {metrics.n_noise:,} without, "
        "were scored once."
        if metrics
        else f" The {data.sizes.get('test', 0):,} test windows were predicted once."
    )
    evaluated += tested
    return ReportSection("What was run", paragraphs=[trained, evaluated, *_objects(record)], command=record.command)


def _objects(record: RunRecord) -> Iterator[str]:
    """That no command line gives the run again, where it was given objects in Python."""
    if record.objects:
        named = ", ".join(f"{used.class_name} as {used.kind} {used.name}" for used in record.objects)
        yield (
            f"No command line gives this run again: it was given objects in Python ({named}). The call below needs "
            "them; the record holds their code, and Provenance the hashes of code and state."
        )


def _lent(record: RunRecord) -> str:
    """Where the encoder of another run is from."""
    source, encoder = record.spec.encoder_from, record.spec.encoder
    assert source and encoder
    whose = "measured anew on these data, without labels" if source.conditioner == "refit" else "that run's own"
    return (
        f" The encoder {encoder.name} ({_encoders(record)}) is the one that run {source.run_id} pre-trained on "
        f"{source.dataset.name} with seed {source.seed}; nothing was pre-trained here. The conditioner is {whose}."
    )


def _epochs(record: RunRecord) -> int:
    """Epochs of pre-training: those of the settings, or as many as there were where they do not say when it ends."""
    settings, outcome = record.spec.training, record.training
    if settings and not (settings.windows or settings.stop != "none" or record.spec.extends):
        return settings.epochs
    return len(outcome.loss) if outcome else 0


def _encoders(record: RunRecord) -> str:
    groups = record.spec.encoder_groups
    serves = {
        "shared": "one for all detectors",
        "each": "one for each detector",
        "network": "seeing all detectors at once",
    }
    size = f"{record.parameters:,} parameters, " if record.parameters else ""
    return size + serves.get(groups, f"one for each group of {groups}")


def details(record: RunRecord) -> ReportSection | None:
    """What the method reports of itself: single values, then tables, then the rest as it is."""
    single: list[Fact] = []
    tables: list[tuple[str, HtmlTable]] = []
    for name, value in record.details.items():
        title = spaced(name)
        if isinstance(value, (str, int, float, bool)) or value is None:
            single.append((title, value_text(value)))
        elif rows := _as_rows(value):
            columns = [TableColumn(spaced(str(key)), left=not number) for number, key in enumerate(rows[0])]
            body = [TableRow([value_cell(row[key]) for key in rows[0]]) for row in rows]
            tables.append((title, HtmlTable(columns, body, name=f"details-{len(tables)}", noun=title)))
        elif isinstance(value, list):
            single.append((title, ", ".join(map(value_text, value))))
        else:
            single.append((title, json.dumps(value)))
    if not record.details:
        return None
    return ReportSection("The method’s own account", "details", facts=single, folds=tables)


def _as_rows(value: Any) -> list[dict[str, Any]] | None:
    """A list of mappings with the same keys."""
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) and each for each in value):
        return None
    return value if all(each.keys() == value[0].keys() for each in value) else None


def data_used(record: RunRecord) -> ReportSection:
    """The dataset, its windows, and the hashes that identify them."""
    data = record.data
    assert data
    sizes = ", ".join(f"{name} {count:,}" for name, count in data.sizes.items())
    facts: list[Fact] = [
        ("dataset", record.spec.dataset.name),
        ("detectors", ", ".join(data.detectors)),
        ("sample rate", f"{data.sample_rate:g} Hz"),
        ("windows", sizes),
        ("labels used", f"{data.labelled:,}"),
        ("test windows without a label", f"{record.metrics.n_unlabelled:,}" if record.metrics else "–"),
        ("content hash", data.content_hash),
        *((f"fingerprint: {name}", digest) for name, digest in data.fingerprint.items()),
    ]
    return ReportSection("Data", "data", facts=facts, notes=data.notes)


def timing(record: RunRecord) -> ReportSection | None:
    """What every phase took, and the peak memory."""
    if not record.phases:
        return None
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
    note = "The time of a pre-training that was taken over is the one that it took then."
    return ReportSection(
        "Time and memory",
        note=note if "pretrained_by" in record.details else "",
        facts=[("in all", seconds_text(total)), ("peak memory", memory)],
        table=HtmlTable(columns, rows, name="phases", noun="phases"),
    )


def provenance(record: RunRecord) -> ReportSection:
    """Code, machine, plugins, settings and seeds."""
    environment = record.environment
    facts: list[Fact] = [
        ("gwbench", environment.gwbench),
        ("commit", environment.git_commit or "not run from a checkout"),
        ("device", environment.device),
        *([("devices", environment.devices)] if environment.devices > 1 else []),
        *([("machines", environment.nodes)] if environment.nodes > 1 else []),
        *((spaced(name), value) for name, value in environment.hardware.items()),
    ]
    plugins = HtmlTable(
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
    folds = [
        ("All settings", _pairs("setting", settings, "settings")),
        ("Versions", _pairs("package", versions, "versions")),
    ]
    if record.seeds:
        folds.append(("Seeds", _pairs("role", record.seeds, "seeds")))
    for number, used in enumerate(record.objects or ()):
        facts_of = {
            "class": used.class_name,
            "SHA-256 of its code": used.source_hash,
            "SHA-256 of its state": used.state_hash,
        }
        folds.append((f"The {used.kind} {used.name}, an object", _pairs("object", facts_of, f"object-{number}")))
    return ReportSection("Provenance", "provenance", facts=facts, table=plugins, folds=folds)


def _pairs(heading: str, values: Mapping[str, object], name: str) -> HtmlTable:
    """Names and their values as a table."""
    rows = [TableRow([key, str(value)]) for key, value in values.items()]
    return HtmlTable([TableColumn(heading, left=True), TableColumn("value", left=True)], rows, name=name, noun=name)
