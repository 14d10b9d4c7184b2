from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import average_precision_score

from gwbench.cli.main import gwbench as cli
from gwbench.errors import UserError
from gwbench.evaluation.metrics import evaluate_scores
from gwbench.experiment.record import DIAGNOSTICS, PREDICTIONS, RECORD
from gwbench.reporting.html.report import render_report
from gwbench.utils.progress import Progress
from tests.reporting.html.browser import Browser
from tests.reporting.html.report_runs import EVIL, embeddings, matrix, title, write_full_run
from tests.reporting.html.test_page import Reader
from tests.reporting.synthetic_runs import LABEL, SNR, scores_of, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_full_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def written(run: Path) -> str:
    return render_report(run, Progress())


@pytest.fixture(scope="module")
def page(run: Path, written: str) -> Path:
    path = run / "report.html"
    path.write_text(written, encoding="utf-8")
    return path


def headings(text: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", text)


def figures(text: str) -> list[str]:
    return re.findall(r'<figcaption><b id="[^"]*">(.*?)</b>', text)


# --- what stands on it ---


def shown(text: str) -> dict[str, str]:
    """The facts of a page by their names."""
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))


def test_the_figures_of_the_head_are_those_of_the_test_scores(run: Path, written: str) -> None:
    metrics = evaluate_scores(LABEL, scores_of(1.5, 0, title(run)), SNR)
    auc, tpr = metrics.auc, metrics.tpr_at_fpr["0.01"]
    assert tpr is not None
    found = Reader(written).text
    assert f"ROC-AUC {auc.value:.4f} 95 % interval {auc.low:.4f} to {auc.high:.4f}" in found
    facts = shown(written)
    assert facts["TPR at FPR 0.01"] == f"{tpr.value:.3f} [{tpr.low:.3f}, {tpr.high:.3f}]"
    assert facts["TPR at FPR 0.001"] == "too few noise windows"  # 150 of them
    assert facts["average precision"] == f"{average_precision_score(LABEL, scores_of(1.5, 0, title(run))):.4f}"
    half = metrics.snr_at_half["0.01"]
    assert half.value == half.high
    assert facts["half found from SNR, FPR 0.01"] == "above 20"


def test_every_figure_is_there_and_every_section(written: str) -> None:
    assert figures(written) == [
        "ROC curve, logarithmic",
        "ROC curve, linear",
        "Efficiency against SNR",
        "Scores",
        "Loss",
        "Spread",
        "Effective rank",
        "Cross-correlation of two views",
        "Embeddings by label",
        "Embeddings by SNR",
    ]
    assert headings(written)[1:] == [
        "What was run",
        "Detection",
        "Pre-training",
        "Embeddings",
        "The method’s own account",
        "Data",
        "Time and memory",
        "Provenance",
    ]
    assert len(written) < 700_000


def test_the_matrix_is_told_in_numbers(written: str) -> None:
    values = matrix().astype(float)
    off = np.sqrt(np.mean(values[~np.eye(len(values), dtype=bool)] ** 2))
    said = f"On the diagonal {np.diag(values).mean():.2f} on average; off it {off:.2f} rms, 0.05 by chance"
    assert said in Reader(written).text
    assert np.diag(values).mean() == pytest.approx(0.5, abs=0.05)  # half of the variance is shared


def test_how_it_came_about_is_there(run: Path, written: str) -> None:
    document = json.loads((run / RECORD).read_text())
    found = Reader(written).text
    assert document["command"] in found
    for plugin in document["plugins"]:
        assert plugin["source_hash"] in written
    for text in (document["run_id"], document["data"]["content_hash"], "12345", "2.14.1", "Simulated.",
                 "objective.lambda_param", "training.batch_size", "dataset.preset"):  # fmt: skip
        assert text in found
    assert "pre-trained for 5 epochs on 1,000 training windows without their labels" in found
    assert "learnt from 250 labelled windows" in found


def test_the_same_run_gives_the_same_bytes(run: Path, written: str) -> None:
    assert render_report(run / RECORD, Progress()) == written


