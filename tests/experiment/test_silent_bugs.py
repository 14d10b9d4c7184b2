"""Bugs that would not crash but make a number wrong. Each test is one that we, or others before us, had."""

from __future__ import annotations

from pathlib import Path

import torch

import gwbench
from gwbench.contracts import InputShape
from gwbench.nn.detector_encoder import DetectorEncoder, frozen_embedding
from gwbench.registry import REGISTRY
from gwbench.utils.progress import Progress
from tests.conftest import TINY


def test_signals_too_quiet_to_hear_are_not_heard(tmp_path: Path) -> None:
    """Whatever tells a window with a signal from one without, other than the signal, is a leak."""
    settings = {key: value for key, value in TINY.items() if not key.startswith("training.")}
    settings |= {"dataset.train": 1024, "dataset.test": 1024, "dataset.snr": (0.01, 0.02), "encoder.width": 8}
    record = gwbench.run(
        baseline="random-init", dataset="bbh", settings=settings, out=tmp_path, device="cpu", progress=Progress()
    )
    assert record.metrics is not None
    assert record.metrics.auc.low < 0.5 < record.metrics.auc.high


def test_the_floor_is_not_lowered_by_the_precision_of_training() -> None:
    """Embeddings of an untrained encoder differ by less than bf16 resolves: in bf16 its AUC fell from 0.82 to 0.56."""
    target = REGISTRY.get("encoder", "cnn1d").target
    assert target is not None
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = DetectorEncoder(lambda: target(InputShape(1, 4096, 2048.0), width=4, embed_dim=8, stride=8), [[0, 1]])
    strain = torch.randn(4, 2, 4096, generator=torch.Generator().manual_seed(0))
    plain = frozen_embedding(encoder, strain)
    with torch.autocast("cpu", torch.bfloat16):
        inside = frozen_embedding(encoder, strain)
    torch.testing.assert_close(inside, plain, rtol=0, atol=0)
    assert encoder.training


def test_evaluation_does_not_move_batch_statistics() -> None:
    target = REGISTRY.get("encoder", "cnn1d").target
    assert target is not None
    with torch.random.fork_rng():
        encoder = DetectorEncoder(lambda: target(InputShape(1, 4096, 2048.0), width=4, embed_dim=8, stride=8), [[0, 1]])
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    strain = torch.randn(4, 2, 4096, generator=torch.Generator().manual_seed(0))
    together = frozen_embedding(encoder, strain)
    alone = torch.cat([frozen_embedding(encoder, strain[i : i + 1]) for i in range(4)])
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-6)  # a window's neighbours do not matter
