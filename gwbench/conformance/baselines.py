"""What a baseline promises: scores of the test split, from the labels that it may use."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gwbench import seeds
from gwbench.conformance.objectives import Spectral
from gwbench.conformance.subject import Subject
from gwbench.conformance.table import NotApplicable, check, require
from gwbench.conformance.watch import printed, quoted, random_state_touched
from gwbench.contracts import Array, InputShape, Split, StrainSplits
from gwbench.data.store.cache import CacheDir
from gwbench.dataloading.conditioned_split import ConditionedStrain
from gwbench.experiment.blinding import hide_test
from gwbench.experiment.context import ExperimentContext
from gwbench.experiment.spec import RunSpec
from gwbench.nn.detector_encoder import DetectorEncoder, parse_groups
from gwbench.preprocessing.conditioning import Conditioner, Conditioning, fit_conditioner
from gwbench.registry import ALL_LABELS_TAG
from gwbench.simulation.signals import SignalModel
from gwbench.simulation.strain import Simulation
from gwbench.utils.progress import Progress

SIZES = {"train": 96, "val": 48, "test": 48}


@check("baseline")
def shape(subject: Subject) -> str:
    """Gives one finite score for every window of the test split."""
    scores = run(subject)
    require(scores.shape == (SIZES["test"],), f"scores are {list(scores.shape)}, not [{SIZES['test']}]")
    require(bool(np.isfinite(scores).all()), f"{int((~np.isfinite(scores)).sum())} scores are not finite")
    require(len(np.unique(scores)) > 1, f"every window has the score {scores[0]:g}")
    return f"[{len(scores)}], {scores.min():.3g} to {scores.max():.3g}"


@check("baseline")
def deterministic(subject: Subject) -> str:
    """The same seed gives the same scores."""
    return _same(run(subject), run(subject), "of two runs with the same seed differ")


@check("baseline")
def test_labels(subject: Subject) -> str:
    """Does not look for what the core hides: labels of the test windows, and their signals' SNRs and parameters."""

    def reveal(splits: StrainSplits) -> StrainSplits:
        return replace(splits, test=toy_splits().test)

    difference = _same(run(subject), run(subject, reveal), "change when what is hidden is shown")
    return difference + ("; sources are not hidden: it declares sees_sources" if subject.target.sees_sources else "")


@check("baseline")
def labelled_only(subject: Subject) -> str:
    """Uses the labels of the labelled windows only: others may change."""
    if ALL_LABELS_TAG in subject.plugin.tags:
        raise NotApplicable(f"it is tagged {ALL_LABELS_TAG!r}")

    def change(splits: StrainSplits) -> StrainSplits:
        others = np.setdiff1d(np.arange(len(splits.train)), labelled())
        return replace(splits, train=_other_labels(splits.train, others))

    return _same(run(subject), run(subject, change), "change with the labels of windows that are not labelled")


@check("baseline")
def strain_kept(subject: Subject) -> str:
    """Does not change the strain or the labels that it is given."""
    context = toy_job(subject)
    splits = {name: context.splits[name] for name in SIZES}
    before = {name: (split.strain[:].copy(), split.label.copy()) for name, split in splits.items()}
    subject.build().scores(context)
    for name, (strain, label) in before.items():
        same = np.array_equal(splits[name].strain[:], strain) and np.array_equal(splits[name].label, label)
        require(same, f"the {name} split changed")
    changed = [split for split, given, copy in context.handed if not torch.equal(given, copy)]
    require(not changed, f"conditioned strain of {', '.join(sorted(set(changed)))} changed")
    return "unchanged"


@check("baseline")
def global_random_state(subject: Subject) -> str:
    """Touches no global random state but within `gwbench.seeds.torch_global`."""
    touched = random_state_touched(lambda: run(subject))
    require(not touched, f"it touches the global generator of {', '.join(touched)}")
    return "none touched"


@check("baseline")
def quiet(subject: Subject) -> str:
    """Prints nothing."""
    text = printed(lambda: run(subject))
    require(not text, f"it prints {quoted(text)}")
    return "nothing"


