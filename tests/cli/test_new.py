"""`gwbench new`: a plugin of every kind that keeps its contract as it stands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gwbench.cli.main import main
from gwbench.registry import KINDS, Registry
from gwbench.utils import sibling_modules

ROOT = Path(__file__).parent.parent.parent
FLAGS = {"objective": "--loss", "augmentation": "--augment"}


@pytest.fixture(autouse=True)
def _no_plugin_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plugin file of another file's test in this process: its folder would still be looked into."""
    monkeypatch.delitem(sys.modules, "my_encoder", raising=False)
    monkeypatch.setattr(sibling_modules, "_FOLDERS", [])


def gwbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["gwbench", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert isinstance(stop.value.code, int)
    return stop.value.code, *capsys.readouterr()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_passes_the_checks_and_is_tidy(
    kind: str,
    tmp_path: Path,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, name = tmp_path / "mine", f"a-rather-long-name-for-some-{kind}-2"
    code, out, err = gwbench(monkeypatch, capsys, "new", kind, name, "--out", str(folder))
    assert (code, err) == (0, "")
    module = name.replace("-", "_")
    plugin, test = folder / f"{module}.py", folder / f"test_{module}.py"
    assert sorted(folder.iterdir()) == [plugin, test]
    assert out.splitlines()[1:] == [
        f"  gwbench check {plugin}",
        f"  pytest {test}",
        f"  gwbench run --plugin {plugin} {FLAGS.get(kind, f'--{kind}')} {name}",
    ]
    assert f"class ARatherLongNameForSome{kind.capitalize()}2(" in plugin.read_text()
    code, out, err = gwbench(monkeypatch, capsys, "check", str(plugin))
    assert (code, err) == (0, ""), out
    assert " passed, 0 failed, 0 skipped" in out
    ruff = shutil.which("ruff")
    if ruff:
        for words in (("check",), ("format", "--check")):
            command = [ruff, *words, "--no-cache", "--config", str(ROOT / ".ruff.toml"), str(folder)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout


def test_the_tests_that_are_written_pass_and_catch_what_is_spoilt_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in KINDS:
        code, _, _ = gwbench(monkeypatch, capsys, "new", f"{kind}s", f"my-{kind}", "--out", str(tmp_path))
        assert code == 0
    augmentation = tmp_path / "my_augmentation.py"
    augmentation.write_text(augmentation.read_text().replace("view.samples * factor", "view.samples.mul_(factor)"))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-rf", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1
    assert "test_my_augmentation[augmentation-my-augmentation-input_kept]" in failed[0]
    assert "Does not change its input: 2 detectors: the input changed" in done.stdout
    assert " passed" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("shoe", "my-shoe"), "There is no plugin kind 'shoe'"),
        (("encoder", "My_Encoder"), "'My_Encoder' will not do as a name: it is kebab-case"),
        (("encoder", "2d"), "starts with a letter"),
        (("encoder", "my--encoder"), "it is kebab-case"),
        (("encoder", "../evil"), "it is kebab-case"),
        (("encoder", "cnn1d"), "The name is taken: encoder 'cnn1d' is at "),
        (("encoder", "random"), "random.py would hide Python's 'random'"),
        (("encoder", "class"), "class.py would hide"),
        (("encoder",), "Missing argument 'NAME'"),
    ],
)
def test_a_users_mistake_writes_nothing(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = gwbench(monkeypatch, capsys, "new", *words, "--out", str(tmp_path / "mine"))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("there", ["my_encoder.py", "test_my_encoder.py"])
def test_nothing_is_overwritten(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / there).write_text("mine")
    code, _, err = gwbench(monkeypatch, capsys, "new", "encoder", "my-encoder", "--out", str(tmp_path))
    assert code == 2
    assert f"{tmp_path / there} is there already" in err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(there, "mine")]


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = gwbench(monkeypatch, capsys, "new", "encoder", "my-encoder", "--out", str(tmp_path / "file"))
    assert code == 2
    assert f"Cannot write {tmp_path / 'file'}" in err


def test_a_dataset_of_files_has_a_template_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], registry: Registry
) -> None:
    code, out, err = gwbench(
        monkeypatch, capsys, "new", "dataset", "my-strain", "--template", "files", "--out", str(tmp_path)
    )
    assert (code, err) == (0, "")
    plugin, test = tmp_path / "my_strain.py", tmp_path / "test_my_strain.py"
    assert out.splitlines()[1:] == [
        f"  gwbench check {plugin} --set dataset.path=FOLDER",
        f"  pytest {test}",
        f"  gwbench run --plugin {plugin} --dataset my-strain --set dataset.path=FOLDER",
    ]
    rng = np.random.default_rng(0)
    np.save(tmp_path / "strain.npy", 1e-21 * rng.standard_normal((30, 2, 2048)))
    np.save(tmp_path / "label.npy", (np.arange(30) % 2).astype(np.int8))
    code, out, err = gwbench(monkeypatch, capsys, "check", str(plugin), "--set", f"dataset.path={tmp_path}")
    assert (code, err) == (0, ""), out
    assert " passed, 0 failed, 0 skipped" in out
    code, out, err = gwbench(monkeypatch, capsys, "check", str(plugin))
    assert code == 1
    assert "Nothing of dataset 'my-strain' was checked" in err
    if ruff := shutil.which("ruff"):
        for words in (("check",), ("format", "--check")):
            command = [ruff, *words, "--no-cache", "--config", str(ROOT / ".ruff.toml"), str(plugin), str(test)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("dataset", "my-strain", "--template", "file"), "A dataset has no template 'file'. Did you mean 'files'?"),
        (("encoder", "my-net", "--template", "files"), "As to templates, it has one alone: leave out --template."),
    ],
)
def test_a_template_that_there_is_not_is_refused(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = gwbench(monkeypatch, capsys, "new", *words, "--out", str(tmp_path / "mine"))
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "mine").exists()
