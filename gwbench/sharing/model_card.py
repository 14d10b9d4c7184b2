"""The page of a run on a hub, made of its record: data, protocol, metrics, budget, how to load it, limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from gwbench._version import __version__

if TYPE_CHECKING:
    from gwbench.evaluation.statistics import Interval
    from gwbench.experiment.record import RunRecord

CITATION = """@software{gwbench,
  title = {gwbench: a benchmark toolkit for self-supervised learning on gravitational-wave strain},
  author = {{The gwbench authors}},
  version = {VERSION}
}"""


def model_card(record: RunRecord, repo: str, *, sources: Sequence[str] = (), license: str | None = None) -> str:
    """The card, in Markdown with the hub's metadata before it.

    Args:
        record: of a run that went well.
        repo: USER/NAME, or the folder's name.
        sources: files of its plugins' sources, relative to the run's folder.
        license: the hub's name for the licence of the weights, such as "mit".
    """
    header = yaml.safe_dump(_metadata(record, repo, license), sort_keys=False, allow_unicode=True, width=100)
    sections = [
        f"# {_text(record.spec.title)}",
        "An encoder of gravitational-wave strain, trained and judged by gwbench." if record.training else
        "A method that scores gravitational-wave strain, judged by gwbench.",
        "## Results", *_results(record),
        "## Data", *_data(record),
        "## Training", *_training(record),
        "## How to load it", *_loading(record, repo, sources),
        "## Limits", *_limits(record),
        "## Licence", f"`{license}`" if license else "None was named: ask whoever shared this before you use it.",
        "## Citation", f"```bibtex\n{CITATION.replace('VERSION', __version__)}\n```",
    ]  # fmt: skip
    return f"---\n{header}---\n\n" + "\n\n".join(sections) + "\n"


def _metadata(record: RunRecord, repo: str, license: str | None) -> dict[str, Any]:
    encoder = [record.spec.encoder.name] if record.spec.encoder else []
    tags = ["gwbench", "gravitational-waves", "strain", "self-supervised-learning", *encoder]
    metrics = [{"type": kind, "name": name, "value": round(value, 6)} for kind, name, value in _figures(record)]
    known: dict[str, Any] = {"library_name": "gwbench", "tags": list(dict.fromkeys(tags))}
    if license:
        known["license"] = license
    if metrics:
        task = record.spec.task.name if record.spec.task else "detection of signals"
        result = {
            "task": {"type": "other", "name": task},
            "dataset": {
                "type": f"gwbench/{record.spec.dataset.name}",
                "name": record.spec.dataset.name,
                "split": "test",
                "revision": record.data.content_hash if record.data else None,
            },
            "metrics": metrics,
        }
        known["model-index"] = [{"name": repo.rpartition("/")[2], "results": [result]}]
    return known


def _figures(record: RunRecord) -> Iterator[tuple[str, str, float]]:
    """The hub's kind of metric, its name with the interval, and its value."""
    metrics = record.metrics
    if metrics:
        yield "roc_auc", f"ROC-AUC ({_interval(metrics.auc, metrics.level)})", metrics.auc.value
        yield "average_precision", "Average precision", metrics.average_precision
        for rate, each in metrics.tpr_at_fpr.items():
            if each:
                name = f"True-positive rate at false-positive rate {rate} ({_interval(each, metrics.level)})"
                yield "recall", name, each.value
        if metrics.knn_auc:
            yield (
                "roc_auc",
                f"ROC-AUC of nearest neighbours ({_interval(metrics.knn_auc, metrics.level)})",
                (metrics.knn_auc.value),
            )
    for name, value in (record.task_metrics or {}).items():
        number = value.get("value") if isinstance(value, Mapping) else value
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            yield name, name.replace("_", " "), float(number)


def _results(record: RunRecord) -> list[str]:
    rows = [
        "| metric | value |",
        "|---|---|",
        *(f"| {_cell(name)} | {value:.4f} |" for _, name, value in _figures(record)),
    ]
    metrics = record.metrics
    counted = f" {metrics.n_signal:,} windows of signal and {metrics.n_noise:,} of noise." if metrics else ""
    protocol = (
        f"On the test split, by version {record.protocol} of gwbench's evaluation protocol: embeddings are frozen, a "
        f"linear probe is fitted on {record.data.labelled if record.data else 0:,} labelled windows, its strength is "
        f"chosen on validation, and the test split is scored once.{counted}"
    )
    if not record.spec.uses_labels and record.spec.objective:
        protocol = (
            f"On the test split, which is scored once: the encoder is frozen, and the head of the objective "
            f"{record.spec.objective.name} gives the score by itself. No label is used.{counted}"
        )
    if record.spec.baseline:
        protocol = f"On the test split, by version {record.protocol} of gwbench's evaluation protocol.{counted}"
    return ["\n".join(rows), protocol]


