"""Banks of templates: stochastic placement, and what a bank loses of the signals' SNR.

All functions take waveforms as vectors of norm 1 in an inner product (`unit`, `templates.network_vectors`). The match
of two is the cosine of the angle between them, maximised over the time and the phase of coalescence.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 256
"""Waveforms compared at once."""


def unit(vectors: Tensor) -> Tensor:
    """Of norm 1 over the last axis, the bins."""
    norm: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / norm


def matches(waveforms: Tensor, template: Tensor, samples: int) -> Tensor:
    """Match [n] of waveforms [n, F] with one template [F].

    Args:
        waveforms, template: vectors of norm 1.
        samples: T; times of coalescence are tried a sample apart.
    """
    overlaps = [
        # That the band does not begin at bin 0 only turns the phase from sample to sample.
        torch.fft.ifft(part * template.conj(), n=samples, norm="forward").abs().amax(dim=-1)
        for part in waveforms.split(CHUNK)
    ]
    return torch.cat(overlaps)


def place(
    proposals: Tensor, *, minimal_match: float, coverage: float, most: int, samples: int
) -> tuple[list[int], list[int]]:
    """Stochastic placement: a proposal that no template matches well becomes one (Harry et al., arXiv:0908.2090).

    Args:
        proposals: [n, F] waveforms drawn from the population, in random order.
        minimal_match: a template covers what it matches at least so well.
        coverage: share of the proposals that is to be covered.
        most: templates at most.
        samples: as for `matches`.

    Returns:
        Positions of the proposals that make the bank, and how many proposals each came to cover, itself included: its
        share of the population.
    """
    chosen: list[int] = []
    covered: list[int] = []
    left = torch.arange(len(proposals), device=proposals.device)
    while len(left) > (1 - coverage) * len(proposals) and len(chosen) < most:
        chosen.append(int(left[0]))
        before, left = len(left), left[1:]
        if len(left):
            left = left[matches(proposals[left], proposals[chosen[-1]], samples) < minimal_match]
        covered.append(before - len(left))
    return chosen, covered


def fitting_factors(signals: Tensor, bank: Tensor, samples: int) -> Tensor:
    """The best match [n] that signals [n, F] find in a bank [P, F]."""
    best = torch.zeros(len(signals), device=signals.device)
    for template in bank:
        torch.maximum(best, matches(signals, template, samples), out=best)
    return best


__all__ = ["fitting_factors", "matches", "place", "unit"]
