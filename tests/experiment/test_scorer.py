"""What scored the test split is kept with the run, and scores new strain as it did."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import gwbench
from gwbench.contracts import StrainSplits
from gwbench.errors import UserError
from gwbench.experiment.data_cache import DataCache
from gwbench.experiment.record import RECORD, SCORER, WEIGHTS, RunRecord
from gwbench.experiment.scorer import WhiteningWarning
from gwbench.utils.progress import Progress
from tests.conftest import TINY, TINY_OBJECTIVE

DATA = {key: value for key, value in TINY.items() if key.startswith("dataset.")}
ENCODER = {key: value for key, value in TINY.items() if not key.startswith("training.")}
RUNS: dict[str, dict[str, Any]] = {
    "pre-trained": {"settings": TINY | TINY_OBJECTIVE, "precision": "fp32"},
    "network": {
        "settings": ENCODER | {"baseline.epochs": 1},
        "precision": "fp32",
        "baseline": "supervised",
        "encoder_groups": "network",
    },
    "fine-tune": {
        "settings": TINY | TINY_OBJECTIVE | {"baseline.epochs": 1},
        "precision": "fp32",
        "baseline": "fine-tune",
    },
    "supervised": {"settings": ENCODER | {"baseline.epochs": 1}, "precision": "fp32", "baseline": "supervised"},
    "random-init": {"settings": ENCODER, "baseline": "random-init"},
    "band-power": {"settings": DATA, "baseline": "band-power"},
    "matched-filter": {"settings": DATA | {"baseline.draws": 100}, "baseline": "matched-filter"},
}
DECOMPOSED = ("pre-trained", "fine-tune", "supervised", "random-init")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RunRecord]:
    out = tmp_path_factory.mktemp("runs")
    made: dict[str, RunRecord] = {}

    def get(name: str) -> RunRecord:
        if name not in made:
            made[name] = gwbench.run(**RUNS[name], out=out, device="cpu", progress=Progress())
        return made[name]

    return get


@pytest.fixture(scope="module")
def splits(runs: Callable[[str], RunRecord]) -> StrainSplits:
    return DataCache().conditioned(runs("random-init").spec, Progress()).splits


def folder(record: RunRecord) -> Path:
    assert record.folder
    return Path(record.folder)


@pytest.fixture
def copy(runs: Callable[[str], RunRecord], tmp_path: Path) -> Callable[[str], Path]:
    def copied(name: str) -> Path:
        return Path(shutil.copytree(folder(runs(name)), tmp_path / name))

    return copied


@pytest.mark.parametrize("name", RUNS)
def test_the_kept_scorer_gives_the_scores_of_the_record(
    runs: Callable[[str], RunRecord], splits: StrainSplits, name: str
) -> None:
    scorer = gwbench.load_scorer(folder(runs(name)))
    found = scorer.score(splits.test.strain[:])
    with np.load(folder(runs(name)) / "predictions.npz") as predictions:
        wanted = predictions["score"]
    # the same arithmetic in the same precision: matched filters in float32, the others' sums in float64
    np.testing.assert_allclose(found.log_odds, wanted, rtol=1e-5, atol=1e-6)
    assert found.conditioning == "run"
    np.testing.assert_allclose(found.whitened_variance, 1.0, atol=0.1)
    assert found.warning == ""
    assert ((found.probability >= 0) & (found.probability <= 1)).all()
    order = np.argsort(found.log_odds)
    assert (np.diff(found.probability[order]) >= 0).all()
    assert (scorer.detectors, scorer.sample_rate, scorer.window) == (
        splits.detectors,
        splits.sample_rate,
        splits.window,
    )
    assert scorer.title == runs(name).spec.title
    assert scorer.network == (name not in DECOMPOSED)


@pytest.mark.parametrize("name", RUNS)
def test_a_score_is_the_sum_of_the_detectors_parts_where_it_is_one(
    runs: Callable[[str], RunRecord], splits: StrainSplits, name: str
) -> None:
    scorer = gwbench.load_scorer(folder(runs(name)))
    strain = scorer.conditioner(splits.test.strain[:8])
    with torch.inference_mode():
        scores, parts = scorer.scorer(strain), scorer.scorer.parts(strain)
    assert (parts is not None) == (name in DECOMPOSED)
    if parts is None:
        return
    assert parts.shape == (8, len(splits.detectors))
    np.testing.assert_allclose(parts.sum(1).numpy() + scorer.scorer.offset, scores.numpy(), rtol=1e-9, atol=1e-12)
    other = strain.clone()
    other[:, 0] = strain[:, 0].roll(1, dims=0)
    moved = scorer.scorer.parts(other)
    assert moved is not None
    np.testing.assert_allclose(moved[:, 1:], parts[:, 1:], rtol=1e-5, atol=1e-9)
    assert not torch.equal(moved[:, 0], parts[:, 0])


def test_the_encoder_scores_with_the_probe(runs: Callable[[str], RunRecord], splits: StrainSplits) -> None:
    encoder = gwbench.load_encoder(folder(runs("pre-trained")))
    strain = splits.test.strain[:16]
    wanted = gwbench.load_scorer(folder(runs("pre-trained"))).score(strain).log_odds
    np.testing.assert_allclose(encoder.score(strain).log_odds, wanted, rtol=1e-9, atol=1e-12)
    encoder.conditioner = encoder.conditioner.refit(splits.val.strain[:64])
    again = encoder.score(strain)
    assert again.conditioning == "refitted"
    assert np.abs(again.log_odds - wanted).max() > 0


@pytest.mark.parametrize("name", ["pre-trained", "matched-filter", "band-power"])
def test_refitted_on_the_same_noise_scores_hardly_move(
    runs: Callable[[str], RunRecord], splits: StrainSplits, name: str
) -> None:
    own = gwbench.load_scorer(folder(runs(name)))
    found = own.refit(splits.val.strain[:]).score(splits.test.strain[:])
    assert found.conditioning == "refitted"
    assert np.corrcoef(found.log_odds, own.score(splits.test.strain[:]).log_odds)[0, 1] > 0.98


def test_the_matched_filter_finds_a_template_in_other_noise_after_a_refit(
    runs: Callable[[str], RunRecord], splits: StrainSplits
) -> None:
    """With noise 8 times louder the run's own scorer is refused; refitted, SNR^2 falls by 64, as it must."""
    own = gwbench.load_scorer(folder(runs("matched-filter")))
    strain = splits.test.strain[:]
    with pytest.raises(UserError, match=r"variance of 6[0-9]"):
        own.score(8 * strain)
    other = own.refit(8 * splits.train.strain[:64]).score(8 * strain)
    np.testing.assert_allclose(other.whitened_variance, 1.0, atol=0.1)
    # signal and noise alike are 8 times louder: the same SNR comes out
    same = own.refit(splits.train.strain[:64]).score(strain)
    np.testing.assert_allclose(other.log_odds, same.log_odds, rtol=1e-3, atol=1e-2)


