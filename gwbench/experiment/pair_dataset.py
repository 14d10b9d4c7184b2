"""Two views of every window as a torch `Dataset`: what pre-training draws, for one's own loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from gwbench import seeds
from gwbench.contracts import Augmentation, InputShape, Pairing, StrainInfo, View
from gwbench.data.dataset import StrainSplits
from gwbench.dataloading.conditioned_splits import SPLITS, ConditionedSplits
from gwbench.errors import UserError
from gwbench.experiment import objects
from gwbench.experiment.choice import Choice
from gwbench.experiment.sections import sort_settings
from gwbench.preprocessing.noise_source import coloured_noise_factory
from gwbench.preprocessing.settings import Conditioning
from gwbench.preprocessing.signal_source import simulated_signals_factory
from gwbench.registry import REGISTRY
from gwbench.registry.compatibility import refuse_combination
from gwbench.training.epoch_batches import EpochBatches
from gwbench.utils import progress as progress_bars
from gwbench.utils.list_text import names_of

if TYPE_CHECKING:
    from gwbench.experiment.run import AugmentationsLike
    from gwbench.utils.progress import Progress

LAYOUTS = ("pair", "lightly", "views")

WINDOW_STREAM = 0
"""Last part of the key of a single window's random numbers, which tells them from those of a batch."""


