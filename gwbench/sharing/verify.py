"""`gwbench verify`: whether a record says what its files, its spec and its data give."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gwbench.errors import UserError
from gwbench.experiment.record import RECORD, RunRecord, load_record
from gwbench.registry import REGISTRY
from gwbench.reporting.records.discover import find_records
from gwbench.sharing.check import ProofCheck
from gwbench.sharing.static_checks import static_checks
from gwbench.utils import progress as progress_bars
from gwbench.utils.list_text import names_of
from gwbench.utils.models import FrozenModel
from gwbench.utils.untrusted_files import UnusableError

if TYPE_CHECKING:
    from gwbench.utils.progress import Progress

FIGURES = ("figures", "figures again")
"""The checks of which one is needed to prove anything: the record's metrics are those of its test scores."""


class RunProof(FrozenModel):
    """What came of checking a run.

    Attributes:
        folder: of the run.
        run_id: its identity.
        title: the method in words.
        checks: each with its outcome, in the order in which they were made.
    """

    folder: str
    run_id: str
    title: str
    checks: tuple[ProofCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed, and the record's figures were checked."""
        return not self.failed and any(each.name in FIGURES and each.status == "passed" for each in self.checks)

    @property
    def failed(self) -> tuple[ProofCheck, ...]:
        """The checks that failed."""
        return tuple(each for each in self.checks if each.status == "failed")

    @property
    def summary(self) -> str:
        """How many checks passed, failed and could not be made."""
        counts = dict.fromkeys(("passed", "failed", "not checkable"), 0)
        for check in self.checks:
            counts[check.status] += 1
        words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        if self.ok or self.failed:
            return words
        return f"{words}; nothing is proved, since the figures could not be checked"

    def __repr__(self) -> str:
        """The run and the outcome; one that is not well is named."""
        named = "".join(f"; {each.name}: {each.detail}" for each in self.failed)
        return f"<RunProof of {self.title} ({self.run_id}): {self.summary}{named}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = "".join(
            f"<tr><td>{html.escape(each.name)}</td><td>{each.status}</td>"
            f'<td style="text-align:left">{html.escape(each.detail)}</td></tr>'
            for each in self.checks
        )
        return f"<p>{html.escape(self.title)} ({html.escape(self.run_id)}): {self.summary}</p><table>{rows}</table>"


def verify(
    folder: str | Path,
    *,
    rerun_probe: bool = False,
    plugins: Sequence[str] = (),
    cache: str | Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> RunProof:
    """Check a finished run: its figures, its identity, the code of its plugins and its files.

        proof = gwbench.verify("runs/...")
        proof.ok, proof.checks

    Args:
        folder: of the run, or an entry of benchmarks/results.
        rerun_probe: whether the data are made again, the saved encoder embeds them, and its probe is fitted anew.
        plugins: files or modules that register the run's plugins; they are executed.
        cache: folder of generated data; by default the user's cache folder.
        device: where the encoder computes.
        progress: where to report; by default a bar on a terminal, nothing elsewhere.

    Raises:
        UserError: there is no record of a finished run that can be read.
    """
    for source in names_of(plugins):
        REGISTRY.load_source(source)
    record = finished_record(folder)
    checks = list(static_checks(record))
    if rerun_probe:
        from gwbench.sharing.rerun_probe import rerun_checks

        checks += rerun_checks(record, cache=cache, device=device, progress=progress or progress_bars.default())
    return RunProof(folder=str(record.folder), run_id=record.run_id, title=record.spec.title, checks=tuple(checks))


def finished_record(folder: str | Path) -> RunRecord:
    """The record of a finished run, by its folder or its file.

    Raises:
        UserError: there is none, it cannot be read, or the run failed.
    """
    path = Path(folder)
    path = path / RECORD if path.is_dir() else path
    try:
        record = load_record(path).record
    except UnusableError as error:
        raise UserError(f"{path} is no record of a run ({error}). Give the folder of a run.") from None
    if record.status != "ok":
        raise UserError(f"The run in {path.parent} failed, so that there is nothing to prove: {record.reason}.")
    return record


def runs_below(folders: Iterable[str | Path]) -> list[Path]:
    """The folders of runs that some folders are or hold.

    Raises:
        UserError: a folder is not there, or holds no run.
    """
    found: list[Path] = []
    for folder in map(Path, folders):
        if folder.is_file() or (folder / RECORD).exists():
            found.append(folder)
            continue
        below = [Path(path).parent for path, problem in find_records([folder]) if problem is None]
        if not below:
            raise UserError(f"There is no {RECORD} in or below {folder}. Give the folder of a run.")
        found += sorted(below)
    return list(dict.fromkeys(found))