def test_the_matched_filter_says_when_a_signal_peaks(runs: Callable[[str], RunRecord], splits: StrainSplits) -> None:
    scorer = gwbench.load_scorer(folder(runs("matched-filter")))
    loud = np.flatnonzero((splits.test.label == 1) & (splits.test.snr > 14))
    times = scorer.scorer.peak_times(scorer.conditioner(splits.test.strain[loud]))
    assert times is not None
    late = times.numpy() - splits.test.parameters["geocent_time"][loud]
    # the Earth's radius takes light 21 ms; templates of other masses move the peak by some ms more
    assert np.mean(np.abs(late) < 0.04) > 0.9


def test_a_strange_variance_is_warned_about(runs: Callable[[str], RunRecord], splits: StrainSplits) -> None:
    scorer = gwbench.load_scorer(folder(runs("random-init")))
    strain = splits.test.strain[:32].copy()
    strain[:, 1] *= 2
    with pytest.warns(WhiteningWarning, match=r"variance of 4.* in L1, where noise should have 1"):
        found = scorer.score(strain)
    assert "refit" in found.warning
    for factor in (5.0, 0.1):
        with pytest.raises(UserError, match="would mean nothing"):
            scorer.score(factor * strain)


def test_one_glitch_moves_no_median(runs: Callable[[str], RunRecord], splits: StrainSplits) -> None:
    scorer = gwbench.load_scorer(folder(runs("random-init")))
    strain = splits.test.strain[:32].copy()
    strain[3] *= 1000
    assert scorer.score(strain).warning == ""


