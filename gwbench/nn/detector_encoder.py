"""One encoder for all detectors, or one per group of detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gwbench.contracts import Encoder, View
from gwbench.errors import UserError
from gwbench.nn.gru import speed_up


def parse_groups(text: str, detectors: Sequence[str]) -> list[list[int]]:
    """Groups of detector indices from "shared", "network", "each" or "H1,L1|V1".

    Raises:
        UserError: a detector is unknown, missing or in two groups.
    """
    if text in ("shared", "network"):
        return [list(range(len(detectors)))]
    if text == "each":
        return [[index] for index in range(len(detectors))]
    groups = [[name.strip() for name in group.split(",")] for group in text.split("|")]
    if sorted(name for group in groups for name in group) != sorted(detectors):
        raise UserError(
            f"The detector groups {text!r} do not hold each of {', '.join(detectors)} once. "
            "Write 'shared', 'each', or groups such as 'H1,L1|V1'; or 'network' for one encoder that sees all at once."
        )
    return [[list(detectors).index(name) for name in group] for group in groups]


def frozen_embedding(encoder: DetectorEncoder, strain: Tensor | Sequence[View]) -> Tensor:
    """What the probe sees of conditioned strain [B, D, T], or of its views, in evaluation mode, in full fp32.

    The embeddings of an untrained encoder differ from window to window by less than bf16 or TF32 resolve, so that the
    floor would otherwise depend on the machine.

    Returns:
        [B, F], without gradients.
    """
    was_training = encoder.training
    encoder.eval()
    try:
        device = (strain if isinstance(strain, Tensor) else strain[0].samples).device
        with (
            torch.inference_mode(),
            torch.autocast(device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        ):
            return encoder.embed(strain).float()
    finally:
        encoder.train(was_training)


def embed_in_chunks(
    encoder: DetectorEncoder,
    windows: int,
    read: Callable[[slice], Tensor | Sequence[View]],
    *,
    chunk: int,
    head: Callable[[Tensor], Tensor] | None = None,
    advance: Callable[[int], object] | None = None,
) -> Tensor:
    """`frozen_embedding` of many windows, a chunk at a time.

    The size of a chunk may change how a matrix product rounds, so every use keeps its own.

    Args:
        encoder: on the device of what is read.
        windows: N, how many.
        read: gives a chunk, by its positions among the N: conditioned strain [B, D, T], or its views.
        chunk: windows embedded at once.
        head: what to make of a chunk's embeddings [B, F], on their device; by default they stay as they are.
        advance: told after every chunk how many windows it held.

    Returns:
        [N, F], or what the head gives, on the CPU.
    """
    parts = []
    for start in range(0, windows, chunk):
        part = slice(start, min(start + chunk, windows))
        embedding = frozen_embedding(encoder, read(part))
        parts.append((head(embedding) if head else embedding).cpu())
        if advance:
            advance(part.stop - start)
    return torch.cat(parts)


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
        self.network = network
        self.groups = groups
        self.encoders = nn.ModuleList([build() for _ in groups])
        speed_up(self.encoders)
        self.embed_dim = int(self.encoders[0].embed_dim)  # type: ignore[arg-type]
        group_of = {detector: number for number, group in enumerate(groups) for detector in group}
        self.register_buffer("_group_of", torch.tensor([group_of[d] for d in sorted(group_of)]), persistent=False)

    @property
    def fixed_front_end(self) -> bool:
        """Whether the encoders begin with a fixed front end, which is then the same for all groups."""
        return bool(self.encoders[0].fixed_front_end)

    def forward(self, view: View) -> Tensor:
        """Embeddings [B, embed_dim] of a view."""
        networks: list[Any] = list(self.encoders)
        given = view.samples
        if self.fixed_front_end:
            given = view.front_end_features(networks[0].front_end)
            networks = [encoder.body for encoder in networks]
        if len(networks) == 1:
            return networks[0](given)  # type: ignore[no-any-return]
        group = self._group_of[view.detectors[:, 0]]
        present = torch.unique(group).tolist()
        if len(present) == 1:
            return networks[present[0]](given)  # type: ignore[no-any-return]
        rows = [(group == number).nonzero().squeeze(1) for number in present]
        parts = [networks[number](given[index]) for number, index in zip(present, rows, strict=True)]
        order = torch.argsort(torch.cat(rows))
        return torch.cat(parts)[order]

    def views(self, strain: Tensor) -> list[View]:
        """What `embed` looks at in conditioned strain [B, D, T]: each detector, or the network."""
        batch, detectors, _ = strain.shape
        index = torch.arange(detectors, device=strain.device).expand(batch, detectors)
        if self.network:
            return [View(strain, index)]
        return [View(strain[:, d : d + 1], index[:, d : d + 1]) for d in range(detectors)]

    def embed(self, strain: Tensor | Sequence[View]) -> Tensor:
        """What the probe sees of conditioned strain [B, D, T], or of its `views`.

        Returns:
            The detectors' embeddings side by side, [B, F].
        """
        views = self.views(strain) if isinstance(strain, Tensor) else strain
        return torch.cat([self(view) for view in views], dim=1)
