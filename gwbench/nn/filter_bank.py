"""Fixed filters, all of them at every hop of strain."""

from __future__ import annotations

from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FilterBank(nn.Module):
    """What `conv1d(strain, filters, stride=hop)` gives, several times faster where most filters are short.

    Strain goes on beyond its ends by reflection, for half a filter, as in nnAudio's transforms. Filters next to each
    other, of about the same support, are one convolution, which is spared the zeros beyond it. The samples of a hop
    are the channels of that convolution, so that it has no stride: strides are slow on a CPU.

    Args:
        filters: [K, W], as correlations; zero outside their support.
        hop: samples from one output to the next.
    """

    def __init__(self, filters: Tensor, hop: int) -> None:
        super().__init__()
        self.hop, self.length = hop, filters.shape[1]
        taps = F.pad(filters, (0, -self.length % hop)).unflatten(1, (-1, hop))  # [K, hops, hop]
        support = [torch.nonzero(used)[:, 0] for used in (taps != 0).any(2)]
        spans = [(int(hops[0]), int(hops[-1]) + 1) if len(hops) else (0, 1) for hops in support]
        self.spans: list[tuple[int, int]] = []
        for _, group in groupby(range(len(spans)), key=lambda k: (spans[k][1] - spans[k][0] - 1).bit_length()):
            members = list(group)
            first, last = min(spans[k][0] for k in members), max(spans[k][1] for k in members)
            part = taps[members, first:last].transpose(1, 2).unsqueeze(2)  # [k, hop, 1, hops]
            name = f"filters_{len(self.spans)}"
            self.register_buffer(name, part.contiguous(memory_format=torch.channels_last), persistent=False)
            self.spans.append((first, last))

    def forward(self, strain: Tensor) -> Tensor:
        """[B, T] -> [B, K, (T + 2 (W // 2) - W) // hop + 1]."""
        beyond = self.length // 2
        strain = F.pad(strain.unsqueeze(1), (beyond, beyond), mode="reflect").squeeze(1)
        outputs = (strain.shape[1] - self.length) // self.hop + 1
        hops = outputs - 1 + -(-self.length // self.hop)
        strain = F.pad(strain, (0, hops * self.hop - strain.shape[1]))  # what the last filter does not reach is cut off
        rows = strain.unflatten(1, (hops, self.hop)).transpose(1, 2).unsqueeze(2)  # [B, hop, 1, hops], channels last
        parts = [
            F.conv2d(rows[..., first : last + outputs - 1], self.get_buffer(f"filters_{number}"))
            for number, (first, last) in enumerate(self.spans)
        ]
        return torch.cat(parts, dim=1).squeeze(2)
