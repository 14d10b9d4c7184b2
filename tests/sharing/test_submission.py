"""Finished runs become entries; what cannot stand in a table is refused with the reason."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import gwbench
from gwbench.cli.submit import submit as verb
from gwbench.errors import UserError
from gwbench.experiment.record import PREDICTIONS, RECORD, WEIGHTS, load_record, write_record
from gwbench.registry.registry import Registry
from gwbench.sharing.completeness import missing_runs
from gwbench.sharing.entry_files import scrubbed, short_scores
from gwbench.sharing.entry_layout import MANIFEST, hash_of_source
from gwbench.sharing.submission import submit
from gwbench.sharing.verify import verify
from tests.reporting.synthetic_runs import write_run
from tests.sharing.proved_runs import DATA, TINY, baseline, edit_record, trained

PLUGIN = """
import torch
from gwbench.contracts import Encoder
from gwbench.registry import register
from submitted_widths import WIDTH

@register("encoder", "submitted-toy")
class Toy(Encoder):
    "A toy."
    def __init__(self, shape) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(shape.samples, WIDTH)
        self.embed_dim = WIDTH
    def forward(self, strain):
        return self.linear(strain[:, 0])
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("submitted")
    trained(out)
    return out


@pytest.fixture
def copied(runs: Path, tmp_path: Path) -> Path:
    shutil.copytree(runs, tmp_path / "runs")
    (place,) = (tmp_path / "runs").iterdir()
    return place


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_entry_holds_what_a_table_needs_and_verifies(runs: Path, tmp_path: Path) -> None:
    (source,) = runs.iterdir()
    made = submit([runs], tmp_path / "results")
    run = f"runs/{source.name}"
    assert made.runs == (run,) and made.folder.name.startswith("bbh-")
    assert set(contents(made.folder)) == {f"{run}/{RECORD}", f"{run}/{PREDICTIONS}", MANIFEST}
    sizes = [(source / name).stat().st_size for name in (WEIGHTS, "scorer.safetensors", "conditioner.npz")]
    assert made.left_out == sum(sizes)
    found = verify(made.folder / run)
    assert found.ok, repr(found)
    record = load_record(made.folder / run / RECORD).record
    assert record.files is not None
    assert record.files[WEIGHTS] == hashlib.sha256((source / WEIGHTS).read_bytes()).hexdigest()
    assert record.run_id == load_record(source / RECORD).record.run_id
    manifest = json.loads((made.folder / MANIFEST).read_text())["runs"][source.name]
    assert {each["from"] for each in manifest["plugins"]} == {f"gwbench {gwbench.__version__}"}
    assert [line.split(": ", 1)[1].split(" ")[0] for line in made.missing] == ["seeds", "the"]


