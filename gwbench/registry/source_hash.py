"""What a plugin does as a hash: of its own source, of the modules beside it and of the plugins that it builds on."""

from __future__ import annotations

import hashlib
import inspect
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gwbench.registry.code_identity import code_hash, former_hashes, joined_hash
from gwbench.registry.metadata import Plugin
from gwbench.utils.sibling_modules import sibling_files

FILE_MODULE = "gwbench_plugin_"
"""What the module of a plugin that is imported from a file is named by."""


def source_hashes(
    kind: str, name: str, cls: type, module: Mapping[str, Any], loaded: Iterable[Plugin]
) -> tuple[str, frozenset[str]]:
    """What a source does, with what it builds on; and hashes in old records that stand for it.

    Args:
        kind, name: of the plugin.
        cls: its class.
        module: the names of the module that registers it.
        loaded: the plugins so far, of which it may use some.
    """
    try:
        file = inspect.getsourcefile(cls)
        path = Path(file) if file and Path(file).is_file() else None
        source = path.read_bytes() if path else textwrap.dedent(inspect.getsource(cls)).encode()
        own = code_hash(source)
        beside = _of_siblings(path, module)
    except (OSError, TypeError, SyntaxError):
        return "", frozenset()  # typed into an interpreter that keeps no source
    used = [plugin for plugin in loaded if any(plugin.target is value for value in module.values())]
    others = [plugin for plugin in used if plugin.origin.file != str(path and path.resolve())]
    current = joined_hash(own, [*(plugin.source_hash for plugin in others), *beside])
    if beside:
        return current, frozenset()  # older records do not know what lay beside the file
    file_hash = hashlib.sha256(source).hexdigest()
    return current, former_hashes(kind, name, current, file_hash, [sorted(other.former_hashes) for other in others])


def _of_siblings(path: Path | None, module: Mapping[str, Any]) -> list[str]:
    """The hash of every module beside a plugin's file that it imports."""
    if path is None or not str(module.get("__name__")).startswith(FILE_MODULE):
        return []
    return [code_hash(file.read_bytes()) for file in sibling_files(path.resolve())]
