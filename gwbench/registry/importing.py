"""Plugin sources: importing a file or a module, and telling whether it has changed."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from pathlib import Path

from gwbench.errors import UserError
from gwbench.registry.code_identity import text_hash
from gwbench.registry.source_hash import FILE_MODULE
from gwbench.utils.files import file_digest
from gwbench.utils.paths import user_path
from gwbench.utils.sibling_modules import sibling_files, siblings_importable


def source_digest(path: Path) -> str:
    """A digest of a plugin's file and of the modules beside it that it imports."""
    path = path.resolve()
    return " ".join(map(file_digest, [path, *sibling_files(path)]))


def import_source(source: str) -> bool:
    """Import a file or a module; False where that was done before and registers nothing anew."""
    path = user_path(source)
    if path.suffix == ".py" or path.is_file():
        if not path.is_file():
            raise UserError(f"There is no plugin file {source}. Check --plugin and GWBENCH_PLUGINS.")
        path = path.resolve()
        digest = text_hash(str(path))[:8]
        name = f"{FILE_MODULE}{re.sub(r'[^0-9a-zA-Z]', '_', path.stem)}_{digest}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise UserError(f"The plugin file {source} is not Python source; its name should end in .py.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            with siblings_importable(path):
                spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return True
    try:
        spec = importlib.util.find_spec(source)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise UserError(
            f"There is no plugin file or module {source!r}. Give --plugin a path ending in .py or an importable module."
        )
    fresh = source not in sys.modules
    importlib.import_module(source)
    return fresh
