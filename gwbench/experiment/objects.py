"""Runs of objects: what stands for plugins while a run, or a loader of its files, goes on."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gwbench.errors import UserError
from gwbench.registry import KINDS, REGISTRY, Plugin
from gwbench.utils.printable import printable

if TYPE_CHECKING:
    from gwbench.experiment.record import RunRecord
    from gwbench.training.distributed import ProcessGroup


@contextmanager
def named(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Names in place of objects, which stand for plugins of these names within the context.

    Args:
        given: names, or objects as `as_plugin` takes them, by the parameters of `gwbench.run`; other parameters are
            handed on.

    Raises:
        UserError: an object is nothing of its kind.
    """
    names, plugins = dict(given), list[Plugin]()
    for kind in KINDS.values():
        field = kind.plural if kind.several else kind.name
        value = given.get(field)
        if kind.several:
            several = list(value) if isinstance(value, (list, tuple)) else [value] if value else []
            names[field] = tuple(_name(kind.name, each, plugins) for each in several)
        elif value is not None:
            names[field] = _name(kind.name, value, plugins)
    with REGISTRY.lent(plugins):
        yield names


def _name(kind: str, value: Any, plugins: list[Plugin]) -> str:
    if isinstance(value, str):
        return value
    from gwbench.experiment.object_plugins import as_plugin

    plugin = as_plugin(kind, value)
    if isinstance(plugin, str):
        return plugin
    plugins.append(plugin)
    return plugin.name


def refuse_other_processes(spec_plugins: list[Plugin], process_group: ProcessGroup) -> None:
    """Raise `UserError` where processes that gwbench starts would need the objects, too."""
    given = [plugin.name for plugin in spec_plugins if plugin.given]
    losses = [plugin.name for plugin in spec_plugins if plugin.given and plugin.kind == "objective"]
    if losses and process_group.size > 1 and process_group.launcher:
        raise UserError(
            f"The loss {losses[0]} would compare only the windows of its own process, and the run would be another one "
            f"on each number of devices. Register an objective that gathers them, or leave out devices and num_nodes."
        )
    if given and process_group.size > 1 and not process_group.launcher:
        raise UserError(
            f"devices={process_group.size} starts processes of its own, which cannot be handed objects "
            f"({', '.join(given)}). Register their classes in a file and name it by plugins=[...], start this script "
            "by torchrun, or use one device."
        )


@contextmanager
def encoder_given(record: RunRecord, encoder: Any) -> Iterator[None]:
    """Within it, the object that a run had as its encoder stands for it again.

    Args:
        record: of the run.
        encoder: the module, its class or a function that makes it; None where the run's encoder is a plugin.

    Raises:
        UserError: the run has no encoder, or one that was an object is not given.
    """
    used = {each.name: each for each in record.objects or () if each.kind == "encoder"}
    choice = record.spec.encoder
    if encoder is None and choice and choice.name in used:
        encoder = _registered(used[choice.name].class_name)
    if encoder is None:
        if choice and choice.name in used:
            name = used[choice.name].class_name
            raise UserError(
                f"The encoder of this run was an object, {printable(name)}, which the run's folder does not hold. Give "
                f"its class, or an object of it: load_encoder(..., encoder={printable(name.rpartition('.')[2])}); "
                "load_scorer, predict and scan take it too."
            )
        yield
        return
    if choice is None:
        raise UserError(f"This run has no encoder ({record.spec.title}): leave out encoder=.")
    from gwbench.experiment.object_plugins import as_plugin

    plugin = as_plugin("encoder", encoder, choice.name)
    if isinstance(plugin, str):
        plugin = REGISTRY.get("encoder", plugin)
    earlier = used.get(choice.name)
    now = plugin.given
    if earlier and now and now.class_name == earlier.class_name and now.source_hash != earlier.source_hash:
        warnings.warn(f"The code of {earlier.class_name} has changed since the run.", stacklevel=4)
    with REGISTRY.lent([plugin]):
        yield


def _registered(class_name: str) -> type | None:
    """The class of an encoder by its name, where a file or module that was loaded since has registered it."""
    wanted = class_name.rpartition(".")[2]
    found = (plugin.target for plugin in REGISTRY.loaded() if plugin.kind == "encoder")
    return next((target for target in found if target is not None and target.__qualname__ == wanted), None)


def python_call(plugins: Iterable[Plugin], settings: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """The call of `gwbench.run` that gives a run again, with the classes of its objects in place of these.

    Args:
        plugins: all that the run names.
        settings: that differ from the defaults.
        fields: further parameters that differ from the defaults.
    """
    words: dict[str, list[str]] = {}
    for plugin in plugins:
        text = plugin.given.class_name.rpartition(".")[2] if plugin.given else repr(plugin.name)
        words.setdefault(plugin.kind, []).append(text)
    parts = [
        f"{KINDS[kind].plural}=[{', '.join(texts)}]" if KINDS[kind].several else f"{kind}={texts[0]}"
        for kind, texts in words.items()
    ]
    parts += [f"{name}={value!r}" for name, value in fields.items()]
    parts += [f"settings={dict(settings)!r}"] if settings else []
    return f"gwbench.run({', '.join(parts)})  # in Python, with these objects"
