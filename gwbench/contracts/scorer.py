"""What a finished run listens with: conditioned strain in, one score a window out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from gwbench.contracts.values import StrainConditioner


class Scorer(nn.Module, ABC):
    """Scores windows of conditioned strain as the run's method scored the test split.

    A run keeps its `state_dict` (`scorer.safetensors`), whose tensors are numbers: no pickles. What can be computed
    anew from these is a buffer that is registered with `persistent=False`.
    """

    @abstractmethod
    def forward(self, strain: Tensor) -> Tensor:
        """Scores [B], larger for "signal", of conditioned strain [B, D, T], without gradients."""

    @property
    def offset(self) -> float:
        """What the sum of `parts` lacks to the score; 0 where there are no parts."""
        return 0.0

    @property
    def network(self) -> bool:
        """Whether the score looks at all detectors at once, so that it has no `parts`."""
        return True

    def parts(self, strain: Tensor) -> Tensor | None:
        """What each detector adds to the score, [B, D]; None where the score is no sum over the detectors.

        The parts of a window and `offset` sum to its score.
        """
        return None

    def peak_times(self, strain: Tensor) -> Tensor | None:
        """When the signal is loudest, [B] seconds after the window's first sample; None where the method cannot say."""
        return None

    def refitted(self, conditioner: StrainConditioner) -> Scorer:
        """The scorer for strain that another conditioner conditions, such as one that was refitted on a new stretch.

        By default this one: what it knows does not depend on the conditioner. Templates do.
        """
        return self
