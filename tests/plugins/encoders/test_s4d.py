from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gwbench.contracts import InputShape
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.plugins.encoders.s4d import DiagonalStateSpace, S4d
from gwbench.training.supervised import Classifier, ClassifierTraining, Settings

SMALL = {"width": 4, "stride": 32, "depth": 1}
"""Settings that make it small, for tests of every combination."""

LENGTH = 77


def recurrence(space: DiagonalStateSpace, direction: int, u: NDArray[np.float64]) -> NDArray[np.float64]:
    """The states' contribution to y, step by step: x_k = exp(dt A) x_{k-1} + (exp(dt A) - 1) / A u_k, y = 2 Re(C x)."""
    directions, width, _ = space.shape
    step = np.exp(space.log_step.detach().double().numpy().reshape(directions, width, 1))[direction]
    decay = np.exp(space.log_decay.detach().double().numpy().reshape(space.shape))[direction]
    a = -decay + 1j * space.frequency.detach().double().numpy().reshape(space.shape)[direction]
    c = space.c.detach().double().numpy()[direction] @ np.array([1, 1j])
    x = np.zeros_like(a)
    y = np.zeros_like(u)
    for k in range(u.shape[1]):
        x = np.exp(step * a) * x + (np.exp(step * a) - 1) / a * u[:, k, None]
        y[:, k] = 2 * (c * x).sum(1).real
    return y


def build(init: str, bidirectional: bool) -> DiagonalStateSpace:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DiagonalStateSpace(3, 8, init, bidirectional)


@pytest.mark.parametrize("init", ["lin", "inv"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_convolution_is_the_recurrence_of_the_state_space(init: str, bidirectional: bool) -> None:
    space = build(init, bidirectional)
    u = np.random.default_rng(0).standard_normal((3, LENGTH))
    expected = recurrence(space, 0, u) + space.d.detach().double().numpy()[:, None] * u
    if bidirectional:  # the second sees what comes after, not the present
        later = recurrence(space, 1, u[:, ::-1])[:, ::-1]
        expected[:, :-1] += later[:, 1:]
    with torch.no_grad():
        got = space(torch.tensor(u, dtype=torch.float32)[None])[0]
    np.testing.assert_allclose(got.numpy(), expected, atol=2e-5 * np.abs(expected).max())


def test_one_direction_never_looks_ahead() -> None:
    space = build("lin", bidirectional=False)
    u = torch.zeros(1, 3, LENGTH)
    u[:, :, 40] = 1.0
    with torch.no_grad():
        y = space(u)
    assert float(y[:, :, :40].abs().max()) < 1e-6 < 1e-3 < float(y[:, :, 41:].abs().max())


def test_the_poles_start_where_the_paper_has_them() -> None:
    """S4D-Lin: -1/2 + i pi n; S4D-Inv: -1/2 + i N / pi (N / (2 n + 1) - 1)."""
    n = np.arange(4)
    for init, expected in (("lin", np.pi * n), ("inv", 8 / np.pi * (8 / (2 * n + 1) - 1))):
        space = build(init, bidirectional=False)
        np.testing.assert_allclose(space.frequency.detach().numpy(), np.tile(expected, 3), rtol=1e-6)
        np.testing.assert_allclose(-space.log_decay.detach().exp().numpy(), -0.5, rtol=1e-6)


def test_the_state_space_does_not_decay_and_its_readout_does() -> None:
    """As in the authors' code: no weight decay for dt, Re A and Im A, nor for vectors (D, biases, norms)."""
    encoder = S4d(InputShape(1, 256, 2048.0), width=4, embed_dim=5, depth=1)
    classifier = Classifier(DetectorEncoder(lambda: encoder, [[0]]), 5)
    how = Settings(
        epochs=1, epoch_steps=1, batch_size=2, lr=1.0, head_lr=1.0, weight_decay=0.1, warmup=0.0, patience=1, flip=False
    )
    optimizer = ClassifierTraining(classifier, how, seed=0, total_steps=2).configure_optimizers()["optimizer"]
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    found = {name for name, p in encoder.named_parameters() if decays[id(p)] > 0}
    assert found == {"stem.0.weight", "blocks.0.state_space.c", "blocks.0.mix.weight", "head.weight"}


def test_autocast_leaves_the_state_space_in_fp32() -> None:
    space = build("lin", bidirectional=True)
    u = torch.randn(2, 3, LENGTH, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        full = space(u)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(space(u), full)


def test_a_window_of_one_step_is_enough() -> None:
    encoder = S4d(InputShape(1, 128, 2048.0), width=4, embed_dim=5, stride=16)
    assert encoder(torch.randn(2, 1, 128, generator=torch.Generator().manual_seed(0))).shape == (2, 5)
