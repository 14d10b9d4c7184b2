"""Processes that work for this one: what they say, how they end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pytest

from gwbench.errors import UserError
from gwbench.utils.worker_process import RemoteFailure, WorkerProcess, ready
from tests.utils import talking

MODULE = talking.__name__


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    worker = WorkerProcess(MODULE, {"GWBENCH_TEST_SAYS": "hello"}, remedy="ask for less")
    yield worker
    worker.close()


def ask(worker: WorkerProcess, what: str, value: object = None) -> tuple[str, Any]:
    worker.send((what, value))
    return worker.receive()


def test_values_come_back_as_they_went(worker: WorkerProcess) -> None:
    strain = np.random.default_rng(1).standard_normal((7, 3, 50_000)).astype(np.float32)
    kind, value = ask(worker, "echo", {"strain": strain, "name": "H1", "none": None, "empty": strain[:0]})
    assert (kind, value["name"], value["none"], value["empty"].shape) == ("done", "H1", None, (0, 3, 50_000))
    np.testing.assert_array_equal(value["strain"], strain)
    value["strain"] += 1  # may be written to
    assert [ask(worker, "double", number)[1] for number in range(4)] == [0, 2, 4, 6]


def test_questions_wait_for_their_turn(worker: WorkerProcess) -> None:
    for number in range(20):
        worker.send(("double", number))
    assert [worker.receive() for _ in range(20)] == [("done", 2 * number) for number in range(20)]


def test_what_goes_wrong_there_is_told_and_the_process_goes_on(worker: WorkerProcess) -> None:
    kind, refused = ask(worker, "refuse", "no such file")
    assert kind == "mistake"
    assert isinstance(refused, RemoteFailure)
    assert (refused.message, type(refused.error())) == ("no such file", UserError)
    kind, failed = ask(worker, "fail", "trouble")
    assert kind == "broken"
    error = failed.error()
    assert (type(error), str(error)) == (ValueError, "trouble")
    assert error.__notes__ == [failed.traceback]
    assert "in _fail" in failed.traceback
    kind, odd = ask(worker, "odd", "strange")
    assert (kind, odd.message) == ("broken", "OddError: strange!")
    assert type(odd.error()) is RuntimeError
    assert "OddError: strange!" in str(odd.error())
    kind, unsent = ask(worker, "lambda")
    assert kind == "broken"
    assert "pickle" in unsent.message
    assert ask(worker, "double", 4) == ("done", 8)


@pytest.mark.parametrize(
    ("what", "value", "reason"),
    [
        ("signal", signal.SIGKILL, "ended with SIGKILL, most likely for want of memory: ask for less"),
        ("signal", signal.SIGTERM, "ended with SIGTERM"),
        ("raise", 3, "ended with exit code 3"),
        ("stop", None, "ended with exit code 0"),
    ],
)
def test_how_it_ended(worker: WorkerProcess, what: str, value: object, reason: str) -> None:
    assert ask(worker, what, value) == ("died", reason)
    assert ask(worker, "double", 2) == ("died", reason)  # and what is sent to it is lost without an error


class Unreadable:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        return int, ("no number",)


def test_a_value_that_it_cannot_read_ends_it(worker: WorkerProcess) -> None:
    assert ask(worker, "echo", Unreadable()) == ("died", "ended with exit code 1")


def test_its_environment_its_process_group_and_what_it_is_handed() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"strain")
        file.flush()
        worker = WorkerProcess(MODULE, {"GWBENCH_TEST_SAYS": "hello"}, kept=[file.fileno()])
        try:
            assert ask(worker, "read", file.fileno()) == ("done", b"strain")
            _, (process, group, says) = ask(worker, "about", "GWBENCH_TEST_SAYS")
        finally:
            worker.close()
    assert says == "hello"
    assert group == process != os.getpid()  # a terminal's Ctrl-C is not for it
    assert not psutil.pid_exists(process)


def test_the_first_to_say_something_is_heard() -> None:
    slow, quick = workers = [WorkerProcess(MODULE, {}) for _ in range(2)]
    try:
        slow.send(("sleep", 60))
        assert ready(workers, 0) == []
        quick.send(("double", 1))
        assert ready(workers) == [quick]
        assert quick.receive() == ("done", 2)
        slow.kill()
        assert ready(workers) == [slow]
        assert slow.receive()[0] == "died"
    finally:
        for worker in workers:
            worker.close()


def test_a_default_timeout_of_sockets_is_not_for_it() -> None:
    socket.setdefaulttimeout(0.05)
    try:
        worker = WorkerProcess(MODULE, {})
    finally:
        socket.setdefaulttimeout(None)
    try:
        assert ask(worker, "sleep", 0.3) == ("done", None)
    finally:
        worker.close()


def test_one_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    before = psutil.Process().num_fds()
    with pytest.raises(FileNotFoundError):
        WorkerProcess(MODULE, {})
    assert psutil.Process().num_fds() == before


STARTS = f"""
import sys, time
from gwbench.utils.worker_process import WorkerProcess
worker = WorkerProcess({MODULE!r}, {{}})
worker.send(("about", ""))
print(worker.receive()[1][0], flush=True)
worker.send(("sleep", 600))
time.sleep(600)
"""


def test_it_ends_with_the_process_that_started_it_even_in_the_middle_of_work() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTS], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        process = psutil.Process(int(starter.stdout.readline()))
        time.sleep(0.2)
        assert process.is_running()
        starter.kill()
    gone, _ = psutil.wait_procs([process], timeout=20)
    assert gone == [process]
