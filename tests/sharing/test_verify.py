"""A run proves itself, and whatever is changed in it is found."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import gwbench
from gwbench.cli.verify import verify as verb
from gwbench.errors import UserError
from gwbench.experiment.record import CONDITIONER, PREDICTIONS, RECORD, SCORER, WEIGHTS, load_record
from gwbench.sharing.verify import RunProof, runs_below, verify
from tests.reporting.synthetic_runs import write_run
from tests.sharing.proved_runs import DATA, baseline, edit_record, forge, replace_scores, trained

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("verified"))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run that may be damaged."""
    place = tmp_path / made.name
    shutil.copytree(made, place)
    return place


def outcome(found: RunProof, name: str) -> tuple[str, str]:
    (check,) = [each for each in found.checks if each.name == name]
    return check.status, check.detail


def test_a_run_proves_itself_to_the_last_bit(made: Path) -> None:
    found = gwbench.verify(made, rerun_probe=True)
    assert found.ok and {each.status for each in found.checks} == {"passed"}, repr(found)
    assert "all 48 are the same" in outcome(found, "scores")[1]
    assert "kNN AUC" in outcome(found, "figures again")[1]
    assert repr(found).startswith("<RunProof of cnn1d + cross-detector + barlow (")
    assert "figures again" in found._repr_html_()
    files = load_record(made / RECORD).record.files
    assert files is not None and set(files) >= {PREDICTIONS, WEIGHTS, CONDITIONER, SCORER}
    assert files[WEIGHTS] == hashlib.sha256((made / WEIGHTS).read_bytes()).hexdigest()


def _of(*keys: str, to: Any) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        def edit(document: dict[str, Any]) -> None:
            place = document
            for key in keys[:-1]:
                place = place[key]
            place[keys[-1]] = to

        edit_record(run, edit)

    return change


def _swap(run: Path) -> None:
    shutil.copyfile(run / CONDITIONER, run / WEIGHTS)


def _cut(run: Path) -> None:
    (run / PREDICTIONS).write_bytes((run / PREDICTIONS).read_bytes()[:-200])


def _link(run: Path) -> None:
    (run / PREDICTIONS).rename(run / "elsewhere.npz")
    (run / PREDICTIONS).symlink_to(run / "elsewhere.npz")


def _scorer_of_another(run: Path) -> None:
    content = (run / SCORER).read_bytes()
    own = load_record(run / RECORD).record.run_id.encode()
    (run / SCORER).write_bytes(content.replace(own, b"0123456789abcdef"))


