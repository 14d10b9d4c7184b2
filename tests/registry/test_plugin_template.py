"""The template repository in `examples/`: installed as a user would, found, checked, and named in records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gwbench.experiment.record import PluginUsed
from gwbench.registry import Origin, Plugin
from gwbench.registry.installed import package_of

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "examples" / "gwbench-plugin-template"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed it; the template itself stays as it is."""
    folder = tmp_path_factory.mktemp("template")
    copy = folder / "copy"
    names = subprocess.run(["git", "ls-files", "."], cwd=TEMPLATE, capture_output=True, text=True).stdout.split()
    for name in names or [str(path.relative_to(TEMPLATE)) for path in TEMPLATE.rglob("*") if path.is_file()]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((TEMPLATE / name).read_bytes())
    words = ["install", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--no-index"]
    command = [sys.executable, "-m", "pip", *words, "--target", str(folder / "site"), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def python(target: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(target)))}
    return subprocess.run(
        [sys.executable, *words], cwd=target, env=environment, capture_output=True, text=True, timeout=300
    )


def test_it_is_found_and_keeps_its_contract(target: Path) -> None:
    listed = python(target, "-m", "gwbench", "list", "encoder", "--pattern", "pooled*", "--json")
    (plugin,) = json.loads(listed.stdout)["plugins"]
    assert (plugin["name"], plugin["problem"]) == ("pooled-power", None)
    checked = python(target, "-m", "gwbench", "check", "pooled-power")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert " passed, 0 failed, 0 skipped" in checked.stdout


def test_its_own_tests_pass(target: Path) -> None:
    done = python(target, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TEMPLATE / "tests"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_record_names_its_package(target: Path) -> None:
    code = (
        "from gwbench.registry import REGISTRY; from gwbench.registry.installed import package_of;"
        "print(package_of(REGISTRY.get('encoder', 'pooled-power')), package_of(REGISTRY.get('encoder', 'cnn1d')))"
    )
    done = python(target, "-c", code)
    assert done.stdout.strip() == "my-gwbench-plugins 0.1.0 None", done.stderr


def test_every_file_that_its_readme_names_is_there() -> None:
    readme = (TEMPLATE / "README.md").read_text()
    named = [line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")]
    assert len(named) == 4
    for name in named:
        assert (TEMPLATE / name).is_file(), name


def test_what_is_of_no_package_reads_as_before() -> None:
    used = PluginUsed(kind="encoder", name="a", version=1, source_hash="0" * 64)
    assert list(used.model_dump()) == ["kind", "name", "version", "source_hash", "tags"]
    named = used.model_copy(update={"package": "my-package 1.2"})
    assert PluginUsed.model_validate_json(named.model_dump_json()) == named
    assert package_of(Plugin("encoder", "a", origin=Origin("file"))) is None
