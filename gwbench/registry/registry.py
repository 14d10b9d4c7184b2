"""One mechanism for plugins of every kind: register, discover, list, load.

A plugin is a class decorated with `register`. gwbench finds it by the entry points of installed packages (group
`gwbench.encoders`, `gwbench.pairings`, ...; value `module:Class`), by a file or module that the user names
(`--plugin`), or by the environment variable GWBENCH_PLUGINS. Listing reads the source of entry-point plugins
instead of importing them, so that it stays instant; a plugin is imported when it is used.
"""

from __future__ import annotations

import fnmatch
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from gwbench.errors import UserError, did_you_mean, in_words
from gwbench.registry.class_contract import check_class, docstring
from gwbench.registry.importing import import_source, source_digest
from gwbench.registry.installed import installed, malformed, unreadable
from gwbench.registry.metadata import DEFAULT_TAG, KINDS, Origin, Plugin, get_kind, odd_metadata
from gwbench.registry.source_hash import source_hashes
from gwbench.registry.static_metadata import read_plugin
from gwbench.utils.paths import user_path
from gwbench.utils.sibling_modules import forget_siblings

C = TypeVar("C", bound=type)


_LENT: ContextVar[Mapping[tuple[str, str], Plugin]] = ContextVar("lent", default=MappingProxyType({}))
"""Plugins that stand for objects while a run goes on."""

ENVIRONMENT = "GWBENCH_PLUGINS"
"""Files or modules to load, separated as in PATH."""


