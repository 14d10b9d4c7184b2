"""A conditioner is a module: its operator is in buffers, which move, are saved and are restored like any module's."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import signal

from gwbench.contracts import Split
from gwbench.preprocessing.conditioning import Conditioner, Conditioning, Whitening, fit_conditioner, from_state

RATE, WINDOW, MARGIN = 512, 1024, 128
Array = NDArray[Any]


def strain(seed: int, margin: int = MARGIN, count: int = 40) -> Array:
    """[count, 2, WINDOW + 2 margin] of noise whose spectrum falls differently in the two detectors."""
    noise = np.random.default_rng(seed).standard_normal((count, 2, WINDOW + 2 * margin))
    noise[:, 0] = signal.lfilter([1.0], [1.0, -0.5], noise[:, 0])
    return (noise * 1e-21).astype(np.float32)


def fit(seed: int, margin: int = MARGIN, method: str = "whiten") -> Conditioner:
    windows = strain(seed, margin)
    split = Split(windows, np.full(len(windows), -1, np.int8), np.full(len(windows), np.nan, np.float32))
    settings = Conditioning(method=method, low=20, high=200)  # type: ignore[arg-type]
    return fit_conditioner(split, sample_rate=RATE, margin=margin, detectors=("H1", "L1"), settings=settings)


CASES = [("whiten", MARGIN), ("whiten", 0), ("seed", MARGIN)]


def test_what_was_fitted_is_saved_in_the_precision_of_its_design() -> None:
    conditioner = fit(1)
    conditioner(strain(9))  # makes the response of this length
    assert {name: value.dtype for name, value in conditioner.state_dict().items()} == {
        "psd": torch.float64,
        "frequencies": torch.float64,
        "kernel": torch.float64,
        "edges": torch.float32,
    }
    assert not fit(1, method="seed").state_dict()


@pytest.mark.parametrize("margin", [MARGIN, 0])
def test_a_state_dict_restores_the_operator(margin: int) -> None:
    conditioner, other = fit(1, margin), fit(2, margin)
    windows, segment = strain(9, margin), strain(9, margin)[:, 0].ravel()
    assert not torch.equal(other(windows), conditioner(windows))
    other.condition_segment(segment, 0)
    other.load_state_dict(conditioner.state_dict())
    assert torch.equal(other(windows), conditioner(windows))
    assert torch.equal(other.condition_segment(segment, 0), conditioner.condition_segment(segment, 0))


def test_a_file_of_an_earlier_version_still_conditions() -> None:
    """The arrays that `conditioner.npz` has held since version 1: numpy's, in its types."""
    rng = np.random.default_rng(0)
    half = rng.standard_normal((2, 128))
    kernel = np.concatenate([half, rng.standard_normal((2, 1)), half[:, ::-1]], axis=1)
    header = {
        "settings": {"method": "whiten", "low": 20.0, "high": 200.0},
        "detectors": ["H1", "L1"],
        "sample_rate": 512.0,
        "window": WINDOW,
        "margin": MARGIN,
    }
    state: dict[str, Array] = {
        "header": np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8),
        "psd": rng.random((2, 129)),
        "frequencies": np.arange(129) * 2.0,
        "kernel": kernel,
        "edges": np.zeros((2, 0, 256), np.float32),
    }
    conditioner = from_state(state)
    windows = strain(3)
    exact = signal.oaconvolve(windows.astype(np.float64) * 1e21, kernel[None], mode="valid", axes=-1)
    np.testing.assert_allclose(conditioner(windows).numpy(), exact, atol=1e-4)
    again = conditioner.state()
    assert list(again) == list(state)
    for name, values in state.items():
        assert again[name].dtype == values.dtype
        np.testing.assert_array_equal(again[name], values)


@pytest.mark.parametrize(("method", "margin"), CASES)
def test_copies_give_the_same_bits(method: str, margin: int) -> None:
    conditioner, windows = fit(1, margin, method), strain(9, margin)
    fresh = pickle.dumps(conditioner)
    expected = conditioner(windows)
    copies = [pickle.loads(fresh), pickle.loads(pickle.dumps(conditioner)), copy.deepcopy(conditioner)]
    for each in copies:
        assert torch.equal(each(windows), expected)
        assert each.settings == conditioner.settings


@pytest.mark.parametrize(("method", "margin"), CASES)
def test_all_of_it_moves_at_once(method: str, margin: int) -> None:
    conditioner = fit(1, margin, method)
    conditioner(strain(9, margin))
    buffers = dict(conditioner.to("meta").named_buffers())
    assert len(buffers) >= 4
    assert {value.device.type for value in buffers.values()} == {"meta"}
    assert conditioner.device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("method", "margin"), CASES)
def test_on_a_gpu_it_conditions_arrays_and_tensors(method: str, margin: int) -> None:
    conditioner, windows = fit(1, margin, method), strain(9, margin)
    expected = conditioner(windows)
    on_gpu = torch.from_numpy(windows).cuda()
    before = conditioner(on_gpu)  # from the CPU's buffers
    conditioner.cuda()
    for found in (before, conditioner(on_gpu), conditioner(windows)):
        assert found.device.type == "cuda"
        torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-4)
    assert conditioner.condition_segment(windows[:, 0].ravel(), 0).device.type == "cuda"
    assert torch.equal(conditioner(torch.from_numpy(windows)), expected)


@pytest.mark.parametrize(("method", "margin"), CASES)
def test_no_graph_is_built_and_none_is_cut(method: str, margin: int) -> None:
    conditioner = fit(1, margin, method)
    with torch.inference_mode():
        conditioner(strain(9, margin))  # makes what it makes once
    assert not list(conditioner.parameters())
    windows = torch.from_numpy(strain(9, margin)).double() * 1e21
    assert not conditioner(windows).requires_grad
    windows.requires_grad_()
    # The operator is linear: the gradient of <v, A x> is A^T v, so its product with x is <v, A x> itself.
    product = (conditioner(windows * 1e-21) * torch.linspace(0, 1, WINDOW)).double().sum()
    product.backward()
    assert windows.grad is not None
    torch.testing.assert_close((windows.grad * windows.detach()).sum(), product.detach(), rtol=1e-3, atol=1e-2)


def test_a_segment_of_each_detector_is_filtered_by_its_own_kernel() -> None:
    conditioner = fit(1)
    assert isinstance(conditioner, Whitening)
    segment = strain(9)[:, 0].ravel()
    for detector, kernel in enumerate(conditioner.kernel.numpy()):
        exact = np.convolve(segment.astype(np.float64) * 1e21, kernel, mode="valid")
        np.testing.assert_allclose(conditioner.condition_segment(segment, detector).numpy(), exact, atol=1e-4)
    assert torch.equal(conditioner.condition_segment(segment, -1), conditioner.condition_segment(segment, 1))
    with pytest.raises(IndexError):
        conditioner.condition_segment(segment, 2)
