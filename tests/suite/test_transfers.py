"""Encoders probed on other data: a suite that pre-trains them first, one run by itself, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

import gwbench
from gwbench.errors import UserError
from gwbench.experiment.record import read_record
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.rows import Options
from gwbench.suite.run import execute, plan
from tests.suite.tiny import TINY_SUITE, write_suite

SOURCE = TINY_SUITE["datasets"][0]
TARGET = {**copy.deepcopy(SOURCE), "preset": "glitches"}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A suite that was carried out, and its folder of runs."""
    folder = tmp_path_factory.mktemp("transfers")
    suite = write_suite(
        folder, datasets=[TARGET], encoder_from=[SOURCE], objectives=["simclr"], baselines=None, label_fractions=None
    )
    before = plan(suite, out=folder / "runs")
    assert [status.cell.source is None for status in before.cell_statuses] == [True, True, False]
    assert execute(before).failed == []
    return suite, folder / "runs"


def test_the_source_is_made_first_and_all_is_found_again(done: tuple[Path, Path]) -> None:
    suite, out = done
    after = plan(suite, out=out)
    assert after.count("done") == 3
    probed = after.cell_statuses[-1].record
    assert probed is not None
    source = probed.spec.encoder_from
    assert source is not None
    made = read_record(Path(source.folder))
    assert (made.run_id, made.spec.dataset) == (source.run_id, source.dataset)
    assert (Path(source.folder) / "weights.safetensors").read_bytes() == (
        Path(str(probed.folder)) / "weights.safetensors"
    ).read_bytes()
    assert probed.training is None
    assert probed.spec.title.endswith(", from bbh (preset=quick)")
    alone = plan(suite, out=out / "elsewhere", only=["from bbh"])
    assert len(alone.cell_statuses) == 2  # with the cell that pre-trains the encoder


def test_the_same_run_by_itself_is_the_same_run(done: tuple[Path, Path]) -> None:
    suite, out = done
    probed = plan(suite, out=out).cell_statuses[-1].record
    assert probed is not None
    assert probed.spec.encoder_from is not None
    settings = {f"dataset.{name}": value for name, value in TARGET.items() if name != "name"}
    again = gwbench.run(encoder_from=probed.spec.encoder_from.run_id, settings=settings, out=out)
    assert again.run_id == probed.run_id
    assert "--encoder-from" in again.command
    own = gwbench.run(
        encoder_from=probed.spec.encoder_from.folder, conditioner="run", settings=settings, limit=64, out=out
    )
    assert own.run_id != probed.run_id
    titles = [row.title for table in build([out], Options()).tables for row in table.rows]
    assert sum(title.endswith(", from bbh (preset=quick)") for title in titles) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"encoder": "cnn1d"}, "sets encoder: leave it out"),
        ({"settings": {"training.epochs": 3}}, r"sets training\.epochs"),
        ({"settings": {"dataset.sample_rate": 1024.0}}, "1024 Hz, and the encoder hears 2048 Hz"),
        ({"conditioner": "mine"}, "write 'refit' or 'run'"),
    ],
)
def test_what_does_not_fit_is_refused(done: tuple[Path, Path], given: dict[str, Any], message: str) -> None:
    suite, out = done
    source = plan(suite, out=out).cell_statuses[-1].cell.spec.encoder_from
    assert source is not None
    with pytest.raises(UserError, match=message):
        gwbench.run(encoder_from=source.folder, out=out, **given)


def test_a_conditioner_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name that with encoder_from"):
        gwbench.run(conditioner="run", out=tmp_path)
