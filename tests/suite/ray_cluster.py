"""For tests on a Ray cluster."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gwbench.suite.cell_run import Outcome
from gwbench.suite.display import Display
from gwbench.suite.matrix import Cell
from gwbench.suite.ray_executor import ray_cluster
from gwbench.suite.run import Plan, Result, execute

SMALL: dict[str, Any] = {"object_store_memory": 80 * 2**20, "include_dashboard": False, "node_ip_address": "127.0.0.1"}
"""A node that takes little and is reached from this machine only."""


def on_ray(cluster: Any, suite: Plan, display: Display | None = None, **needs: Any) -> Result:
    """Carry a suite out on the cluster of a test."""
    with ray_cluster(suite.options, address=cluster.address, **needs) as executor:
        return execute(suite, executor=executor, display=display)


class Listening(Display):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.begun: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()

    def began(self, worker: int, cell: Cell) -> None:
        self.begun[cell.label] += 1

    def say(self, message: str) -> None:
        self.lines.append(message)

    def ended(self, worker: int, cell: Cell, outcome: Outcome) -> None:
        self.ends[cell.label] += 1
