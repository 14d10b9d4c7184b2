"""The simulated dataset, through a context that keeps its blocks in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gwbench.contracts import Block, Layout, Split, StrainSplits
from gwbench.errors import UserError
from gwbench.parameters import validate
from gwbench.plugins.datasets.bbh import Bbh
from gwbench.progress import Progress
from gwbench.registry import REGISTRY


@dataclass
class MemoryContext:
    """A data context without a cache."""

    seed: int = 0
    workers: int = 1
    progress: Progress = field(default_factory=Progress)
    layout: Layout | None = None

    def stored(self, layout: Layout, blocks: Callable[[], Iterator[Block]]) -> StrainSplits:
        self.layout = layout
        parts: dict[str, list[Block]] = {name: [] for name in layout.sizes}
        for block in blocks():
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
    assert str(g2net.simulation.snr) == "2.2 max(N(3.6, 1), 1)"
    other = Bbh(
        preset="g2net-like", val=7, snr=(4.0, 5.0), mass=(30.0, 40.0), duration=4.0, sample_rate=1024.0,
        detectors=("L1", "K1"), psds=("aLIGOZeroDetHighPower", "KAGRA"),
    )  # fmt: skip
    assert other.sizes == {"train": 20000, "val": 7, "test": 10000}
    assert str(other.simulation.snr) == "uniform in [4, 5]"
    assert (other.simulation.window, other.simulation.margin) == (4096, 256)
    assert other.simulation.population.mass == (30.0, 40.0)
    assert other.simulation.population.arrival == pytest.approx((2.8, 3.8))


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
    assert str(dataset.simulation.snr) == "uniform in [8, 9]"
    with pytest.raises(UserError, match="train"):
        validate(plugin, {"train": "-5"})
