"""Publish the searches of a suite's runs: their records, and the table made of them, into benchmarks/searches.

    gwbench data make continuous --hours 4 --seed 1 --out strain
    gwbench suite run benchmarks/search-gaussian.yaml
    python benchmarks/publish_searches.py benchmarks/search-gaussian.yaml --strain strain

Every finished run of the suite scans the set's foreground and its background; scans that were done before are not done
again. Its published record is that of `gwbench search evaluate`: the sensitive distance by MLGWSC-1's definition, with
the background's events as false alarms, and the loudest triggers. The records of searches and of runs go to
benchmarks/searches/search-gaussian, and `searches.md` there ranks the searches.
`python benchmarks/publish_searches.py --tables` makes the tables again from what is published.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import click

from gwbench.experiment.record import RECORD, read_record
from gwbench.reporting.searches.build import rank_searches
from gwbench.reporting.searches.text_formats import joined_markdown
from gwbench.search.evaluate import evaluate_search
from gwbench.search.event_files import EventFile, EventList
from gwbench.search.injection_files import read_injections
from gwbench.search.reach import RATES
from gwbench.search.record import SEARCH, SearchRecord, write_search_record
from gwbench.search.scan import scan
from gwbench.suite.run import plan
from gwbench.utils.progress import TerminalProgress

ROOT = Path(__file__).parent.parent
RESULTS = Path("benchmarks/searches")
"""Relative to the root of the repository."""

AT = 900.0
"""False alarms a month of 30 days by which the table is sorted; `RATES` and the one below are in it too."""

RAREST = 180.0
"""One event in four hours: the rarest rate of which the shipped sets say anything."""

STRIDES = {"matched-filter": 0.7}
"""Seconds between windows, where they are not a tenth: the filter takes the loudest time of a window of 2 s."""

KEPT = 100
"""Triggers of a published record."""


@click.command()
@click.argument("suite", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--runs", default="runs", type=click.Path(path_type=Path), help="Where the suite ran.")
@click.option("--strain", default="strain", type=click.Path(path_type=Path), help="The set of continuous strain.")
@click.option("--searches", default="searches", type=click.Path(path_type=Path), help="Where scans are kept.")
@click.option("--processes", default=1, show_default=True, help="That share a scan.")
@click.option("--tables", "tables_only", is_flag=True, help="Only make the tables again, of everything published.")
def main(suite: Path | None, runs: Path, strain: Path, searches: Path, processes: int, tables_only: bool) -> None:
    """Publish the searches of SUITE's runs."""
    if tables_only == bool(suite):
        raise click.UsageError("Give the suite whose runs search, or --tables alone.")
    if suite is not None:
        for status in plan(suite, out=runs).cell_statuses:
            if status.status == "done":
                record = searched(status.folder, strain, searches, processes)
                published = (ROOT / RESULTS / suite.stem).resolve()
                for kind in ("runs", "searches"):
                    (published / kind / status.folder.name).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(status.folder / RECORD, published / "runs" / status.folder.name / RECORD)
                write_search_record(published / "searches" / status.folder.name / SEARCH, record)
    os.chdir(ROOT)
    for name in sorted(path.parent.name for path in RESULTS.glob("*/searches")):
        for path, text in tables(name).items():
            path.write_text(text, encoding="utf-8")


def searched(run: Path, strain: Path, searches: Path, processes: int) -> SearchRecord:
    """The evaluated search of one run."""
    stride = next((STRIDES[name] for name in STRIDES if run.name.startswith(name)), 0.1)
    progress = TerminalProgress()
    files = {name: strain / f"{name}.hdf" for name in ("foreground", "background")}
    scans = {
        name: scan(run, [path], stride=stride, slides=0, searches=searches, processes=processes, progress=progress)
        for name, path in files.items()
    }
    events = {name: EventFile(Path(str(one.folder)), EventList.of(one.triggers), one) for name, one in scans.items()}
    injections = strain / "injections.hdf"
    words = ["gwbench", "search", "evaluate"]
    for name, one in scans.items():
        words += [f"--{name}-events", str(one.folder), f"--{name}", str(files[name])]
    words += ["--injections", str(injections), "--far", f"{AT:g}", "--far", f"{RAREST:g}"]
    record = evaluate_search(
        [events["foreground"]],
        (injections, read_injections(injections)),
        background=[events["background"]],
        foreground_strain=[files["foreground"]],
        background_strain=[files["background"]],
        rates=(*RATES, AT, RAREST),
        command=shlex.join(words),
        progress=progress,
    )
    return record.model_copy(update={"triggers": record.triggers[:KEPT]})


def tables(name: str) -> dict[Path, str]:
    """The files made from published searches, by their path relative to the repository's root (the cwd)."""
    folder = RESULTS / name
    aucs = {}
    for path in folder.glob(f"runs/*/{RECORD}"):
        run = read_record(path.parent)
        if run.metrics is not None:
            aucs[run.run_id] = run.metrics.auc.value
    ranking = rank_searches([folder / "searches"], AT, aucs)
    return {folder / "searches.md": re.sub(r"\n{3,}", "\n\n", joined_markdown(None, ranking))}


if __name__ == "__main__":
    main()
