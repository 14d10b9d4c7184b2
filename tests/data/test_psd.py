"""PSDs against pycbc's, and their interpolation against curves with a closed form."""

from __future__ import annotations

import numpy as np
import pytest
from pycbc.psd import from_string, get_psd_model_list

from gwbench.data.psd import CURATED, check_name, default_psd, psd_values, resample_psd
from gwbench.errors import UserError


@pytest.mark.parametrize("name", sorted({name for names in CURATED.values() for name in names}))
def test_curated_psds_are_pycbcs(name: str) -> None:
    assert name in get_psd_model_list()
    expected = from_string(name, 8194, 0.125, 10.0).numpy()[:8193]
    found = psd_values(name, 2048.0, 16384)
    assert found.shape == (8193,)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert not found[:80].any()
    assert (found[80:] > 0).all()


def test_the_cutoff_masks() -> None:
    psd = psd_values("AdvVirgo", 2048.0, 4096, f_low=20.0)
    assert not psd[:40].any()
    assert psd[40] > 0


def test_psds_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        psd_values("AdvVirgo", 2048.0, 4096)[0] = 1.0


def test_unknown_names_are_explained() -> None:
    with pytest.raises(UserError, match=r"'AdVirgo'.*Did you mean 'AdvVirgo'"):
        psd_values("AdVirgo", 2048.0, 4096)
    with pytest.raises(UserError, match="Did you mean 'aLIGOThermal'"):
        check_name("aLIGOThermla")
    with pytest.raises(UserError, match=r"'h1'.*Did you mean 'H1'"):
        default_psd("h1")


def test_every_detector_has_a_default() -> None:
    assert default_psd("H1") == "aLIGODesignSensitivityT1800044"
    assert all(default_psd(detector) == names[0] for detector, names in CURATED.items())


def test_exponentials_interpolate_exactly() -> None:
    coarse = np.exp(-0.01 * np.arange(513) * 2.0) * 1e-46
    fine = resample_psd(np.stack([coarse, 2 * coarse]), 2.0, 0.125, 8193)
    expected = np.exp(-0.01 * np.arange(8193) * 0.125) * 1e-46
    np.testing.assert_allclose(fine, [expected, 2 * expected], rtol=1e-12)


def test_a_shared_grid_is_left_alone() -> None:
    psd = psd_values("aLIGOZeroDetHighPower", 2048.0, 16384)
    np.testing.assert_allclose(resample_psd(psd, 0.125, 0.125, 8193), psd, rtol=1e-12)
    np.testing.assert_allclose(resample_psd(psd, 0.125, 0.25, 4097), psd[::2], rtol=1e-12)
    np.testing.assert_allclose(resample_psd(psd, 0.1, 0.3, 2000), psd[:6000:3], rtol=1e-12)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -1.0])
def test_masked_bins_spread_to_the_neighbouring_interval_only(bad: float) -> None:
    psd = np.ones(6)
    psd[3] = bad
    found = resample_psd(psd, 1.0, 0.5, 14)
    assert found.tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0]
