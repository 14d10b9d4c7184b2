"""Code written before the packages were arranged anew still finds what it imports."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gwbench.utils.moved_modules import present_module
from tests.forked import run_forked

ROOT = Path(__file__).parents[2]
BEFORE = "b52cbd44aee9604eac901b17316aaa030b2e653f"
"""The last commit of the old packages."""

PUBLIC = """
import gwbench
gwbench.run, gwbench.load_encoder
from gwbench.contracts import Encoder, Job, Part
from gwbench.registry import register
"""

PLUGINS = [
    "augmentations/glitch_injection",
    "baselines/band_power",
    "baselines/fine_tune",
    "baselines/matched_filter",
    "baselines/oracle",
    "datasets/bbh",
    "datasets/real_noise",
    "encoders/cnn1d",
    "encoders/cqt2d",
    "encoders/s4d",
    "objectives/byol",
    "objectives/masked_strain",
    "objectives/moco",
]

CHANGED = [("byol", "momentum: float (at least 0, at most 1) = 0.996")]
"""Parameters that take what they took, and have another default since: this one is chosen by the number of steps."""


def committed(path: str) -> str:
    done = subprocess.run(["git", "show", f"{BEFORE}:{path}"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this copy has no history: the older sources are not in it")
    return done.stdout


def renamed(source: str, kind: str, name: str) -> str:
    """The source, registering its plugin as old-NAME."""
    new, count = re.subn(rf'"{kind}",(\s+)"{name}"', rf'"{kind}",\1"old-{name}"', source)
    assert count == 1
    return new


def python(code: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *flags, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_what_the_docs_named_works_without_a_word() -> None:
    done = python(PUBLIC, "-W", "error")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_old_path_works_and_says_in_one_line_where_the_thing_lives() -> None:
    done = python("from gwbench.momentum import slow_copy; print(slow_copy.__name__)")
    assert done.stdout == "ema_copy\n"
    assert "gwbench.momentum is gwbench.training.ema now: import from there." in done.stderr
    assert done.stderr.count("FutureWarning") == 1


@pytest.mark.filterwarnings("ignore:gwbench.* now. import from there:FutureWarning")
def test_every_module_of_then_is_found() -> None:
    listed = committed("setup.cfg")  # skips without history
    assert "gwbench.trackers" in listed
    done = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", BEFORE, "gwbench"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules = [
        path.removesuffix(".py").removesuffix("/__init__") for path in done.stdout.split() if path.endswith(".py")
    ]
    private = {"gwbench._loading", "gwbench._source"}
    for module in sorted({each.replace("/", ".") for each in modules} - private):
        spec = importlib.util.find_spec(module)
        assert spec is not None, module


def test_what_never_was_is_not_found() -> None:
    assert importlib.util.find_spec("gwbench.nothing") is None
    assert present_module("gwbench.data.simulation.nothing") == "gwbench.simulation.nothing"
    with pytest.raises(ModuleNotFoundError, match=r"gwbench\.data\.simulation\.nothing"):
        importlib.import_module("gwbench.data.simulation.nothing")


def test_plugins_written_before_load_and_take_what_they_took(tmp_path: Path) -> None:
    names = []
    for plugin in PLUGINS:
        kind, name = plugin.split("s/", 1)
        shipped = name.replace("_", "-")
        (tmp_path / f"{name}.py").write_text(renamed(committed(f"plugins/{plugin}.py"), kind, shipped))
        names.append((str(tmp_path / f"{name}.py"), kind, shipped))
    code = f"""
import warnings; warnings.simplefilter("ignore", FutureWarning)
from gwbench.registry import REGISTRY
from gwbench.registry.parameters import parameters
for file, kind, name in {names!r}:
    REGISTRY.load_source(file)
    assert not REGISTRY.broken, REGISTRY.broken
    old, new = REGISTRY.get(kind, "old-" + name), REGISTRY.get(kind, name)
    before = [text for text in map(str, parameters(old)) if (name, text) not in {CHANGED!r}]
    assert before == [text for text in map(str, parameters(new)) if text in before]
    print(old.summary)
"""
    done = run_forked([], code=code)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(PLUGINS)


def test_a_baseline_written_before_gives_the_scores_of_today(tmp_path: Path) -> None:
    source = renamed(committed("plugins/baselines/band_power.py"), "baseline", "band-power")
    (tmp_path / "old_power.py").write_text(source)
    code = f"""
import warnings; warnings.simplefilter("ignore", FutureWarning)
import gwbench
out = {str(tmp_path)!r}
few = {{"dataset.train": 64, "dataset.val": 32, "dataset.test": 32}}
old = gwbench.run(baseline="old-band-power", plugins=[{str(tmp_path / "old_power.py")!r}], settings=few, out=out)
new = gwbench.run(baseline="band-power", settings=few, out=out)
assert old.metrics == new.metrics
"""
    done = run_forked([], code=code)
    assert done.returncode == 0, done.stderr
