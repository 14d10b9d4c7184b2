"""A plugin's identity is what its code does."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

import gwbench
from benchmarks import former_hashes
from gwbench.data.store.cache import CacheContext, dataset_recipe
from gwbench.experiment import environment
from gwbench.experiment.data_cache import recipes_of
from gwbench.experiment.record import read_record
from gwbench.registry import Registry
from gwbench.registry.code_identity import LEDGER, code_hash, joined_hash, same_code
from gwbench.reporting.leaderboard.build import build
from gwbench.reporting.leaderboard.rows import Options
from gwbench.suite.run import plan
from gwbench.utils.progress import Progress

ROOT = Path(__file__).parents[2]

PLAIN = '''
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from gwbench.contracts import Encoder, InputShape
from gwbench.layers import conv, pool
from gwbench.registry import register

if TYPE_CHECKING:
    from gwbench.progress import Progress

WIDTH = 3
"""How wide."""


@register("encoder", "toy", citation="Somebody 2020", version=2, tags=("a",))
class Toy(Encoder):
    """Toy."""

    fixed_front_end: bool = False
    """Learns."""

    def __init__(self, shape: InputShape, *, width: Annotated[int, Field(ge=2)] = 4) -> None:
        """Build it."""
        super().__init__()
        layers: list[nn.Module] = [conv(1, width), pool()]  # two
        self.body = nn.Sequential(*layers)
        self.embed_dim = width

    def forward(self, strain: Tensor) -> Tensor:
        from gwbench.diagnostics import look

        assert strain.ndim == 3, f"{strain.shape!r} has " f"no {self.embed_dim:>{WIDTH}}"
        return torch.relu(self.body(look(strain)))
'''

SAME = {
    "comments and blank lines": ("self.embed_dim = width\n", "self.embed_dim = (width)  # said\n\n"),
    "docstrings": ('"""Build it."""', '"""Build it otherwise."""'),
    "no docstring": ('        """Build it."""\n', ""),
    "texts behind attributes": ('"""How wide."""', "'As wide.'"),
    "annotations of arguments": ("strain: Tensor) -> Tensor", "strain)"),
    "annotations of variables": ("layers: list[nn.Module] =", "layers ="),
    "limits of parameters": ("Annotated[int, Field(ge=2)]", "int"),
    "imports for annotations alone": ("from pydantic import Field\n", ""),
    "imports for type checkers": ("gwbench.progress import Progress", "gwbench.utils import Bar"),
    "where a helper lives": ("from gwbench.layers import", "from gwbench.nn.layers import"),
    "where a helper lives, inside": ("gwbench.diagnostics", "gwbench.training.diagnostics"),
    "the order of imports": ("import conv, pool", "import pool, conv"),
    "how it is registered": ('version=2, tags=("a",)', 'version=3, tags=("b",), aliases=("doll",)'),
    "how register is imported": ('@register("encoder"', '@gwbench.register("encoder"'),
    "the name": ('"encoder", "toy"', '"encoder", "doll"'),
    "quotes": ("'As wide.'", '"As wide."'),
    "the split of a text": ('has " f"no', "has no"),
    "pass and dots": ("        super().__init__()\n", "        super().__init__()\n        pass\n        ...\n"),
}  # fmt: skip

OTHER = {
    "a number": ("WIDTH = 3", "WIDTH = 4"),
    "the type of a number": ("WIDTH = 3", "WIDTH = 3.0"),
    "true is not one": ("fixed_front_end: bool = False", "fixed_front_end: bool = 0"),
    "a default": ("= 4) ->", "= 5) ->"),
    "an operation": ("torch.relu", "torch.tanh"),
    "the order of statements": ("[conv(1, width), pool()]", "[pool(), conv(1, width)]"),
    "another helper": ("from gwbench.layers import conv, pool", "from gwbench.layers import sliding as conv, pool"),
    "another library": ("from torch import Tensor, nn", "from mine import Tensor, nn"),
    "an import for its effect": ("import torch\n", "import torch\nimport mine\n"),
    "a decorator": ("    def forward", "    @torch.no_grad()\n    def forward"),
    "what another library registers": (
        "    def forward",
        "    @dispatch.register(int)\n    def forward",
    ),
    "a class that another library registers": ("class Toy(Encoder)", "@numbers.Number.register\nclass Toy(Encoder)"),
    "a field of a class": ("    fixed_front_end: bool = False\n", "    fixed_front_end: bool = False\n    more: int\n"),
    "a text that is used": ("has ", "had "),
    "a base class": ("class Toy(Encoder)", "class Toy(Encoder, nn.Module)"),
}


@pytest.mark.parametrize("case", SAME)
def test_what_changes_nothing_of_what_it_does(case: str) -> None:
    before, after = SAME[case]
    plain = PLAIN.replace('"""How wide."""', "'As wide.'") if before not in PLAIN else PLAIN
    assert before in plain
    assert code_hash(plain.replace(before, after)) == code_hash(PLAIN)


@pytest.mark.parametrize("case", OTHER)
def test_what_changes_what_it_does(case: str) -> None:
    before, after = OTHER[case]
    assert before in PLAIN
    assert code_hash(PLAIN.replace(before, after)) != code_hash(PLAIN)


def test_the_hash_is_the_same_on_every_version_of_python() -> None:
    # Records travel: this one is from Python 3.11 and holds for 3.12 and later.
    assert code_hash(PLAIN).startswith("1ce88ae25a2ce4d2")


def test_a_helper_that_was_renamed() -> None:
    assert code_hash(PLAIN, {"conv": "convolution"}) == code_hash(PLAIN.replace("conv", "convolution"))


# --- what was published under hashes of files ---


def _has(commit: str) -> bool:
    return subprocess.run(["git", "cat-file", "-e", commit], cwd=ROOT, capture_output=True).returncode == 0


def test_former_hashes_are_those_of_the_committed_sources() -> None:
    listed = json.loads(LEDGER.read_text())
    if not all(map(_has, listed["commits"])):
        pytest.skip("this copy has no history: the commits that were published are not in it")
    assert former_hashes.ledger(listed["commits"]) == listed["plugins"]


def test_every_plugin_still_does_what_was_published() -> None:
    listed = json.loads(LEDGER.read_text())["plugins"]
    registry = Registry()
    for name in listed:
        assert gwbench.registry.REGISTRY.get(*name.split()).former_hashes, name
    assert len(listed) >= 40
    assert {f"{plugin.kind} {plugin.name}" for plugin in registry.list()} >= set(listed)


@pytest.mark.parametrize("name", ["quickstart", "g2net-like", "label-efficiency"])
def test_every_published_record_is_the_run_of_today(name: str) -> None:
    runs = ROOT / "benchmarks" / "results" / name / "runs"
    registry = gwbench.registry.REGISTRY
    for folder in sorted(runs.iterdir()):
        record = read_record(folder)
        assert record.data
        assert record.run_id in {run_id for _, run_id in record.spec.identities(record.data.fingerprint)}
        for used in record.plugins:
            plugin = registry.get(used.kind, used.name)
            assert plugin.is_of(used.source_hash)
            assert same_code(used.kind, used.name, used.source_hash) == plugin.source_hash


def test_the_published_quickstart_is_done_where_the_processor_computes_in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_cpu_has_bf16", lambda: True)  # as that of whoever ran it
    found = plan(ROOT / "benchmarks" / "quickstart.yaml", out=ROOT / "benchmarks/results/quickstart/runs", device="cpu")
    assert (found.count("done"), len(found.cell_statuses)) == (39, 39)


# --- a user's plugin ---

ENCODER = """
import torch
from gwbench.contracts import Encoder
from gwbench.registry import register

