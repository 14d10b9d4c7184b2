"""The global batch: what several processes see of a step, as if one process saw it all.

Each process draws its own share of the views and encodes it. Embeddings are then gathered, and every process computes
the objective of the global batch: its heads, their BatchNorm, its queue, its centre see what they see in one process,
whoever wrote it. That costs the heads' work in every process, which is little beside the encoder's.

A gather sends back the sum of all processes' gradients, of which each is of the same loss, and training averages the
weights' gradients over the processes: so they are those of one process with the global batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
import torch.distributed as dist
from lightly.utils.dist import gather
from torch import Tensor, nn

from gwbench import seeds
from gwbench.contracts import FrontEnd, View
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.nn.sync_batchnorm import SyncedNorms


class GlobalBatchView(View):
    """A view of the global batch, which is gathered only where an objective looks at it.

    Attributes:
        own: this process's share of it, or None where samples are given.
    """

    own: View | None

    def __init__(
        self,
        samples: Tensor | None = None,
        detectors: Tensor | None = None,
        *,
        lookup: Callable[[FrontEnd], Tensor] | None = None,
        own: View | None = None,
    ) -> None:
        if samples is not None and detectors is not None:
            super().__init__(samples, detectors, lookup=lookup)
        else:  # which are gathered when they are asked for
            self.__post_init__(lookup)
        object.__setattr__(self, "own", own)

    @cached_property
    def samples(self) -> Tensor:
        """[B, C, T] of all processes, in the order of their ranks."""
        assert self.own is not None
        return gather_global(self.own.samples)

    @cached_property
    def detectors(self) -> Tensor:
        """[B, C] of all processes."""
        assert self.own is not None
        return gather_global(self.own.detectors)


class GlobalBatchEncoder(DetectorEncoder):
    """In training, gives the embeddings of a view of the global batch, of which it encodes this process's share.

    It shares the networks of the one that it is made of. Its EMA copies do the same. In evaluation it is that encoder.
    """

    def __init__(self, encoder: DetectorEncoder) -> None:
        networks = iter(encoder.encoders)
        super().__init__(lambda: next(networks), encoder.groups, network=encoder.network)  # type: ignore[arg-type,return-value]

    def forward(self, view: View) -> Tensor:
        """Embeddings [B, embed_dim] of a view of the global batch."""
        if not self.training:
            return super().forward(view)
        own = view.own if isinstance(view, GlobalBatchView) else None
        # The same number in all processes, which leaves the global generator in the same state: the objective, which
        # may draw too, is the same in all of them; what the encoder draws is not.
        drawn = int(torch.randint(2**62, ()))
        with seeds.torch_global(drawn, "noise", dist.get_rank()):
            return gather_global(self._encode(own or own_share(view)))

    def _encode(self, own: View) -> Tensor:
        if len(self.groups) == 1:
            with SyncedNorms():
                return super().forward(own)
        group = self._group_of[own.detectors[:, 0]]
        rows = [(group == number).nonzero().squeeze(1) for number in range(len(self.groups))]
        anywhere = torch.tensor([float(len(each)) for each in rows], device=group.device)
        dist.all_reduce(anywhere)
        networks: list[Any] = list(self.encoders)
        given = own.samples
        if self.fixed_front_end:
            given = own.front_end_features(networks[0].front_end)
            networks = [encoder.body for encoder in networks]
        parts = []
        for number, index in enumerate(rows):
            if not anywhere[number]:
                continue
            # A group that others have windows of needs this process at its BatchNorms, in both directions.
            with SyncedNorms(absent=not len(index)):
                part = networks[number](given[index] if len(index) else given[:1])
            parts.append(part[: len(index)])
        return torch.cat(parts)[torch.argsort(torch.cat(rows))]


def gather_global(x: Tensor) -> Tensor:
    """[B, ...] of all processes in the order of their ranks; in fp32 at least where it has a gradient."""
    full = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    return torch.cat(gather(full.contiguous()))


def own_share(view: View) -> View:
    """The rows of a view of the global batch that are this process's."""
    rows = len(view.samples) // dist.get_world_size()
    own = slice(dist.get_rank() * rows, (dist.get_rank() + 1) * rows)
    return View(view.samples[own], view.detectors[own])


def disable_gathering(objective: nn.Module) -> None:
    """Have losses that could gather by themselves, as lightly's do, take the global batch for what it is."""
    module: Any
    for module in objective.modules():
        if getattr(module, "gather_distributed", False):
            module.gather_distributed = False
