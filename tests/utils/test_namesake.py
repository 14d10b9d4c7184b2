"""The other package named gwbench, in the same environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gwbench
from gwbench.utils.namesake import namesake_in

OWN = Path(gwbench.__file__).parent


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages with gwbench in it."""
    shutil.copytree(OWN, tmp_path / "gwbench", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "gwbench_ssl-0.1.dist-info").mkdir()
    return tmp_path


def python(site: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONNOUSERSITE": "1"}
    command = [sys.executable, "-W", "always", "-c", code]
    return subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, timeout=120)


def test_alone_nothing_is_said(site: Path) -> None:
    done = python(site, "import gwbench; print(gwbench.__file__)")
    assert done.stdout.strip() == str(site / "gwbench" / "__init__.py")
    assert not done.stderr


def test_import_warns_beside_the_other_package(site: Path) -> None:
    (site / "gwbench-0.8.9.dist-info").mkdir()
    done = python(site, "import gwbench")
    assert done.returncode == 0
    assert "pip uninstall gwbench gwbench-ssl, then pip install gwbench-ssl" in done.stderr


def test_command_is_refused_where_the_other_package_replaced_files(site: Path) -> None:
    (site / "gwbench" / "__init__.py").write_text("from types import ModuleType\n")
    done = python(site, "import sys; sys.argv = ['gwbench', 'list']; from gwbench.cli.main import main; main()")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: The package 'gwbench' (Fisher matrices)")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("gwbench-0.8.9.dist-info", True),
        ("gwbench-0.7.0-py3.11.egg-info", True),
        ("gwbench_ssl-0.3.dist-info", False),
        ("gwbench-plugins-1.0.dist-info", False),
    ],
)
def test_names_of_installed_packages(tmp_path: Path, name: str, other: bool) -> None:
    (tmp_path / name).mkdir()
    assert namesake_in(tmp_path) is other
