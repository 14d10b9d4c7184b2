"""The recorded command gives the run back when it is pasted into bash, whatever a path holds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from gwbench.cli.options import parse_settings
from gwbench.experiment.spec import RunSpec

PATHS = ["noise, O3a/H1.hdf", 'say "x"/H1.hdf', " a b ", "[HL]1*.hdf", '["x"]', "#hash.hdf", "ünï/码.hdf", "two\nlines",
         "it's", "$HOME/`id`", "a=b", "--set", "none", "\\"]  # fmt: skip


@pytest.mark.parametrize("paths", [*([path] for path in PATHS), PATHS], ids=repr)
def test_the_command_gives_the_spec_back(paths: list[str], tmp_path: Path) -> None:
    spec = RunSpec.create(baseline="band-power", dataset="real-noise", settings={"dataset.path": tuple(paths)})
    fake = tmp_path / "gwbench"
    fake.write_text("#!/usr/bin/env python3\nimport json, sys; print(json.dumps(sys.argv[1:]))\n")
    fake.chmod(0o755)
    script = f'PATH="{tmp_path}:$PATH"; {spec.command()}'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    words = json.loads(done.stdout)
    settings = parse_settings(words[at + 1] for at, word in enumerate(words[:-1]) if word == "--set" and at % 2)
    again = RunSpec.create(baseline="band-power", dataset="real-noise", settings=settings)
    assert again == spec
    assert again.dataset.parameters["path"] == paths
