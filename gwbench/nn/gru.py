"""A GRU whose training step is a few large operations instead of many small ones.

torch's own GRU on a CPU takes some twenty operations per sample and direction, and as many again for the gradient. Here
all that does not depend on the state before (what the gates make of the input, the gradients of the weights, the
derivatives of the gates) is one operation for all samples, and both directions take their steps together. Gates,
states and products with the state are in fp32 at least, where torch's autocast rounds them to bf16; those with the
input are in its own precision.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import PackedSequence


class TrainedGRU(nn.GRU):
    """`nn.GRU` with the same weights, whose training on a CPU is faster; without a gradient it is `nn.GRU` itself."""

    def forward(  # type: ignore[override]
        self, input: Tensor | PackedSequence, hx: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """As `nn.GRU.forward`: the states at all samples, and the last ones."""
        if not (isinstance(input, Tensor) and hx is None and self._takes(input)):
            return super().forward(input, hx)
        x = input.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else input
        parameters = [
            torch.stack([self.get_parameter(f"{name}_l0{suffix}") for suffix in self._suffixes()])
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        states: Tensor = _Gru.apply(x if self.batch_first else x.transpose(0, 1), *parameters, input.dtype)
        last = [states[:, -1, : self.hidden_size], states[:, 0, self.hidden_size :]]
        ends = torch.stack(last[: len(parameters[0])])
        return states if self.batch_first else states.transpose(0, 1), ends

    def _takes(self, x: Tensor) -> bool:
        return (
            torch.is_grad_enabled()
            and x.device.type == "cpu"
            and x.ndim == 3
            and x.numel() > 0
            and x.shape[2] == self.input_size
            and (x.dtype == self.weight_ih_l0.dtype or torch.is_autocast_enabled("cpu"))
            and self.num_layers == 1
            and self.bias
            and not self.proj_size
        )

    def _suffixes(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)


def speed_up(module: nn.Module) -> None:
    """Have every plain `nn.GRU` in a module train faster; names, weights and embeddings stay as they are."""
    for each in module.modules():
        if type(each) is nn.GRU:
            each.__class__ = TrainedGRU


class _Gru(torch.autograd.Function):
    """Cho et al., arXiv:1406.1078, as torch has it: n = tanh(a + r b), h' = n + z (h - n).

    Here a is what the input gives gate n, and b what the state gives it. Arrays are [T, directions, B, ...]; the second
    direction's time runs backwards, so that both directions take a step at the same place.
    """

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    def forward(ctx: Any, x: Tensor, w_in: Tensor, w: Tensor, b_in: Tensor, b: Tensor, given: torch.dtype) -> Tensor:
        (batch, samples, _), (directions, _, hidden) = x.shape, w.shape
        narrow, wide = x.dtype, torch.promote_types(x.dtype, torch.float32)
        ordered = torch.stack(_turned([x.transpose(0, 1)] * directions)).flatten(1, 2)  # [directions, T B, inputs]
        w_in, w, shift = w_in.to(narrow), w.to(wide), b.to(wide).unsqueeze(1)
        outside = torch.bmm(ordered, w_in.transpose(1, 2)).view(directions, samples, batch, 3 * hidden).transpose(0, 1)
        b_in = b_in.to(wide)
        gates = torch.empty(samples, directions, batch, 2 * hidden, dtype=wide)  # reset and update
        torch.add(outside[..., : 2 * hidden], b_in[:, None, : 2 * hidden], out=gates)
        new = torch.empty(samples, directions, batch, hidden, dtype=wide)
        torch.add(outside[..., 2 * hidden :], b_in[:, None, 2 * hidden :], out=new)
        inside = torch.empty(samples, directions, batch, 3 * hidden, dtype=wide)
        states = new.new_zeros(samples + 1, directions, batch, hidden)
        recurrent, row = w.transpose(1, 2).contiguous(), list(states)
        for place, (both, fresh, own) in enumerate(zip(gates, new, inside, strict=True)):
            torch.baddbmm(shift, row[place], recurrent, out=own)
            both.add_(own[..., : 2 * hidden]).sigmoid_()
            fresh.addcmul_(both[..., :hidden], own[..., 2 * hidden :]).tanh_()
            torch.lerp(fresh, row[place], both[..., hidden:], out=row[place + 1])
        ctx.save_for_backward(ordered, w_in, w, gates, new, inside[..., 2 * hidden :], states)
        ctx.weight = b.dtype
        return torch.cat(_turned(list(states[1:].to(given).unbind(1))), -1).transpose(0, 1).contiguous()

    @staticmethod
    @once_differentiable
    @torch.autocast("cpu", enabled=False)
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        ordered, w_in, w, gates, new, b_new, states = ctx.saved_tensors
        samples, directions, batch, hidden = new.shape
        narrow, wide = ordered.dtype, new.dtype
        reset, update = gates.split(hidden, -1)
        # the gradient of a sample's state times these is that of the three gates' sums, in front of their functions
        of_sums = torch.empty(samples, directions, batch, 3, hidden, dtype=wide)
        of_new = (1 - update) * (1 - new * new)
        torch.mul(of_new, reset, out=of_sums[..., 2, :])
        torch.mul(of_sums[..., 2, :] * (1 - reset), b_new, out=of_sums[..., 0, :])
        torch.mul((states[:-1] - new) * update, 1 - update, out=of_sums[..., 1, :])
        ways = gradient.to(wide).transpose(0, 1).unflatten(-1, (directions, hidden)).unbind(2)
        given = torch.stack(_turned(list(ways)), 1)
        inside = of_sums.flatten(-2)
        rows, kept, sums, products = list(given), list(update), list(of_sums), list(inside)
        for place in reversed(range(samples)):
            sums[place].mul_(rows[place].unsqueeze(-2))
            if place:
                rows[place - 1].addcmul_(rows[place], kept[place]).baddbmm_(products[place], w)
        in_front = given.mul_(of_new)  # of what the input gives gate n; that of the other gates is the state's own
        for_state = inside.transpose(0, 1).to(narrow, memory_format=torch.contiguous_format)
        for_input = for_state.clone()
        for_input[..., 2 * hidden :] = in_front.transpose(0, 1)
        for_state, for_input = for_state.flatten(1, 2), for_input.flatten(1, 2)
        before = states[:-1].transpose(0, 1).to(narrow, memory_format=torch.contiguous_format).flatten(1, 2)
        db = inside.sum(2).sum(0)
        db_in = torch.cat([db[:, : 2 * hidden], in_front.sum(2).sum(0)], -1)
        dx = torch.bmm(for_input, w_in).view(directions, samples, batch, -1)
        return (
            sum(_turned(list(dx))[1:], start=dx[0]).transpose(0, 1).contiguous(),
            torch.bmm(for_input.transpose(1, 2), ordered).to(ctx.weight),
            torch.bmm(for_state.transpose(1, 2), before).to(ctx.weight),
            db_in.to(ctx.weight),
            db.to(ctx.weight),
            None,
        )


def _turned(ways: list[Tensor]) -> list[Tensor]:
    """The directions' values [T, ...], those of the second one with their time turned round."""
    return [way.flip(0) if number else way for number, way in enumerate(ways)]
