"""One of two processes of `test_joined`: steps of training on the global batch, against the same in one process.

Numbers are float64 throughout, so that what is left between the two is rounding and nothing else.
"""

from __future__ import annotations

import copy
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gwbench.contracts import Encoder, Objective, Pairing, View
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.nn.layers import Layers
from gwbench.registry import REGISTRY
from gwbench.training.distributed import ProcessGroup, connected
from gwbench.training.distributed.global_batch import GlobalBatchEncoder, disable_gathering
from gwbench.training.method import SslMethod
from gwbench.training.pretrain import Pretraining
from gwbench.training.settings import TrainingSettings

BATCH, DETECTORS, SAMPLES, EMBED = 12, 3, 64, 6
STEPS = 3
SMALL = {
    "hidden_dim": 8,
    "output_dim": 8,
    "queue": 30,  # no multiple of a batch, and full in the second step
    "bottleneck_dim": 4,
    "patch": 8,
    "span": 8,
    "downsample": 4,
}


class Normed(Encoder):
    """Every way to a BatchNorm: torch's layer, the fused one, a subclass of another library."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_dim = EMBED
        self.net = Layers(
            nn.Conv2d(1, 4, (1, 9), stride=(1, 4)), nn.BatchNorm2d(4), nn.SiLU(), BatchNormAct2d(4), nn.Flatten(),
            nn.Linear(56, EMBED), nn.BatchNorm1d(EMBED),
        )  # fmt: skip

    def forward(self, strain: Tensor) -> Tensor:
        out: Tensor = self.net(strain.unsqueeze(2))
        return out


class Fixed(Pairing):
    """Every window's first view in one detector, its second in another, by a list."""

    def __init__(self, first: list[int], second: list[int]) -> None:
        self.detectors = torch.tensor([first, second])

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        windows = strain[:, 0, 0].long()  # a window's first sample says which it is
        views = []
        for detector in self.detectors:
            chosen = detector[windows]
            samples = strain[torch.arange(len(strain)), chosen].unsqueeze(1)
            views.append(View(samples, chosen.unsqueeze(1)))
        return views[0], views[1]


class Step(nn.Module):
    def __init__(self, module: Pretraining) -> None:
        super().__init__()
        self.module = module

    def forward(self, strain: Tensor) -> Tensor:
        return self.module.training_step((strain, torch.arange(len(strain))), 0)


def objective(name: str) -> Objective:
    importlib.import_module(f"gwbench.plugins.objectives.{name.replace('-', '_')}")
    plugin = REGISTRY.get("objective", name)
    assert plugin.target
    known = plugin.target.__init__.__kwdefaults__  # type: ignore[misc]
    built: Objective = plugin.target(EMBED, **{key: value for key, value in SMALL.items() if key in known})
    return built.double()  # lightly's queues are float32


def steps(module: Pretraining, forward: Callable[[Tensor], Tensor], batches: list[Tensor]) -> Iterator[Any]:
    """Plain gradient steps: loss, gradients, and the buffers afterwards."""
    for number, strain in enumerate(batches, 1):
        module.zero_grad()
        loss = forward(strain)
        loss.backward()
        gradients = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.grad is not None:
                    parameter.sub_(0.05 * parameter.grad)
        module.objective.after_step(number, STEPS)
        kept = module.state_dict().keys() & dict(module.named_buffers()).keys()
        buffers = {name: module.get_buffer(name).clone() for name in kept}
        yield {"loss": {"": loss.detach()}, "gradients": gradients, "buffers": buffers}


def furthest(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    """The largest deviation, relative to each tensor's largest number."""
    assert found.keys() == wanted.keys(), found.keys() ^ wanted.keys()
    # A gradient that is nothing but rounding, as of a bias before BatchNorm, is no measure of itself.
    floor = 1e-6 * max((float(each.abs().max()) for each in wanted.values()), default=1)
    return max(
        (float((found[key] - each).abs().max()) / max(float(each.abs().max()), floor) for key, each in wanted.items()),
        default=0.0,
    )


def compare(
    process_group: ProcessGroup, name: str, groups: list[list[int]], pairing: Pairing
) -> dict[str, list[float]]:
    torch.manual_seed(0)
    encoder = DetectorEncoder(Normed, groups)
    what = objective(name)
    batches = [torch.randn(BATCH, DETECTORS, SAMPLES) for _ in range(STEPS)]
    for strain in batches:
        strain[:, :, 0] = torch.arange(BATCH)[:, None]
    settings = TrainingSettings(batch_size=BATCH)
    alone = Pretraining(
        SslMethod(*copy.deepcopy((encoder, pairing)), [], copy.deepcopy(what)), settings, 0, STEPS
    ).train()
    disable_gathering(alone.objective)  # one process has nothing to gather
    wanted = list(steps(alone, Step(alone), batches))

    disable_gathering(what)
    method = SslMethod(GlobalBatchEncoder(encoder), pairing, [], what)
    together = Pretraining(method, settings, 0, STEPS, process_group=process_group).train()
    ddp = DistributedDataParallel(Step(together), find_unused_parameters=True)
    own = [strain.chunk(2)[process_group.rank] for strain in batches]
    found = list(steps(together, ddp, own))
    return {
        part: [furthest(one[part], other[part]) for one, other in zip(found, wanted, strict=True)] for part in wanted[0]
    }


def main(rank: int, store: Path) -> None:
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = lambda self: self  # type: ignore[method-assign,assignment,return-value] # embeddings stay float64
    found: dict[str, Any] = {}
    with connected(ProcessGroup(devices=2, rank=rank, local_rank=rank), "cpu", store) as process_group:
        for plugin in REGISTRY.list("objective"):
            found[plugin.name] = compare(process_group, plugin.name, [[0, 1, 2]], Fixed([0, 1, 2] * 4, [1, 2, 0] * 4))
        # Rank 1 has no window of the second group in its first view, and nobody has one of the third.
        scattered = Fixed([0, 1] * 3 + [0] * 6, [1] * 6 + [0, 1] * 3)
        for name in ("vicreg", "byol"):
            found[f"{name} by groups"] = compare(process_group, name, [[0], [1], [2]], scattered)
        found["draws"] = draws(process_group)
    sys.stdout.write(json.dumps(found) + "\n")


def draws(process_group: ProcessGroup) -> dict[str, Any]:
    """What an encoder with dropout and an objective draw: the share's mask, and a number behind it."""

    class Dropping(Encoder):
        embed_dim = 64

        def forward(self, strain: Tensor) -> Tensor:
            return nn.functional.dropout(torch.ones(len(strain), 64))

    encoder = GlobalBatchEncoder(DetectorEncoder(Dropping, [[0]]))
    torch.manual_seed(1)
    view = View(torch.zeros(2, 1, 4), torch.zeros(2, 1, dtype=torch.long))
    masks = encoder(view)
    return {"masks": masks.tolist(), "behind": torch.rand(3).tolist(), "rank": dist.get_rank()}


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
