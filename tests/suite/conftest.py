from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from gwbench.suite import ray_connection
from tests.suite.ray_cluster import SMALL


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A real Ray cluster: two nodes on this machine, each with one CPU; all of it is gone in the end."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: the path of a socket has 107 characters at most
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # or Ray writes a token into the home folder
        # Listen on the loopback only: the variable is for child processes, this one may have imported Ray already.
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        patch.setattr("ray._private.ray_constants.ENABLE_RAY_CLUSTER", False)
        patch.setenv("RAY_prestart_worker_first_driver", "0")  # processes that nobody would use
        patch.setenv("OMP_NUM_THREADS", "1")
        from ray.cluster_utils import Cluster

        before = {process.pid for process in psutil.Process().children(recursive=True)}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **SMALL})
        try:
            cluster.add_node(num_cpus=1, **SMALL)
            yield cluster
        finally:
            ours = [each for each in psutil.Process().children(recursive=True) if each.pid not in before]
            cluster.shutdown()
            for process in psutil.wait_procs(ours, timeout=10)[1]:
                process.kill()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster answers: it need not be tried in a process of its own first."""
    monkeypatch.setattr(ray_connection, "_probe", lambda _address: None)
