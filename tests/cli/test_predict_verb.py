"""`gwbench predict` on a folder of the challenge: the submission, the exit codes, and standard output alone."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import gwbench
from gwbench.cli.main import gwbench as command
from gwbench.cli.predict import SOME_DAMAGED
from gwbench.utils.progress import Progress
from tests.conftest import TINY
from tests.plugins.datasets.test_g2net import make, name_of, strain_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a folder of the challenge."""
    root = make(tmp_path_factory.mktemp("challenge"), 60)
    settings: dict[str, Any] = {name: value for name, value in TINY.items() if not name.startswith("dataset.")}
    settings |= {"dataset.path": str(root), "training.epochs": 1, "evaluation.label_fraction": 1.0}
    record = gwbench.run(
        dataset="g2net", objective="simclr", precision="fp32", device="cpu", settings=settings,
        out=tmp_path_factory.mktemp("runs"), progress=Progress(),
    )  # fmt: skip
    assert record.folder
    return Path(record.folder)


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    for number in range(70, 75):
        name = name_of(number)
        place = tmp_path.joinpath("challenge", "test", *name[:3])
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"{name}.npy", strain_of(number))
    return tmp_path / "challenge"


def invoke(*words: object) -> Any:
    return CliRunner().invoke(command, ["predict", *map(str, words)])


def test_a_submission(trained: Path, challenge: Path, tmp_path: Path) -> None:
    output = tmp_path / "submission.csv"
    done = invoke(trained, challenge, "--out", output)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"5 windows: {output}\n"
    with output.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = sorted(name_of(number) for number in range(70, 75))
    assert [row["id"] for row in rows] == names
    numbers = {name_of(number): number for number in range(70, 75)}
    strain = np.array([strain_of(numbers[name]) for name in names], "f4")
    wanted = gwbench.load_scorer(trained).score(strain)
    np.testing.assert_array_equal([float(row["target"]) for row in rows], wanted.probability)
    printed = invoke(trained, challenge)
    assert printed.exit_code == 0
    shown = list(csv.DictReader(io.StringIO(printed.stdout)))
    assert [float(row["score"]) for row in shown] == wanted.log_odds.tolist()
    document = json.loads(invoke(trained, challenge, "--json").stdout)
    assert [each["score"] for each in document["predictions"]] == wanted.log_odds.tolist()


def test_a_damaged_file_is_named_and_the_exit_code_says_so(trained: Path, challenge: Path, tmp_path: Path) -> None:
    damaged = next(challenge.rglob("*.npy"))
    damaged.write_bytes(b"nothing")
    done = invoke(trained, challenge, "--out", tmp_path / "submission.csv", "--json")
    assert done.exit_code == SOME_DAMAGED == 1
    assert [*json.loads(done.stdout)["damaged"]] == [damaged.stem]
    assert "1 window could not be read:" in done.stderr
    assert str(damaged) in done.stderr
    assert f"{damaged.stem},0.5\n" in (tmp_path / "submission.csv").read_text()
