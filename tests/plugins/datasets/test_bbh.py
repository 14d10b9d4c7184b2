"""The simulated dataset, through a context that keeps its blocks in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gwbench.contracts import Block, Layout, Split, StrainSplits, Windows
from gwbench.data.store.generate import generate
from gwbench.errors import UserError
from gwbench.plugins.datasets.bbh import Bbh
from gwbench.registry import REGISTRY
from gwbench.registry.parameters import validate
from gwbench.utils.progress import Progress


@dataclass
class MemoryContext:
    """A data context without a cache."""

    seed: int = 0
    workers: int = 1
    progress: Progress = field(default_factory=Progress)
    materialise: bool = False
    layout: Layout | None = None

    def find(self, layout: Layout) -> StrainSplits | None:
        return None

    def stored(self, layout: Layout, windows: Windows) -> StrainSplits:
        self.layout = layout
        parts: dict[str, list[Block]] = {name: [] for name in layout.sizes}
        for block in generate(windows, layout.sizes, self.seed, self.workers):
            parts[block.split].append(block)

        def join(found: list[Block]) -> Split:
            return Split(
                np.concatenate([block.strain for block in found]),
                np.concatenate([block.label for block in found]),
                np.concatenate([block.snr for block in found]),
                {key: np.concatenate([b.parameters[key] for b in found]) for key in found[0].parameters},
            )

        splits = {name: join(found) for name, found in parts.items()}
        return StrainSplits(
            **splits,
            detectors=layout.detectors,
            sample_rate=layout.sample_rate,
            margin=layout.margin,
            content_hash="",
            notes=layout.notes,
        )


def test_quick_windows() -> None:
    splits = Bbh(train=30, val=20, test=21).load(MemoryContext())
    assert splits.train.strain.shape == (30, 3, 4096 + 2 * 512)
    assert (splits.window, splits.margin, splits.sample_rate) == (4096, 512, 2048.0)
    assert splits.detectors == ("H1", "L1", "V1")
    for split, size in (("train", 30), ("val", 20), ("test", 21)):
        assert len(splits[split]) == size
        assert splits[split].label.sum() == size // 2
        snr = splits[split].snr[splits[split].label == 1]
        assert ((snr >= 6) & (snr <= 20)).all()
        assert np.isnan(splits[split].snr[splits[split].label == 0]).all()
    assert splits.train.label.dtype == np.int8
    assert splits.train.snr.dtype == np.float32
    assert {"mass_1", "luminosity_distance", "snr_H1", "snr_V1"} <= set(splits.train.parameters)


def test_signals_show_in_the_strain() -> None:
    """At a network SNR of 100 the band power of every signal window is above any noise window's."""
    splits = Bbh(train=40, val=1, test=1, snr=(100.0, 100.0)).load(MemoryContext())
    strain = np.asarray(splits.train.strain[:]).astype(float)
    spectrum = np.abs(np.fft.rfft(strain * np.hanning(strain.shape[-1]))) ** 2
    power = spectrum[..., 75:500].sum(axis=(1, 2))
    label = splits.train.label
    assert power[label == 1].min() > power[label == 0].max()


def test_presets_and_what_overrides_them() -> None:
    assert Bbh().sizes == {"train": 8000, "val": 2000, "test": 4000}
    g2net = Bbh(preset="g2net-like")
    assert g2net.sizes == {"train": 20000, "val": 5000, "test": 10000}
    assert str(g2net.simulation.signals.snr_distribution) == "max(N(7.92, 2.2), 2.2)"
    other = Bbh(
        preset="g2net-like", val=7, snr=(4.0, 5.0), mass=(30.0, 40.0), duration=4.0, sample_rate=1024.0,
        detectors=("L1", "K1"), psds=("aLIGOZeroDetHighPower", "KAGRA"),
    )  # fmt: skip
    assert other.sizes == {"train": 20000, "val": 7, "test": 10000}
    assert str(other.simulation.signals.snr_distribution) == "uniform in [4, 5]"
    assert (other.simulation.window, other.simulation.margin) == (4096, 256)
    masses = other.simulation.signals.population
    assert (masses.smallest_mass, masses.largest_mass) == (30.0, 40.0)
    assert other.simulation.signals.arrival == pytest.approx((2.8, 3.8))


