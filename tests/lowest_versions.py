"""Does gwbench work with the lowest versions of its dependencies that setup.cfg allows? To be run before a release.

    python -m tests.lowest_versions /tmp/lowest

makes a virtual environment in that folder (several GB, most of it torch), installs the lowest version that every
requirement of the package and of its tests allows, and what these need in their newest versions, and runs the quick
tests there. Only wheels are taken. A bound below the lowest version that has a wheel for this Python, or that goes with
the others, is named: it is then to be raised in setup.cfg. The exit code is 0 where all bounds hold and all tests pass.

uv does the resolving (`--resolution lowest-direct`), which pip cannot; it is installed into the environment too.
"""

from __future__ import annotations

import argparse
import configparser
import os
import subprocess
import sys
import venv
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent

QUICK = ("architecture", "cli", "conformance", "data", "dataloading", "evaluation", "experiment", "matched_filter",
         "nn", "plugins", "preprocessing", "registry", "reporting", "simulation", "training", "utils")  # fmt: skip
"""Folders of tests that are run: all but the published results and suites with their Ray clusters, which take long."""

SLOW = ("reporting/html/test_leaderboard_page_in_browser.py",)
"""Tests in these folders that are left out: they test a browser."""


def requirements(file: Path = ROOT / "setup.cfg") -> list[Requirement]:
    """What setup.cfg asks for, for the package and its tests."""
    config = configparser.ConfigParser()
    config.read(file)
    lines = config["options"]["install_requires"].split() + config["options.extras_require"]["test"].split()
    return [Requirement(line) for line in lines]


def lowest(requirement: Requirement) -> Version:
    """The lowest version that a requirement allows, as it is written.

    Raises:
        ValueError: it has no lower bound.
    """
    bounds = [Version(each.version) for each in requirement.specifier if each.operator in (">=", "==", "~=")]
    if not bounds:
        raise ValueError(f"setup.cfg gives no lowest version of {requirement.name}")
    return max(bounds)


def below(asked: list[Requirement], resolved: dict[str, Version]) -> list[str]:
    """The bounds that cannot be had, each with the lowest version that can."""
    return [
        f"{each.name}>={lowest(each)} cannot be installed here: the lowest that can is {resolved[_key(each.name)]}"
        for each in asked
        if resolved[_key(each.name)] > lowest(each)
    ]


def _key(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _resolve(uv: list[str], asked: list[Requirement], folder: Path) -> dict[str, Version]:
    """The version of every package of the environment, written to a file that it is installed from."""
    (folder / "requirements.in").write_text("".join(f"{each}\n" for each in asked))
    command = [*uv, "pip", "compile", "--quiet", "--resolution", "lowest-direct", "--only-binary", ":all:",
               "--no-annotate", "--no-header", "--output-file", "requirements.txt", "requirements.in"]  # fmt: skip
    subprocess.run(command, cwd=folder, check=True)
    pins = map(Requirement, (folder / "requirements.txt").read_text().split("\n")[:-1])
    return {_key(pin.name): Version(next(iter(pin.specifier)).version) for pin in pins}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Make the environment, run the tests, and say what does not hold; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the environment; made anew")
    parser.add_argument("tests", nargs="*", help="tests to run; by default the quick ones")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    venv.create(folder, with_pip=True, clear=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
    uv = [str(folder / "bin" / "uv")]
    asked = requirements()
    resolved = _resolve(uv, asked, folder)
    too_low = below(asked, resolved)
    for each in asked:
        _say(f"{each.name:<18} {resolved[_key(each.name)]}")
    for line in too_low:
        _say(f"raise the bound: {line}")
    install = [*uv, "pip", "install", "--quiet", "--python", python]
    subprocess.run([*install, "--only-binary", ":all:", "-r", str(folder / "requirements.txt")], check=True)
    subprocess.run([*install, "--no-deps", "--editable", str(ROOT)], check=True)
    tests = arguments.tests or [f"tests/{name}" for name in QUICK]
    left_out = [f"--ignore=tests/{name}" for name in SLOW]
    done = subprocess.run(
        # Warnings of old packages about each other are no errors here.
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default", *left_out, *tests],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        check=False,
    )
    return 1 if too_low or done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
