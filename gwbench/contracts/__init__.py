"""What a plugin of each kind promises.

A plugin is a class that subclasses one of these, carries `gwbench.registry.register` and takes, after what
its kind hands it positionally, only typed keyword arguments with defaults: its parameters.

Shapes are written `B` batch, `N` samples of a split, `D` detectors, `C` channels of an encoder's input
(1 per detector, or D for a network), `T` time samples. Strain is dimensionless; times are in seconds,
frequencies in Hz.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from gwbench.contracts.scorer import Scorer
from gwbench.contracts.values import (
    Embedded,
    Encode,
    FrontEnd,
    FrontEndFeatures,
    InputShape,
    ProbeSettings,
    RunContext,
    Scores,
    StrainConditioner,
    StrainInfo,
    View,
)
from gwbench.data.dataset import (
    Array,
    Block,
    DataContext,
    Dataset,
    Layout,
    NoiseSource,
    NoiseStream,
    SignalSettings,
    SignalSource,
    Split,
    StrainReader,
    StrainSplits,
    Windows,
)

if TYPE_CHECKING:
    from pydantic import BaseModel


# --- what fits together -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parts:
    """The plugin classes of a run, None where it has none of a kind."""

    dataset: type[Dataset] | None = None
    encoder: type[Encoder] | None = None
    pairing: type[Pairing] | None = None
    augmentations: tuple[type[Augmentation], ...] = ()
    objective: type[Objective] | None = None
    baseline: type[Baseline] | None = None
    task: type[Task] | None = None


class PluginContract:
    """What plugins of every kind but datasets have in common."""

    notes: ClassVar[tuple[str, ...]] = ()
    """What a reader of a record must know of it, one sentence each."""

    @classmethod
    def skip(cls, parts: Parts) -> str:
        """Why this plugin makes no sense with the others of a run; empty where it does.

        Such a run is refused with the reason, and a suite leaves it out with the reason.
        """
        return ""


# --- pre-training -------------------------------------------------------------------------------------------


class Pairing(PluginContract, ABC):
    """Draws two views of every window. Constructed as `Pairing(info, **parameters)`."""

    network: ClassVar[bool] = False
    """True where views hold all detectors (C = D); False for one detector per view (C = 1)."""

    selects: ClassVar[bool] = False
    """True where views are the strain of the detectors that they name, window by window, as it is: then what an
    encoder's fixed front end makes of a detector's strain is computed once."""

    @abstractmethod
    def __init__(self, info: StrainInfo) -> None: ...

    @abstractmethod
    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        """Two views of conditioned strain [B, D, T]; never changes its input."""


class Augmentation(PluginContract, ABC):
    """Changes one view. Constructed as `Augmentation(info, **parameters)`."""

    @abstractmethod
    def __init__(self, info: StrainInfo) -> None: ...

    @abstractmethod
    def augment(self, view: View, generator: torch.Generator) -> View:
        """A new view; never changes its input."""


class Encoder(nn.Module, PluginContract, ABC):
    """A network from conditioned strain to an embedding. Constructed as `Encoder(shape, **parameters)`.

    A constructor raises `UserError` where the shape is too small for it.
    """

    embed_dim: int
    """Width of the embedding; set by the constructor."""

    fixed_front_end: bool = False
    """True where the encoder is `body(front_end(strain))`, and the front end gives the same numbers always: it learns
    and draws nothing, and takes each channel of each window for itself. It is not run again on what does not change."""

    @abstractmethod
    def forward(self, strain: Tensor) -> Tensor:
        """Embeddings [B, embed_dim] of conditioned strain [B, C, T]."""

    def front_end(self, strain: Tensor) -> Tensor:
        """A fixed transform of [B, C, T], of any C: [B, C, ...] float32."""
        return strain

    def body(self, features: Tensor) -> Tensor:
        """Embeddings [B, embed_dim] of what the front end gives, [B, C, ...]."""
        raise NotImplementedError(f"{type(self).__name__} has a fixed front end: it needs a body")


class Objective(nn.Module, PluginContract, ABC):
    """A loss on two views, with the heads it needs. Constructed as `Objective(embed_dim, **parameters)`.

    Most objectives implement `loss` alone. One with an EMA target or a reconstruction overrides `attach`,
    `forward` and `after_step`.
    """

    min_batch: ClassVar[int] = 2
    """Smallest batch on which the loss means something."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.embed_dim = embed_dim

    @abstractmethod
    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Scalar loss of the branches' embeddings, both [B, embed_dim] float32, outside autocast."""

    def project(self, embedding: Tensor) -> Tensor:
        """What the loss compares of the branches, [B, P], for diagnostics: training never calls it.

        By default what the head named `projector` makes of the embeddings [B, embed_dim]; without one, the embeddings.
        """
        head = getattr(self, "projector", None)
        return head(embedding) if isinstance(head, nn.Module) else embedding

    def attach(self, encoder: nn.Module) -> None:
        """Called once, before training, with the encoder; an EMA objective copies it here."""
        return None

    def forward(self, a: View, b: View, encode: Encode) -> Tensor:
        """Scalar loss of two views."""
        embedding_a, embedding_b = encode(a), encode(b)
        with torch.autocast(embedding_a.device.type, enabled=False):
            return self.loss(embedding_a.float(), embedding_b.float())

    def after_step(self, step: int, total_steps: int) -> None:
        """Called after every optimiser step."""
        return None

    def log_odds(self, embedding: Tensor) -> Tensor:
        """What the trained objective itself says of windows: log-odds [B], larger for "signal". Optional.

        An objective that defines it scores windows without a label: a run with `evaluation.label_fraction=0` fits no
        probe. It is called in evaluation mode, without gradients and outside autocast.

        Args:
            embedding: what a probe would see, float32: [B, embed_dim] of an encoder of the whole network, and otherwise
                the detectors' embeddings side by side, [B, D * embed_dim].
        """
        raise NotImplementedError(f"{type(self).__name__} has no score of its own")

    @classmethod
    def scores_windows(cls) -> bool:
        """Whether it has a score of its own, `log_odds`."""
        return cls.log_odds is not Objective.log_odds