def test_labels_of_a_part() -> None:
    assert (Bbh().labelled, Bbh(preset="g2net-like").labelled) == (1000, 20000)
    assert (Bbh(train=500).labelled, Bbh(train=500, labelled=20).labelled) == (500, 20)
    context = MemoryContext()
    splits = Bbh(train=40, val=20, test=20, labelled=20).load(context)
    assert [int((splits[name].label >= 0).sum()) for name in ("train", "val", "test")] == [20, 20, 20]
    assert context.layout is not None
    assert "20 of the 40 training windows have a label." in context.layout.notes
    with pytest.raises(UserError, match=r"dataset.labelled=21 is more than the 20 training windows"):
        Bbh(train=20, labelled=21)


def test_the_notes_say_what_the_data_are() -> None:
    context = MemoryContext()
    Bbh(train=2, val=2, test=2).load(context)
    assert context.layout is not None
    notes = " ".join(context.layout.notes)
    said = ("[15, 75] solar masses", "IMRPhenomXAS", "Half the windows", "uniform in [6, 20]", "AdvVirgo (V1)")
    for words in said:
        assert words in notes


def test_another_seed_gives_other_data() -> None:
    first, again, other = (Bbh(train=4, val=2, test=2).load(MemoryContext(seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train.strain[:], again.train.strain[:])
    assert not np.isclose(first.train.strain[:], other.train.strain[:], rtol=1e-3, atol=0).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": -5}, "train = -5 windows"),
        ({"detectors": ("H1",)}, "at least two"),
        ({"detectors": ("H1", "Z9")}, "Unknown detector 'Z9'"),
        ({"snr": (20.0, 6.0)}, "snr = 20,6"),
        ({"mass": (-1.0, 6.0)}, "mass = -1,6"),
        ({"psds": ("none", "of", "these")}, "Unknown PSD 'none'"),
        ({"preset": "quik"}, "Did you mean 'quick'"),
        ({"f_low": 3000.0}, "less than half the sample rate"),
        ({"population": "flat-precessing", "spin": (-0.5, 0.5)}, "choose a population of aligned spins"),
        ({"snr_model": "distance"}, "expected snr = LEAST"),
        ({"snr": (1.0, 2.0, 3.0, 4.0)}, "expected snr = LOW,HIGH"),
        ({"glitch_rate": 0.5, "glitch_kinds": ("blop",)}, "Did you mean 'blip'"),
        ({"glitch_path": ("a.hdf5",)}, "set dataset.glitch_rate too"),
        ({"duration": 1.0, "arrival": (0.5, 1.5)}, "does not fit the window of 1 s"),
    ],
)
def test_impossible_parameters_are_explained(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Bbh(**given)


def test_text_from_a_command_line_converts() -> None:
    plugin = REGISTRY.get("dataset", "bbh")
    given = {"train": "12", "detectors": "H1,V1", "snr": "8,9", "psds": "none", "preset": "g2net-like"}
    dataset = Bbh(**validate(plugin, given))
    assert dataset.sizes["train"] == 12
    assert dataset.simulation.detectors == ("H1", "V1")
    assert str(dataset.simulation.signals.snr_distribution) == "uniform in [8, 9]"
    with pytest.raises(UserError, match="train"):
        validate(plugin, {"train": "-5"})


@pytest.mark.parametrize("preset", Bbh.presets)
def test_every_preset_gives_what_it_says(preset: str) -> None:
    splits = Bbh(preset=preset, train=6, val=4, test=4).load(MemoryContext())
    for split in (splits.train, splits.val, splits.test):
        assert np.isfinite(np.asarray(split.strain[:])).all()
        assert split.label.sum() == len(split) // 2
    if preset == "precessing":
        assert np.abs(splits.train.parameters["spin_1x"][splits.train.label == 1]).min() > 0
    if preset == "astrophysical":
        assert splits.window == 4 * 2048
        assert np.nanmin(splits.train.snr) >= 4


@pytest.mark.parametrize(("plugin", "seconds"), [("bns", 16), ("nsbh", 8)])
def test_longer_binaries_have_longer_windows(plugin: str, seconds: int) -> None:
    target = REGISTRY.get("dataset", plugin).target
    assert target is not None
    dataset = target(train=4, val=2, test=2)
    splits = dataset.load(MemoryContext())
    assert splits.window == seconds * 2048
    lightest = splits.train.parameters["mass_2"][splits.train.label == 1]
    assert ((lightest > 1) & (lightest < 3)).all()


def test_glitches_strike_windows_with_and_without_signals() -> None:
    """0.4 per second over 2.5 s: one per window and detector on average, the same for either label."""
    train = Bbh(train=400, val=2, test=2, glitch_rate=0.4).load(MemoryContext()).train
    counts = np.stack([train.parameters[f"glitches_{name}"] for name in ("H1", "L1", "V1")])
    for label in (0, 1):
        mean = counts[:, train.label == label].mean()
        assert mean == pytest.approx(1.0, abs=4 / np.sqrt(600))
    times = train.parameters["glitch_time_H1"]
    assert np.nanmin(times) >= -0.25
    assert np.nanmax(times) <= 2.25


def test_real_glitches_from_files(test_data: Path) -> None:
    path = str(test_data / "o3a-noise" / "real_noise.hdf")
    dataset = Bbh(train=40, val=20, test=20, glitch_rate=0.4, glitch_path=(path,))
    with pytest.raises(UserError, match=r"Found 1 glitch\(es\).*one each for train, val, test"):
        dataset.load(MemoryContext())
    assert "real_noise.hdf" in dataset.fingerprint()


def test_files_count_in_the_fingerprint(tmp_path: Path) -> None:
    own = tmp_path / "asd.txt"
    own.write_text("".join(f"{f} 1e-23\n" for f in range(5, 1100)))
    psds = ("AdvVirgo", "AdvVirgo", str(own))
    before = Bbh(psds=psds).fingerprint()
    own.write_text(own.read_text().replace("1e-23", "2e-23"))
    assert Bbh(psds=psds).fingerprint() != before
    assert Bbh(population="flat-precessing").fingerprint() != Bbh().fingerprint()


def test_files_of_one_name_all_count_in_the_fingerprint(tmp_path: Path) -> None:
    own = [tmp_path / name / "asd.txt" for name in ("H1", "L1")]
    for path in own:
        path.parent.mkdir()
        path.write_text("".join(f"{f} 1e-23\n" for f in range(5, 1100)))
    dataset = Bbh(detectors=("H1", "L1"), psds=tuple(map(str, own)))
    before = dataset.fingerprint()
    for path in own:
        path.write_text(path.read_text().replace("1e-23", "2e-23"))
        after = dataset.fingerprint()
        assert after != before
        before = after


def test_known_events_are_not_taken_for_glitches(tmp_path: Path) -> None:
    """White noise with five bursts of one sample, one of them a known event."""
    rate, start = 1024, 1_000_000_000
    strain = 1e-21 * np.random.default_rng(0).standard_normal(150 * rate)
    times = start + np.array([20.0, 45.0, 70.0, 95.0, 120.0])
    strain[[round((time - start) * rate) for time in times]] += 1e-19
    with h5py.File(tmp_path / "H-H1.hdf5", "w") as file:
        data = file.create_dataset("data", data=strain)
        data.attrs.update(start_time=float(start), delta_t=1 / rate)
    dataset = Bbh(train=30, val=30, test=30, sample_rate=rate, glitch_rate=2.0, glitch_path=(str(tmp_path),))

    def used() -> set[float]:
        splits = dataset.load(MemoryContext())
        columns = [getattr(splits, split).parameters["glitch_gps_H1"] for split in ("train", "val", "test")]
        found = np.concatenate(columns)
        return set(np.rint(found[np.isfinite(found)]).tolist())

    before = dataset.fingerprint()
    assert used() == set(times.tolist())
    (tmp_path / "events.json").write_text(f'{{"events": [{{"name": "GW1", "gps": {times[2]}}}]}}')
    assert used() == set(times.tolist()) - {times[2]}
    assert dataset.fingerprint() != before


def test_catalogued_events_are_not_taken_for_glitches(tmp_path: Path) -> None:
    """White noise with five bursts of one sample, one of them when GW150914 arrived."""
    rate, start = 1024, 1_126_259_400
    noise = 1e-21 * np.random.default_rng(0).standard_normal(150 * rate)
    times = start + np.array([20.0, 62.0, 80.0, 100.0, 120.0])
    noise[[round((time - start) * rate) for time in times]] += 1e-19
    with h5py.File(tmp_path / "H-H1.hdf5", "w") as file:
        file.create_dataset("data", data=noise).attrs.update(start_time=float(start), delta_t=1 / rate)
    dataset = Bbh(train=30, val=30, test=30, sample_rate=rate, glitch_rate=2.0, glitch_path=(str(tmp_path),))
    splits = dataset.load(MemoryContext())
    columns = [getattr(splits, split).parameters["glitch_gps_H1"] for split in ("train", "val", "test")]
    found = np.concatenate(columns)
    assert set(np.rint(found[np.isfinite(found)]).tolist()) == set(times.tolist()) - {times[1]}
    assert (
        "Of the glitches' strain: 4 s on either side of 1 event(s) of GWTC-1 (GW150914) are left out." in splits.notes
    )
    assert "known events" in dataset.fingerprint()
    assert "known events" not in Bbh().fingerprint()
