"""The interpolated waveform against LAL's at every bin."""

from __future__ import annotations

import numpy as np
import pytest
from pycbc.waveform import get_fd_waveform

from gwbench.errors import UserError
from gwbench.simulation.dominant_mode import APPROXIMANTS, face_on
from gwbench.simulation.population import load_population

EXTREMES = [(15, 15, 0.9, 0.9), (75, 75, 0.9, 0.9), (75, 15, -0.9, 0.3), (75, 74, -0.9, -0.9), (20, 1.4, 0.5, 0.0)]


@pytest.mark.parametrize("approximant", APPROXIMANTS)
@pytest.mark.parametrize("delta_f", [0.25, 1 / 16])
def test_the_waveform_is_pycbcs(approximant: str, delta_f: float) -> None:
    params = load_population("flat-bbh").sample(np.random.default_rng(0), 20)
    for row, (mass_1, mass_2, spin_1, spin_2) in enumerate(EXTREMES):
        values = {"mass_1": mass_1, "mass_2": mass_2, "spin_1z": spin_1, "spin_2z": spin_2}
        for name, value in values.items():
            params[name][row] = value
    found = face_on(params, approximant=approximant, delta_f=delta_f, f_low=20.0, f_final=1024.0, distance=1.0)
    assert found.first == 20 / delta_f
    for i in range(20):
        plus, cross = get_fd_waveform(
            approximant=approximant,
            mass1=params["mass_1"][i],
            mass2=params["mass_2"][i],
            spin1z=params["spin_1z"][i],
            spin2z=params["spin_2z"][i],
            coa_phase=params["phase"][i],
            inclination=0.0,
            distance=1.0,
            delta_f=delta_f,
            f_lower=20.0,
            f_ref=20.0,
            f_final=1024.0,
        )
        expected = plus.numpy()[found.first :]
        np.testing.assert_allclose(cross.numpy()[found.first :], -1j * expected, atol=1e-12 * np.abs(expected).max())
        # IMRPhenomD of 20 + 1.4 solar masses has a kink where its regions meet, near 1 kHz.
        tolerance = 1e-2 if approximant == "IMRPhenomD" and i == 4 else 1e-3
        error = np.abs(found.waves[i] - expected)
        assert error.max() < tolerance * np.abs(expected).max()
        assert np.linalg.norm(error) < 1e-3 * np.linalg.norm(expected)


def test_a_binary_of_neutron_stars_over_a_minute() -> None:
    """Ten thousand cycles: the phase at the nodes is unwrapped rightly, or nothing would fit."""
    params = {"mass_1": [1.6], "mass_2": [1.2], "spin_1z": [0.04], "spin_2z": [-0.03], "phase": [1.0]}
    arrays = {name: np.array(values) for name, values in params.items()}
    found = face_on(arrays, approximant="IMRPhenomXAS", delta_f=1 / 64, f_low=30.0, f_final=1024.0, distance=1.0)
    plus, _ = get_fd_waveform(
        approximant="IMRPhenomXAS", mass1=1.6, mass2=1.2, spin1z=0.04, spin2z=-0.03, coa_phase=1.0, distance=1.0,
        delta_f=1 / 64, f_lower=30.0, f_ref=30.0, f_final=1024.0,
    )  # fmt: skip
    expected = plus.numpy()[found.first :]
    assert np.abs(found.waves[0] - expected).max() < 2e-3 * np.abs(expected).max()


def test_refusals_of_lal_are_explained(capfd: pytest.CaptureFixture[str]) -> None:
    params = {name: np.array([1.5]) for name in ("mass_1", "mass_2", "spin_1z", "spin_2z", "phase")}
    with pytest.raises(UserError, match=r"gives no waveform for masses 1\.5 and 1\.5 solar masses, spins 1\.5, 1\.5"):
        face_on(params, approximant="IMRPhenomXAS", delta_f=0.25, f_low=20.0, f_final=1024.0, distance=1.0)
    assert capfd.readouterr().err == ""
