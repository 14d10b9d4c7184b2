"""Source of plugins, for files that tests write."""

from __future__ import annotations

ENCODER = '''
import torch
from gwbench.contracts import Encoder, InputShape
from gwbench.registry import register

@register("encoder", "{name}")
class Toy(Encoder):
    """A toy."""
    def __init__(self, shape: InputShape, *, width: int = 4) -> None:
        super().__init__()
        self.embed_dim = width
        self.net = torch.nn.Linear(shape.samples, width)
    def forward(self, strain):
        return self.net(strain.mean(1))
'''
