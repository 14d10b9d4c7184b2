"""`gwbench suite run --executor ray` as it is typed: Ray on this machine, and an address that is wrong."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from gwbench.cli.main import main
from gwbench.errors import UserError
from gwbench.registry import Registry
from gwbench.suite import ray_connection
from gwbench.suite.cell_run import RunOptions
from gwbench.suite.ray_executor import ray_cluster
from gwbench.suite.run import execute, plan
from tests.suite.gated import GATED
from tests.suite.test_executors import records
from tests.suite.tiny import write_suite

pytestmark = pytest.mark.timeout(400)


def family(process: subprocess.Popen[str]) -> list[Any]:
    """What a command has started."""
    found: list[Any] = psutil.Process(process.pid).children(recursive=True)
    return found


def alive(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the command on a suite whose cells wait in their second epoch or later, and waits until one is there."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: the path of a socket has 107 characters at most
    (tmp_path / "gated.py").write_text(GATED)
    training = {"epochs": 4, "batch_size": 32}
    suite = write_suite(tmp_path, objectives=["gated"], label_fractions=[0.25], seeds=[0, 1], training=training)
    words = [sys.executable, "-m", "gwbench", "suite", "run", suite.name, "--out", "runs", "--plugin", "gated.py"]
    words += ["--device", "cpu", "--executor", "ray", "--jobs", "1", "--quiet"]
    given = {"OMP_NUM_THREADS": "1", "RAY_TMPDIR": folder, "GWBENCH_TEST_GATE": str(tmp_path / "open")}
    given |= {"RAY_AUTH_MODE": "disabled"}  # or Ray writes a token into the home folder
    commands: list[subprocess.Popen[str]] = []
    started: list[psutil.Process] = []

    def at_the_gate(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            held = {Path(file.path) for file in process.open_files()}
            return any(path.parent / ".lock" in held for path in (tmp_path / "runs").glob("*/checkpoints"))
        return False

    def begin() -> subprocess.Popen[str]:
        command = subprocess.Popen(
            words,
            cwd=tmp_path,
            env=os.environ | given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        commands.append(command)
        while not any(at_the_gate(each) for each in family(command)):
            assert command.poll() is None, command.communicate()
            time.sleep(0.1)
        started.extend(family(command))
        return command

    yield begin
    for command in commands:
        command.kill()
        command.communicate()
    for process in filter(alive, started):
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)


def test_ctrl_c_and_kill_9_end_all_that_ray_has_started_and_the_same_command_goes_on(
    start: Callable[[], subprocess.Popen[str]], registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = start()
    process_group = family(command)
    listening = [
        each for process in process_group for each in process.net_connections() if each.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert {each.laddr.ip for each in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    os.killpg(command.pid, signal.SIGINT)  # as a terminal does
    out, err = command.communicate(timeout=60)
    assert command.returncode == 130
    assert (out, err.strip()) == ("", "Interrupted. The same command goes on where it stopped.")
    assert not any(map(alive, process_group))
    assert not list((tmp_path / "runs").glob(".ray-*"))

    command = start()
    # Two of Ray's daemons, which carry nothing out, take a minute to see that the rest is gone.
    process_group = [process for process in family(command) if "Agent" not in process.cmdline()[0]]
    assert any(process.cmdline()[0].startswith("ray::CellWorker") for process in process_group)
    command.kill()
    command.communicate(timeout=60)
    assert psutil.wait_procs(process_group, timeout=60)[1] == []

    monkeypatch.setenv("GWBENCH_TEST_GATE", str(tmp_path))
    registry.load_source(str(tmp_path / "gated.py"))
    suite = plan(tmp_path / "tiny.yaml", out=tmp_path / "runs", device="cpu")
    assert suite.count("interrupted") == 1
    assert execute(suite).done == 4
    found = records(tmp_path / "runs").values()
    resumed = [record.training.resumed_from > 0 for record in found if record.training]
    assert sorted(resumed) == [False, True]


def test_an_address_without_a_cluster_is_told_of_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_connection, "CONNECTING", 6.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        for address, reason in (
            ("nonsense", "'nonsense' is no address"),
            ("127.0.0.1:99999", "is no address"),
            ("127.0.0.1:1", "Connection refused"),
            (f"127.0.0.1:{mute.getsockname()[1]}", "no answer within 6 s"),
        ):
            with pytest.raises(UserError, match=reason), ray_cluster(RunOptions("runs", None, "cpu"), address=address):
                pytest.fail("connected")


def test_without_ray_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(UserError, match=r"pip install 'gwbench-ssl\[ray\]'"),
        ray_cluster(RunOptions("runs", None, "cpu")),
    ):
        pytest.fail("imported")


def test_a_gpu_of_this_machine_cannot_be_chosen() -> None:
    with pytest.raises(UserError, match="cuda:1"), ray_cluster(RunOptions("runs", None, "cuda:1")):
        pytest.fail("chosen")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--executor", "ray", "--ray-address", "127.0.0.1:1"], "There is no Ray cluster to use at '127.0.0.1:1'"),
        (["--ray-address", "auto"], "go with --executor ray"),
        (["--cpus-per-cell", "2"], "go with --executor ray"),
    ],
)
def test_a_mistake_is_one_message(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = str(write_suite(tmp_path))
    out = ["--out", str(tmp_path / "runs"), "--device", "cpu", "--quiet"]
    monkeypatch.setattr("sys.argv", ["gwbench", "suite", "run", suite, *out, *words])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
