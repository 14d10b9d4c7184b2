"""What a cell needs of a Ray node, and how many cells the nodes can run at once: their capacity."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from gwbench.errors import UserError


@dataclass(frozen=True)
class Needs:
    """What a cell claims on its node.

    Attributes:
        cpus: as many as it has threads.
        gpu: whether it has a GPU to itself.
    """

    cpus: int
    gpu: bool

    @classmethod
    def fitting(cls, gpu: bool, jobs: int | None) -> Needs:
        """The most CPUs a cell can have for `jobs` cells to run at once; without `jobs`, for one per GPU, or else 1."""
        least = cls(1, gpu)
        capacity = least.capacity()
        wanted = max(min(jobs or capacity, capacity), 1)
        most = max((int(node.get("CPU", 0)) for node in nodes()), default=1)
        larger = (replace(least, cpus=cpus) for cpus in range(most, 1, -1))
        return next((needs for needs in larger if needs.capacity() >= wanted), least)

    def capacity(self, only: str | None = None) -> int:
        """How many cells fit on the nodes, or on one of them by its identifier, even if others use them now."""
        return sum(map(self._times, nodes(only)))

    def unmet(self) -> UserError:
        """The message where no node has this."""
        kinds = Counter(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes())
        there = "; ".join(f"{count} with {kind}" for kind, count in kinds.items()) or "none"
        return UserError(
            f"No node of the Ray cluster has the {self} that a cell needs. Its nodes: {there}. Start one that has "
            "(`ray start --address HOST:PORT`), lower --cpus-per-cell, or change --device."
        )

    def __str__(self) -> str:
        return f"{self.cpus} CPU{'s' * (self.cpus > 1)}{' and 1 GPU' * self.gpu}"

    def _times(self, node: dict[str, float]) -> int:
        count = node.get("CPU", 0) // self.cpus
        return int(min(count, node.get("GPU", 0)) if self.gpu else count)


def nodes(only: str | None = None) -> list[dict[str, float]]:
    """The resources of the nodes that are alive, or of one of them by its identifier."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"] and only in (None, node["NodeID"])]