# --- tasks and baselines ------------------------------------------------------------------------------------


class Task(PluginContract, ABC):
    """What is predicted from frozen embeddings: targets, probe and metrics. Takes no positional argument.

    The evaluation protocol embeds the labelled training windows, validation and test once, and calls `targets`,
    `fit_predict` and, at last with the test split's labels and parameters, `metrics`.
    """

    ranks_signals: ClassVar[bool] = False
    """True where `metrics` judges one score a window, larger for "signal": such as any baseline gives."""

    main_figure: ClassVar[str] = ""
    """The figure of `metrics` that leaderboards rank by, an interval or a number; the default task needs none."""

    larger_is_better: ClassVar[bool] = True
    """Whether the main figure is better where it is larger."""

    @abstractmethod
    def targets(self, split: Split) -> Array:
        """What is to be predicted for each window of a split, [N, ...], in the windows' order.

        The labelled windows are drawn from signals and noise alike; a task that has no target for some of them marks
        these by NaN or -1, and leaves them out in `fit_predict` and `metrics`.
        """

    @abstractmethod
    def fit_predict(self, train: Embedded, val: Embedded, test: Array, settings: ProbeSettings) -> Scores:
        """Fit a probe on the labelled training windows, choose its settings on validation, apply it to test once.

        Args:
            train: the labelled windows of the training split.
            val: the validation split.
            test: [N_test, F] embeddings of the test split, without targets.
            settings: of the run.

        Returns:
            The predictions; with the fitted probe as `head`, the run's encoder can score new strain.

        Raises:
            UserError: the windows have too few targets, or an embedding is not finite.
        """

    @abstractmethod
    def metrics(self, test: Split, scores: Scores) -> BaseModel | Mapping[str, Any]:
        """What a record reports of the test split: figures by name, with their intervals.

        Args:
            test: the test split, with its labels, SNRs and parameters.
            scores: as `fit_predict` gives them; or a baseline, see `Baseline.serves`.

        Raises:
            UserError: the test split has too few targets.
        """


Job, Part = RunContext, PluginContract
"""Their former names."""


class Baseline(PluginContract, ABC):
    """Anything that turns the same splits into test scores. Takes no positional argument."""

    needs_encoder: ClassVar[bool] = False
    """True where the run has an encoder."""

    trains: ClassVar[bool] = False
    """True where a network is trained, so that the run's precision matters."""

    pretrains: ClassVar[bool] = False
    """True where the run also has a pairing, an objective and training settings; it calls `RunContext.pretrained`."""

    sees_sources: ClassVar[bool] = False
    """True for a bound that is told the test signals' SNRs and parameters, and so which windows hold a signal."""

    @classmethod
    def serves(cls, task: type[Task]) -> bool:
        """Whether its scores can be judged by a task.

        By default where the task ranks signals, or where it has an encoder that it does not train: its scores are then
        those of the task's own probe (`RunContext.probe`).
        """
        return task.ranks_signals or (cls.needs_encoder and not cls.trains and not cls.pretrains)

    def fingerprint(self) -> Mapping[str, str]:
        """What identifies files that it reads, such as the SHA-256 of weights: a part of the run's identity."""
        return {}

    @abstractmethod
    def scores(self, context: RunContext) -> Scores:
        """Scores of the test split; labels are used at `context.labelled` and in the validation split only."""

    def load_scorer(self, state: Mapping[str, Tensor], conditioner: StrainConditioner) -> Scorer | None:
        """The scorer of a finished run, made of what that kept; None where `scores` gives none.

        A baseline whose `Scores.scorer` is an encoder with a linear head (`gwbench.nn.encoder_scorer`) needs none: the
        core loads it.

        Args:
            state: the scorer's `state_dict`, finite numbers from a file that may be another's.
            conditioner: the run's.

        Raises:
            ValueError: the tensors are not those of such a scorer.
        """
        return None


__all__ = [
    "Array",
    "Augmentation",
    "Baseline",
    "Block",
    "DataContext",
    "Dataset",
    "Embedded",
    "Encode",
    "Encoder",
    "FrontEnd",
    "FrontEndFeatures",
    "InputShape",
    "Job",
    "Layout",
    "NoiseSource",
    "NoiseStream",
    "Objective",
    "Pairing",
    "Part",
    "Parts",
    "PluginContract",
    "ProbeSettings",
    "RunContext",
    "Scorer",
    "Scores",
    "SignalSettings",
    "SignalSource",
    "Split",
    "StrainConditioner",
    "StrainInfo",
    "StrainReader",
    "StrainSplits",
    "Task",
    "View",
    "Windows",
]
