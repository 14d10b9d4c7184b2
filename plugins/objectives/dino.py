"""DINO."""

from __future__ import annotations

import warnings
from typing import Annotated

from lightly.loss import DINOLoss
from lightly.models.modules import DINOProjectionHead
from pydantic import Field
from torch import Tensor, nn

from gwbench.registry import register
from gwbench.training.ema import MomentumObjective


@register(
    "objective",
    "dino",
    citation="Caron et al., Emerging Properties in Self-Supervised Vision Transformers, arXiv:2104.14294",
    tags=("self-distillation", "clustering", "negative-free", "momentum"),
)
class Dino(MomentumObjective):
    """DINO: assign a view to the prototypes that an EMA copy chooses for the other view.

    Cross-entropy between the teacher's softmax, centred and sharpened, and the student's (eq. 1 and 4, algorithm 1).
    The head has BatchNorm, which convolutional encoders need and the paper's transformers do not. There are no local
    crops.

    Behaviour on collapse: log(output_dim) once the centre has caught up; no lower loss is open to equal outputs.

    Args:
        student_temperature: of the student's softmax.
        teacher_temperature: of the teacher's, below the student's: it sharpens.
        center_momentum: of the moving average that is taken off the teacher's outputs.
        momentum: of the teacher at the first step; it rises to 1. A teacher that follows fast
            collapses: over 155 steps 0.9 gave a lower AUC than 0.996, and 0.97 a higher one.
        hidden_dim: width of the head's two hidden layers.
        bottleneck_dim: width of the normalised layer before the prototypes.
        output_dim: number of prototypes.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        student_temperature: Annotated[float, Field(gt=0)] = 0.1,
        teacher_temperature: Annotated[float, Field(gt=0)] = 0.04,
        center_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9,
        momentum: Annotated[float, Field(ge=0, le=1)] = 0.996,
        hidden_dim: Annotated[int, Field(ge=1)] = 512,
        bottleneck_dim: Annotated[int, Field(ge=1)] = 128,
        output_dim: Annotated[int, Field(ge=2)] = 1024,
    ) -> None:
        head = _head(embed_dim, hidden_dim, bottleneck_dim, output_dim)
        super().__init__(embed_dim, head, momentum=momentum)
        self.criterion = DINOLoss(
            output_dim,
            teacher_temp=teacher_temperature,
            student_temp=student_temperature,
            center_momentum=center_momentum,
        )

    def compare(self, online: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of [2 B, output_dim] student and teacher outputs; the centre moves."""
        student_a, student_b = online.chunk(2)
        teacher_b, teacher_a = target.chunk(2)
        # lightly leaves out the pairs of a view with itself
        return self.criterion([teacher_a, teacher_b], [student_a, student_b])  # type: ignore[no-any-return]


def _head(*widths: int) -> nn.Module:
    """The head of lightly; its prototypes have length 1 by the new weight norm: the deprecated one has no deep copy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        head = DINOProjectionHead(*widths, batch_norm=True)
    nn.utils.remove_weight_norm(head.last_layer)
    nn.utils.parametrizations.weight_norm(head.last_layer)
    head.last_layer.parametrizations.weight.original0.requires_grad_(False)
    return head  # type: ignore[no-any-return]
