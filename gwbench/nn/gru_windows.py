"""A GRU over overlapping windows: what it makes of its input alone is computed once, its memory window by window."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.nn.fragments import Fragments


def supports(gru: nn.GRU) -> bool:
    """Whether `gru_windows` can run it: one layer, batch first."""
    return gru.batch_first and gru.num_layers == 1 and not gru.training


def gru_windows(gru: nn.GRU, given: Fragments) -> tuple[Tensor, Tensor]:
    """What `nn.GRU` gives of every window, from a state of zeros (Cho et al., arXiv:1406.1078, as torch has it).

    Args:
        gru: one that `supports` knows.
        given: [R, places, features].

    Returns:
        The states at all places, [windows, length, directions x hidden], and the last ones,
        [directions, windows, hidden].
    """
    hidden, rows, fragments = gru.hidden_size, given.rows, len(given.values)
    directions = 2 if gru.bidirectional else 1
    states = given.values.new_empty(given.length, rows, fragments, directions * hidden)
    last = given.values.new_empty(directions, rows, fragments, hidden)
    for direction in range(directions):
        weight_in, weight, bias_in, bias = _parameters(gru, direction)
        gates = F.linear(given.values, weight_in, bias_in)  # [R, places, 3 hidden]: reset, update, new
        each = gates.unfold(1, given.length, given.step)[:, :rows].movedim(0, 1)  # [rows, R, 3 hidden, length]
        state = given.values.new_zeros(rows, fragments, hidden)
        places = range(given.length)
        for place in reversed(places) if direction else places:
            state = _step(each[..., place], F.linear(state, weight, bias), state)
            states[place, ..., direction * hidden : (direction + 1) * hidden] = state
        last[direction] = state
    return states.flatten(1, 2)[:, : given.windows].transpose(0, 1), last.flatten(1, 2)[:, : given.windows]


def _parameters(gru: nn.GRU, direction: int) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Weights of input and state [3 hidden, ...] and their biases."""
    suffix = "_reverse" if direction else ""
    weights = gru.get_parameter(f"weight_ih_l0{suffix}"), gru.get_parameter(f"weight_hh_l0{suffix}")
    if not gru.bias:
        return *weights, None, None
    return *weights, gru.get_parameter(f"bias_ih_l0{suffix}"), gru.get_parameter(f"bias_hh_l0{suffix}")


def _step(outside: Tensor, inside: Tensor, state: Tensor) -> Tensor:
    """The next state, from what input and state give the gates."""
    hidden = state.shape[-1]
    gates = (outside[..., : 2 * hidden] + inside[..., : 2 * hidden]).sigmoid_()
    reset, update = gates.split(hidden, -1)
    new = torch.addcmul(outside[..., 2 * hidden :], reset, inside[..., 2 * hidden :]).tanh_()
    return new.lerp_(state, update)
