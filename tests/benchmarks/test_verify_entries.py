"""Entries of a pull request: good ones pass, and what was forged, left out or smuggled in is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from benchmarks import verify_entries
from gwbench.experiment.record import PREDICTIONS, RECORD

ROOT = Path(__file__).parents[2]
ADDED = "cnn1d-cross-detector-vicreg-bbh-s"
"""A method of the published quickstart: three runs, which the base lacks."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the quickstart alone."""
    results = tmp_path_factory.mktemp("published") / "benchmarks" / "results"
    shutil.copytree(ROOT / "benchmarks" / "results" / "quickstart", results / "quickstart")
    return results


@pytest.fixture(scope="module")
def base(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("base") / "results"
    shutil.copytree(published, results)
    for folder in list(results.glob(f"quickstart/runs/{ADDED}*")):
        shutil.rmtree(folder)
    return results


@pytest.fixture
def head(published: Path, tmp_path: Path) -> Path:
    results = tmp_path / "benchmarks" / "results"
    shutil.copytree(published, results)
    return results


def checked(head: Path, base: Path) -> Result:
    return CliRunner().invoke(verify_entries.main, ["--head", str(head), "--base", str(base)])


def one(head: Path) -> Path:
    return next(iter(sorted(head.glob(f"quickstart/runs/{ADDED}*"))))


def test_good_entries_pass_and_only_what_differs_is_looked_at(head: Path, base: Path) -> None:
    result = checked(head, base)
    assert result.exit_code == 0, result.output
    assert "6 files" in result.output and "every entry is verified" in result.output
    assert checked(base, base).exit_code == 0


def _forge_auc(head: Path) -> None:
    document = json.loads((one(head) / RECORD).read_text())
    document["metrics"]["auc"] = {"value": 0.9999, "low": 0.999, "high": 1.0}
    (one(head) / RECORD).write_text(json.dumps(document))


def _forge_scores(head: Path) -> None:
    with np.load(one(head) / PREDICTIONS) as arrays:
        np.savez(one(head) / PREDICTIONS, **{**arrays, "score": arrays["label"].astype(np.float32)})


def _change_spec(head: Path) -> None:
    document = json.loads((one(head) / RECORD).read_text())
    document["spec"]["training"]["epochs"] = 500
    (one(head) / RECORD).write_text(json.dumps(document))


def _add(name: str, content: bytes = b"raise SystemExit('executed')") -> Callable[[Path], None]:
    def add(head: Path) -> None:
        path = head / "quickstart" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return add


def _link(head: Path) -> None:
    (one(head) / PREDICTIONS).unlink()
    (one(head) / PREDICTIONS).symlink_to("/etc/hostname")


def _other_code(head: Path) -> None:
    document = json.loads((one(head) / RECORD).read_text())
    document["plugins"][1]["source_hash"] = "0" * 64
    (one(head) / RECORD).write_text(json.dumps(document))


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "forged AUC": (_forge_auc, "figures: ROC-AUC is 0.999900 in the record"),
    "forged scores": (_forge_scores, "figures: ROC-AUC is 0.9"),
    "changed spec": (_change_spec, "identity: spec, code and data give"),
    "other code": (_other_code, "other code"),
    "a seed left out": (lambda head: shutil.rmtree(one(head)), "seed 0 (the same command with --seed 0)"),
    "an edited table": (_add("leaderboard.md", b"# mine is best"), "leaderboard.md is not that of the records"),
    "weights": (_add(f"runs/{ADDED}9/weights.safetensors"), "weights stay outside the repository"),
    "a script": (_add("conftest.py"), "nothing of this name belongs there"),
    "no record": (_add(f"runs/{ADDED}9/{RECORD}", b"{"), "is no record of a run"),
    "a link": (_link, f"{PREDICTIONS}: a link"),
    "too much": (_add("sources/mine/mine.py", b"#" * (5 * 2**20)), "more than"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_wrong_is_named(head: Path, base: Path, change: str) -> None:
    do, said = CHANGES[change]
    do(head)
    result = checked(head, base)
    assert result.exit_code == 1, result.output
    assert said in result.output


def test_a_published_run_is_not_taken_away_unseen(head: Path, published: Path) -> None:
    shutil.rmtree(one(head))
    result = checked(head, published)
    assert result.exit_code == 1 and "a published run is taken away" in result.output


def test_the_workflow_reads_a_pull_request_and_executes_nothing_of_it() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "verify-entries.yml").read_text())
    assert list(workflow[True]) == ["pull_request"]  # YAML reads the key "on" as true
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["verify"]["steps"]
    assert {step["working-directory"] for step in steps if "run" in step} == {"base"}
    assert "secrets." not in json.dumps(workflow)
    assert "python -m benchmarks.verify_entries --head ../head/benchmarks/results" in steps[-1]["run"]
