"""One list of detectors, for fetching, datasets and messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pycbc.detector import Detector, get_available_detectors
from pycbc.psd import get_psd_model_list

from gwbench.data.detectors import DETECTORS, detector_name, require_detector
from gwbench.data.gwosc.fetch import fetch
from gwbench.data.psd import CURATED, default_psd, psd_values
from gwbench.errors import UserError
from gwbench.experiment.spec import RunSpec
from gwbench.registry import REGISTRY
from gwbench.registry.parameters import validate
from gwbench.simulation.signals import SignalModel
from gwbench.simulation.strain import Simulation


def test_pycbc_knows_every_detector_and_psd() -> None:
    assert set(DETECTORS) <= set(get_available_detectors())
    # Degrees of latitude: Hanford twice, Livingston, Pisa, Kamioka, Ruthe near Hannover, Hingoli.
    latitudes = {"H1": 46.46, "H2": 46.46, "L1": 30.56, "V1": 43.63, "K1": 36.41, "G1": 52.25, "I1": 19.61}
    for name, latitude in latitudes.items():
        assert np.degrees(Detector(name).latitude) == pytest.approx(latitude, abs=0.05)
    assert latitudes.keys() == DETECTORS.keys() == CURATED.keys()
    for name, detector in DETECTORS.items():
        assert set(detector.psds) <= set(get_psd_model_list())
        assert default_psd(name) == detector.psds[0]


def test_older_and_smaller_detectors_have_their_own_sensitivity() -> None:
    """At 150 Hz the advanced LIGO design is about ten times better than initial LIGO and GEO 600."""
    level = {name: np.sqrt(psd_values(default_psd(name), 2048.0, 4096)[300]) for name in DETECTORS}
    assert 5 < level["H2"] / level["H1"] < 15
    assert 15 < level["G1"] / level["H1"] < 40
    assert 0.4 < level["I1"] / level["H1"] < 0.7


@pytest.mark.parametrize("text", ["h1", "H1 ", " H1", "H1"])
def test_names_are_understood_in_any_case(text: str) -> None:
    assert detector_name(text) == "H1"
    for dataset in ("bbh", "bns", "nsbh", "real-noise"):
        given: dict[str, Any] = validate(REGISTRY.get("dataset", dataset), {"detectors": f"{text},l1"})
        assert given["detectors"] == ("H1", "L1")


def test_one_spelling_is_one_run() -> None:
    specs = [
        RunSpec.create(baseline="band-power", settings={"dataset.detectors": detectors})
        for detectors in (("H1", "V1"), ("h1", "v1 "), "h1,v1")
    ]
    assert len({spec.model_dump_json() for spec in specs}) == 1


def test_unknown_names_are_refused_with_the_list() -> None:
    listed = "H1, L1, V1, K1, H2, G1, I1"
    for name in ("X9", "", "A1", "LIGO"):
        assert detector_name(name) == name
        with pytest.raises(UserError, match=f"Unknown detector {name!r}: expected one of {listed}"):
            require_detector(name)
    with pytest.raises(UserError, match=f"No detector 'X9'.* Known: {listed}"):
        fetch("GW150914", ["X9"])


def test_every_detector_can_be_simulated() -> None:
    signals = SignalModel.create(
        population="flat-bbh", duration=1.0, snr_model="uniform", snr=(8.0, 9.0), approximant="IMRPhenomXAS", f_low=20.0
    )
    simulation = Simulation(tuple(DETECTORS), (), signals, sample_rate=1024, window=1024, margin=256)
    block = simulation.block(np.random.default_rng(0), "train", 0, 8)
    assert block.strain.shape == (8, 7, 1536)
    assert np.isfinite(block.strain).all()
    quiet = block.strain[block.label == 0].astype(np.float64).std(axis=(0, 2))
    assert quiet[4] > 5 * quiet[0]