class Registry:
    """The plugins of this process."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[str, str], Plugin] = {}
        self._sources: dict[str, str | None] = {}
        self._digests: dict[str, str] = {}
        self._former_names: dict[str, dict[str, str]] = {}
        self._environment_read = False

    # --- register ---

    def add(self, plugin: Plugin) -> None:
        """Add a registered class.

        Raises:
            UserError: another class, written elsewhere, has this kind and name.
        """
        key = (plugin.kind, plugin.name)
        self._former_names.pop(plugin.kind, None)
        for other in filter(None, (self._loaded.get(key), _declared(*key, _entries(*key)))):
            if other.origin.line and other.origin != plugin.origin and Path(other.origin.file).is_file():
                raise UserError(
                    f"{plugin.kind} {plugin.name!r} is registered twice: at {other.origin} and at {plugin.origin}. "
                    "Rename one of them."
                )
        self._loaded[key] = plugin

    @contextmanager
    def lent(self, plugins: Iterable[Plugin]) -> Iterator[None]:
        """Within it, `get` knows some plugins that nobody registered, before any others of their names.

        They are of this thread's context alone, and in no listing: another run may lend others of the same names.
        """
        token = _LENT.set({**_LENT.get(), **{(plugin.kind, plugin.name): plugin for plugin in plugins}})
        try:
            yield
        finally:
            _LENT.reset(token)

    # --- discover ---

    def load_source(self, source: str) -> None:
        """Import a file or a module that registers plugins.

        A source that fails to import, or registers nothing, is remembered with its reason, appears in `broken` and
        breaks nothing else.

        Raises:
            UserError: there is no such file or module, or it registers a name that is taken.
        """
        path = user_path(source)
        digest = source_digest(path) if path.is_file() else ""
        if self._digests.get(source) == digest:
            return
        if source in self._digests:  # edited since: what it registered then gives way
            forget_siblings(path)
            self._loaded = {key: old for key, old in self._loaded.items() if old.origin.file != str(path.resolve())}
        before = dict(self._loaded)
        try:
            fresh = import_source(source)
        except UserError:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a module may raise SystemExit, or what pytest skips tests with
            self._sources[source] = in_words(error)
        else:
            empty = fresh and self._loaded == before
            self._sources[source] = "it registers no plugin: decorate a class with gwbench.register" if empty else None
        self._digests[source] = digest

    def sources_of(self, plugins: Iterable[Plugin]) -> list[str]:
        """The files (absolute) and modules that were loaded by name and that hold any of these plugins."""
        files = {plugin.origin.file for plugin in plugins}
        modules = {plugin.target.__module__ for plugin in plugins if plugin.target}
        paths = {source: str(user_path(source).resolve()) for source in self._sources}
        paths_used = [path for path in paths.values() if path in files]
        sources = [source for source in paths if any(f"{name}.".startswith(f"{source}.") for name in modules)]
        return paths_used + sources

    @property
    def broken(self) -> dict[str, str]:
        """Sources, and installed packages, that cannot serve, with the reason."""
        return {source: reason for source, reason in self._sources.items() if reason is not None} | unreadable()

    def loaded(self) -> Iterable[Plugin]:
        """The plugins imported so far."""
        return self._loaded.values()

    def list(self, kind: str | None = None, pattern: str = "*") -> list[Plugin]:
        """Plugins by kind and name, without importing those of entry points.

        Args:
            kind: one kind, or all.
            pattern: wildcards such as "cnn*".
        """
        self._read_environment()
        kinds = [get_kind(kind)] if kind else list(KINDS.values())
        plugins: list[Plugin] = []
        for each in kinds:
            declared: dict[str, list[EntryPoint]] = {}
            for entry in installed(each.group):
                declared.setdefault(entry.name, []).append(entry)
            names = sorted({*declared, *(name for (of, name) in self._loaded if of == each.name)})
            for name in fnmatch.filter(names, pattern):
                plugin = self._loaded.get((each.name, name)) or _declared(each.name, name, declared[name])
                if plugin:
                    plugins.append(plugin)
        return plugins

    def get(self, kind: str, name: str) -> Plugin:
        """The plugin of this kind and name, imported; a name that it had before serves too.

        Raises:
            UserError: there is none, or it cannot be imported.
        """
        get_kind(kind)
        if plugin := _LENT.get().get((kind, name)):
            return plugin
        self._read_environment()
        if (kind, name) not in self._loaded:
            name = self.present_name(kind, name)
            if (kind, name) not in self._loaded:
                self._import(kind, name)
        return self._loaded[kind, name]

    def present_name(self, kind: str, name: str) -> str:
        """What a plugin is called that once had this name; the name itself where none had."""
        if kind not in KINDS:
            return name
        if kind not in self._former_names:
            plugins = self.list(kind)
            taken = {plugin.name for plugin in plugins}
            former = {old: plugin.name for plugin in plugins for old in plugin.aliases}
            self._former_names[kind] = {old: name for old, name in former.items() if old not in taken}
        return self._former_names[kind].get(name, name)

    def default(self, kind: str) -> str:
        """The name of the plugin that serves a kind where the user names none: the one tagged "default".

        Raises:
            UserError: none or several carry the tag.
        """
        names = [plugin.name for plugin in self.list(kind) if DEFAULT_TAG in plugin.tags]
        if len(names) != 1:
            tagged = ", ".join(names) or "none"
            raise UserError(f"One {kind} should be tagged {DEFAULT_TAG!r}; found: {tagged}. Name the {kind} you want.")
        return names[0]

    # --- inside ---

    def _read_environment(self) -> None:
        if not self._environment_read:
            self._environment_read = True
            for source in filter(None, os.environ.get(ENVIRONMENT, "").split(os.pathsep)):
                self.load_source(source)

    def _import(self, kind: str, name: str) -> None:
        entries = _entries(kind, name)
        declared = _declared(kind, name, entries)
        if declared is None:
            raise self._unknown(kind, name)
        reason = declared.problem
        if reason is None:
            entry = entries[0]
            try:
                entry.load()
            except (UserError, KeyboardInterrupt):
                raise
            except BaseException as error:
                reason = in_words(error)
            else:
                if (kind, name) not in self._loaded:
                    reason = f"{entry.value} does not register {kind} {name!r}"
        if reason is not None:
            raise UserError(
                f"The {kind} {name!r} cannot be loaded from {declared.origin}: {reason.rstrip('.')}. "
                f"Mend that, or choose another: `gwbench list {kind}` shows what there is."
            )

    def _unknown(self, kind: str, name: str) -> UserError:
        names = [plugin.name for plugin in self.list(kind)]
        message = f"There is no {kind} {name!r}.{did_you_mean(name, names)} "
        for source, reason in self.broken.items():
            message += f"The plugin source {source} cannot be used ({reason}). "
        return UserError(message + f"`gwbench list {kind}` shows what there is: {', '.join(names) or 'none'}.")


REGISTRY = Registry()
"""The registry that `register` adds to."""


def register(
    kind: str,
    name: str,
    *,
    citation: str = "",
    version: int = 1,
    tags: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
) -> Callable[[C], C]:
    """Register a class as a plugin.

    The keyword-only arguments of its constructor are its parameters: each has a type and a default. The first line
    of its docstring is its summary.

    Args:
        kind: one of `KINDS`.
        name: kebab-case, unique within the kind.
        citation: the paper it comes from.
        version: raise it whenever the plugin's results change.
        tags: words to search by.
        aliases: names that it had before: its old records stay its own, and old commands work.

    Raises:
        UserError: the class does not keep its kind's contract, or the name is taken.
    """
    frame = sys._getframe(1)
    origin = Origin(str(Path(frame.f_code.co_filename).resolve()), frame.f_lineno)

    def decorate(cls: C) -> C:
        check_class(get_kind(kind), name, cls, origin)
        given: dict[str | None, object] = {"citation": citation, "version": version, "tags": tags, "aliases": aliases}
        if odd := odd_metadata(given):
            raise UserError(f"{kind} {name!r} at {origin}: {odd}.")
        summary = docstring(cls).split("\n", 1)[0]
        current, former = source_hashes(kind, name, cls, frame.f_globals, REGISTRY.loaded())
        REGISTRY.add(
            Plugin(
                kind,
                name,
                summary,
                citation=citation,
                version=version,
                tags=tuple(tags),
                aliases=tuple(aliases),
                origin=origin,
                target=cls,
                source_hash=current,
                former_hashes=former,
            )
        )
        return cls

    return decorate


def _entries(kind: str, name: str) -> list[EntryPoint]:
    """The entry points of this kind and name."""
    return installed(KINDS[kind].group, name)


def _described(kind: str, name: str, entry: EntryPoint) -> Plugin:
    if problem := malformed(entry):
        return Plugin(kind, name, origin=Origin(_package(entry)), problem=problem)
    return read_plugin(kind, name, entry.module, entry.attr)


def _package(entry: EntryPoint) -> str:
    """The package that an entry point is of."""
    try:
        return f"the package {entry.dist.name}" if entry.dist else entry.value
    except Exception:  # its metadata have no name
        return entry.value


def _declared(kind: str, name: str, entries: Iterable[EntryPoint]) -> Plugin | None:
    """What the entry points of a name say of the plugin, read from its source; None where there are none."""
    # the same entry point may be seen through two copies of its metadata
    different = {entry.value: entry for entry in entries}.values()
    plugins = [_described(kind, name, entry) for entry in different]
    if len(plugins) > 1:
        places = " and at ".join(str(plugin.origin) for plugin in plugins)
        return replace(plugins[0], problem=f"registered twice: at {places}; uninstall or rename one of them")
    return plugins[0] if plugins else None
