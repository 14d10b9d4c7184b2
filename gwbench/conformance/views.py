"""What pairings and augmentations promise: views [B, C, T], drawn with the generator that they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gwbench.conformance.subject import Subject
from gwbench.conformance.table import Failure, NotApplicable, check, require
from gwbench.conformance.toys import WINDOW, combination, strain_info
from gwbench.conformance.watch import printed, quoted, random_state_touched
from gwbench.contracts import View
from gwbench.errors import UserError

BATCH = 32
DETECTORS = (2, 3, 4)
SEEDS = range(4)
"""Seeds that should not all give the same views."""


@check("pairing", "augmentation")
def shapes(subject: Subject) -> str:
    """Views are [B, C, T] of the strain's type, for data of 2, 3 and 4 detectors."""
    accepted: list[str] = []
    refused: list[str] = []
    for setting in _settings(subject, refused):
        strain = setting.given[0]
        for view in setting.draw():
            expected = (BATCH, setting.channels, WINDOW)
            shape = tuple(view.samples.shape)
            require(shape == expected, f"{setting}: samples are {list(shape)}, not {list(expected)}")
            kept = view.samples.dtype == strain.dtype and view.samples.device == strain.device
            require(kept, f"{setting}: samples are {view.samples.dtype} on {view.samples.device}, unlike the strain")
        accepted.append(f"{setting}: C={setting.channels}")
    require(bool(accepted), f"it refuses everything: {'; '.join(refused)}")
    return "; ".join([*accepted, *refused])


@check("pairing", "augmentation")
def detectors(subject: Subject) -> str:
    """Views carry the indices [B, C] of detectors that the data have."""
    for setting in _accepted(subject):
        for view in setting.draw():
            shape = tuple(view.detectors.shape)
            require(shape == (BATCH, setting.channels), f"{setting}: detectors are {list(shape)}, not [B, C]")
            require(view.detectors.dtype == torch.long, f"{setting}: indices are {view.detectors.dtype}, not int64")
            same = view.detectors.device == view.samples.device
            require(same, f"{setting}: indices are on {view.detectors.device}, samples on {view.samples.device}")
            least, most = int(view.detectors.min()), int(view.detectors.max())
            require(least >= 0 and most < setting.detectors, f"{setting}: indices run from {least} to {most}")
    return "within the data's detectors"


@check("pairing", "augmentation")
def reproducible(subject: Subject) -> str:
    """The same generator gives the same views."""
    for setting in _accepted(subject):
        first, second = setting.draw(seed=1), setting.draw(seed=1)
        require(_equal(first, second), f"{setting}: two draws with the same generator differ")
    return "equal, number for number"


@check("pairing", "augmentation")
def random(subject: Subject) -> str:
    """Another generator gives other views."""
    drawing = False
    for setting in _accepted(subject):
        first = setting.draw(seed=SEEDS[0])
        if any(not _equal(first, setting.draw(seed=seed)) for seed in SEEDS[1:]):
            return "views differ"
        generator = setting.generator(0)
        before = generator.get_state()
        setting.use(generator, *setting.given)
        drawing |= not torch.equal(generator.get_state(), before)
    if not drawing:
        raise NotApplicable("it draws nothing")
    raise Failure("it draws from the generator, and the views are the same for every seed")


@check("pairing")
def selects(subject: Subject) -> str:
    """Views that are said to be the strain of their detectors, as it is, are just that."""
    if not getattr(subject.target, "selects", False):
        return "it does not say so"
    for setting in _accepted(subject):
        for seed in SEEDS:
            for view in setting.draw(seed=seed):
                named = setting.given[0].gather(1, view.detectors.unsqueeze(2).expand(-1, -1, WINDOW))
                require(torch.equal(view.samples, named), f"{setting}: a view is not the strain of its detectors")
    return "so they are"


@check("pairing", "augmentation")
def finite(subject: Subject) -> str:
    """Views of noise, of zeros and of tiny strain are finite."""
    for setting in _accepted(subject):
        for scale in (1.0, 0.0, 1e-20):
            ok = all(bool(torch.isfinite(view.samples).all()) for view in setting.draw(scale=scale))
            require(ok, f"{setting}: a view of strain of size {scale:g} is not finite")
    return "all finite"


@check("pairing", "augmentation")
def input_kept(subject: Subject) -> str:
    """Does not change its input."""
    for setting in _accepted(subject):
        given = setting.given
        before = [tensor.clone() for tensor in given]
        setting.use(setting.generator(0), *given)
        require(all(map(torch.equal, given, before)), f"{setting}: the input changed")
    return "unchanged"


