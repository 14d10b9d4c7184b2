"""What an encoder's fixed front end makes of windows that do not change: computed once, as far as memory holds it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gwbench.contracts import FrontEnd, View
from gwbench.utils.memory import MEMORY_VARIABLE, SHARE, memory_budget

if TYPE_CHECKING:
    from gwbench.utils.progress import Progress


class FrontEndCache:
    """One row for every window and detector, on the training's device, filled when a view first asks for it.

    Memory is taken at the first row: on a CPU as much as conditioned strain may fill, on a GPU the same share of what
    is free there. Rows beyond it are computed every time, and that is said.

    Args:
        windows: how many there are.
        detectors: D of the data.
        device: of the views.
        progress: where to report.
    """

    def __init__(self, windows: int, detectors: int, device: str, progress: Progress) -> None:
        self._detectors, self._progress = detectors, progress
        self._there = torch.zeros(windows * detectors, dtype=torch.bool, device=device)
        self._kept: Tensor | None = None

    def serve(self, view: View, windows: Tensor) -> View:
        """A view whose front end's features are looked up here; encoders without a fixed front end never ask.

        Args:
            view: the strain of its detectors, unchanged.
            windows: [B] positions of its windows.

        Returns:
            A new view of the same samples.
        """
        rows = windows.unsqueeze(1) * self._detectors + view.detectors
        return View(view.samples, view.detectors, lookup=partial(self._features, view.samples, rows))

    def _features(self, samples: Tensor, index: Tensor, front_end: FrontEnd) -> Tensor:
        """[B, C, ...] of the samples [B, C, T], whose rows are [B, C]."""
        rows = index.flatten()
        missing = ~self._there[rows]
        if not missing.any():
            assert self._kept is not None
            features = self._kept[rows]
        else:
            if missing.sum() == 1:  # a batch of one is rounded otherwise, and a resumed run lacks other rows
                missing[:2] = True
            fresh = front_end(samples.flatten(0, 1)[missing].unsqueeze(1)).squeeze(1)
            if self._kept is None:
                self._kept = self._allocate(fresh)
            fits = rows[missing] < len(self._kept)
            self._kept[rows[missing][fits]] = fresh[fits]
            self._there[rows[missing][fits]] = True
            features = fresh
            if not missing.all():
                features = self._kept[rows.clamp(max=len(self._kept) - 1)]
                features[missing] = fresh
        return features.view(*index.shape, *features.shape[1:])

    def _allocate(self, fresh: Tensor) -> Tensor:
        """Room for rows like these: for all of them, or for the first."""
        row, device = fresh[0].nbytes, fresh.device
        cuda = device.type == "cuda"
        budget = int(SHARE * torch.cuda.mem_get_info(device)[0]) if cuda else memory_budget()
        room = min(len(self._there), budget // row)
        if room < len(self._there):
            advice = "" if cuda else f" (set {MEMORY_VARIABLE} for more)"
            self._progress.say(
                f"What the encoder's fixed front end makes of the windows takes {len(self._there) * row / 2**30:.2f} "
                f"GiB, and {budget / 2**30:.2f} GiB of memory may hold it{advice}: the rest is computed every time."
            )
        with torch.inference_mode(False):  # a validation may be the first to ask
            return torch.empty(room, *fresh.shape[1:], dtype=fresh.dtype, device=device)