def _data(record: RunRecord) -> list[str]:
    data, dataset = record.data, record.spec.dataset
    lines = [f"- dataset: `{dataset.name}`, {_settings(dataset.parameters)}"]
    if data:
        sizes = ", ".join(f"{count:,} {name}" for name, count in data.sizes.items())
        lines += [
            f"- detectors, in this order: {', '.join(data.detectors)}; {data.sample_rate:g} Hz",
            f"- windows: {sizes}; labels of {data.labelled:,} used",
            f"- SHA-256 of all numbers: `{data.content_hash}`",
            *(f"- note: {_text(note)}" for note in data.notes),
        ]
    conditioning = record.spec.conditioning
    lines.append(f"- conditioning: {conditioning.method}, {conditioning.low:g} to {conditioning.high:g} Hz")
    return ["\n".join(lines)]


def _training(record: RunRecord) -> list[str]:
    parts = [f"- {kind}: `{choice.name}`, {_settings(choice.parameters)}"
             for kind, choice in record.spec.choices() if kind != "dataset"]  # fmt: skip
    if record.budget:
        steps, windows = record.budget
        parts.append(f"- budget: {steps:,} optimiser steps, {windows:,} windows seen")
    if record.spec.training:
        parts.append(f"- settings: {_settings(record.spec.training.model_dump())}")
    if record.parameters is not None:
        parts.append(f"- trainable parameters: {record.parameters:,}")
    seconds = sum(phase.seconds for phase in record.phases.values())
    parts.append(
        f"- seed {record.spec.seed}; {record.spec.precision}; {seconds:,.0f} s on {_text(record.environment.device)}"
    )
    parts.append(f"- run `{record.run_id}` of {record.created}, gwbench {record.environment.gwbench}")
    return ["\n".join(parts), f"The run again:\n\n```sh\n{_text(record.command)}\n```"]


def _loading(record: RunRecord, repo: str, sources: Sequence[str]) -> list[str]:
    name = repo if "/" in repo else f"./{repo}"
    folder = f"runs/{repo.rpartition('/')[2]}"
    option = "".join(f" --plugin {folder}/{each}" for each in sources)
    argument = f", plugins={[f'{folder}/{each}' for each in sources]!r}" if sources else ""
    code = ["import gwbench", ""]
    if record.training:
        code += [
            f'encoder = gwbench.FrozenEncoder.from_pretrained("{name}"{argument})',
            "embedding = encoder(strain)  # [N, D, T + 2 margin] in strain units -> [N, F]",
            "encoder.score(strain).log_odds  # [N], larger for signal",
        ]
    else:
        code += [f'scorer = gwbench.load_scorer("{folder}"{argument})', "scorer.score(strain).log_odds  # [N]"]
    lines = ["```sh\npip install gwbench-ssl\n```"]
    pull = f"gwbench hub pull {name}\ngwbench predict {folder} windows.npy --out scores.csv{option}"
    if sources:
        listed = ", ".join(f"`{each}`" for each in sources)
        lines.append(
            f"It uses plugins that gwbench does not ship; their source lies here as text: {listed}. Fetch the run, "
            "read them, and only then name them: gwbench imports none by itself."
        )
    return [*lines, f"```sh\n{pull}\n```", "```python\n" + "\n".join(code) + "\n```"]


def _limits(record: RunRecord) -> list[str]:
    lines = [
        "- The figures hold for the data above. Other noise, detectors, sources or sample rates are another question.",
        "- Probabilities have the prior of the validation split, which is far above that of a search.",
        "- One seed: runs of several seeds tell how much the figures vary.",
    ]
    if record.spec.limit is not None:
        lines.insert(0, f"- **A small try of at most {record.spec.limit} windows a split: its figures mean little.**")
    if record.training and record.training.warning:
        lines.append(f"- Training warned: {_text(record.training.warning)}")
    return ["\n".join(lines)]


def _interval(each: Interval, level: float) -> str:
    return f"{100 * level:g} % interval {each.low:.4f} to {each.high:.4f}"


def _settings(values: Mapping[str, Any]) -> str:
    return _text(", ".join(f"{name}={value}" for name, value in values.items() if value is not None)) or "no settings"


def _text(text: object) -> str:
    """One line of text that closes no code block."""
    return " ".join(str(text).replace("`", "'").split())


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


__all__ = ["model_card"]
