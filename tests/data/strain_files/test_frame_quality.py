"""State vectors and data-quality vectors in frames: which seconds they leave out, and who may choose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from gwbench.contracts import Array
from gwbench.data.strain_files.quality import quality_note
from gwbench.data.strain_files.reading import read_strain_series
from gwbench.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:COPY_IF_NEEDED is no longer needed:PendingDeprecationWarning")

RATE, SECONDS = 256, 12
GPS = 1126259446


def write(path: Path, channels: Mapping[str, tuple[Array, float, float]]) -> Path:
    """A frame of channels: values, sample rate, and seconds after `GPS`."""
    from gwpy.timeseries import TimeSeries, TimeSeriesDict

    series = TimeSeriesDict()
    for name, (values, rate, offset) in channels.items():
        series[name] = TimeSeries(values, t0=GPS + offset, sample_rate=rate, name=name, channel=name)
    series.write(str(path), format="gwf")
    return path


def strain(seed: int = 0) -> tuple[Array, float, float]:
    return np.random.default_rng(seed).normal(scale=1e-21, size=SECONDS * RATE), RATE, 0


def vector(
    good: int, bad: dict[int, int], rate: int = 16, offset: int = 0, seconds: int = SECONDS
) -> tuple[Array, float, float]:
    """`good` everywhere but in the seconds of `bad`."""
    values = np.full(seconds * rate, good, np.uint32)
    for second, value in bad.items():
        values[second * rate : (second + 1) * rate] = value
    return values, rate, offset


def seconds(*ranges: tuple[float, float]) -> tuple[tuple[int, int], ...]:
    return tuple((round(start * RATE), round(stop * RATE)) for start, stop in ranges)


def test_ligos_state_vector_asks_for_hoft_ok_and_observation_intent(tmp_path: Path) -> None:
    state = vector(0b11, {2: 0b01, 5: 0b10, 8: 0b111})
    path = write(tmp_path / "x.gwf", {"H1:GDS-CALIB_STRAIN": strain(), "H1:GDS-CALIB_STATE_VECTOR": state})
    (file,) = read_strain_series(path)
    assert file.good == seconds((0, 2), (3, 5), (6, 12))
    assert file.quality == ("GDS-CALIB_STATE_VECTOR (HOFT_OK, OBSERVATION_INTENT)",)


def test_an_injection_bit_counts_where_the_vector_uses_it(tmp_path: Path) -> None:
    # No CBC hardware injection is bit 6 (pycbc.frame.NO_CBC_HW_INJ = 64).
    state = vector(0b1000011, {4: 0b0000011})
    path = write(tmp_path / "x.gwf", {"L1:DCS-CALIB_STRAIN_C01": strain(), "L1:DCS-CALIB_STATE_VECTOR_C01": state})
    (file,) = read_strain_series(path)
    assert file.good == seconds((0, 4), (5, 12))


def test_virgos_state_vector_asks_for_bits_0_1_and_10(tmp_path: Path) -> None:
    state = vector(1027, {1: 1026, 3: 1025, 7: 3, 9: 1027 | 4}, rate=1)
    path = write(tmp_path / "x.gwf", {"V1:Hrec_hoft_16384Hz": strain(), "V1:DQ_ANALYSIS_STATE_VECTOR": state})
    (file,) = read_strain_series(path)
    assert file.good == seconds((0, 1), (2, 3), (4, 7), (8, 12))


def test_a_vector_of_overflows_is_applied_beside_the_state_vector(tmp_path: Path) -> None:
    channels = {
        "H1:GDS-CALIB_STRAIN_CLEAN": strain(),
        "H1:GDS-CALIB_STATE_VECTOR": vector(3, {0: 0}),
        "H1:DMT-DQ_VECTOR": vector(0b110, {6: 0b100}),
        "L1:GDS-CALIB_STATE_VECTOR": vector(3, {9: 0}),
    }
    (file,) = read_strain_series(write(tmp_path / "x.gwf", channels))
    assert file.good == seconds((1, 6), (7, 12))
    assert len(file.quality) == 2


def test_of_two_state_vectors_that_of_the_strain_is_applied(tmp_path: Path) -> None:
    channels = {
        "H1:DCS-CALIB_STRAIN_C01": strain(),
        "H1:DCS-CALIB_STATE_VECTOR_C01": vector(3, {2: 0}),
        "H1:GDS-CALIB_STATE_VECTOR": vector(3, {7: 0}),
    }
    (file,) = read_strain_series(write(tmp_path / "x.gwf", channels))
    assert file.good == seconds((0, 2), (3, 12))


def test_a_vector_that_covers_a_part_lets_no_other_second_pass(tmp_path: Path) -> None:
    state = vector(3, {}, offset=4, seconds=5)
    path = write(tmp_path / "x.gwf", {"H1:GDS-CALIB_STRAIN": strain(), "H1:GDS-CALIB_STATE_VECTOR": state})
    (file,) = read_strain_series(path)
    assert (file.gps_start, file.good) == (GPS, seconds((4, 9)))


def test_the_user_chooses_bits_or_none(tmp_path: Path) -> None:
    state = vector(0b111, {2: 0b011, 5: 0b101})
    path = write(tmp_path / "x.gwf", {"H1:GDS-CALIB_STRAIN": strain(), "H1:GDS-CALIB_STATE_VECTOR": state})
    for quality in (("GDS-CALIB_STATE_VECTOR:2",), ("H1:GDS-CALIB_STATE_VECTOR:OBSERVATION_READY",)):
        (file,) = read_strain_series(path, quality=quality)
        assert file.good == seconds((0, 2), (3, 12))
        assert file.quality == ("GDS-CALIB_STATE_VECTOR (OBSERVATION_READY)",)
    (file,) = read_strain_series(path, quality=("none",))
    assert (file.good, file.quality) == (seconds((0, 12)), ())
    with pytest.raises(UserError, match=r"has no channel H1:DMT-DQ_VECTOR\. Its quality channels: H1:GDS-CALIB_STATE"):
        read_strain_series(path, quality=("DMT-DQ_VECTOR:1",))
    for wrong in ("GDS-CALIB_STATE_VECTOR:64", "GDS-CALIB_STATE_VECTOR:FINE", "GDS-CALIB_STATE_VECTOR", "0"):
        with pytest.raises(UserError, match=r"dataset\.quality="):
            read_strain_series(path, quality=(wrong,))


def test_strain_without_a_vector_says_that_none_was_applied(tmp_path: Path) -> None:
    (file,) = read_strain_series(write(tmp_path / "x.gwf", {"H1:GDS-CALIB_STRAIN": strain()}))
    assert file.quality == ()


def test_several_detectors_of_a_frame_are_read(tmp_path: Path) -> None:
    channels = {
        "H1:GDS-CALIB_STRAIN": strain(1),
        "L1:GDS-CALIB_STRAIN": strain(2),
        "H1:GDS-CALIB_STATE_VECTOR": vector(3, {3: 0}),
        "L1:AUX-NOISE": strain(3),
    }
    path = write(tmp_path / "x.gwf", channels)
    first, second = read_strain_series(path)
    assert (first.detector, first.good) == ("H1", seconds((0, 3), (4, 12)))
    assert (second.detector, second.good) == ("L1", seconds((0, 12)))
    (only,) = read_strain_series(path, ("L1",))
    np.testing.assert_array_equal(only.strain, strain(2)[0])
    (auxiliary,) = read_strain_series(path, ("L1:AUX-NOISE",))
    np.testing.assert_array_equal(auxiliary.strain, strain(3)[0])


def test_a_strain_channel_has_its_own_span(tmp_path: Path) -> None:
    short = (strain()[0][: 5 * RATE], RATE, 3)
    channels = {"H1:GDS-CALIB_STRAIN": short, "H1:AUX": strain(1)}
    (file,) = read_strain_series(write(tmp_path / "x.gwf", channels))
    assert (file.gps_start, len(file.strain)) == (GPS + 3, 5 * RATE)


@pytest.mark.parametrize("name", ["a b.gwf", "run [old].gwf", "50%20#1.gwf", "ü.gwf"])
def test_any_name_of_a_file_will_do(tmp_path: Path, name: str) -> None:
    (file,) = read_strain_series(write(tmp_path / "x.gwf", {"H1:X": strain()}).rename(tmp_path / name))
    assert file.detector == "H1"


def test_the_note_says_what_was_applied_and_where_nothing_was() -> None:
    masks = ("DQMASK (DATA)", "INJMASK (NO_CBC_HW_INJ)")
    assert quality_note([("a.gwf", masks), ("b.gwf", masks)]) == (
        "Left out are gaps and what does not pass DQMASK (DATA); INJMASK (NO_CBC_HW_INJ)."
    )
    assert quality_note([("a.gwf", masks[:1]), ("b.gwf", ())]) == (
        "Left out are gaps and what does not pass DQMASK (DATA). No data-quality mask was applied to b.gwf: gaps alone "
        "are left out there."
    )
