"""One encoder for all detectors, or one per group of detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gwbench.contracts import Encoder, View
from gwbench.errors import UserError


def parse_groups(text: str, detectors: Sequence[str]) -> list[list[int]]:
    """Groups of detector indices from "shared", "each" or "H1,L1|V1".

    Raises:
        UserError: a detector is unknown, missing or in two groups.
    """
    if text == "shared":
        return [list(range(len(detectors)))]
    if text == "each":
        return [[index] for index in range(len(detectors))]
    groups = [[name.strip() for name in group.split(",")] for group in text.split("|")]
    if sorted(name for group in groups for name in group) != sorted(detectors):
        raise UserError(
            f"The detector groups {text!r} do not hold each of {', '.join(detectors)} once. "
            "Write 'shared', 'each', or groups such as 'H1,L1|V1'."
        )
    return [[list(detectors).index(name) for name in group] for group in groups]


def frozen_embedding(encoder: DetectorEncoder, strain: Tensor) -> Tensor:
    """What the probe sees of conditioned strain [B, D, T]: [B, F], in evaluation mode, without gradients, in full fp32.

    The embeddings of an untrained encoder differ from window to window by less than bf16 or TF32 resolve, so that the
    floor would otherwise depend on the machine.
    """
    was_training = encoder.training
    encoder.eval()
    try:
        with (
            torch.inference_mode(),
            torch.autocast(strain.device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        ):
            return encoder.embed(strain).float()
    finally:
        encoder.train(was_training)


class DetectorEncoder(nn.Module):
    """Routes every view to the encoder that serves its detector.

    Attributes:
        encoders: one per group.
        network: whether an encoder sees all detectors at once (C = D); then there is one group.
        embed_dim: width of one view's embedding.
    """

    _group_of: Tensor

    def __init__(self, build: Callable[[], Encoder], groups: list[list[int]], *, network: bool = False) -> None:
        super().__init__()
        if network and len(groups) > 1:
            raise UserError("A pairing of the whole network needs one encoder: leave the encoder groups at 'shared'.")
        self.network = network
        self.groups = groups
        self.encoders = nn.ModuleList([build() for _ in groups])
        self.embed_dim = int(self.encoders[0].embed_dim)  # type: ignore[arg-type]
        group_of = {detector: number for number, group in enumerate(groups) for detector in group}
        self.register_buffer("_group_of", torch.tensor([group_of[d] for d in sorted(group_of)]), persistent=False)

    def forward(self, view: View) -> Tensor:
        """Embeddings [B, embed_dim] of a view."""
        if len(self.encoders) == 1:
            return self.encoders[0](view.samples)  # type: ignore[no-any-return]
        group = self._group_of[view.detectors[:, 0]]
        present = torch.unique(group).tolist()
        if len(present) == 1:
            return self.encoders[present[0]](view.samples)  # type: ignore[no-any-return]
        rows = [(group == number).nonzero().squeeze(1) for number in present]
        parts = [self.encoders[number](view.samples[index]) for number, index in zip(present, rows, strict=True)]
        order = torch.argsort(torch.cat(rows))
        return torch.cat(parts)[order]

    def embed(self, strain: Tensor) -> Tensor:
        """What the probe sees of conditioned strain [B, D, T]: the detectors' embeddings side by side, [B, F]."""
        batch, detectors, _ = strain.shape
        if self.network:
            return self.encoders[0](strain)  # type: ignore[no-any-return]
        index = torch.arange(detectors, device=strain.device).expand(batch, detectors)
        views = [View(strain[:, d : d + 1], index[:, d : d + 1]) for d in range(detectors)]
        return torch.cat([self(view) for view in views], dim=1)
