"""An encoder that sees all detectors at once, in pre-training and in the baselines that stand beside it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gwbench
from gwbench.cli.summary import _next_step
from gwbench.errors import UserError
from gwbench.experiment.record import RunRecord
from gwbench.experiment.spec import RunSpec
from gwbench.utils.progress import Progress
from tests.conftest import TINY, TINY_OBJECTIVE

UNTRAINED = {key: value for key, value in TINY.items() if not key.startswith("training.")}
EPOCHS = {"baseline.epochs": 1, "baseline.batch_size": 16}
NETWORK: dict[str, Any] = {"encoder_groups": "network"}


def run(out: Path, settings: dict[str, Any], **options: Any) -> RunRecord:
    return gwbench.run(settings=settings, out=out, device="cpu", progress=Progress(), **options)


def embeddings(record: RunRecord) -> np.ndarray[Any, Any]:
    with np.load(Path(str(record.folder)) / "predictions.npz", allow_pickle=False) as arrays:
        found: np.ndarray[Any, Any] = arrays["embedding"]
        return found


@pytest.mark.parametrize(
    ("baseline", "settings"),
    [("random-init", UNTRAINED), ("supervised", UNTRAINED | EPOCHS)],
    ids=["untrained", "labels"],
)
def test_a_baseline_has_the_network_encoder_that_is_asked_for(
    baseline: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    alone, whole = (run(tmp_path, settings, baseline=baseline, encoder_groups=each) for each in ("shared", "network"))
    assert embeddings(alone).shape == (128, 3 * 8)
    assert embeddings(whole).shape == (128, 8)
    assert alone.parameters is not None
    assert whole.parameters is not None
    head = 2 * 8 if baseline == "supervised" else 0  # that on 24 numbers against that on 8
    first = 2 * 4 * 64  # kernels of 64 samples, 4 of them, for two more channels
    assert whole.parameters - alone.parameters == first - head
    assert whole.spec.title == f"{baseline} (cnn1d of the network)"
    assert "--encoder-groups network" in whole.command


def test_a_pairing_of_the_network_implies_it_and_leads_to_its_own_floor_and_back(tmp_path: Path) -> None:
    settings = TINY | TINY_OBJECTIVE
    implied, said = (RunSpec.create(pairing="network", settings=settings, **given) for given in ({}, NETWORK))
    assert implied.encoder_groups == "network"
    assert implied.canonical() == said.canonical()
    done = run(tmp_path, settings, pairing="network", precision="fp32")
    encoder = gwbench.load_encoder(str(done.folder)).encoder
    assert encoder.network
    assert embeddings(done).shape == (128, 8)
    words = shlex.split(_next_step(done).partition("gwbench ")[2])
    assert words[words.index("--encoder-groups") + 1] == "network"
    floor = run(tmp_path, UNTRAINED, baseline="random-init", encoder_groups="network")
    assert floor.parameters == done.parameters
    back = shlex.split(_next_step(floor))
    assert RunSpec.create(pairing=back[back.index("--pairing") + 1], **NETWORK).encoder_groups == "network"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"pairing": "cross-detector", **NETWORK}, "'cross-detector' shows an encoder one detector at a time"),
        ({"pairing": "network", "encoder_groups": "each"}, "'network' shows an encoder all detectors at once"),
        ({"pairing": "network", "encoder_groups": "H1,L1|V1"}, "leave out --encoder-groups H1,L1|V1"),
        ({"baseline": "fine-tune", **NETWORK}, "one detector at a time"),
        ({"baseline": "supervised", "pairing": "network"}, "leave out --pairing network. --encoder-groups network has"),
        ({"baseline": "band-power", **NETWORK}, "'band-power' has no encoder: leave out --encoder-groups network"),
    ],
)
def test_groups_that_do_not_go_with_the_rest_are_refused(asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError) as refused:
        RunSpec.create(**asked)
    assert reason in str(refused.value)
