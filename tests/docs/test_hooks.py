"""The reference pages hold everything that there is, and the navigation every page."""

from __future__ import annotations

import importlib.util
from types import ModuleType, SimpleNamespace
from typing import Any

import yaml

import gwbench
from gwbench.cli.main import VERBS
from gwbench.experiment.sections import OWN_SECTIONS
from gwbench.registry import Registry
from tests.docs.pages import ROOT


def hook(name: str) -> ModuleType:
    """A module of docs/hooks, as mkdocs loads it: by its path."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_has_every_verb_setting_and_plugin(registry: Registry) -> None:
    generators = hook("generators").GENERATORS
    commands = generators["commands"]().splitlines()
    for verb in (*VERBS, "data make continuous", "suite run", "runs list"):
        assert any(line.strip("# ") == f"gwbench {verb}" for line in commands), verb
    assert any(line.startswith("| `--label-fraction FLOAT` |") for line in commands)
    settings = generators["settings"]()
    for section, model in OWN_SECTIONS.items():
        assert all(f"| `{section}.{name}` |" in settings for name in model.model_fields)
    plugins = generators["plugins"]()
    for plugin in registry.list():
        if plugin.origin.file.startswith(str(ROOT / "plugins")):
            assert f"### {plugin.kind} `{plugin.name}`" in plugins
    python = generators["python"]()
    classes = [name for name in gwbench.__all__ if callable(getattr(gwbench, name))]
    assert "run" in classes
    assert all(f"## `gwbench.{name}`\n" in python for name in classes)


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml without its tags of Python objects."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def test_every_page_is_in_the_navigation() -> None:
    config = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader=_Loader)
    made: Any = SimpleNamespace(docs_dir=str(ROOT / "docs"), nav=config["nav"])
    navigation = hook("navigation")
    listed = navigation._pages(navigation.on_config(made).nav)
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    pages |= {path.relative_to(ROOT / "docs").with_suffix(".md").as_posix() for path in ROOT.glob("docs/*/*.ipynb")}
    assert len(listed) == len(set(listed))
    assert set(listed) == pages
