"""The rules of the house that a machine can hold us to."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

from gwbench.registry import DEFAULT_TAG, KINDS, REGISTRY, Registry

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "gwbench").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))


def imports(path: Path, *, at_import: bool) -> set[str]:
    """Modules that a file imports: when it is imported itself, or ever."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if at_import else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_names_no_method_and_imports_no_plugin(path: Path) -> None:
    names = {plugin.name for plugin in REGISTRY.list() if plugin.origin.file.startswith(str(ROOT))}
    assert len(names) >= 9
    words = set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", path.read_text()))
    if path.name == "moved_modules.py":
        words.discard("supervised")  # a module of helpers that had this name
    # The field's words, too: "network" for several detectors, "coincidence" for what they see at once, "detection",
    # "glitch" for noise that is no Gaussian's, and "frozen" for weights that are not trained.
    assert words & (names - {"network", "detection", "coincidence", "glitch", "frozen"}) == set()
    assert not any(module.startswith("gwbench.plugins") for module in imports(path, at_import=False))


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_never_prints(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls)


def test_no_verb_imports_anything_heavy_at_start_up() -> None:
    heavy = {"torch", "lightly", "timm", "pycbc", "lal", "pytorch_lightning", "sklearn", "scipy", "numpy", "h5py"}
    for path in CORE:
        if "cli" in path.parts:
            roots = {module.split(".")[0] for module in imports(path, at_import=True)}
            assert roots & heavy == set(), path


@pytest.mark.parametrize("kind", KINDS)
def test_every_shipped_plugin_is_declared_and_every_kind_has_its_default(kind: str) -> None:
    declared = Registry().list(kind)  # what earlier tests registered in this process is not in it
    shipped = {Path(p.origin.file) for p in declared if p.origin.file.startswith(str(ROOT))}
    assert shipped == {path for path in PLUGINS if path.parent.name == f"{kind}s" and path.name != "__init__.py"}
    defaults = [plugin.name for plugin in declared if DEFAULT_TAG in plugin.tags]
    assert len(defaults) == (0 if kind in ("augmentation", "baseline") else 1)


def test_setup_cfg_lists_every_package() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    core = {".".join(path.parent.relative_to(ROOT).parts) for path in CORE if path.name == "__init__.py"}
    plugins = {"gwbench." + ".".join(p.parent.relative_to(ROOT).parts) for p in PLUGINS if p.name == "__init__.py"}
    assert listed == core | plugins


def test_pyproject_names_only_the_build_backend() -> None:
    assert set(tomllib.loads((ROOT / "pyproject.toml").read_text())) == {"build-system"}


def test_the_plugin_in_the_readme_is_one_that_runs() -> None:
    readme = (ROOT / "README.md").read_text()
    (code,) = re.findall(r"```python\n(# my_encoder\.py\n.*?)```", readme, flags=re.DOTALL)
    from tests.experiment.test_runner import MY_ENCODER

    def essence(text: str) -> str:
        tree = ast.parse(text.replace("width: int = 32", "width: int = 8"))
        return ast.dump(tree)

    assert essence(code) == essence(MY_ENCODER)


def test_python_started_in_the_checkout_finds_the_plugins() -> None:
    """It finds the folder gwbench before any installation, as if none were there."""
    code = (
        "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in getattr(f, '__module__', '')];"
        "import gwbench.plugins.encoders as found; print(found.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == ROOT / "plugins" / "encoders" / "__init__.py"


def test_the_top_of_the_core_holds_what_a_plugin_imports_and_nothing_else() -> None:
    modules = {path.stem for path in CORE if path.parent == ROOT / "gwbench"}
    assert modules == {"__init__", "__main__", "_version", "errors", "seeds"}
    assert (ROOT / "gwbench" / "contracts" / "__init__.py").is_file()


def test_every_package_has_its_layer() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["importlinter:contract:layers"]["layers"].split("\n")
    layers = {name for line in lines for name in re.split(r"[|:\s]+", line) if name}
    packages = {path.parent.name for path in CORE if path.name == "__init__.py" and path.parents[2] == ROOT}
    modules = {"contracts", "errors", "seeds", "_version"}
    assert layers == packages | modules


def test_the_tests_lie_as_the_packages_do() -> None:
    """A folder of tests is one of gwbench, or of what lies beside it; a loose one tests a module that is loose, too."""
    tests = ROOT / "tests"
    beside = {"architecture", "benchmarks", "crash", "docs", "fuzz", "plugins"}
    packages = {path.parent.relative_to(ROOT / "gwbench") for path in CORE if path.name == "__init__.py"}
    packages |= {
        path.parent.relative_to(ROOT).relative_to("plugins") for path in PLUGINS if path.parent.name != "plugins"
    }
    for path in tests.rglob("test_*.py"):
        place = path.parent.relative_to(tests)
        if place == Path():
            assert (ROOT / "gwbench" / path.name.removeprefix("test_")).is_file(), path
        elif place.parts[0] == "plugins":
            assert len(place.parts) == 1 or Path(*place.parts[1:]) in packages, path
        elif place.parts[0] not in beside:
            assert place in packages, path


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_too_long_to_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


def test_a_class_name_means_one_thing() -> None:
    homes: dict[str, list[str]] = {}
    for path in (*CORE, *PLUGINS):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}