@check("pairing", "augmentation")
def global_random_state(subject: Subject) -> str:
    """Touches no global random state outside its constructor."""
    setting = next(iter(_accepted(subject)))
    touched = random_state_touched(setting.draw)
    require(not touched, f"it touches the global generator of {', '.join(touched)}")
    return "none touched"


@check("pairing", "augmentation")
def quiet(subject: Subject) -> str:
    """Prints nothing."""
    text = printed(lambda: [setting.draw() for setting in _accepted(subject)])
    require(not text, f"it prints {quoted(text)}")
    return "nothing"


# --- what the checks share ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """The plugin for data of some detectors, and what it is given.

    Attributes:
        name: in words.
        detectors: D of the data.
        channels: C of the views.
        given: the strain [B, D, T]; or a view's samples [B, C, T] and detectors [B, C].
        use: the views that the plugin makes of what it is given, with a generator.
    """

    name: str
    detectors: int
    channels: int
    given: tuple[Tensor, ...]
    use: Callable[..., tuple[View, ...]]

    def __str__(self) -> str:
        return self.name

    def generator(self, seed: int) -> torch.Generator:
        """A generator on the strain's device."""
        return torch.Generator(self.given[0].device).manual_seed(seed)

    def draw(self, seed: int = 0, scale: float = 1.0) -> tuple[View, ...]:
        """Views of a copy of what is given, its samples scaled."""
        samples, *indices = (tensor.clone() for tensor in self.given)
        return self.use(self.generator(seed), scale * samples, *indices)


def _settings(subject: Subject, refused: list[str]) -> Iterator[Setting]:
    """Every setting that the plugin accepts; `refused` gets the reasons of the others."""
    single = subject.plugin.kind == "augmentation"
    for count in DETECTORS:
        strain = torch.randn(BATCH, count, WINDOW, generator=torch.Generator().manual_seed(count)).to(subject.device)
        for network in (False, True) if single else (bool(getattr(subject.target, "network", False)),):
            name = f"{count} detectors" + (", as a network" if network else "")
            reason = combination(subject.target, network=network)
            if not reason:
                try:
                    plugin = subject.build(strain_info(count))
                except UserError as error:
                    reason = str(error)
            if reason:
                refused.append(f"{name} refused: {reason}")
            elif single:
                yield Setting(name, count, *_view(strain, network=network), _augmenting(plugin))
            else:
                yield Setting(name, count, count if network else 1, (strain,), _pairing(plugin))


def _accepted(subject: Subject) -> Iterator[Setting]:
    """Every setting that the plugin accepts; at least one."""
    refused: list[str] = []
    yield from (settings := list(_settings(subject, refused)))
    require(bool(settings), f"it refuses everything: {'; '.join(refused)}")


def _view(strain: Tensor, *, network: bool) -> tuple[int, tuple[Tensor, Tensor]]:
    """C, and samples and detectors of a view: all detectors, or one by turns."""
    batch, count, _ = strain.shape
    index = torch.arange(count, device=strain.device).expand(batch, count).clone()
    if network:
        return count, (strain, index)
    turns = torch.arange(batch, device=strain.device) % count
    return 1, (strain[torch.arange(batch, device=strain.device), turns].unsqueeze(1), turns.unsqueeze(1))


def _pairing(plugin: Any) -> Callable[..., tuple[View, ...]]:
    def use(generator: torch.Generator, strain: Tensor) -> tuple[View, ...]:
        views = plugin.pair(strain, generator)
        names = [type(view).__name__ for view in views]
        require(len(views) == 2 and all(isinstance(view, View) for view in views), f"it gives {names}, not two views")
        return tuple(views)

    return use


def _augmenting(plugin: Any) -> Callable[..., tuple[View, ...]]:
    def use(generator: torch.Generator, samples: Tensor, indices: Tensor) -> tuple[View, ...]:
        view = plugin.augment(View(samples, indices), generator)
        require(isinstance(view, View), f"it gives a {type(view).__name__}, not a view")
        return (view,)

    return use


def _equal(first: tuple[View, ...], second: tuple[View, ...]) -> bool:
    pairs = list(zip(first, second, strict=True))
    return all(torch.equal(a.samples, b.samples) and torch.equal(a.detectors, b.detectors) for a, b in pairs)
