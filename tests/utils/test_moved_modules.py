"""Former names of modules: a plugin of the tree before runs as it is, and everything else says where it is now."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from gwbench.registry import REGISTRY
from gwbench.registry.importing import import_source
from gwbench.utils.moved_modules import INTERNAL, OFFERED, RENAMED

ROOT = Path(__file__).parents[2]
BEFORE = "b52cbd4"
"""The last commit at which the modules had their former names."""


def before(path: str) -> str:
    """A file as it was."""
    done = subprocess.run(["git", "show", f"{BEFORE}:{path}"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this copy of the repository does not have the commit {BEFORE}")
    return done.stdout


def forget() -> None:
    """Former modules are imported anew, and so warn again."""
    for name in OFFERED:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "plugin",
    [
        "augmentations/glitch_injection",
        "baselines/band_power",
        "baselines/fine_tune",
        "baselines/matched_filter",
        "baselines/oracle",
        "datasets/bbh",
        "datasets/g2net",
        "datasets/real_noise",
        "encoders/cnn1d",
        "encoders/cqt2d",
        "encoders/s4d",
        "objectives/byol",
        "pairings/cross_detector",
    ],
)
def test_a_plugin_file_of_the_version_before_loads(
    plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = before(f"plugins/{plugin}.py")
    renamed, count = re.subn(r'(@register\(\s*"([a-z]+)",\s*")([a-z0-9-]+)', r"\1former-\3", source)
    assert count == 1
    kind, name = re.findall(r'@register\(\s*"([a-z]+)",\s*"(former-[a-z0-9-]+)', renamed)[0]
    path = tmp_path / "my_plugin.py"
    path.write_text(renamed)
    for attribute, value in vars(REGISTRY).items():
        monkeypatch.setattr(REGISTRY, attribute, copy.copy(value))
    forget()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import_source(str(path))
    assert REGISTRY.get(kind, name).origin.file == str(path)
    said = [warning for warning in caught if warning.category is DeprecationWarning]
    # It is the plugin's import that is out of date, and the warning points there, once for each.
    assert {warning.filename for warning in said} <= {str(path)}
    assert len({str(warning.message) for warning in said}) == len(said)
    asked = set(re.findall(r"^from (gwbench\.\S+) import", source, re.MULTILINE)) & set(OFFERED)
    for module in asked:
        if not hasattr(importlib.import_module(OFFERED[module]), "__path__"):
            assert f"{module} is {OFFERED[module]} now: import from there." in {str(each.message) for each in said}


@pytest.mark.filterwarnings("ignore:gwbench:DeprecationWarning")
def test_what_had_another_name_is_the_same_object() -> None:
    from gwbench.contracts import Job, Part, PluginContract, RunContext
    from gwbench.nn.layers import GeM
    from gwbench.training.ema import MomentumObjective, ema_copy, ema_update

    forget()
    momentum = importlib.import_module("gwbench.momentum")
    assert (momentum.slow_copy, momentum.follow) == (ema_copy, ema_update)
    assert momentum.MomentumObjective is MomentumObjective
    assert importlib.import_module("gwbench.layers").GeM is GeM
    assert (Job, Part) == (RunContext, PluginContract)
    network = torch.nn.Linear(2, 1)
    slow = momentum.slow_copy(network)
    torch.nn.init.zeros_(slow.weight), torch.nn.init.ones_(network.weight)
    momentum.follow(slow, network, 0.75)
    np.testing.assert_allclose(slow.weight.numpy(), 0.25)


@pytest.mark.filterwarnings("ignore:gwbench:DeprecationWarning")
@pytest.mark.parametrize("name", sorted(OFFERED))
def test_every_module_that_plugins_were_offered_is_found_by_its_former_name(name: str) -> None:
    forget()
    module, now = importlib.import_module(name), importlib.import_module(OFFERED[name])
    for former in RENAMED.get(name, {}):
        assert getattr(module, former) is not None
    for key, value in vars(now).items():
        if not key.startswith("__") and not isinstance(value, type(sys)):
            assert getattr(module, key) is value
    # The new one is as if nobody had asked for it by another name.
    assert now.__name__ == OFFERED[name] == getattr(now.__spec__, "name", None)


@pytest.mark.filterwarnings("ignore:gwbench:DeprecationWarning")
@pytest.mark.parametrize("name", sorted(OFFERED))
def test_every_name_of_an_offered_module_is_still_there(name: str) -> None:
    """Public classes, functions and constants, by the sources of the version before."""
    folder = name.replace(".", "/")
    listed = subprocess.run(["git", "cat-file", "-e", f"{BEFORE}:{folder}.py"], cwd=ROOT, capture_output=True)
    source = before(f"{folder}/__init__.py" if listed.returncode else f"{folder}.py")
    forget()
    module = importlib.import_module(name)
    names = re.findall(r"^(?:class|def) ([A-Za-z]\w*)|^([A-Z]\w*)(?:: [^=]+)? = ", source, re.MULTILINE)
    for found in names:
        assert hasattr(module, "".join(found)), found


@pytest.mark.parametrize("name", sorted(INTERNAL))
def test_an_internal_module_says_where_it_is_now(name: str) -> None:
    assert importlib.util.find_spec(name) is not None
    assert importlib.util.find_spec(INTERNAL[name]) is not None
    with pytest.raises(ImportError) as raised:
        importlib.import_module(name)
    assert str(raised.value) == f"{name} has moved to {INTERNAL[name]}: import what you need from there."
    assert name not in sys.modules


def test_the_message_comes_through_every_way_to_import() -> None:
    with pytest.raises(ImportError, match=r"^gwbench.runner has moved to gwbench.experiment.runner: "):
        exec("from gwbench import runner")
    with pytest.raises(ImportError, match=r"^gwbench.leaderboard has moved to gwbench.reporting.leaderboard: "):
        exec("from gwbench.leaderboard.build import build")


def test_what_never_was_is_still_missing() -> None:
    assert importlib.util.find_spec("gwbench.nothing") is None
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'gwbench.nothing'$"):
        importlib.import_module("gwbench.nothing")


def test_the_public_names_come_when_they_are_used() -> None:
    code = (
        "import sys, gwbench; assert set(gwbench.__all__) <= set(dir(gwbench));"
        "assert not {'torch', 'numpy', 'gwbench.utils.moved_modules'} & set(sys.modules);"
        "gwbench.run; gwbench.load_encoder; gwbench.read_record; gwbench.RunRecord; gwbench.register;"
        "from gwbench.contracts import Encoder; from gwbench.registry import register;"
        # gwbench itself needs no former name.
        "assert 'gwbench.momentum' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error::DeprecationWarning:gwbench", "-c", code], check=True)