@register("encoder", "{name}"{more})
class Toy(Encoder):
    "A toy."
    def __init__(self, shape, *, width: int = 3) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(shape.samples, width)
        self.embed_dim = width
    def forward(self, strain):
        return self.linear(strain[:, 0])
"""

TINY = {"dataset.train": 32, "dataset.val": 16, "dataset.test": 16, "training.epochs": 1, "training.batch_size": 16}


def run(out: Path, plugin: Path, encoder: str, **more: object) -> gwbench.RunRecord:
    settings = {**TINY, "objective.hidden_dim": 8, "objective.output_dim": 8}
    return gwbench.run(encoder=encoder, settings=settings, plugins=[str(plugin)], out=out, precision="fp32", **more)  # type: ignore[arg-type]


def test_a_run_of_an_older_gwbench_is_not_done_again(registry: Registry, tmp_path: Path) -> None:
    """Its record has hashes of files: of the user's own as it still is, and of the published ones."""
    plugin = tmp_path / "toy.py"
    plugin.write_text(ENCODER.format(name="toy", more=""))
    first = run(tmp_path / "runs", plugin, "toy")
    assert first.folder
    assert first.data
    identities = dict(reversed([(run_id, spec) for spec, run_id in first.spec.identities(first.data.fingerprint)]))
    oldest = next(iter(identities))
    old = first.model_copy(
        update={
            "run_id": oldest,
            "plugins": [
                used.model_copy(update={"source_hash": sorted(registry.get(used.kind, used.name).former_hashes)[-1]})
                for used in first.plugins
            ],
        }
    )
    there = Path(first.folder)
    home = there.with_name(f"{there.name.rpartition('-')[0]}-{oldest[:8]}")
    shutil.move(there, home)
    (home / "record.json").write_text(old.model_dump_json())
    again = run(tmp_path / "runs", plugin, "toy")
    assert again.folder == str(home)
    assert again.created == first.created
    # what was pre-trained then serves a run with other labels now
    shared = run(tmp_path / "runs", plugin, "toy", baseline="fine-tune")
    assert shared.details["pretrained_by"] == oldest
    # and both are one row of a table
    (table,) = build([tmp_path / "runs"], Options()).tables
    assert [row.plugins["encoder"] for row in table.rows] == ["toy", "toy"]


