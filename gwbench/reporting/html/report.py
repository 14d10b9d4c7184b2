"""One run as a page: what was done, what came of it, and how to do it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gwbench.reporting.html.formatting import date
from gwbench.reporting.html.page import command, document, facts, prose, section
from gwbench.reporting.html.report_inputs import RunFiles, read_run
from gwbench.reporting.html.report_provenance import data_used, details, in_words, provenance, timing
from gwbench.reporting.html.report_results import detection, embeddings, headline, pretraining

if TYPE_CHECKING:
    from gwbench.experiment.record import RunRecord
    from gwbench.utils.progress import Progress, Task

REPORT = "report.html"

STEPS = 5
"""What the progress counts: reading, and four groups of figures."""


def report(run: str | Path, progress: Progress) -> str:
    """A run's report as a self-contained HTML page; the same bytes for the same run.

    Args:
        run: its folder, or its record file.
        progress: where to report.

    Raises:
        UserError: there is no run, or its folder is damaged.
    """
    with progress.task("Draw the report", STEPS) as task:
        found = read_run(run)
        task.advance()
        record = found.record
        parts = [_lead(record), *(_failed(record) if record.status != "ok" else _finished(found, task))]
        parts += [timing(record), provenance(record)]
        return document(f"{record.spec.title} on {record.spec.dataset.name}", "\n".join(filter(None, parts)))


def _lead(record: RunRecord) -> str:
    spec = record.spec
    pairs: list[tuple[str, object]] = [("run", record.run_id), ("recorded", date(record.created))]
    pairs += [("seed", spec.seed), ("seed of the data", spec.data_seed), ("precision", spec.precision)]
    return facts(pairs)


def _failed(record: RunRecord) -> Iterator[str]:
    yield section(
        "This run failed",
        f"<p><mark>{prose(record.reason or 'No reason is recorded.')}</mark></p>\n"
        "<p>It has no figures. The same command tries it again.</p>\n" + command(record.command),
    )


def _finished(found: RunFiles, task: Task) -> Iterator[str]:
    record = found.record
    yield headline(record)
    yield section("What was run", in_words(record) + command(record.command))
    yield detection(found)
    task.advance()
    yield pretraining(found)
    task.advance()
    yield embeddings(found)
    task.advance()
    yield details(record)
    yield data_used(record)
    task.advance()