def test_twice_is_once_and_weights_come_where_they_are_asked_for(runs: Path, tmp_path: Path) -> None:
    made = submit([runs], tmp_path / "results", name="mine")
    before = contents(made.folder)
    times = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}
    again = submit([runs], tmp_path / "results")
    assert again.folder == made.folder  # the table of the same data, by whatever name
    assert again.written == () and contents(made.folder) == before
    assert {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")} == times
    whole = submit([runs], tmp_path / "whole", weights=True)
    assert whole.left_out == 0
    found = verify(whole.folder / whole.runs[0], rerun_probe=True)
    assert found.ok and "all 48 are the same" in repr([each.detail for each in found.checks])


def test_a_plugin_from_a_file_comes_with_its_source_which_is_compared_and_not_executed(
    registry: Registry, tmp_path: Path
) -> None:
    plugin = tmp_path / "home" / "toy.py"
    plugin.parent.mkdir()
    plugin.write_text(PLUGIN)
    (plugin.parent / "submitted_widths.py").write_text("WIDTH = 3\n")
    record = gwbench.run(
        encoder="submitted-toy",
        settings={**TINY, "objective.hidden_dim": 8, "objective.output_dim": 8},
        plugins=[str(plugin)],
        precision="fp32",
        out=tmp_path / "runs",
    )
    assert str(plugin) in record.command
    made = submit([str(record.folder)], tmp_path / "results")
    (source,) = [each for each in made.written if each.endswith("toy.py")]
    assert (made.folder / source).read_text() == PLUGIN
    assert (made.folder / source).with_name("submitted_widths.py").read_text() == "WIDTH = 3\n"
    text = (made.folder / made.runs[0] / RECORD).read_text()
    assert str(tmp_path) not in text and "--plugin toy.py" in json.loads(text)["command"]
    registry._loaded.pop(("encoder", "submitted-toy"))
    registry._sources.pop(str(plugin))
    found = verify(made.folder / made.runs[0])
    assert found.ok
    (check,) = [each for each in found.checks if each.name == "code of encoder submitted-toy"]
    assert check.status == "passed" and "not executed" in check.detail
    with (made.folder / source).open("a") as stream:
        stream.write("\nraise SystemExit('executed')\n")
    assert hash_of_source(made.folder / source) != ""
    (check,) = [each for each in verify(made.folder / made.runs[0]).checks if "submitted-toy" in each.name]
    assert check.status == "not checkable"
    with pytest.raises(UserError, match=r"no encoder 'submitted-toy'.*name its file with --plugin"):
        submit([str(record.folder)], tmp_path / "elsewhere")


def test_what_cannot_stand_in_a_table_is_refused(copied: Path, tmp_path: Path) -> None:
    to = tmp_path / "results"
    small = Path(str(gwbench.run(baseline="band-power", settings=DATA, limit=16, out=tmp_path / "small").folder))
    with pytest.raises(UserError, match="a small try of 16 windows"):
        submit([small], to)
    with pytest.raises(UserError, match="nothing to prove: it burnt"):
        submit([write_run(tmp_path / "failed", failed="it burnt")], to)
    with pytest.raises(UserError, match="on more than one set of data"):
        submit([copied, baseline(tmp_path / "other", "band-power", data_seed=1)], to)
    for name in ("../out", "Big", "", "a/b"):
        with pytest.raises(UserError, match="is no name of a table"):
            submit([copied], to, name=name)
    edit_record(copied, lambda document: document["metrics"].update(average_precision=0.99))
    with pytest.raises(UserError, match=r"cannot be submitted: figures: average precision is 0\.990000"):
        submit([copied], to)
    (copied / PREDICTIONS).unlink()
    with pytest.raises(UserError, match=r"test scores .* are not there"):
        submit([copied], to)
    assert not to.exists()


def test_a_run_copied_under_another_seed_is_refused(copied: Path, tmp_path: Path) -> None:
    record = load_record(copied / RECORD).record
    spec = record.spec.model_copy(update={"seed": 1})
    assert record.data is not None
    run_id = spec.run_id(record.data.fingerprint)
    twin = copied.with_name(f"{copied.name[:-8].replace('s0', 's1')}{run_id[:8]}")
    shutil.copytree(copied, twin)
    from gwbench import seeds

    made = {role: seeds.integer(0 if role == "data" else 1, role) for role in record.seeds}
    write_record(twin, record.model_copy(update={"spec": spec, "run_id": run_id, "seeds": made}))
    (twin / "scorer.safetensors").unlink()
    with pytest.raises(UserError, match="have other seeds and the same scores"):
        submit([copied, twin], tmp_path / "results")


def test_a_table_of_other_data_and_a_folder_of_another_run_stay(copied: Path, tmp_path: Path) -> None:
    other = submit([baseline(tmp_path / "other", "band-power", data_seed=1)], tmp_path / "results", name="taken")
    before = contents(other.folder)
    with pytest.raises(UserError, match="is of other data"):
        submit([copied], tmp_path / "results", name="taken")
    assert contents(other.folder) == before


def test_a_run_from_a_processor_that_rounds_otherwise_joins_the_table(copied: Path, tmp_path: Path) -> None:
    first = submit([copied], tmp_path / "results")
    elsewhere = baseline(tmp_path / "elsewhere", "band-power")
    edit_record(elsewhere, lambda document: document["data"].update(content_hash="0" * 64))
    second = submit([elsewhere], tmp_path / "results")
    assert second.folder == first.folder
    assert len(list(first.folder.glob(f"runs/*/{RECORD}"))) == 2


def test_seeds_and_the_floor_that_are_missing_are_named(tmp_path: Path) -> None:
    def all_of(root: Path) -> list[Any]:
        return [load_record(path).record for path in sorted(root.glob(f"*/{RECORD}"))]

    for seed in (0, 2):
        write_run(tmp_path, seed=seed)
    found = missing_runs(all_of(tmp_path), all_of(tmp_path))
    assert len(found) == 2 and "seed 1 (" in found[0] and "the floor, an untrained cnn1d" in found[1]
    write_run(tmp_path, seed=1)
    for seed in (0, 1, 2):
        write_run(tmp_path, seed=seed, baseline="random-init")
    assert missing_runs(all_of(tmp_path), all_of(tmp_path)) == []


def test_paths_become_names_and_addresses_stay(tmp_path: Path) -> None:
    def homely(document: dict[str, Any]) -> None:
        document["command"] = "gwbench run --plugin /home/me/my.py --set dataset.path=~/secret/strain.hdf5 --lr 1e-3"
        document["details"] = {"kept": ["in /home/me/kept/file.npz.", "https://doi.org/10.1/x/y", "a/b m/s"]}
        document["data"]["notes"] = ["From /data/o3/strain.hdf5, as recorded."]

    loaded = load_record(write_run(tmp_path, edit=homely) / RECORD)
    found = scrubbed(loaded)
    assert found["command"] == "gwbench run --plugin my.py --set dataset.path=strain.hdf5 --lr 1e-3"
    assert found["details"]["kept"] == ["in file.npz.", "https://doi.org/10.1/x/y", "a/b m/s"]
    assert found["data"]["notes"] == ["From strain.hdf5, as recorded."]
    assert loaded.document["command"].count("/home/me") == 1  # the run's own record is as it was
    assert scrubbed(load_record(write_run(tmp_path / "clean") / RECORD)) == load_record(
        next((tmp_path / "clean").glob(f"*/{RECORD}"))
    ).document  # fmt: skip


def test_scores_too_large_for_half_the_bytes_keep_theirs() -> None:
    assert short_scores(np.array([1e300, -1e300, 0.0])).dtype == np.float32
    assert short_scores(np.array([1e300, 2e300])).dtype == np.float64


def test_the_command_line_says_what_was_written_and_what_is_missing(runs: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(verb, [str(runs), "--to", str(tmp_path / "r"), "--name", "mine"])
    assert result.exit_code == 1, result.output
    assert "3 files written" in result.stdout and "missing: " in result.stdout and "weights left out: " in result.stdout
    result = CliRunner().invoke(verb, [str(runs), "--to", str(tmp_path / "r"), "--name", "mine", "--json"])
    assert json.loads(result.stdout)["written"] == []
