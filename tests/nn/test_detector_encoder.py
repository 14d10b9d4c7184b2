from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gwbench.contracts import Encoder, View
from gwbench.errors import UserError
from gwbench.nn.detector_encoder import DetectorEncoder, embed_in_chunks, parse_groups

NAMES = ("H1", "L1", "V1")


class Marked(Encoder):
    """Answers with its own number and its input's first sample."""

    count = 0

    def __init__(self) -> None:
        super().__init__()
        self.embed_dim = 2
        self.number = Marked.count
        Marked.count += 1

    def forward(self, strain: Tensor) -> Tensor:
        return torch.stack([torch.full((len(strain),), float(self.number)), strain[:, 0, 0]], dim=1)


@pytest.fixture(autouse=True)
def _count() -> None:
    Marked.count = 0


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("shared", [[0, 1, 2]]),
        ("network", [[0, 1, 2]]),
        ("each", [[0], [1], [2]]),
        ("H1,L1|V1", [[0, 1], [2]]),
        ("V1|L1, H1", [[2], [1, 0]]),
    ],
)
def test_groups_are_read(text: str, groups: list[list[int]]) -> None:
    assert parse_groups(text, NAMES) == groups


@pytest.mark.parametrize("text", ["H1|L1", "H1,L1|V1|K1", "H1,L1,V1,V1", "share"])
def test_groups_hold_every_detector_once(text: str) -> None:
    with pytest.raises(UserError, match="'shared', 'each', or groups"):
        parse_groups(text, NAMES)


def test_every_view_goes_to_the_encoder_of_its_detector() -> None:
    encoder = DetectorEncoder(Marked, parse_groups("H1,V1|L1", NAMES))
    detectors = torch.tensor([[0], [1], [2], [1], [0]])
    samples = torch.arange(5.0).view(5, 1, 1)
    out = encoder(View(samples, detectors))
    assert out[:, 0].tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert out[:, 1].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_the_probe_sees_the_detectors_side_by_side() -> None:
    encoder = DetectorEncoder(Marked, parse_groups("H1,L1|V1", NAMES))
    out = encoder.embed(torch.tensor([[[1.0], [2.0], [3.0]]]))
    assert out.tolist() == [[0.0, 1.0, 0.0, 2.0, 1.0, 3.0]]


def test_a_network_encoder_is_one() -> None:
    assert DetectorEncoder(Marked, [[0, 1, 2]], network=True).embed(torch.ones(2, 3, 4)).shape == (2, 2)


class Modes(Encoder):
    """Gives each window's mean, and notes what mode and what batches it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_dim = 1
        self.seen: list[tuple[int, bool, bool, torch.dtype]] = []

    def forward(self, strain: Tensor) -> Tensor:
        weighed = strain[:, 0] @ torch.full((strain.shape[2], 1), 0.25)
        self.seen.append((len(strain), self.training, torch.is_grad_enabled(), weighed.dtype))
        return weighed


def test_windows_are_embedded_in_chunks_frozen_and_in_fp32() -> None:
    encoder = DetectorEncoder(Modes, [[0, 1]]).train()
    strain = torch.arange(7 * 2 * 4, dtype=torch.float32).view(7, 2, 4)
    told: list[int] = []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embedding = embed_in_chunks(encoder, 7, lambda part: strain[part], chunk=3, advance=told.append)
    assert torch.equal(embedding, strain.mean(2))
    assert told == [3, 3, 1]
    (network,) = encoder.encoders
    assert network.seen == [(size, False, False, torch.float32) for size in (3, 3, 3, 3, 1, 1)]
    assert encoder.training and network.training


def test_a_head_is_given_one_chunk_of_embeddings_after_the_other() -> None:
    encoder = DetectorEncoder(Modes, [[0]])
    strain = torch.arange(5 * 4, dtype=torch.float32).view(5, 1, 4)

    def head(embedding: Tensor) -> Tensor:
        return embedding - embedding[:1]

    read = lambda part: encoder.views(strain[part])  # noqa: E731
    assert embed_in_chunks(encoder, 5, read, chunk=2, head=head).flatten().tolist() == [0.0, 4.0, 0.0, 4.0, 0.0]