def test_runs_at_other_shares_of_labels_give_a_curve(tmp_path: Path) -> None:
    place = write_full_run(tmp_path, fraction=0.25)
    without = render_report(place, Progress())
    assert "What labels are worth" not in figures(without)
    assert "No label-efficiency curve" in without
    assert "nothing is pre-trained again" in without
    write_run(tmp_path, fraction=0.01)
    found = render_report(place, Progress())
    assert "What labels are worth" in figures(found)
    assert "No label-efficiency curve" not in found


# --- what may be missing ---


def test_a_baseline_without_training_has_no_curves_of_it(tmp_path: Path) -> None:
    place = write_run(tmp_path, baseline="matched-filter")
    found = render_report(place, Progress())
    assert figures(found) == ["ROC curve, logarithmic", "ROC curve, linear", "Efficiency against SNR", "Scores"]
    assert "The baseline matched-filter gave the scores" in found
    assert {"Pre-training", "Embeddings", "The method’s own account"} & set(headings(found)) == set()


def test_a_run_that_failed_says_why(tmp_path: Path) -> None:
    place = write_run(tmp_path, failed=f"RuntimeError: {EVIL}")
    found = render_report(place, Progress())
    assert headings(found) == ["This run failed", "Provenance"]
    assert "RuntimeError: <img src=x onerror" in Reader(found).text
    assert figures(found) == []


def test_nothing_optional_is_needed(tmp_path: Path) -> None:
    place = write_full_run(tmp_path, edit=lambda d: d.update(details={}, seeds={}, phases={}, peak_memory=None))
    for name in (PREDICTIONS, DIAGNOSTICS):
        (place / name).unlink()
    found = render_report(place, Progress())
    assert figures(found) == ["Loss", "Spread", "Effective rank"]
    assert "No curves: the folder holds no predictions.npz" in found
    assert "No cross-correlation matrix" in found
    assert "Time and memory" not in headings(found)


def test_unknown_snrs_a_single_epoch_and_flat_embeddings(tmp_path: Path) -> None:
    def old(document: dict[str, Any]) -> None:
        document["metrics"].update(per_snr_bin=[], snr_at_half={}, knn_auc=None)
        document["training"].update(loss=[2.0], collapse=[{}], warning="It hardly tells windows apart.", resumed_from=1)

    place = write_full_run(tmp_path, edit=old)
    with np.load(place / PREDICTIONS) as arrays:
        kept = dict(arrays) | {"snr": np.full(len(LABEL), np.nan), "embedding": np.ones((len(LABEL), 3))}
    np.savez(place / PREDICTIONS, **kept)
    found = render_report(place, Progress())
    assert "Efficiency against SNR" not in figures(found)
    assert "Embeddings by label" not in figures(found)
    assert "No map: too little varies in them." in found
    assert "<mark>It hardly tells windows apart.</mark>" in found
    assert "went on after epoch 1" in found
    kept["embedding"] = embeddings()
    np.savez(place / PREDICTIONS, **kept)
    assert figures(render_report(place, Progress()))[-1] == "Embeddings by label"


# --- names that mean harm ---


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def rename(document: dict[str, Any]) -> None:
        for kind in ("dataset", "pairing", "encoder", "objective"):
            document["spec"][kind]["name"] = EVIL + kind
            document["spec"][kind]["parameters"][EVIL] = EVIL
        document["spec"]["encoder_groups"] = EVIL
        document["command"] = f"gwbench run {EVIL}"
        document["created"] = EVIL
        document["data"].update(notes=[EVIL], detectors=[EVIL], fingerprint={EVIL: EVIL}, content_hash=EVIL)
        document["data"]["sizes"][EVIL] = 3
        document["environment"].update(packages={EVIL: EVIL}, hardware={EVIL: EVIL}, git_commit=EVIL, gwbench=EVIL)
        document["training"]["warning"] = EVIL
        document["phases"][EVIL] = {"seconds": 1.0}
        document["metrics"]["tpr_at_fpr"][EVIL] = None
        document["plugins"][0].update(name=EVIL, kind=EVIL, source_hash=EVIL)
        document["details"] = {EVIL: EVIL, "list": [EVIL], "rows": [{EVIL: EVIL}], "deep": {EVIL: [EVIL]},
                               "pretrained_by": EVIL}  # fmt: skip
        document["seeds"][EVIL] = 1

    place = write_full_run(tmp_path_factory.mktemp("evil"))
    document = json.loads((place / RECORD).read_text())
    rename(document)
    (place / RECORD).write_text(json.dumps(document))
    path = place / "report.html"
    path.write_text(render_report(place, Progress()), encoding="utf-8")
    return path