CHANGES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "forged AUC": (_of("metrics", "auc", to={"value": 0.9999, "low": 0.999, "high": 1.0}), "figures", "0.999900"),
    "forged bin": (_of("metrics", "per_snr_bin", to=[]), "figures", "SNR bins"),
    "NaN": (lambda run: replace_scores(run, score=np.full(48, np.nan)), "figures", "NaN"),
    "truncated": (_cut, "figures", "cannot be read"),
    "link": (_link, "figures", "cannot be opened"),
    "changed spec": (_of("spec", "training", "epochs", to=50), "identity", "and the record says"),
    "changed seed": (_of("spec", "seed", to=7), "seeds", "not the one that the spec gives"),
    "other protocol": (_of("protocol", to=2), "identity", "and the record says"),
    "other run": (_of("run_id", to="0123456789abcdef"), "folder", "the record is that of 0123456789abcdef"),
    "fewer windows": (_of("data", "sizes", "test", to=50), "splits", "48 test windows were scored"),
    "more labels": (_of("data", "labelled", to=1000), "splits", "1,000 labels"),
    "swapped weights": (_swap, f"file {WEIGHTS}", "was changed, or is another run's"),
    "swapped scorer": (_scorer_of_another, "scorer", "of another run, 0123456789abcdef"),
    "unknown rate": (_of("metrics", "tpr_at_fpr", "often", to=None), "figures", "often is no false-positive rate"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_found(run: Path, change: str) -> None:
    do, name, said = CHANGES[change]
    do(run)
    found = verify(run)
    status, detail = outcome(found, name)
    assert (status, said in detail, found.ok) == ("failed", True, False), detail


def test_forged_scores_with_a_record_to_match_are_found_by_the_probe_alone(run: Path) -> None:
    forge(run)
    assert verify(run).ok
    found = verify(run, rerun_probe=True)
    assert outcome(found, "scores")[0] == outcome(found, "figures again")[0] == "failed"
    assert outcome(found, "data")[0] == outcome(found, "labels")[0] == "passed"
    replace_scores(run, label=np.zeros(48, np.int8) + (np.arange(48) % 2))
    assert outcome(verify(run, rerun_probe=True), "labels")[0] == "failed"


def test_other_data_and_another_protocol_are_told_apart_from_forgery(run: Path) -> None:
    edit_record(run, lambda document: document["data"].update(content_hash="0" * 64))
    found = verify(run, rerun_probe=True)  # as from a processor that rounds otherwise
    assert outcome(found, "data")[0] == outcome(found, "scores")[0] == "passed"
    assert "labels and SNRs of the test windows are the same" in outcome(found, "data")[1]
    kept = (run / PREDICTIONS).read_bytes()
    replace_scores(run, label=np.zeros(48, np.int8) + (np.arange(48) % 2))
    found = verify(run, rerun_probe=True)
    assert outcome(found, "data")[0] == "failed"
    assert "scores" not in {check.name for check in found.checks}
    (run / PREDICTIONS).unlink()
    assert "no predictions.npz to compare" in outcome(verify(run, rerun_probe=True), "rerun")[1]
    (run / PREDICTIONS).write_bytes(kept)
    edit_record(run, lambda document: document.update(protocol=2))
    assert "protocol has version 2" in outcome(verify(run, rerun_probe=True), "rerun")[1]


def test_what_is_not_here_is_not_checkable_and_proves_nothing(run: Path) -> None:
    for name in (WEIGHTS, PREDICTIONS):
        (run / name).unlink()
    found = verify(run, rerun_probe=True)
    assert outcome(found, "figures") == ("not checkable", "there is no predictions.npz")
    assert outcome(found, f"file {WEIGHTS}")[0] == "not checkable"
    assert "the encoder is not here" in outcome(found, "rerun")[1]
    assert not found.failed and not found.ok
    assert "nothing is proved" in found.summary


def test_baselines_are_carried_out_again_or_scored_by_what_they_kept(tmp_path: Path) -> None:
    for name, how in (("band-power", "carried out again"), ("oracle", "carried out again")):
        found = verify(baseline(tmp_path, name), rerun_probe=True)
        assert found.ok and how in outcome(found, "scores")[1], repr(found)
    record = gwbench.run(
        baseline="supervised",
        encoder="cnn1d",
        settings={**DATA, "baseline.epochs": 1, "baseline.epoch_steps": 2},
        out=tmp_path,
    )
    found = verify(str(record.folder), rerun_probe=True)
    assert found.ok and "by the saved scorer" in outcome(found, "scores")[1], repr(found)


def test_published_entries_verify(tmp_path: Path) -> None:
    for folder in sorted(RESULTS.glob("*/runs/*"))[::40]:
        found = verify(folder)
        assert found.ok, repr(found)
        status, detail = outcome(found, f"file {PREDICTIONS}")
        if load_record(folder / RECORD).record.files is not None:
            assert status == "passed"
        else:
            assert (status, detail) == (
                "not checkable",
                "no hash to check: the record is older than hashes of files",
            )


def test_the_command_line_shows_a_table_and_ends_in_its_code(run: Path, tmp_path: Path) -> None:
    good = CliRunner().invoke(verb, [str(run.parent), "--json"])
    document = json.loads(good.stdout)
    assert (good.exit_code, document["ok"], len(document["runs"])) == (0, True, 1)
    assert {each["status"] for each in document["runs"][0]["checks"]} == {"passed"}
    CHANGES["forged AUC"][0](run)
    bad = CliRunner().invoke(verb, [str(run)])
    assert bad.exit_code == 1 and "failed" in bad.stdout and "0.999900" in bad.stdout
    with pytest.raises(UserError, match=r"no folder|no record\.json"):
        runs_below([tmp_path / "absent"])
    failed = write_run(tmp_path / "failed", failed="it burnt")
    with pytest.raises(UserError, match="nothing to prove: it burnt"):
        verify(failed)


def test_records_without_hashes_are_written_as_before(tmp_path: Path) -> None:
    record = load_record(write_run(tmp_path) / RECORD).record
    assert record.files is None and "files" not in record.model_dump()


def test_the_figures_of_another_task_are_proved_by_the_data_alone(tmp_path: Path) -> None:
    run = trained(tmp_path, task="chirp-mass")
    assert outcome(verify(run), "figures")[0] == "not checkable" and not verify(run).ok
    found = verify(run, rerun_probe=True)
    assert found.ok and outcome(found, "figures again")[0] == "passed", repr(found)
    edit_record(run, lambda document: document["task_metrics"]["r2"].update(value=0.99))
    found = verify(run, rerun_probe=True)
    assert "r2.value 0.9900 recorded" in outcome(found, "figures again")[1] and not found.ok
