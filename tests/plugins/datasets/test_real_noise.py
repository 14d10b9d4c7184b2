"""Real noise with injections: where every sample of every window comes from, and what bad input says."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gwbench.contracts import Array, Layout, Split, StrainSplits, Windows
from gwbench.data.store.cache import CacheContext
from gwbench.data.strain_files.known_events import catalogues
from gwbench.errors import UserError
from gwbench.experiment.data_cache import recipes_of
from gwbench.plugins.datasets import real_noise
from gwbench.plugins.datasets.real_noise import RealNoise
from gwbench.registry import REGISTRY
from gwbench.registry.parameters import validate
from gwbench.seeds import sequence
from gwbench.utils.progress import Progress

RATE = 512
SMALL: dict[str, Any] = {"train": 60, "val": 20, "test": 20, "sample_rate": RATE, "duration": 1.0, "margin": 0.25}
NEED = round(1.5 * RATE)
EVENT = 1126259462.42


@dataclass
class Context:
    """Keeps the blocks in memory; the windows are sent to a worker, as it were."""

    seed: int = 0
    workers: int = 1
    progress: Progress = field(default_factory=Progress)
    materialise: bool = False
    windows: Any = None

    def find(self, layout: Layout) -> StrainSplits | None:
        return None

    def stored(self, layout: Layout, windows: Windows) -> StrainSplits:
        self.windows = pickle.loads(pickle.dumps(windows))

        def split(number: int, name: str) -> Split:
            rng = np.random.default_rng(sequence(self.seed, "data", number, 0))
            block = self.windows.block(rng, name, 0, layout.sizes[name])
            assert (block.split, block.start) == (name, 0)
            assert len(block.label) == layout.sizes[name]
            return Split(block.strain, block.label, block.snr, block.parameters)

        train, val, test = (split(*place) for place in enumerate(("train", "val", "test")))
        return StrainSplits(
            train,
            val,
            test,
            layout.detectors,
            layout.sample_rate,
            layout.margin,
            content_hash="",
            notes=layout.notes,
        )


def write(path: Path, strain: Array, start: float = 1000.0, rate: float = RATE, detector: str | None = None) -> Path:
    with h5py.File(path, "w") as file:
        file["data"] = strain
        file["data"].attrs.update({"start_time": start, "delta_t": 1 / rate})
        if detector:
            file.attrs["detector"] = detector
    return path


def ramp(seconds: float, first: int = 1) -> Array:
    """Strain that says which sample it is: exact in float32 up to 2^24."""
    return np.arange(first, first + round(seconds * RATE), dtype=np.float64)


def noise(seconds: float, rate: float = RATE, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(scale=1e-21, size=round(seconds * rate))


def provenance(splits: StrainSplits) -> dict[tuple[str, str], set[int]]:
    """For every split and channel, the samples of the ramp behind its windows without signals."""
    found = {}
    for name in ("train", "val", "test"):
        quiet = splits[name].strain[:][splits[name].label == 0].astype(np.float64)
        assert (np.diff(quiet, axis=-1) == 1).all(), "a window crosses a gap"
        for channel, detector in enumerate(splits.detectors):
            found[name, detector] = set(quiet[:, channel].ravel().astype(int).tolist())
    return found


def test_one_unnamed_stretch_serves_three_channels_that_share_no_sample(tmp_path: Path) -> None:
    strain = ramp(120)
    strain[20 * RATE : 21 * RATE] = np.nan
    splits = RealNoise(path=(str(write(tmp_path / "x.hdf", strain)),), **SMALL).load(Context())
    assert splits.detectors == ("H1", "L1", "V1")
    assert splits.train.strain.shape == (60, 3, NEED)
    assert (splits.window, splits.margin) == (RATE, RATE // 4)
    found = provenance(splits)
    assert len(found) == 9
    places = [(min(samples), max(samples)) for samples in sorted(found.values(), key=min)]
    for (_, end), (begin, _) in pairwise(places):
        assert begin - end >= 0.25 * RATE
    last = {name: max(max(found[name, d]) for d in splits.detectors) for name in ("train", "val", "test")}
    first = {name: min(min(found[name, d]) for d in splits.detectors) for name in ("train", "val", "test")}
    assert last["train"] < first["val"] <= last["val"] < first["test"]
    # 119 s of good time in shares of 0.6, 0.2, 0.2.
    assert last["train"] / RATE == pytest.approx(1 + 0.6 * 119, abs=4)
    shared = "H1, L1, V1 take strain of a detector that the files do not name, at times that do not overlap."
    assert any(shared in note for note in splits.notes)


def test_channels_of_a_window_start_independently(tmp_path: Path) -> None:
    splits = RealNoise(path=(str(write(tmp_path / "x.hdf", ramp(120))),), **SMALL).load(Context())
    starts = splits.train.strain[:][splits.train.label == 0][:, :, 0].astype(np.float64)
    assert np.abs(np.corrcoef(starts.T) - np.eye(3)).max() < 5 / np.sqrt(len(starts))


def test_detectors_of_their_own_are_cut_at_the_same_times(tmp_path: Path) -> None:
    write(tmp_path / "h.hdf", ramp(100), detector="H1")
    holed = ramp(100)
    holed[: 10 * RATE] = 0
    write(tmp_path / "l.hdf", holed, detector="L1")
    splits = RealNoise(path=(str(tmp_path),), **SMALL).load(Context())
    assert splits.detectors == ("H1", "L1")
    found = provenance(splits)
    for early, late in (("train", "val"), ("val", "test")):
        ends = max(max(found[early, d]) for d in ("H1", "L1"))
        begins = min(min(found[late, d]) for d in ("H1", "L1"))
        assert begins - ends >= 0.25 * RATE
    assert not any("take strain of" in note for note in splits.notes)


def test_a_channel_without_strain_of_its_own_borrows_at_other_times(tmp_path: Path) -> None:
    write(tmp_path / "h.hdf", ramp(60), detector="H1")
    splits = RealNoise(path=(str(tmp_path / "*.hdf"),), detectors=("H1", "V1"), **SMALL).load(Context())
    found = provenance(splits)
    for name in ("train", "val", "test"):
        assert not found[name, "H1"] & found[name, "V1"]
    assert any("Channel(s) H1, V1 take strain of H1, at times that do not overlap." in note for note in splits.notes)


def test_the_same_file_twice_shares_no_sample(tmp_path: Path) -> None:
    write(tmp_path / "a.hdf", ramp(60), detector="H1")
    write(tmp_path / "b.hdf", ramp(60), detector="H1")
    splits = RealNoise(path=(str(tmp_path),), **SMALL).load(Context())
    found = list(provenance(splits).values())
    assert len(set.union(*found)) == sum(map(len, found))
    assert "H1 35.9 s" in " ".join(splits.notes)


def test_excluded_times_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "x.hdf", ramp(60), detector="H1")
    splits = RealNoise(path=(str(path),), exclude=(1010.0, 1e9), exclude_seconds=3.0, **SMALL).load(Context())
    used = set.union(*provenance(splits).values())
    assert not any(7 * RATE < sample <= 13 * RATE for sample in used)
    assert any(6 * RATE < sample <= 7 * RATE for sample in used)
    assert any("3 s on either side of 2 GPS time(s), 1 of them within the files" in note for note in splits.notes)


def test_half_the_windows_hold_a_signal_of_the_asked_snr(tmp_path: Path) -> None:
    path = write(tmp_path / "x.hdf", noise(120))
    splits = RealNoise(path=(str(path),), snr=(8.0, 9.0), **SMALL).load(Context())
    for name in ("train", "val", "test"):
        split = splits[name]
        assert split.label.mean() == 0.5
        assert np.isfinite(split.snr).tolist() == (split.label == 1).tolist()
        assert ((split.snr[split.label == 1] >= 8) & (split.snr[split.label == 1] <= 9)).all()


def test_injected_snr_is_pycbcs_sigma_on_the_training_noise(tmp_path: Path) -> None:
    """White noise of known PSD; at an SNR of 1000, its own 0.1 % does not count."""
    from pycbc.filter import sigma
    from pycbc.types import FrequencySeries, TimeSeries

    level = 1e-21
    loud = RealNoise(path=(str(write(tmp_path / "x.hdf", noise(200))),), snr=(1000.0, 1001.0), mass=(40, 60), **SMALL)
    split = loud.load(Context()).train
    row = int(np.flatnonzero(split.label == 1)[0])
    total = 0.0
    padded = 8 * RATE  # the PSD's bins are 1/8 Hz apart
    psd = FrequencySeries(np.full(padded // 2 + 1, 2 * level**2 / RATE), delta_f=1 / 8)
    for channel in split.strain[row]:
        series = np.zeros(padded)
        series[:NEED] = channel
        total += sigma(TimeSeries(series, delta_t=1 / RATE), psd, 20.0, 0.9 * RATE / 2) ** 2
    assert np.sqrt(total) == pytest.approx(split.snr[row], rel=0.03)


def test_windows_have_the_psd_measured_around_them(tmp_path: Path) -> None:
    """Noise of four times the power from 384 s on."""
    strain = noise(1280)
    strain[384 * RATE :] *= 2
    context = Context()
    RealNoise(path=(str(write(tmp_path / "x.hdf", strain, detector="H1")),), **SMALL).load(context)
    windows = context.windows
    assert windows.psds.delta_f == 0.5
    assert windows.psds.values.shape[0] == 12 + 4 + 4  # of 64 s each
    drawn, gps = windows.windows(np.random.default_rng(0), "train", 300)
    level = windows.psds.values[drawn.rows[:, 0], 20:400].mean(axis=1)
    middle = gps[:, 0] + NEED / 2 / RATE
    np.testing.assert_allclose(level, np.where(middle < 1384, 2e-42, 8e-42) / RATE, rtol=0.04)


def test_same_seed_same_data_other_seed_other_data(tmp_path: Path) -> None:
    path = write(tmp_path / "x.hdf", noise(60))
    first, again, other = (
        RealNoise(path=(str(path),), **SMALL).load(Context(seed)).train.strain[:] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_coincident_windows_hold_the_same_time_in_all_channels(tmp_path: Path) -> None:
    write(tmp_path / "h.hdf", ramp(100), detector="H1")
    write(tmp_path / "l1.hdf", ramp(50, 1 + 20 * RATE), start=1020.0, detector="L1")
    write(tmp_path / "l2.hdf", ramp(60, 1 + 71 * RATE), start=1071.0, detector="L1")
    splits = RealNoise(path=(str(tmp_path),), background="coincident", **SMALL).load(Context())
    found = provenance(splits)
    for name in ("train", "val", "test"):
        quiet = splits[name].strain[:][splits[name].label == 0]
        np.testing.assert_array_equal(quiet[:, 0], quiet[:, 1])
        gps = [splits[name].parameters[f"noise_gps_{d}"] for d in ("H1", "L1")]
        np.testing.assert_array_equal(gps[0], gps[1])
    # 50 + 29 s in common.
    used = set.union(*found.values())
    assert min(used) > 20 * RATE
    assert not any(70 * RATE < sample <= 71 * RATE for sample in used)
    assert any("same GPS time" in note for note in splits.notes)
    assert not any("Slid" in note for note in splits.notes)


def test_coincident_windows_need_every_channels_own_detector(tmp_path: Path) -> None:
    write(tmp_path / "h.hdf", ramp(100), detector="H1")
    given: dict[str, Any] = {"path": (str(tmp_path),), "background": "coincident", **SMALL}
    with pytest.raises(UserError, match=r"background=coincident: no file in dataset\.path is of L1, V1"):
        RealNoise(detectors=("H1", "L1", "V1"), **given).load(Context())
    write(tmp_path / "h.hdf", ramp(100))
    with pytest.raises(UserError, match=r"background=coincident: no file in dataset\.path is of H1, L1, V1"):
        RealNoise(**given).load(Context())


def test_time_slid_channels_are_half_a_second_apart(tmp_path: Path) -> None:
    for detector in ("H1", "L1", "V1"):
        write(tmp_path / f"{detector}.hdf", ramp(60), detector=detector)
    splits = RealNoise(path=(str(tmp_path),), **{**SMALL, "test": 400}).load(Context())
    gps = np.stack([splits.test.parameters[f"noise_gps_{d}"] for d in splits.detectors], axis=1)
    assert np.diff(np.sort(gps, axis=1), axis=1).min() >= 0.5
    # What the parameters say is where the strain is from: the ramp counts samples from GPS 1000, the margin is 128.
    quiet = splits.test.label == 0
    first = splits.test.strain[:][quiet][:, :, 128].astype(np.float64)
    np.testing.assert_allclose(gps[quiet], 1000 + (first - 1) / RATE, atol=1e-6)
    assert any("Slid by 0.5 s or more, the train noise makes" in note for note in splits.notes)


def test_events_listed_beside_the_files_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "x.hdf", ramp(60), detector="H1")
    events = [("GW1", 1010.0), ("GW2", 1061.0), ("GW3", 2000.0)]
    listed = {"events": [{"name": name, "gps": gps} for name, gps in events]}
    (tmp_path / "events.json").write_text(json.dumps(listed))
    given: dict[str, Any] = {"path": (str(path),), "exclude_seconds": 3.0, **SMALL}
    splits = RealNoise(**given).load(Context())
    used = set.union(*provenance(splits).values())
    assert not any(7 * RATE < sample <= 13 * RATE or sample > 58 * RATE for sample in used)
    assert "3 s on either side of the known event(s) GW1, GW2 are left out." in splits.notes
    assert "events.json" in RealNoise(**given).fingerprint()
    splits = RealNoise(exclude_events=False, **given).load(Context())
    assert any(7 * RATE < sample <= 13 * RATE for sample in set.union(*provenance(splits).values()))
    assert not any("left out." in note for note in splits.notes)
    assert "events.json" not in RealNoise(exclude_events=False, **given).fingerprint()


def test_catalogued_events_are_left_out_of_files_without_a_list(tmp_path: Path) -> None:
    """As of a frame that somebody fetched by other means: 60 s around GW150914, which lies 30.4 s in."""
    start = 1126259432.0
    path = write(tmp_path / "x.hdf", ramp(60), start=start, detector="H1")
    given: dict[str, Any] = {"path": (str(path),), "exclude_seconds": 3.0, **SMALL}

    def used(splits: StrainSplits) -> set[int]:
        return set.union(*provenance(splits).values())

    def near(samples: set[int]) -> bool:
        return any(28 * RATE < sample <= 33 * RATE for sample in samples)

    splits = RealNoise(**given).load(Context())
    assert not near(used(splits))
    assert "3 s on either side of 1 event(s) of GWTC-1 (GW150914) are left out." in splits.notes
    assert not any("not checked" in note for note in splits.notes)
    (tmp_path / "events.json").write_text('{"events": [{"name": "GW150914-v3", "gps": 1126259462.4}]}')
    splits = RealNoise(**given).load(Context())
    assert not near(used(splits))
    assert "3 s on either side of the known event(s) GW150914-v3 are left out." in splits.notes
    splits = RealNoise(exclude_events=False, **given).load(Context())
    assert near(used(splits))
    assert "The strain was not checked against known events (dataset.exclude_events=false)." in splits.notes


@pytest.mark.parametrize(
    ("start", "note"),
    [
        (0.0, "1 file(s) without a GPS time of recording were not checked against known events: x.hdf."),
        (10.0, "1 file(s) without a GPS time of recording were not checked against known events: x.hdf."),
        (1389456000.0, "Strain after 2024-01-16 was not checked against known events, but for some "),
    ],
)
def test_strain_that_no_catalogue_covers_is_said_not_to_be_checked(tmp_path: Path, start: float, note: str) -> None:
    path = write(tmp_path / "x.hdf", ramp(60), start=start, detector="H1")
    notes = RealNoise(path=(str(path),), **SMALL).load(Context()).notes
    assert sum(each.startswith(note) and each.endswith(" x.hdf.") for each in notes) == 1


def test_the_catalogues_count_in_the_identity() -> None:
    """Another list has another date, which must be set in the plugin too."""
    assert catalogues().date == real_noise.EVENT_LIST


@pytest.mark.parametrize("name", ["G1", "H2", "I1"])
def test_a_file_of_any_detector_serves_as_noise(tmp_path: Path, name: str) -> None:
    """As GWOSC lays it out."""
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file.create_dataset("strain/Strain", data=noise(60)).attrs.update({"Xspacing": 1 / RATE, "Xstart": 10**9})
        file["meta/Detector"], file["meta/GPSstart"] = name, 10**9
    splits = RealNoise(path=(str(tmp_path),), **SMALL).load(Context())
    assert splits.detectors == (name,)
    assert splits.train.label.mean() == 0.5


def test_what_is_left_out_of_a_folder_is_noted(tmp_path: Path) -> None:
    write(tmp_path / "h.HDF5", noise(60), detector="H1")
    (tmp_path / "l.hdf").symlink_to("/mnt/not-mounted/l.hdf")
    said: list[str] = []

    class Saying(Progress):
        def say(self, message: str) -> None:
            said.append(message)

    dataset = RealNoise(path=(str(tmp_path),), **SMALL)
    splits = dataset.load(Context(progress=Saying()))
    line = f"Left out (broken link): {tmp_path}/l.hdf."
    assert splits.detectors == ("H1",)
    assert said.count(line) == splits.notes.count(line) == 1


def test_what_is_cached_is_found_without_reading_strain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.hdf", noise(60), detector="H1")
    dataset = RealNoise(path=(str(path),), **SMALL)
    plugin = REGISTRY.get("dataset", "real-noise")

    def load() -> StrainSplits:
        fingerprint = RealNoise(path=(str(path),), **SMALL).fingerprint()
        context = CacheContext.of(
            recipes_of(plugin, {"path": str(path)}, 0, fingerprint),
            root=tmp_path / "cache",
            workers=1,
            progress=Progress(),
        )
        splits: StrainSplits = dataset.load(context)
        return splits

    first = load()

    def never(*_: object) -> None:
        raise AssertionError("strain was read")

    monkeypatch.setattr("gwbench.plugins.datasets.real_noise.read_strain_series", never)
    again = load()
    assert (again.content_hash, again.notes) == (first.content_hash, first.notes)
    assert len(again.notes) > 4
    with h5py.File(path, "a") as file:
        file["data"][0] = 1e-21
    with pytest.raises(AssertionError, match="strain was read"):
        load()


@pytest.mark.filterwarnings("ignore:COPY_IF_NEEDED is no longer needed:PendingDeprecationWarning")
def test_frames_and_hdf5_of_several_rates_go_together(tmp_path: Path) -> None:
    from gwpy.timeseries import TimeSeries

    name = "L1:GWOSC-4KHZ_R1_STRAIN"
    series = TimeSeries(noise(60, rate=2 * RATE), t0=1000, sample_rate=2 * RATE, name=name, channel=name)
    series.write(str(tmp_path / "l.gwf"), format="gwf")
    write(tmp_path / "h.hdf", noise(60, rate=4 * RATE, seed=1), rate=4 * RATE, detector="H1")
    write(tmp_path / "v.hdf5", noise(60, seed=2), detector="V1")
    splits = RealNoise(path=(str(tmp_path),), **SMALL).load(Context())
    assert splits.detectors == ("H1", "L1", "V1")
    quiet = splits.train.strain[:][splits.train.label == 0]
    # White noise keeps a quarter, a half and all of its power, less the filter's transition band.
    shares = quiet.astype(np.float64).var(axis=(0, 2)) / 1e-42
    assert shares == pytest.approx([0.95 / 4, 0.95 / 2, 1.0], rel=0.06)
    write(tmp_path / "slow.hdf", noise(60, rate=RATE / 2), rate=RATE / 2, detector="H1")
    with pytest.raises(UserError, match=r"slow\.hdf: strain sampled at 256 Hz cannot be brought to 512 Hz"):
        RealNoise(path=(str(tmp_path),), **SMALL).load(Context())
    (tmp_path / "slow.hdf").unlink()
    with pytest.raises(UserError, match=r"h\.hdf has none of the channels asked for \(L1:GWOSC"):
        RealNoise(path=(str(tmp_path),), channel=(name,), **SMALL).load(Context())


def test_simulated_glitches_can_be_added(tmp_path: Path) -> None:
    path = write(tmp_path / "x.hdf", noise(60), detector="H1")
    splits = RealNoise(path=(str(path),), glitch_rate=2.0, **SMALL).load(Context())
    counts = splits.train.parameters["glitches_H1"]
    assert counts.mean() == pytest.approx(2.0 * 1.5, rel=0.3)
    assert any("glitches besides the real ones: 2 per second" in note for note in splits.notes)


def test_files_of_a_higher_rate_are_resampled(tmp_path: Path) -> None:
    path = write(tmp_path / "x.hdf", noise(60, rate=2048), rate=2048)
    splits = RealNoise(path=(str(path),), **SMALL).load(Context())
    assert splits.sample_rate == RATE
    assert splits.train.strain.shape[-1] == NEED
    quiet = splits.train.strain[:][splits.train.label == 0]
    # A quarter of the rate keeps a quarter of white noise's power, less the filter's transition band.
    assert 0.9 / 4 < quiet.var() / 1e-42 < 1 / 4


def test_notes_state_independent_seconds_and_reuse(tmp_path: Path) -> None:
    path = write(tmp_path / "x.hdf", noise(100), detector="H1")
    notes = RealNoise(path=(str(path),), **SMALL).load(Context()).notes
    # 100 s x 0.6 less half a guard of 0.25 s; 60 windows of 1.5 s over 59.875 s.
    assert "Independent noise behind the train windows: H1 59.9 s (each second used 1.5 times)." in notes
    assert "Independent noise behind the test windows: H1 19.9 s (each second used 1.5 times)." in notes
    assert "Intervals do not account for the reuse of noise." in notes
    assert any("time slide" in note for note in notes)


def test_fingerprint_is_the_digest_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    paths = [write(tmp_path / "x.hdf", noise(5)), write(tmp_path / "a" / "x.hdf", noise(5, seed=1))]
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths, key=str)]
    found = dict(RealNoise(path=(str(tmp_path),)).fingerprint())
    assert found.pop("population flat-bbh")
    assert found == {"x.hdf": expected[0], "x.hdf#2": expected[1]}
    assert "population flat-precessing" in RealNoise(path=(str(tmp_path),), population="flat-precessing").fingerprint()


def test_command_line_text_is_converted() -> None:
    plugin = REGISTRY.get("dataset", "real-noise")
    text = {"path": "a.hdf,b.hdf", "detectors": "H1,V1", "snr": "5,9", "fractions": "0.5,0.25,0.25", "exclude": "1,2.5"}
    given = validate(plugin, text)
    assert given["path"] == ("a.hdf", "b.hdf")
    assert given["exclude"] == (1.0, 2.5)
    assert RealNoise(**given).fractions == {"train": 0.5, "val": 0.25, "test": 0.25}


def test_bad_input_is_named(tmp_path: Path) -> None:
    short = str(write(tmp_path / "short.hdf", noise(4), detector="H1"))

    def refused(match: str, **given: Any) -> None:
        with pytest.raises(UserError, match=match):
            RealNoise(**{**SMALL, **given}).load(Context())

    refused("needs --set dataset.path=FILE")
    refused(r"dataset\.path=.*gone\.hdf names no strain file", path=(str(tmp_path / "gone.hdf"),))
    refused(r"dataset\.path=.*\*\.h5 names no strain file", path=(str(tmp_path / "*.h5"),))
    refused(r"Unknown detector 'H9'", path=(short,), detectors=("H9", "L1"))
    refused(r"dataset\.detectors=H1,H1: expected different", path=(short,), detectors=("H1", "H1"))
    refused(r"dataset\.fractions=0\.8,0,0\.2", path=(short,), fractions=(0.8, 0.0, 0.2))
    refused(r"short\.hdf: strain sampled at 512 Hz cannot be brought to 2048 Hz", path=(short,), sample_rate=2048.0)
    too_little = (
        r"Too little good strain for channel H1 in the {} split: one window .* takes {} s .*; the files hold {} s"
    )
    refused(too_little.format("val", r"1\.5", r"4\.0"), path=(short,))
    refused(too_little.format("train", r"4\.5", r"4\.0"), path=(short,), duration=4.0)
    refused(too_little.format("train", r"1\.5", r"0\.0"), path=(short,), exclude=(1002.0,))
    refused(r"snr = 5: with snr_model = uniform, expected snr = LOW,HIGH", path=(short,), snr=(5.0,))
    refused(r"arrival = 0\.5,1\.5 s does not fit the window of 1 s", path=(short,), arrival=(0.5, 1.5))
    refused(r"There is no population 'bh'", path=(short,), population="bh")
    many = [write(tmp_path / f"{detector}.hdf", noise(9.5), detector=detector) for detector in ("L1", "V1")]
    refused(r"The channels of the val split hold too little time to be slid", path=tuple(map(str, many)))


@pytest.mark.skipif("GWBENCH_TEST_DATA" not in os.environ, reason="GWBENCH_TEST_DATA names no folder of real data")
class TestRealData:
    DATA = Path(os.environ.get("GWBENCH_TEST_DATA", ""))
    SIZES: dict[str, Any] = {"train": 40, "val": 10, "test": 10}  # noqa: RUF012

    def test_o3a_noise(self) -> None:
        splits = RealNoise(path=(str(self.DATA / "o3a-noise"),), **self.SIZES).load(Context())
        assert splits.train.strain.shape == (40, 3, 6144)
        assert np.isfinite(splits.train.strain[:]).all()
        train = next(note for note in splits.notes if "behind the train" in note)
        assert "H1 99.8 s" in train

    def test_gw150914_is_left_out(self) -> None:
        import scipy.signal

        def loudest(**given: Any) -> float:
            """Largest whitened sample (30-300 Hz) of H1's windows without an injection."""
            splits = RealNoise(path=(str(self.DATA / "gwosc"),), **given, **self.SIZES).load(Context())
            assert splits.detectors == ("H1", "L1")
            strain = np.concatenate([splits[n].strain[:][splits[n].label == 0] for n in ("train", "val", "test")])
            band = scipy.signal.butter(4, (60, 300), "bandpass", fs=2048, output="sos")
            return float(np.abs(scipy.signal.sosfiltfilt(band, strain[:, 0] * 1e21)[:, 1024:-1024]).max())

        with_event, without = loudest(exclude_events=False), loudest()
        assert without < with_event
