"""Runs on a hub, which is a small server on this machine, and in folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from huggingface_hub import ModelCard
from huggingface_hub import constants as hub_constants

import gwbench
from gwbench.cli.hub.pull import pull as pull_verb
from gwbench.cli.hub.push import push as push_verb
from gwbench.errors import UserError
from gwbench.experiment.record import RunRecord
from gwbench.sharing.hub import pull, push
from gwbench.utils.progress import Progress
from tests.conftest import TINY, TINY_OBJECTIVE
from tests.sharing.local_hub import TOKEN, LocalHub, local_hub

# huggingface_hub uploads a large file in a way that its own HTTP client calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PLUGIN = '''
from pathlib import Path

import torch
from gwbench import register
from gwbench.contracts import Encoder, InputShape

Path({trace!r}).write_text("imported")


@register("encoder", "mean-of-parts")
class MeanOfParts(Encoder):
    """Means of parts of the window."""

    def __init__(self, shape: InputShape, *, embed_dim: int = 8) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.head = torch.nn.Linear(64, embed_dim)

    def forward(self, strain):
        return self.head(torch.nn.functional.adaptive_avg_pool1d(strain.abs().mean(1, keepdim=True), 64)[:, 0])
'''


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return gwbench.run(
        settings=TINY | TINY_OBJECTIVE | {"dataset.detectors": ("H1", "L1"), "training.epochs": 1},
        precision="fp32",
        device="cpu",
        out=tmp_path_factory.mktemp("runs"),
        progress=Progress(),
    )


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalHub]:
    monkeypatch.setattr(hub_constants, "HF_HUB_DISABLE_XET", True)  # a protocol of its own, with servers of its own
    monkeypatch.setattr(hub_constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("GWBENCH_CACHE", str(tmp_path / "cache"))
    with local_hub() as made:
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        yield made


def same_encoder(found: Any, record: RunRecord) -> None:
    strain = np.random.default_rng(0).normal(size=(3, 2, 5120)) * 1e-21
    wanted = gwbench.load_encoder(str(record.folder))
    np.testing.assert_array_equal(found(strain), wanted(strain))
    np.testing.assert_array_equal(found.encoder.groups, wanted.encoder.groups)


def test_a_run_goes_to_the_hub_and_comes_back(
    hub: LocalHub, record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    words = [str(record.folder), "me/first", "--private", "--license", "mit", "--json"]
    shown = json.loads(CliRunner().invoke(push_verb, words, catch_exceptions=False).stdout)
    assert shown["where"].startswith(f"{hub.url}/me/first/commit/")
    assert hub.private == {"me/first"}
    assert any(each.startswith("PUT /upload/") for each in hub.asked)  # weights go as large files
    assert set(shown["files"]) == set(hub.branches["me/first"]["main"]) - {".gitattributes"}
    same_encoder(gwbench.FrozenEncoder.from_pretrained("me/first"), record)
    again = json.loads(CliRunner().invoke(push_verb, words, catch_exceptions=False).stdout)
    assert (shown["changed"], again["changed"]) == (True, False)
    assert again["where"] == shown["where"]

    asked = len(hub.asked)
    same_encoder(gwbench.FrozenEncoder.from_pretrained("me/first", local_files_only=True), record)
    assert len(hub.asked) == asked

    place = tmp_path / "pulled"
    told = CliRunner().invoke(pull_verb, ["me/first", "--to", str(place), "--json"], catch_exceptions=False)
    assert json.loads(told.stdout) == {"run": str(place)}
    assert gwbench.read_record(place).run_id == record.run_id
    assert gwbench.load_scorer(place).calibration == gwbench.load_scorer(str(record.folder)).calibration
    assert not list(place.rglob(".cache"))

    push(str(record.folder), "me/first", revision="v2")
    assert set(hub.branches["me/first"]) == {"main", "v2"}
    same_encoder(gwbench.FrozenEncoder.from_pretrained("me/first", revision="v2"), record)

    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UserError, match="There is no me/first on the hub, or it is private"):
        pull("me/first", to=tmp_path / "other")  # though a copy lies in the cache
    with pytest.raises(UserError, match="There is no token for the hub"):
        push(str(record.folder), "me/first")
    with pytest.raises(UserError, match="refuses access to me/first"):
        push(str(record.folder), "me/first", token="hf_wrong")
    with pytest.raises(UserError, match="has no revision 'v3'"):
        pull("me/first", revision="v3", token=TOKEN)
    hub.branches["me/first"]["main"]["weights.safetensors"] = b"other"
    with pytest.raises(UserError, match=r"weights\.safetensors of me/first is not the file that was shared"):
        pull("me/first", token=TOKEN, to=tmp_path / "other")
    hub.branches["me/first"]["main"] = {"README.md": b"no run"}
    with pytest.raises(UserError, match=r"is no run of gwbench|is not whole|not the file"):
        pull("me/first", token=TOKEN, to=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_hub_that_cannot_be_reached(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="The hub cannot be reached for me/first"):
        pull("me/first", to=tmp_path / "run")
    with pytest.raises(UserError, match="was not fetched before"):
        gwbench.FrozenEncoder.from_pretrained("me/first", local_files_only=True)


@pytest.mark.parametrize("name", ["first", "me/../x", "a/b/c", "me/na me"])
def test_names_that_are_none(record: RunRecord, name: str) -> None:
    with pytest.raises(UserError, match="is no name on the hub: expected USER/NAME"):
        push(str(record.folder), name, dry_run=True)


def test_a_folder_serves_as_a_hub_and_the_card_tells_the_record(
    record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tried = push(str(record.folder), "./shared", dry_run=True)
    assert not (tmp_path / "shared").exists()
    done = push(str(record.folder), "./shared", license="cc-by-4.0")
    assert done.where == "shared"
    assert set(tried.files) == set(done.files)
    card: Any = ModelCard((tmp_path / "shared" / "README.md").read_text())
    assert card.data.library_name == "gwbench"
    assert card.data.license == "cc-by-4.0"
    (auc, *_) = card.data.eval_results or []
    assert auc.metric_type == "roc_auc"
    assert auc.metric_value == pytest.approx(record.auc, abs=1e-6)
    assert record.metrics
    for said in (
        f"{record.metrics.auc.low:.4f} to {record.metrics.auc.high:.4f}",
        str(record.data and record.data.content_hash),
        "6 optimiser steps, 192 windows seen",
        'FrozenEncoder.from_pretrained("./shared")',
        f"run `{record.run_id}`",
        "@software{gwbench",
    ):
        assert said in card.text
    assert str(record.folder) not in card.content
    same_encoder(gwbench.FrozenEncoder.from_pretrained("./shared"), record)
    assert done.changed
    assert {"weights.safetensors", "objective.safetensors"} <= set(done.files)
    assert not push(str(record.folder), "./shared", license="cc-by-4.0").changed
    (tmp_path / "shared" / "README.md").write_text("half")
    assert push(str(record.folder), "./shared", license="cc-by-4.0").changed
    assert (tmp_path / "shared" / "README.md").read_text() == done.card
    place = pull("./shared")
    assert place == Path("runs/shared")
    assert (place / "README.md").read_bytes() == (tmp_path / "shared" / "README.md").read_bytes()
    assert pull("./shared") == place  # the same run again
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    for wrong in (lambda: pull("./shared", to="mine"), lambda: push(str(record.folder), "./mine")):
        with pytest.raises(UserError, match="mine holds"):
            wrong()
    another = (tmp_path / "shared" / "record.json").read_text().replace(record.run_id, "0123456789abcdef")
    (tmp_path / "shared" / "record.json").write_text(another)
    with pytest.raises(UserError, match=f"shared holds another run, 0123456789abcdef, and this is {record.run_id}"):
        push(str(record.folder), "./shared")
    assert (tmp_path / "shared" / "record.json").read_text() == another


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda shared: (shared / "config.json").unlink(), "There is no folder|is no run of gwbench"),
        (lambda shared: (shared / "config.json").write_text("{"), "config.json of .* cannot be read"),
        (lambda shared: (shared / "scorer.safetensors").unlink(), "scorer.safetensors is missing"),
        (lambda shared: (shared / "weights.safetensors").write_bytes(b"x"), "is not the file that was shared"),
        (lambda shared: _link(shared / "weights.safetensors"), "is not whole"),
    ],
    ids=["no config", "config", "missing", "weights", "link"],
)
def test_damaged_folders_are_refused(record: RunRecord, tmp_path: Path, damage: Any, message: str) -> None:
    shared = tmp_path / "shared"
    push(str(record.folder), shared)
    damage(shared)
    if (shared / "config.json").exists():
        with pytest.raises(UserError, match=message):
            gwbench.FrozenEncoder.from_pretrained(shared)
        with pytest.raises(UserError, match=message):
            pull(shared, to=tmp_path / "pulled")
    else:  # any run's folder serves
        same_encoder(gwbench.FrozenEncoder.from_pretrained(shared), record)


def _link(path: Path) -> None:
    other = path.with_name("elsewhere")
    shutil.move(path, other)
    path.symlink_to(other)


def test_a_plugins_source_comes_along_and_is_never_imported_by_itself(
    registry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trace = tmp_path / "trace"
    (tmp_path / "parts.py").write_text(PLUGIN.format(trace=str(trace)))
    registry.load_source("parts.py")
    small = {key: value for key, value in TINY.items() if not key.startswith("encoder.")}
    record = gwbench.run(
        encoder="mean-of-parts", settings=small | TINY_OBJECTIVE | {"training.epochs": 1}, precision="fp32",
        device="cpu", out="runs", progress=Progress(),
    )  # fmt: skip
    done = push(str(record.folder), "./shared")
    assert "plugins/parts.py" in done.files
    assert "plugins/parts.py" in done.card
    registry._loaded.pop(("encoder", "mean-of-parts"))
    registry._digests.clear()
    trace.unlink()
    place = pull("./shared", to="back")
    with pytest.raises(UserError, match="There is no encoder 'mean-of-parts'"):
        gwbench.FrozenEncoder.from_pretrained("./shared")
    assert not trace.exists()
    (tmp_path / "parts.py").unlink()
    encoder = gwbench.FrozenEncoder.from_pretrained(place, plugins=["back/plugins/parts.py"])
    assert encoder.encoder.embed_dim == 8


def test_a_run_that_failed_or_kept_nothing_is_not_published(record: RunRecord, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(str(record.folder), tmp_path / "run"))
    (folder / "weights.safetensors").unlink()
    with pytest.raises(UserError, match="has kept no encoder"):
        push(folder, tmp_path / "shared")
    with pytest.raises(UserError, match="There is no record"):
        push(tmp_path, tmp_path / "shared")
