"""What a user says of simulated signals, and what it comes to."""

from __future__ import annotations

from typing import Any

import pytest

from gwbench.errors import UserError
from gwbench.plugins.datasets.bbh import Bbh
from gwbench.plugins.datasets.real_noise import RealNoise
from gwbench.simulation.injection_settings import InjectionSettings
from gwbench.simulation.signals import SignalModel

PLAIN = InjectionSettings("flat-bbh", "uniform", (6.0, 20.0))


def test_by_name_or_as_one_object_it_is_the_same_model() -> None:
    named = SignalModel.create(population="flat-bbh", duration=4.0, snr_model="uniform", snr=(6.0, 20.0))
    assert str(named) == str(SignalModel.of(PLAIN, 4.0))
    assert named.arrival == pytest.approx((2.8, 3.8))


def test_what_is_given_replaces_what_is_not_given_stays() -> None:
    assert PLAIN.with_given(population=None, mass=None) == PLAIN
    changed = PLAIN.with_given(f_low=30.0, spin=(-0.1, 0.1), arrival=None)
    assert (changed.f_low, changed.spin, changed.arrival, changed.snr) == (30.0, (-0.1, 0.1), None, (6.0, 20.0))


@pytest.mark.parametrize(
    ("given", "model"),
    [
        ({"snr": (7.0, 9.0)}, "uniform"),
        ({"snr": (7.9, 2.2, 2.2)}, "clipped-normal"),
        ({"snr": (4.0,)}, "distance"),
        ({"snr": (7.0, 9.0), "snr_model": "clipped-normal"}, "clipped-normal"),
    ],
)
def test_an_snr_says_which_model_it_is_of(given: dict[str, Any], model: str) -> None:
    loud = InjectionSettings("power-law-peak", "distance", (8.0,))
    assert loud.with_given(**given).snr_model == model


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"population": "flat-bhb"}, "flat-bhb.*flat-bbh"),
        ({"snr": (20.0, 6.0)}, "snr = 20,6 is not a range"),
        ({"arrival": (1.0, 3.0)}, "arrival = 1,3 s does not fit the window of 2 s"),
        ({"approximant": "IMRPhenomXSA"}, "IMRPhenomXSA"),
        ({"f_low": 1.0}, "f_low = 1 Hz: expected at least 5"),
        ({"gps": -1.0}, "gps = -1: expected a GPS time"),
        ({"mass": (50.0, 5.0)}, "mass"),
    ],
)
def test_simulated_and_real_noise_refuse_the_same_with_the_same_words(wrong: dict[str, Any], message: str) -> None:
    said = []
    for dataset in (Bbh, RealNoise):
        with pytest.raises(UserError, match=message) as caught:
            dataset(**wrong)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_another_snr_model_is_named_with_what_was_meant() -> None:
    with pytest.raises(UserError, match=r"snr_model = unifrom: expected one of uniform, .*Did you mean 'uniform'"):
        SignalModel.of(InjectionSettings("flat-bbh", "unifrom", (6.0, 20.0)), 2.0)
