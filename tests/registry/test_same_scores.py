"""Plugins whose code has changed and whose published scores still stand: both codes score the same windows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import gwbench.registry
from benchmarks import former_hashes
from gwbench.contracts import Array, Baseline
from gwbench.registry.code_identity import LEDGER, code_hash, same_code
from tests.plugins.baselines.search_job import SearchJob, search_job

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, dict[str, Any]] = {
    "baseline band-power": {},
    "baseline matched-filter": {"draws": 200, "most_templates": 20},
}
CHANGED = [(name, commit) for name, commits in former_hashes.SAME_SCORES.items() for commit in commits]


@pytest.fixture(scope="module")
def job() -> SearchJob:
    return search_job((11.0, 20.0))


@pytest.fixture
def earlier(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of a plugin as it was at a commit; it registers nothing."""

    def load(name: str, commit: str) -> ModuleType:
        path = former_hashes.module_of(name).removeprefix("gwbench.").replace(".", "/") + ".py"
        shown = subprocess.run(["git", "show", f"{commit}:{path}"], cwd=ROOT, capture_output=True)
        if shown.returncode:
            pytest.skip("this copy has no history: the commit is not in it")
        module = ModuleType("earlier_plugin")
        monkeypatch.setitem(sys.modules, "earlier_plugin", module)
        monkeypatch.setattr(gwbench.registry, "register", lambda *_, **__: lambda cls: cls)
        exec(compile(shown.stdout, path, "exec"), module.__dict__)
        return module

    return load


def scores(cls: type[Baseline], name: str, job: SearchJob) -> Array:
    return np.asarray(cls(**SETTINGS[name]).scores(job).test)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "commit"), CHANGED)
def test_the_code_of_then_and_of_today_give_the_same_scores(
    job: SearchJob, earlier: Any, name: str, commit: str
) -> None:
    now: Any = gwbench.registry.REGISTRY.get(*name.split(" ")).target
    before = getattr(earlier(name, commit), now.__name__)
    assert before is not now
    np.testing.assert_array_equal(scores(before, name, job), scores(now, name, job))


# Computed with the code at the commits above.
THEN = {
    "baseline band-power": [0.136322, 0.832149, -0.188788, 0.494403, 0.271645, -0.482352],
    "baseline matched-filter": [89.5712, 226.971, 17.3005, 179.301, 92.4125, 14.876],
}


@pytest.mark.parametrize("name", THEN)
def test_the_scores_are_those_that_were_written_down_then(job: SearchJob, name: str) -> None:
    now: Any = gwbench.registry.REGISTRY.get(*name.split(" ")).target
    np.testing.assert_allclose(scores(now, name, job)[:6], THEN[name], rtol=1e-3, atol=1e-3)


def test_the_list_is_what_the_commits_and_the_code_of_today_give() -> None:
    listed = json.loads(LEDGER.read_text())["same_scores"]
    for name, commits in former_hashes.SAME_SCORES.items():
        path = ROOT / (former_hashes.module_of(name).removeprefix("gwbench.").replace(".", "/") + ".py")
        assert set(listed[name].values()) == {code_hash(path.read_bytes())}
        assert len(listed[name]) == len(commits)
        kind, _, short = name.partition(" ")
        plugin = gwbench.registry.REGISTRY.get(kind, short)
        for old in listed[name]:
            assert plugin.is_of(old)
            assert same_code(kind, short, old) == plugin.source_hash
        assert not plugin.is_of("0" * 64)


def test_the_list_can_be_made_again() -> None:
    asked = [subprocess.run(["git", "cat-file", "-e", each], cwd=ROOT, capture_output=True) for _, each in CHANGED]
    if any(each.returncode for each in asked):
        pytest.skip("this copy has no history: the commits are not in it")
    assert former_hashes.same_scores() == json.loads(LEDGER.read_text())["same_scores"]