def test_wrong_shapes_and_gaps_are_refused(runs: Callable[[str], RunRecord], splits: StrainSplits) -> None:
    scorer = gwbench.load_scorer(folder(runs("random-init")))
    with pytest.raises(UserError, match="is not"):
        scorer.score(splits.test.strain[:2][:, :2])
    strain = splits.test.strain[:32].copy()
    strain[17, 0, 5] = np.nan
    with pytest.raises(UserError, match=r"windows 17"):
        scorer.score(strain)


# --- plugins of one's own -----------------------------------------------------------------------------------

OWN = """
import torch
from torch import nn
from gwbench.contracts import Baseline, Scorer, Scores
from gwbench.registry import register

class Loudness(Scorer):
    def __init__(self, gain):
        super().__init__()
        self.register_buffer("gain", gain)

    def forward(self, strain):
        return self.gain * strain.square().mean((1, 2))

@register("baseline", "loudness")
class LoudnessBaseline(Baseline):
    "Variance."
    def scores(self, context):
        scorer = Loudness(torch.tensor(2.0))
        strain = context.conditioned("test", slice(None))
        return Scores(test=scorer(strain).numpy(), scorer=scorer)

    def load_scorer(self, state, conditioner):
        return Loudness(state["gain"])
"""


def test_a_baseline_of_ones_own_scores_with_its_own_scorer(splits: StrainSplits, tmp_path: Path) -> None:
    plugin = tmp_path / "loudness.py"
    plugin.write_text(OWN)
    made = gwbench.run(
        baseline="loudness",
        plugins=[str(plugin)],
        settings=DATA,
        out=tmp_path / "runs",
        device="cpu",
        progress=Progress(),
    )
    scorer = gwbench.load_scorer(folder(made), plugins=[str(plugin)])
    found = scorer.score(splits.test.strain[:])
    with np.load(folder(made) / "predictions.npz") as predictions:
        np.testing.assert_allclose(found.log_odds, predictions["score"], rtol=1e-6)
    # validation was scored by the core
    assert scorer.calibration.signals + scorer.calibration.noise == len(splits.val)


# --- what may be wrong with the files -----------------------------------------------------------------------


