"""A loss of two projections with a projection head of one's own."""

from __future__ import annotations

from typing import Any


class Loss:
    """A loss and the head whose projections it compares, as the objective of `gwbench.run`.

        gwbench.run(objective=gwbench.Loss(NTXentLoss(), projector=lambda width: nn.Linear(width, 64)))
        gwbench.run(objective=gwbench.Loss(VICRegLoss(), projector=None))

    A loss that is given without this class has the head of SimCLR, of two layers, whose widths are the settings
    `objective.hidden_dim` and `objective.output_dim`.

    Args:
        loss: callable of two projections [B, P], with a scalar tensor as its value. If it is a module, a copy of it is
            trained and kept with checkpoints; if it is a class, it is constructed without arguments.
        projector: a function or class that makes the head of the embeddings' width; or the head, as a module of which a
            copy is trained; or None for a loss of the embeddings themselves.
    """

    def __init__(self, loss: Any, projector: Any = None) -> None:
        self.loss = loss
        self.projector = projector