def test_a_comment_leaves_a_users_run_done_and_an_edit_does_not(registry: Registry, tmp_path: Path) -> None:
    plugin = tmp_path / "toy.py"
    plugin.write_text(ENCODER.format(name="toy", more=""))
    first = run(tmp_path / "runs", plugin, "toy")
    plugin.write_text("# mine\n" + ENCODER.format(name="toy", more="").replace('"A toy."', '"A fine toy."'))
    assert run(tmp_path / "runs", plugin, "toy").created == first.created
    plugin.write_text(ENCODER.format(name="toy", more="").replace("strain[:, 0]", "2 * strain[:, 0]"))
    edited = run(tmp_path / "runs", plugin, "toy")
    assert edited.folder != first.folder


def test_a_renamed_plugin_reads_its_old_records(registry: Registry, tmp_path: Path) -> None:
    plugin = tmp_path / "toy.py"
    plugin.write_text(ENCODER.format(name="doll", more=""))
    first = run(tmp_path / "runs", plugin, "doll")
    plugin.write_text(ENCODER.format(name="toy", more=', aliases=("doll",)'))
    again = run(tmp_path / "runs", plugin, "toy")
    assert (again.folder, again.created) == (first.folder, first.created)
    old_name = run(tmp_path / "runs", plugin, "doll")
    assert old_name.folder == first.folder
    assert first.folder
    assert gwbench.load_encoder(first.folder).encoder.embed_dim == 3
    run(tmp_path / "runs", plugin, "toy", seed=1)
    (table,) = build([tmp_path / "runs"], Options()).tables
    assert [(row.plugins["encoder"], len(row.runs)) for row in table.rows] == [("toy", 2)]


def test_a_name_in_use_is_nobodys_former_name(registry: Registry, tmp_path: Path) -> None:
    plugin = tmp_path / "toy.py"
    plugin.write_text(ENCODER.format(name="toy", more=', aliases=("cnn1d", "doll")'))
    registry.load_source(str(plugin))
    assert registry.get("encoder", "doll").name == "toy"
    assert registry.get("encoder", "cnn1d").name == "cnn1d"


def test_data_made_by_an_older_gwbench_are_not_made_again(tmp_path: Path) -> None:
    plugin = SimpleNamespace(
        name="new", version=1, source_hash="meaning", aliases=("old",), former_hashes=("bytes",), target=None
    )

    def context() -> CacheContext:
        return CacheContext.of(recipes_of(plugin, {"a": 1}, 0, {}), root=tmp_path, workers=1, progress=Progress())  # type: ignore[arg-type]

    assert context().recipe["source"] == "meaning"
    recipe = dataset_recipe("old", 1, {"a": 1}, 0, {}, "bytes")
    context().cache.path(recipe).write_bytes(b"")
    assert context().recipe == recipe


def test_hashes_of_sources_that_build_on_others_are_joined_in_an_order_of_their_own() -> None:
    assert joined_hash("a", []) == "a"
    assert joined_hash("a", ["c", "b"]) == joined_hash("a", ["b", "c"]) != joined_hash("a", ["b"])
