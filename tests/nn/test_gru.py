"""The GRU that trains faster against torch's own, in double precision."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from gwbench.nn.gru import TrainedGRU, speed_up


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def pair(**options: bool) -> tuple[nn.GRU, nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = nn.GRU(5, 3, **{"batch_first": True, **options}).double()
    fast = nn.ModuleList([copy.deepcopy(plain)])
    speed_up(fast)
    assert type(fast[0]) is TrainedGRU
    return plain, fast[0]


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("samples", [1, 7])
def test_states_and_gradients_are_those_of_torch(bidirectional: bool, batch_first: bool, samples: int) -> None:
    outcomes = []
    for gru in pair(bidirectional=bidirectional, batch_first=batch_first):
        x = noise(4, samples, 5) if batch_first else noise(samples, 4, 5)
        states, last = gru(x.requires_grad_())
        gradients = torch.autograd.grad(
            [states, last], [x, *gru.parameters()], [noise(*states.shape, seed=1), noise(*last.shape, seed=2)]
        )
        outcomes.append([states, last, *gradients])
    for expected, got in zip(*outcomes, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def test_gradients_are_those_of_the_states() -> None:
    _, gru = pair(bidirectional=True)
    assert gradcheck(lambda x: gru(x)[0], [noise(2, 4, 5).requires_grad_()])


def test_autocast_is_no_further_from_the_exact_states_than_torch() -> None:
    plain, fast = pair(bidirectional=True)
    x = noise(16, 30, 5).bfloat16()
    exact = plain(x.double())[0].detach()
    errors = []
    for gru in (plain.float(), fast.float()):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert gru(x.float())[0].dtype == torch.float32
            states, _ = gru(x)
        assert states.dtype == torch.bfloat16
        states.float().sum().backward()
        assert gru.weight_ih_l0.grad is not None and gru.weight_ih_l0.grad.dtype == torch.float32
        errors.append(float((states.detach() - exact).norm()))
    assert errors[1] <= errors[0]


def test_what_the_fast_way_does_not_take_goes_to_torch() -> None:
    plain, fast = pair(bidirectional=True)
    x, start = noise(2, 4, 5), noise(2, 2, 3, seed=1)
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4, 2]), batch_first=True)
    for given in ((x, start), (x[0],), (packed,)):
        for expected, got in zip(plain(*given), fast(*given), strict=True):
            for one, other in zip(expected, got, strict=True) if isinstance(expected, tuple) else [(expected, got)]:
                assert one is other is None or torch.equal(one, other)
    with torch.no_grad():
        assert torch.equal(plain(x)[0], fast(x)[0])  # embeddings do not move
    two = nn.GRU(5, 3, num_layers=2)
    speed_up(two)
    assert two(noise(4, 2, 5).float())[1].shape == (2, 2, 3)
    with pytest.raises(RuntimeError, match=r"input\.size"):
        fast(noise(2, 4, 6))