def test_names_from_records_are_text_and_nothing_else(evil: Path, written: str) -> None:
    text = evil.read_text(encoding="utf-8")
    found, ordinary = Reader(text), Reader(written)
    tags = {tag for tag, _ in found.tags}
    assert tags <= {tag for tag, _ in ordinary.tags} | {"mark"}
    assert [tag for tag, _ in found.tags].count("script") == [tag for tag, _ in ordinary.tags].count("script")
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert "<img" not in text
    assert "\u202e" not in text
    assert found.text.count("onerror=document.title") > 30


# --- in a browser ---


def test_it_loads_without_errors_and_asks_nobody(page: Path, evil: Path, browser: Browser) -> None:
    for path in (page, evil):
        browser.open(path)
        assert browser.errors() == []
        assert [url for url in browser.requests() if not url.startswith("data:")] == [path.resolve().as_uri()]
        assert "pwned" not in browser.run("return document.title").split("=")[0]
        assert browser.run("return document.querySelectorAll('main figure svg').length") >= 9


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_all_of_it(page: Path, evil: Path, browser: Browser, dark: bool) -> None:
    for path in (page, evil):
        browser.open(path, width=390, height=844, dark=dark)
        assert browser.overflow() == 0
        browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; });")
        assert browser.overflow() == 0
    assert browser.contrast("h2") >= 7
    assert browser.contrast("figcaption span") >= 4.5


def test_it_prints_with_every_fold_open(page: Path, browser: Browser) -> None:
    browser.open(page)
    printed = browser.pdf()
    assert printed.startswith(b"%PDF-")
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 20


def test_pictures_lie_where_the_axes_are(page: Path, browser: Browser) -> None:
    browser.open(page)
    sizes = browser.run(
        "return [...document.querySelectorAll('main figure image')].map((e) => {"
        "const i = e.getBoundingClientRect(), s = e.closest('svg').getBoundingClientRect();"
        "return [i.width, i.height, i.left - s.left, i.top - s.top, s.right - i.right, s.bottom - i.bottom]; });"
    )
    assert len(sizes) >= 4  # the matrix, its scale, and both maps
    assert all(width > 5 and height > 50 and min(gaps) >= -1 for width, height, *gaps in sizes)


# --- the command ---


def invoke(*words: str) -> Any:
    return CliRunner().invoke(cli, ["report", *words], standalone_mode=False)


def test_the_command_writes_the_page_where_it_is_told(run: Path, written: str, tmp_path: Path) -> None:
    place = tmp_path / "new" / "page.html"
    done = invoke(str(run / RECORD), "--output", str(place))
    assert done.output.splitlines() == [f"report: {place}"]
    assert place.read_text(encoding="utf-8") == written


def test_else_it_lies_beside_the_record(tmp_path: Path) -> None:
    place = write_run(tmp_path, failed="it did")
    assert invoke(str(place)).output.splitlines() == [f"report: {place / 'report.html'}"]
    assert "This run failed" in (place / "report.html").read_text(encoding="utf-8")
    (place / "report.html").unlink()
    assert invoke(str(place / RECORD)).output.splitlines() == [f"report: {place / 'report.html'}"]


def test_a_folder_without_a_run_is_one_message(tmp_path: Path) -> None:
    done = invoke(str(tmp_path))
    assert isinstance(done.exception, UserError)
    assert "holds no run" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
