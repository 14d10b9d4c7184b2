"""A run as the text of a file that `gwbench run --config` reads: every setting, with what it means."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from gwbench.experiment.choice import Choice, default_task
from gwbench.experiment.sections import OWN_SECTIONS
from gwbench.experiment.spec import PLUGIN_FIELDS, RunSpec
from gwbench.registry import KINDS, REGISTRY
from gwbench.registry.meanings import meanings, settings_of
from gwbench.registry.parameters import parameters
from gwbench.utils.printable import printable

WIDTH = 112
COMMENT = 34
"""The column in which the comment on a value begins, where the value leaves room."""

OPTIONS = {
    "encoder_groups": "shared; each; groups such as 'H1,L1|V1'; or network: one encoder that sees all detectors",
    "precision": "auto, fp32 or bf16",
    "seed": "of labels, weights, batches and views",
    "data_seed": "of the data",
    "limit": "a small try: at most so many windows of each split; null for all",
    "plugins": "files and modules that register further plugins",
    "device": "auto, cpu, cuda, cuda:N or mps",
    "devices": "GPUs, or processes on a CPU, over which every batch of pre-training is split",
    "num_nodes": "machines with so many devices each",
    "workers": "threads that generate data; null for one per core",
    "out": "folder for the run folders",
    "cache_dir": "folder for generated data; null for $GWBENCH_CACHE, or else the user's cache",
    "loggers": "csv, tensorboard, wandb, mlflow",
}
"""What the options mean that are of no plugin and of no section, in the order of the file."""


def run_file_text(spec: RunSpec, options: Mapping[str, Any]) -> str:
    """The text.

    Args:
        spec: the run.
        options: of `OPTIONS`, those that the spec does not tell: precision as it was asked for, plugins, device, ...
    """
    values = {**options, "encoder_groups": spec.encoder_groups, "seed": spec.seed}
    values |= {"data_seed": spec.data_seed, "limit": spec.limit}
    lines = ["# A run of gwbench: `gwbench run --config FILE`. Options beside it win over the file.", ""]
    for field, kind in PLUGIN_FIELDS.items():
        chosen = getattr(spec, field)
        if kind == "task" and chosen is None:
            chosen = default_task()
        if KINDS[kind].several:
            lines += _several(field, kind, chosen)
        elif chosen:
            lines += [f"{field}:", *_plugin(kind, chosen, "  ")]
        if kind == "encoder" and chosen:
            lines += _line("encoder_groups", values["encoder_groups"], OPTIONS["encoder_groups"])
    for section, model in OWN_SECTIONS.items():
        settings = getattr(spec, section)
        if settings is not None:
            lines += ["", f"{section}:"]
            for each in settings_of(model):
                lines += _line(
                    each.parameter.name,
                    getattr(settings, each.parameter.name),
                    _about(each.parameter.type, each.meaning),
                    "  ",
                )
    lines.append("")
    for name, about in OPTIONS.items():
        if name != "encoder_groups" and not (name == "precision" and not spec.trains):
            lines += _line(name, values[name], about)
    return "\n".join(lines) + "\n"


def _several(field: str, kind: str, chosen: tuple[Choice, ...]) -> Iterator[str]:
    if not chosen:
        yield f"{field}: []"
        return
    yield f"{field}:"
    for choice in chosen:
        first, *rest = _plugin(kind, choice, "    ")
        yield f"  - {first.strip()}"
        yield from rest


def _plugin(kind: str, choice: Choice, indent: str) -> Iterator[str]:
    """A plugin's name and all its parameters."""
    plugin = REGISTRY.get(kind, choice.name)
    assert plugin.target is not None
    said = meanings(plugin.target)
    yield from _line("name", choice.name, plugin.summary, indent)
    for parameter in parameters(plugin):
        about = _about(parameter.type, said.get(parameter.name, ""))
        yield from _line(parameter.name, choice.parameters[parameter.name], about, indent)


def _about(kind: str, meaning: str) -> str:
    return f"{kind}: {meaning}" if meaning else kind


def _line(name: str, value: Any, about: str, indent: str = "") -> Iterator[str]:
    """A key, its value and a comment, which goes on in the next lines where it is long."""
    shown = (
        yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False)
        .removesuffix("...\n")
        .strip()
    )
    first = f"{indent}{name}: {shown}"
    column = max(COMMENT, len(first) + 2)
    if column > WIDTH - 30:
        yield first
        first, column = "", COMMENT
    wrapped = textwrap.wrap(printable(about, 2000), WIDTH - column, break_long_words=False)
    for number, text in enumerate(wrapped):
        yield f"{(first if number == 0 else '').ljust(column)}# {text}"
    if not wrapped and first:
        yield first