class PairDataset(TorchDataset[Any]):
    """Two views of conditioned strain, drawn by a pairing and augmentations, under any `DataLoader`.

        pairs = gwbench.PairDataset(splits, augmentations=["NAME"])
        for x0, x1 in DataLoader(pairs, batch_size=64, shuffle=True, num_workers=2):
            ...  # two views [64, C, T]

    A pairing draws the views of a batch, and some mix its windows. So there are two ways:

    - Without `batch_size`, an item is one window: `(x0, x1)`, each [C, T]. The DataLoader shuffles, batches and
      collates as it likes. What is drawn for a window depends on the seed, on the window and on how often it has been
      drawn: not on the batch, the order or the number of workers. Pairings that need several windows are refused.
    - With `batch_size`, an item is a whole batch, each view [B, C, T], for `DataLoader(pairs, batch_size=None)`. Any
      pairing works, and batch k of epoch e holds the windows and the views that `gwbench.run` trains on at that step
      with the same seed, batch size and settings on the CPU. Each epoch is a permutation; windows that fill no batch
      are left for another epoch.

    Views differ from epoch to epoch, in persistent workers too: how often an item has been drawn is counted in memory
    that all workers share. `set_epoch` sets the count, such as after a loop that was left early. No global generator is
    read or set, so that workers need no `worker_init_fn`.

    The constructor draws once, so that what a pairing makes only once (noise, simulated signals) is there before
    workers start.

    Args:
        data: `gwbench.open_dataset(...)`, which is conditioned with the default settings, or what its `.conditioned()`
            gives.
        pairing: a name of `gwbench list pairing`, or a `Pairing` class or object; by default the pairing tagged
            "default".
        augmentations: names of `gwbench list augmentation`, or `Augmentation` classes or objects, in the order in which
            they are applied to each view; a single one needs no list.
        split: "train", "val" or "test".
        batch_size: windows of a batch; None for single windows.
        seed: of batches and views, as the `seed` of a run.
        layout: "pair" for `(x0, x1)`; "lightly" for `((x0, x1), label, name)` as lightly's own datasets give it, so
            that `(x0, x1), _, _ = batch` unpacks a batch; "views" for two `gwbench.contracts.View`, which know their
            detectors, of whole batches alone. Labels are 1, 0 and -1 for unknown: pre-training must not use them.
        settings: parameters of pairing and augmentations by dotted name, as of `gwbench.run`:
            {"pairing.NAME": ..., "augmentation.NAME": ...}.
        plugins: files or modules that register further pairings and augmentations.
        progress: where to report.

    Raises:
        UserError: a name or setting that there is not, a pairing that needs a batch, or a batch larger than the split.
    """

    def __init__(
        self,
        data: StrainSplits | ConditionedSplits,
        pairing: str | type[Pairing] | Pairing | None = None,
        augmentations: AugmentationsLike = (),
        *,
        split: str = "train",
        batch_size: int | None = None,
        seed: int = 0,
        layout: Literal["pair", "lightly", "views"] = "pair",
        settings: Mapping[str, Any] | None = None,
        plugins: str | Sequence[str] = (),
        progress: Progress | None = None,
    ) -> None:
        for source in names_of(plugins):
            REGISTRY.load_source(source)
        strain = _conditioned(data)
        _check(split, batch_size, layout, seed)
        self.split, self.seed, self.batch_size, self.layout = split, int(seed), batch_size, layout
        self.windows = strain[split]
        if not 0 < (batch_size or 1) <= len(self.windows):
            raise UserError(
                f"A batch of {batch_size or 1} windows does not fit the {split} split of {len(self.windows)}. Lower "
                "batch_size or use more data."
            )
        info = _strain_info(strain, self.seed, progress or progress_bars.default())
        self.pairing, self.augmentations = _methods(pairing, augmentations, settings or {}, info)
        self.input_shape = InputShape(len(info.detectors) if self.pairing.network else 1, info.window, info.sample_rate)
        self._drawn = torch.zeros(len(self), dtype=torch.int64).share_memory_()
        self._draw_once()

    def __len__(self) -> int:
        """Windows; or, with `batch_size`, batches of an epoch."""
        return len(self.windows) // (self.batch_size or 1)

    def __repr__(self) -> str:
        """What it draws, and of how much."""
        names = " + ".join(type(each).__name__ for each in (self.pairing, *self.augmentations))
        unit = f"batches of {self.batch_size}" if self.batch_size else "windows"
        return f"<PairDataset {names}: {len(self):,} {unit} of the {self.split} split, seed {self.seed}>"

    def __getitem__(self, index: int) -> Any:
        """A window's two views, or a batch's; see the class. Raises `IndexError` behind the last."""
        position = range(len(self))[int(index)]
        epoch = self._count(position)
        if self.batch_size is None:
            return self._window(self.windows[position][None], position, epoch)
        return self.batch(epoch, position)

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Several items, whose strain is read at once; called by torch's DataLoader."""
        if self.batch_size is not None:
            return [self[index] for index in indices]
        positions = [range(len(self))[int(index)] for index in indices]
        strain = self.windows[positions]
        return [
            self._window(strain[row : row + 1], position, self._count(position))
            for row, position in enumerate(positions)
        ]

    def batch(self, epoch: int, number: int) -> Any:
        """Batch `number` of an epoch, as a run with this seed and batch size trains on it; counts no draw.

        Raises:
            UserError: there is no batch size.
        """
        positions = self.positions(epoch)[number]
        generator = seeds.torch_generator(self.seed, "pairing", epoch * len(self) + number)
        a, b = self._views(self.windows[positions], generator)
        if self.layout == "views":
            return a, b
        return self._laid_out(a.samples, b.samples, positions)

    def positions(self, epoch: int) -> list[Tensor]:
        """The positions [B] in the split of every batch of an epoch.

        Raises:
            UserError: there is no batch size.
        """
        if self.batch_size is None:
            raise UserError("Single windows have no batches of their own: give PairDataset a batch_size.")
        batches = EpochBatches(len(self.windows), self.batch_size, self.seed)
        batches.set_epoch(epoch)
        return list(batches)

    def set_epoch(self, epoch: int) -> None:
        """Draw from now on what belongs to this epoch, in workers that are running too."""
        self._drawn.fill_(int(epoch))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._drawn = self._drawn.share_memory_()  # a copy counts for itself, and shares that with its workers

    def _count(self, position: int) -> int:
        """How often the item was drawn before; one worker at a time draws an item."""
        epoch = int(self._drawn[position])
        self._drawn[position] += 1
        return epoch

    def _window(self, strain: Tensor, position: int, epoch: int) -> Any:
        """The item of one window [1, D, T]."""
        generator = seeds.torch_generator(self.seed, "pairing", epoch, position, WINDOW_STREAM)
        a, b = self._views(strain, generator)
        return self._laid_out(a.samples[0], b.samples[0], torch.tensor(position))

    def _views(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        with torch.inference_mode(False), torch.no_grad():
            a, b = self.pairing.pair(strain, generator)
            for augmentation in self.augmentations:
                a, b = augmentation.augment(a, generator), augmentation.augment(b, generator)
        return a, b

    def _laid_out(self, x0: Tensor, x1: Tensor, positions: Tensor) -> Any:
        if self.layout == "pair":
            return x0, x1
        label = torch.from_numpy(self.windows.label)[positions].long()
        names = [f"{self.split}/{position}" for position in positions.reshape(-1).tolist()]
        return (x0, x1), label if positions.ndim else int(label), names if positions.ndim else names[0]

    def _draw_once(self) -> None:
        """Refuse a pairing that does not work on single windows."""
        if self.batch_size is not None:
            self.batch(0, 0)
            return
        try:
            a, b = self._views(self.windows[:1], seeds.torch_generator(self.seed, "pairing", 0, 0, WINDOW_STREAM))
        except UserError as error:
            raise UserError(
                f"The pairing {type(self.pairing).__name__} draws from whole batches: give PairDataset a batch_size, "
                f"such as 256, and DataLoader(..., batch_size=None). It says of a single window: {error}"
            ) from error
        if not len(a.samples) == len(b.samples) == 1:
            raise UserError(
                f"The pairing {type(self.pairing).__name__} gives {len(a.samples)} and {len(b.samples)} views of a "
                "window: give PairDataset a batch_size, and DataLoader(..., batch_size=None)."
            )


def _conditioned(data: Any) -> ConditionedSplits:
    if isinstance(data, ConditionedSplits):
        return data
    if isinstance(data, StrainSplits):
        return ConditionedSplits.of(data, Conditioning(), getattr(data, "cache", None))
    raise UserError(
        f"PairDataset takes gwbench.open_dataset(...) or its .conditioned(); {type(data).__name__} is neither. Arrays "
        "become one by gwbench.open_dataset(gwbench.ArrayDataset(strain, labels, sample_rate=..., detectors=...))."
    )


def _check(split: str, batch_size: int | None, layout: str, seed: int) -> None:
    if split not in SPLITS:
        raise UserError(f"split={split!r}: expected one of {', '.join(SPLITS)}.")
    if layout not in LAYOUTS:
        raise UserError(f"layout={layout!r}: expected one of {', '.join(LAYOUTS)}.")
    if layout == "views" and batch_size is None:
        raise UserError('layout="views" gives whole batches alone: give PairDataset a batch_size.')
    for name, value in (("batch_size", batch_size), ("seed", seed)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < (name != "seed")):
            raise UserError(f"{name}={value!r}: expected a whole number, {int(name != 'seed')} or more.")


def _strain_info(strain: ConditionedSplits, seed: int, progress: Progress) -> StrainInfo:
    return StrainInfo(
        detectors=strain.detectors,
        sample_rate=strain.sample_rate,
        window=strain.window,
        coloured_noise=coloured_noise_factory(strain.conditioner, seed=seed, progress=progress),
        signals=simulated_signals_factory(strain.conditioner, strain.splits.train.strain, seed=seed, progress=progress),
    )


def _methods(
    pairing: Any, augmentations: Any, settings: Mapping[str, Any], info: StrainInfo
) -> tuple[Pairing, list[Augmentation]]:
    """The pairing and the augmentations, constructed."""
    with objects.named({"pairing": pairing, "augmentations": augmentations}) as names:
        pairing, several = names["pairing"] or REGISTRY.default("pairing"), names["augmentations"]
        if len(set(several)) < len(several):
            raise UserError(f"An augmentation is named twice: {', '.join(several)}. Name each once.")
        refuse_combination([("pairing", pairing), *(("augmentation", name) for name in several)])
        given = sort_settings(settings, {"pairing": pairing}, several)
        _refuse_other_sections(given)

        def build(kind: str, name: str, section: str) -> Any:
            return Choice.of(kind, name, given.get(section, {})).build(kind, info)

        return build("pairing", pairing, "pairing"), [
            build("augmentation", name, f"augmentation.{name}") for name in several
        ]


def _refuse_other_sections(sections: Iterable[str]) -> None:
    others = [section for section in sections if section.partition(".")[0] not in ("pairing", "augmentation")]
    if others:
        raise UserError(
            f"PairDataset has no settings of {', '.join(others)}: expected those of pairing and augmentation. "
            "Conditioning is set by open_dataset(...).conditioned(low=..., high=...)."
        )


__all__ = ["PairDataset"]
