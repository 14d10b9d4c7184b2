"""The connection of this process to a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from gwbench.errors import UserError
from gwbench.utils.subprocesses import usable_cores

CONNECTING = 60.0
"""Seconds in which a cluster must answer."""

OBJECT_STORE = 80 * 2**20
"""Bytes of shared memory of a Ray that is started here; cells pass specs and outcomes only."""

EXPECTED = (
    "Expected auto, on a node of the cluster, or HOST:PORT of its head, as `ray start --head` shows it. Without "
    "--ray-address Ray is started on this machine."
)


@contextlib.contextmanager
def connection(address: str | None) -> Iterator[None]:
    """Connect to a Ray cluster, or start Ray on this machine; leave, or stop it, in the end.

    A connection that this process has already is used and left open.

    Args:
        address: "auto" for the cluster that this machine belongs to, or the HOST:PORT of its head; None for this
            machine alone.

    Raises:
        UserError: Ray is not installed, not reached, or cannot be started.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns that this will change
    if address is None:
        # Whoever reaches a Ray may run code in it. This, read at import, has it listen on this machine only.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")  # a process per core that cells have no use for
    try:
        import ray
    except ImportError:
        raise UserError("--executor ray needs Ray: pip install 'gwbench-ssl[ray]'.") from None
    if ray.is_initialized():
        yield
        return
    if address is not None:
        _probe(address)
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is None:
        how |= {"num_cpus": usable_cores(), "include_dashboard": False, "object_store_memory": OBJECT_STORE}
    with _silence():
        try:
            try:
                ray.init(address or "local", **how)
            except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
                where = f"at {address!r}" if address else "on this machine"
                raise UserError(f"Ray cannot be used {where}: {in_brief(error)}.") from None
            yield
        finally:
            ray.shutdown()


def _probe(address: str) -> None:
    """Connect in a process of its own first: Ray tries an address that does not answer for many minutes.

    Raises:
        UserError: nothing answers there, or not a Ray of the same version.
    """
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and port.isdigit() and 0 < int(port) < 65536):
        raise UserError(f"--ray-address {address!r} is no address. {EXPECTED}")
    try:
        if address != "auto":
            socket.create_connection((host, int(port)), timeout=CONNECTING / 6).close()
        program = f"import ray; ray.init({address!r}, log_to_driver=False)"
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=CONNECTING)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip() or str(error)).splitlines()[-1]
        if "InvalidAuthToken" in error.stderr:  # Ray's last line is silent about it
            reason = "it asks for its token: set RAY_AUTH_MODE=token, with the token in ~/.ray/auth_token"
    except subprocess.TimeoutExpired:
        reason = f"no answer within {CONNECTING:.0f} s"
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        return
    raise UserError(f"There is no Ray cluster to use at {address!r} ({reason.rstrip('.')}). {EXPECTED}")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep from the terminal what the cluster's daemons report, such as the deaths that are expected here.

    Ray has no public switch for it: `log_to_driver` leaves it on.
    """
    from ray._private import worker

    before = worker._worker_logs_enabled
    worker._worker_logs_enabled = False
    try:
        yield
    finally:
        worker._worker_logs_enabled = before


def in_brief(error: BaseException) -> str:
    """What Ray says, without its lists of identifiers and its advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith(("\t", " "))]
    last = lines[-1] if lines else type(error).__name__
    return last.partition(" Some common causes")[0].partition(" There are some potential")[0][:300].rstrip(". ")
