"""A plugin under a check, and what came of it."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gwbench.conformance.subject import Subject
from gwbench.conformance.table import Check, Failure, NotApplicable, checks
from gwbench.errors import UserError, did_you_mean, in_words
from gwbench.registry import KINDS, REGISTRY, Plugin
from gwbench.registry.parameters import validate
from gwbench.utils.paths import user_path


@dataclass(frozen=True)
class Finding:
    """What came of a check.

    Attributes:
        check: what a plugin that passes does.
        result: passed, failed, or skipped where the check makes no sense.
        found: numbers, or the reason.
    """

    check: str
    result: Literal["passed", "failed", "skipped"]
    found: str


@dataclass(frozen=True)
class Case:
    """One check of one plugin."""

    subject: Subject
    check: Check

    def __str__(self) -> str:
        plugin = self.subject.plugin
        return f"{plugin.kind}-{plugin.name}-{self.check.name}"

    def run(self) -> Finding:
        """What came of it; an error of the plugin's is a failed check."""
        try:
            return Finding(self.check.summary, "passed", self.check.function(self.subject))
        except NotApplicable as reason:
            return Finding(self.check.summary, "skipped", str(reason))
        except Failure as failure:
            return Finding(self.check.summary, "failed", str(failure))
        except UserError as error:
            return Finding(self.check.summary, "failed", f"it refuses: {error}")
        except Exception as error:
            return Finding(self.check.summary, "failed", f"{in_words(error)}{self._where(error)}")

    def _where(self, error: Exception) -> str:
        """The line of the plugin's file that an error came through."""
        file = self.subject.plugin.origin.file
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        return f" ({Path(file).name}:{lines[-1]})" if lines else ""


def load(name_or_file: str | Path, kind: str | None = None) -> list[Plugin]:
    """The plugins of a name, or those that a file registers, imported.

    Args:
        name_or_file: a plugin's name, or the path of a Python file.
        kind: only plugins of this kind.

    Raises:
        UserError: there is no such plugin or file, the file cannot be imported, or it registers none of the kind.
    """
    path = user_path(name_or_file)
    if path.suffix == ".py" or path.is_file():
        REGISTRY.load_source(str(path))
        if problem := REGISTRY.broken.get(str(path)):
            raise UserError(f"The plugin file {path} cannot be used: {problem.rstrip('.')}. Mend that first.")
        own = [plugin for plugin in REGISTRY.loaded() if plugin.origin.file == str(path.resolve())]
        wanted = [plugin for plugin in own if kind in (None, plugin.kind)]
        if not wanted:
            names = ", ".join(f"{plugin.kind} {plugin.name!r}" for plugin in own) or "nothing"
            raise UserError(f"The file {path} registers no {kind or 'plugin'}; it registers {names}.")
        return wanted
    name = str(name_or_file)
    if kind is not None:
        return [REGISTRY.get(kind, name)]
    kinds = [each for each in KINDS if any(plugin.name == name for plugin in REGISTRY.list(each))]
    if not kinds:
        hint = did_you_mean(name, [plugin.name for plugin in REGISTRY.list()])
        raise UserError(f"There is no plugin {name!r}.{hint} Give a name of `gwbench list`, or a file ending in .py.")
    return [REGISTRY.get(each, name) for each in kinds]


def cases(
    name_or_file: str | Path,
    kind: str | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "cpu",
) -> list[Case]:
    """Every check of every plugin of a name or a file.

    Args:
        name_or_file, kind: as in `load`.
        settings: "kind.parameter" to value, such as "encoder.width", for the plugins of that kind.
        device: where tensors live.

    Raises:
        UserError: as in `load`; a setting that none of the plugins takes.
    """
    subjects = []
    plugins = load(name_or_file, kind)
    by_kind: dict[str, dict[str, Any]] = {plugin.kind: {} for plugin in plugins}
    for key, value in (settings or {}).items():
        section, _, parameter = key.partition(".")
        if section not in by_kind:
            raise UserError(f"The setting {key!r} is for none of these: write {' or '.join(by_kind)}.PARAMETER.")
        by_kind[section][parameter] = value
    for plugin in plugins:
        validate(plugin, by_kind[plugin.kind])
        subjects.append(Subject(plugin, by_kind[plugin.kind], device))
    return [Case(subject, check) for subject in subjects for check in checks(subject.plugin.kind)]