def edit(
    change: Callable[[dict[str, Any]], Any] | None = None, header: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    def edited(run: Path) -> None:
        tensors = load_file(run / SCORER)
        with safe_open(run / SCORER, "pt") as opened:
            said = json.loads(opened.metadata()["gwbench"])
        if change:
            change(tensors)
        if header:
            header(said)
        save_file(tensors, run / SCORER, {"gwbench": json.dumps(said)})

    return edited


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "cut short": ("pre-trained", lambda run: (run / SCORER).write_bytes((run / SCORER).read_bytes()[:200]), "damaged"),
    "empty": ("pre-trained", lambda run: (run / SCORER).write_bytes(b""), "damaged"),
    "far too large": ("pre-trained", lambda run: os.truncate(run / SCORER, 2**36), "more than"),
    "a pipe": ("pre-trained", lambda run: pipe(run / SCORER), "not a plain file"),
    "no header": ("pre-trained", lambda run: save_file(load_file(run / SCORER), run / SCORER), "no scorer of gwbench"),
    "another run's": ("pre-trained", edit(header=lambda said: said.update(run_id="0" * 16)), "another run"),
    "a newer schema": ("pre-trained", edit(header=lambda said: said.update(schema_version=2)), "damaged"),
    "infinite calibration": (
        "pre-trained", edit(header=lambda said: said["calibration"].update(slope=-1.0)), "damaged"),
    "another kind": ("pre-trained", edit(header=lambda said: said.update(kind="baseline")), "the run is none"),
    "other detectors": ("pre-trained", edit(header=lambda said: said.update(variance=[1.0])), "number of detectors"),
    "a head too narrow": (
        "pre-trained",
        edit(lambda t: t.update({name: t[name][:3].clone() for name in t if t[name].ndim})), "do not fit its method"),
    "a head of two shapes": (
        "pre-trained", edit(lambda t: t.update({"head.mean": t["head.mean"][:3].clone()})), "fit each other"),
    "a head missing": ("pre-trained", edit(lambda t: t.pop("head.weight")), "a linear head has"),
    "NaN": ("pre-trained", edit(lambda t: t["head.weight"].fill_(float("nan"))), "NaN"),
    "one too many": ("pre-trained", edit(lambda t: t.update({"\x1b[2J": torch.zeros(1)})), "unknown tensor"),
    "no weights": ("pre-trained", lambda run: (run / WEIGHTS).unlink(), "no whole encoder"),
    "an encoder too few": (
        "supervised", edit(lambda t: t.pop(min(name for name in t if name.startswith("encoder.")))), "no tensor"),
    "a bank of no shares": ("matched-filter", edit(lambda t: t["share"].zero_()), "do not sum to 1"),
    "a bank of another band": (
        "matched-filter", edit(lambda t: t.update(power=t["power"][:, :9].clone())), "noise's power"),
    "a bank of absurd masses": ("matched-filter", edit(lambda t: t["shapes"].fill_(-3.0)), "no scorer can be made"),
    "a regression too wide": (
        "band-power",
        edit(lambda t: t.update({n: torch.cat([t[n], t[n]]) for n in t if t[n].ndim})), "do not fit its method"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_scorer_is_one_message(copy: Callable[[str], Path], name: str) -> None:
    run, damage, said = DAMAGE[name]
    there = copy(run)
    damage(there)
    with pytest.raises(UserError, match=said) as caught:
        gwbench.load_scorer(there)
    assert len(str(caught.value)) < 1500
    assert "\x1b" not in str(caught.value)


def test_an_old_run_is_told_how_to_get_one(copy: Callable[[str], Path]) -> None:
    there = copy("pre-trained")
    (there / SCORER).unlink()
    with pytest.raises(UserError, match=r"before gwbench kept them.*gwbench run .*--rerun"):
        gwbench.load_scorer(there)
    encoder = gwbench.load_encoder(there)  # which is whole
    with pytest.raises(UserError, match="has kept no scorer"):
        encoder.score(np.zeros((1, 3, 5120), np.float32))


def test_a_bound_scores_nothing_else(runs: Callable[[str], RunRecord], copy: Callable[[str], Path]) -> None:
    there = copy("matched-filter")
    (there / SCORER).unlink()
    document = json.loads((there / RECORD).read_text())
    document["spec"]["baseline"] = {"name": "oracle", "parameters": {}}
    (there / RECORD).write_text(json.dumps(document))
    with pytest.raises(UserError, match="is a bound"):
        gwbench.load_scorer(there)


def test_a_failed_run_scores_nothing(copy: Callable[[str], Path]) -> None:
    there = copy("pre-trained")
    document = json.loads((there / RECORD).read_text())
    document.update(status="failed", reason="of that")
    (there / RECORD).write_text(json.dumps(document))
    with pytest.raises(UserError, match=r"failed.*of that"):
        gwbench.load_scorer(there)


def test_only_the_encoders_plugin_is_needed(copy: Callable[[str], Path], splits: StrainSplits) -> None:
    there = copy("pre-trained")
    document = json.loads((there / RECORD).read_text())
    for kind in ("pairing", "objective", "dataset"):
        document["spec"][kind]["name"] = "not-here"
    (there / RECORD).write_text(json.dumps(document))
    assert gwbench.load_encoder(there)(splits.test.strain[:2]).shape == (2, 24)
    assert len(gwbench.load_scorer(there).score(splits.test.strain[:2]).log_odds) == 2


def test_a_scorer_that_a_former_session_left_is_removed_with_its_method(tmp_path: Path) -> None:
    from gwbench.experiment.keep_scorer import keep_scorer

    (tmp_path / SCORER).write_bytes(b"stale")
    keep_scorer(tmp_path, gwbench.contracts.Scores(test=np.zeros(2)), None, "")  # type: ignore[arg-type]
    assert not (tmp_path / SCORER).exists()
