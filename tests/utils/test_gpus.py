from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch

from gwbench.errors import UserError
from gwbench.experiment.environment import resolve_device
from gwbench.training.distributed import resolve
from gwbench.utils import gpus

LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c1d1b2e-0000-1111-2222-333344445555)
  MIG 3g.20gb     Device  0: (UUID: MIG-aaaa1111-2222-3333-4444-555566667777)
  MIG 1g.5gb      Device  1: (UUID: MIG-bbbb1111-2222-3333-4444-555566667777)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-6c1d1b2e-0000-1111-2222-333344445555)
"""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the GPUs that torch sees, to be filled."""
    names: list[str] = []
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(names))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: names[number])
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    return names


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        (None, None),
        ("", []),
        ("0,3", ["0", "3"]),
        (" 1 , 2 ", ["1", "2"]),
        ("-1", []),
        ("0,-1,1", ["0"]),  # CUDA stops at what it does not know
        ("0,,1", ["0"]),
        ("NoDevFiles", []),
        ("GPU-5c1d1b2e-0000", ["GPU-5c1d1b2e-0000"]),
        ("MIG-GPU-5c1d1b2e/1/0", ["MIG-GPU-5c1d1b2e/1/0"]),
        ("MIG-aaaa1111,MIG-bbbb1111", ["MIG-aaaa1111", "MIG-bbbb1111"]),
    ],
)
def test_the_variable_is_read_as_cuda_reads_it(
    value: str | None, entries: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    if value is not None:
        monkeypatch.setenv(gpus.VISIBLE, value)
    assert gpus.visible_entries() == entries


def test_a_device_that_is_not_there_is_named_with_those_that_are(
    machine: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine += ["NVIDIA H200"] * 2
    assert resolve_device("cuda:1") == "cuda:1"
    with pytest.raises(UserError, match="sees 2 GPUs, cuda:0 to cuda:1"):
        resolve_device("cuda:2")
    monkeypatch.setenv(gpus.VISIBLE, "4,5")
    with pytest.raises(UserError, match=r"CUDA_VISIBLE_DEVICES=4,5; they are numbered from 0"):
        resolve_device("cuda:4")


def test_hidden_gpus_are_named(machine: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpus.VISIBLE, "")
    assert resolve_device("auto") in ("cpu", "mps")
    with pytest.raises(UserError, match="hides every GPU: unset it"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(UserError, match="built without CUDA"):
        resolve_device("cuda")


@pytest.mark.parametrize("by", ["name", "variable"])
def test_slices_of_a_gpu_cannot_train_together(by: str, machine: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    machine.append("NVIDIA A100-SXM4-40GB MIG 3g.20gb" if by == "name" else "NVIDIA A100-SXM4-40GB")
    if by == "variable":
        monkeypatch.setenv(gpus.VISIBLE, "MIG-aaaa1111-2222,MIG-bbbb1111-2222")
    assert resolve(1, 1, "cuda").size == 1
    with pytest.raises(UserError, match="slices cannot train together"):
        resolve(2, 1, "cuda")
    assert resolve(1, 1, "cpu").size == 1


def test_too_many_devices_are_refused_with_what_hides_them(machine: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    machine.append("NVIDIA H200")
    monkeypatch.setenv(gpus.VISIBLE, "3")
    with pytest.raises(UserError, match=r"has 1 GPUs.*CUDA_VISIBLE_DEVICES=3"):
        resolve(2, 1, "cuda")


def test_slices_are_found_in_what_nvidia_smi_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{LISTING}END\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert gpus.listed_slices(gpus.nvidia_smi_listing()) == [
        ("3g.20gb", "MIG-aaaa1111-2222-3333-4444-555566667777"),
        ("1g.5gb", "MIG-bbbb1111-2222-3333-4444-555566667777"),
    ]
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert gpus.nvidia_smi_listing() == ""