# --- what the checks share ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ToyContext(ExperimentContext):
    """What the core hands a baseline, with a toy encoder that is never pre-trained.

    Attributes:
        handed: the split of all conditioned strain that was given away, the tensor, and a copy.
    """

    handed: list[tuple[str, Tensor, Tensor]] = field(default_factory=list)

    def conditioned(self, split: str, index: slice | Array) -> Tensor:
        """As the core has it; what happens to it there happens to nobody else."""
        given = super().conditioned(split, index).clone()
        self.handed.append((split, given, given.clone()))
        return given

    def new_encoder(self) -> DetectorEncoder:
        """A toy encoder."""
        shape = InputShape(1, self.splits.window, self.splits.sample_rate)
        groups = parse_groups(self.spec.encoder_groups, self.splits.detectors)
        with seeds.torch_global(self.seed, "init"):
            return DetectorEncoder(lambda: Spectral(shape), groups)

    def pretrained(self) -> DetectorEncoder:
        """The same toy encoder."""
        return self.new_encoder()


@lru_cache(maxsize=1)
def toy_splits() -> StrainSplits:
    """A few loud simulated windows of H1, L1 and V1, half of them with a signal."""
    signals = SignalModel.create(population="flat-bbh", duration=2.0, snr_model="uniform", snr=(15.0, 30.0))
    made = Simulation(("H1", "L1", "V1"), (), signals, sample_rate=2048.0, window=4096, margin=512)
    splits: dict[str, Any] = {}
    for name, size in SIZES.items():
        block = made.block(seeds.numpy_generator(0, "data", len(splits)), name, 0, size)
        splits[name] = Split(block.strain, block.label, block.snr, block.parameters)
    return StrainSplits(
        **splits, detectors=made.detectors, sample_rate=made.sample_rate, margin=made.margin, content_hash="toy"
    )


@lru_cache(maxsize=1)
def conditioned() -> tuple[Conditioner, dict[str, ConditionedStrain]]:
    """The conditioner of the toy splits, and what it makes of them."""
    splits = toy_splits()
    conditioner = fit_conditioner(
        splits.train,
        sample_rate=splits.sample_rate,
        margin=splits.margin,
        detectors=splits.detectors,
        settings=Conditioning(),
    )
    strain = {name: ConditionedStrain(splits[name], conditioner, name) for name in SIZES}
    for kept in strain.values():
        kept.keep(Progress(), CacheDir().root, splits.content_hash)
    return conditioner, strain


def labelled() -> Array:
    """Positions of the training windows whose labels may be used: half of the signals, half of the noise."""
    label = toy_splits().train.label
    return np.sort(np.concatenate([np.flatnonzero(label == value)[::2] for value in (0, 1)]))


def toy_job(subject: Subject, change: Callable[[StrainSplits], StrainSplits] = lambda splits: splits) -> ToyContext:
    """What the core would hand the baseline, with splits that are changed behind its back."""
    settings = {f"baseline.{name}": value for name, value in subject.parameters.items()}
    spec = RunSpec.create(baseline=subject.plugin.name, settings=settings)
    conditioner, strain = conditioned()
    splits = copy.deepcopy(toy_splits())
    hidden = hide_test(splits, spec)
    return ToyContext(spec, change(hidden), labelled(), conditioner, strain, subject.device, Progress())


def run(subject: Subject, change: Callable[[StrainSplits], StrainSplits] = lambda splits: splits) -> Array:
    """The baseline's scores on the toy splits."""
    return np.asarray(subject.build().scores(toy_job(subject, change)).test)


def _other_labels(split: Split, index: Array) -> Split:
    """The split with other labels at some positions, and nothing known of their signals."""
    label, snr = split.label.copy(), split.snr.copy()
    label[index] = 1 - label[index]
    snr[index] = np.nan
    parameters = {name: np.asarray(values, np.float64).copy() for name, values in split.parameters.items()}
    for values in parameters.values():
        values[index] = np.nan
    return replace(split, label=label, snr=snr, parameters=parameters)


def _same(first: Array, second: Array, otherwise: str) -> str:
    apart = float(np.abs(first - second).max())
    require(apart <= 1e-6 * float(np.abs(first).max()), f"the scores {otherwise}, by up to {apart:.2g}")
    return f"largest difference {apart:.1g}"
