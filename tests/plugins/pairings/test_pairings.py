from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from gwbench.contracts import SignalSettings, StrainInfo
from gwbench.errors import UserError
from gwbench.registry import REGISTRY


class UnitNoise:
    """White noise in place of pycbc's, to see what a plugin does with it."""

    def draw(self, detectors: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(*detectors.shape, 64, generator=generator)


def info(*detectors: str, asked: list[Mapping[str, Sequence[str]]] | None = None) -> StrainInfo:
    def noise(psds: Mapping[str, Sequence[str]]) -> UnitNoise:
        if asked is not None:
            asked.append(psds)
        return UnitNoise()

    def signals(settings: SignalSettings) -> Any:
        raise AssertionError("neither of these asks for signals")

    return StrainInfo(detectors or ("H1", "L1", "V1"), 2048.0, 64, noise, signals)


def build(kind: str, name: str, about: StrainInfo, **parameters: object) -> Any:
    target = REGISTRY.get(kind, name).target
    assert target is not None
    return target(about, **parameters)


def labelled_strain(batch: int = 600, detectors: int = 3) -> Tensor:
    """Every sample says which window and detector it comes from."""
    window = torch.arange(batch).view(-1, 1, 1) * 10
    return (window + torch.arange(detectors).view(1, -1, 1)).float().expand(batch, detectors, 64).clone()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_cross_detector_takes_each_view_from_its_group() -> None:
    strain = labelled_strain()
    a, b = build("pairing", "cross-detector", info()).pair(strain, generator())
    for view in (a, b):
        assert view.samples.shape == (600, 1, 64)
        expected = torch.arange(600) * 10 + view.detectors[:, 0]
        torch.testing.assert_close(view.samples[:, 0, 0], expected.float())
    assert set(a.detectors.flatten().tolist()) == {0, 1}
    assert set(b.detectors.flatten().tolist()) == {2}
    assert 240 < int((a.detectors == 0).sum()) < 360  # drawn per sample, evenly: 300 +- 5 sigma


@pytest.mark.parametrize(
    ("detectors", "groups", "expected"),
    [
        (("H1", "L1"), None, ({0}, {1})),
        (("L1", "V1", "K1"), None, ({0}, {1, 2})),
        (("H1", "L1", "V1"), "L1|H1,V1", ({1}, {0, 2})),
    ],
)
def test_cross_detector_groups(
    detectors: tuple[str, ...], groups: str | None, expected: tuple[set[int], set[int]]
) -> None:
    pairing = build("pairing", "cross-detector", info(*detectors), groups=groups)
    views = pairing.pair(labelled_strain(detectors=len(detectors)), generator())
    assert tuple(set(view.detectors.flatten().tolist()) for view in views) == expected


@pytest.mark.parametrize("groups", ["H1|L1", "H1,L1|V1,X1", "H1|L1|V1", "H1,H1|L1,V1"])
def test_cross_detector_refuses_groups_that_make_no_sense(groups: str) -> None:
    with pytest.raises(UserError, match=r"groups"):
        build("pairing", "cross-detector", info(), groups=groups)


def test_cross_detector_needs_two_detectors() -> None:
    with pytest.raises(UserError, match="needs two detectors; the data have H1 alone"):
        build("pairing", "cross-detector", info("H1"))


@pytest.mark.parametrize("name", ["cross-detector", "noise-injection"])
def test_a_pairing_is_driven_by_its_generator_alone_and_leaves_its_input(name: str) -> None:
    pairing = build("pairing", name, info())
    strain = labelled_strain()
    before, state = strain.clone(), torch.get_rng_state()
    first, again, other = (pairing.pair(strain, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(strain, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(x.samples, y.samples) for x, y in zip(first, again, strict=True))
    assert not all(torch.equal(x.samples, y.samples) for x, y in zip(first, other, strict=True))


def test_noise_injection_pairs_one_detector_with_itself_in_independent_noise() -> None:
    pairing = build("pairing", "noise-injection", info(), scale=2.0)
    a, b = pairing.pair(torch.zeros(600, 3, 64), generator())
    assert torch.equal(a.detectors, b.detectors)
    assert set(a.detectors.flatten().tolist()) == {0, 1, 2}
    assert float(a.samples.std()) == pytest.approx(2.0, rel=0.02)
    correlation = float((a.samples * b.samples).mean() / (a.samples.std() * b.samples.std()))
    assert abs(correlation) < 5 / (600 * 64) ** 0.5


def test_noise_injection_as_an_augmentation_hits_the_asked_share() -> None:
    augmentation = build("augmentation", "noise-injection", info(), probability=0.3)
    view, _ = build("pairing", "cross-detector", info()).pair(torch.zeros(2000, 3, 64), generator())
    out = augmentation.augment(view, generator())
    share = float((out.samples.abs().amax((1, 2)) > 0).float().mean())
    assert share == pytest.approx(0.3, abs=5 * (0.3 * 0.7 / 2000) ** 0.5)
    assert float(view.samples.abs().max()) == 0.0
    assert torch.equal(out.detectors, view.detectors)


def test_noise_injection_asks_for_the_curated_psds_or_for_those_given() -> None:
    asked: list[Mapping[str, Sequence[str]]] = []
    build("augmentation", "noise-injection", info("H1", "V1", asked=asked))
    build("augmentation", "noise-injection", info("H1", asked=asked), psds=("KAGRA",))
    assert "aLIGODesignSensitivityT1800044" in asked[0]["H1"]
    assert "AdvVirgo" in asked[0]["V1"]
    assert asked[1] == {"H1": ("KAGRA",)}
