"""What `gwbench run` was asked for: its options, over those of its file, and none of them without an effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from gwbench.errors import UserError
from gwbench.registry import ALL_LABELS_TAG, KINDS, NO_LABELS_TAG, REGISTRY

if TYPE_CHECKING:
    from gwbench.contracts import Baseline
    from gwbench.experiment.data_cache import DataCache
    from gwbench.experiment.spec import RunSpec

SPEC_FIELDS = ("encoder_groups", "seed", "data_seed", "limit")
"""Options that are fields of a spec by the same name, besides plugins."""

SHORTCUTS = {
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "lr": "training.lr",
    "label_fraction": "evaluation.label_fraction",
}
"""Options that are short names of settings."""

WITH_EXTEND = {"extend", "probe_every", "workers", "cache_dir", "plugins", "device", "devices", "num_nodes",
               "deterministic", "out", "loggers", "rerun", *SHORTCUTS}  # fmt: skip
"""Options that may stand beside --extend; all else is the extended run's."""

PRETRAINING = ("pairing", "augmentations", "objective")
"""What a file may have that a baseline without pre-training has no use for."""


@dataclass
class RunRequest:
    """A run as it was asked for.

    Attributes:
        options: of the command line by name, with the file's where the command line gives none.
        settings: dotted settings.
        notes: what to say of an option that does less than one may think.
    """

    options: dict[str, Any]
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    def spec(self, device: str, data_cache: DataCache | None = None) -> RunSpec:
        """The spec of the run on a device, as `gwbench.run` has it.

        Args:
            device: "cpu", "cuda", "cuda:N" or "mps".
            data_cache: knows the data of a run that is extended.

        Raises:
            UserError: a name or a value does not fit.
        """
        from gwbench.experiment.resolve_spec import resolve_spec
        from gwbench.experiment.spec import PLUGIN_FIELDS

        if self.options["extend"] is not None:
            from gwbench.experiment.data_cache import DataCache
            from gwbench.experiment.extension import extended_spec

            known = data_cache or DataCache(self.options["cache_dir"])
            return extended_spec(self.options["extend"], self.settings, out=self.options["out"], data_cache=known)[0]

        fields = {name: self.options[name] for name in (*PLUGIN_FIELDS, *SPEC_FIELDS)}
        fields |= {name: self.options[name] for name in ("encoder_from", "conditioner", "out")}
        return resolve_spec(self.options["precision"], device, settings=self.settings, **fields)


def run_request(
    context: click.Context, options: dict[str, Any], pairs: Mapping[str, Any], config: Path | None
) -> RunRequest:
    """Join what the command line gives with what a file gives, and refuse what would have no effect.

    Args:
        context: knows which options were given.
        options: all of them.
        pairs: those of `--set`.
        config: the file, if there is one.

    Raises:
        UserError: an option that would have no effect, or that is given twice; the file cannot serve.
    """
    given = {name for name in options if context.get_parameter_source(name) != ParameterSource.DEFAULT}
    shortcuts = {name: options.pop(name) for name in SHORTCUTS}
    settings: dict[str, Any] = {}
    if options["extend"] is not None:
        _refuse_beside_extend(given - WITH_EXTEND, config)
    if config:
        settings = _with_file(config, options, given)
    baseline = options["baseline"]
    contract = _contract(baseline)
    request = RunRequest(options, settings)
    own: dict[str, Any] = dict(pairs)
    for name, value in shortcuts.items():
        if value is None:
            continue
        key = _setting(name, baseline, contract, request)
        if key in own:
            raise UserError(f"{_flag(name)} and --set {key} both set {key}. Give one of them.")
        own[key] = value
    _refuse_without_effect(request, given, contract)
    request.settings |= own
    if shortcuts["epochs"] is not None and request.settings.get("training.windows") is not None:
        raise UserError("--epochs and training.windows both say how long training is. Give one of them.")
    return request


def _refuse_beside_extend(given: set[str], config: Path | None) -> None:
    flags = [KINDS[name].flag if name in KINDS else _flag(name) for name in sorted(given)]
    flags = ["--augment" if flag == "--augmentations" else flag for flag in flags] + (["--config"] if config else [])
    if flags:
        raise UserError(
            f"--extend goes on with the run as it is: leave out {', '.join(flags)}. --epochs, --lr, --batch-size, "
            "--label-fraction and --set of training and evaluation may stand beside it."
        )


def _with_file(config: Path, options: dict[str, Any], given: set[str]) -> dict[str, Any]:
    """Fill in what the file says and the command line does not; the file's settings that are left."""
    from gwbench.suite.run_file import read_run_file

    description = read_run_file(config)
    of_file = {name: value for name, value in description.options.items() if name not in given}
    dropped: set[str] = set()
    contract = _contract(options["baseline"])
    if contract and not contract.pretrains:  # the file's pre-training gives way to the baseline of the command line
        dropped |= {name for name in (*PRETRAINING, "training") if name not in given}
        dropped |= set() if contract.trains else {"precision"}
        dropped |= set() if contract.needs_encoder else {"encoder", "encoder_groups"} - given
    options |= {name: value for name, value in of_file.items() if name not in dropped}
    if "plugins" in given:
        options["plugins"] = tuple(dict.fromkeys((*description.options.get("plugins", ()), *options["plugins"])))
    return {
        key: value
        for key, value in description.settings.items()
        if _still_has(key, options, description.options, dropped)
    }


def _still_has(key: str, options: Mapping[str, Any], of_file: Mapping[str, Any], dropped: set[str]) -> bool:
    """Whether the run has the part that a setting of the file is of, as the file names it."""
    section, _, name = key.partition(".")
    if section not in KINDS:
        return section not in dropped
    if KINDS[section].several:
        return name.partition(".")[0] in (options[KINDS[section].plural] or ())
    return section not in dropped and options[section] == of_file.get(section)


def _contract(baseline: str | None) -> type[Baseline] | None:
    from gwbench.registry.compatibility import contract_of

    return contract_of(baseline) if baseline else None


def _setting(name: str, baseline: str | None, contract: type[Baseline] | None, request: RunRequest) -> str:
    """The setting that a short option is of in this run.

    Raises:
        UserError: none that has an effect.
    """
    key = SHORTCUTS[name]
    if baseline is None or contract is None:
        return key
    if name == "label_fraction":
        _refuse_labels(baseline)
        return key
    from gwbench.registry.parameters import parameters

    own = {parameter.name: parameter for parameter in parameters(REGISTRY.get("baseline", baseline))}
    if contract.pretrains:
        if name in own and contract.trains:
            request.notes.append(
                f"{_flag(name)} is of pre-training; what the baseline {baseline!r} trains then is set by "
                f"baseline.{name}, {own[name].default_text} by default."
            )
        return key
    if not contract.trains:
        raise UserError(f"{_flag(name)} has no effect: the baseline {baseline!r} trains nothing. Leave it out.")
    if name not in own:
        listing = "; ".join(map(str, own.values())) or "no parameters"
        raise UserError(
            f"{_flag(name)} has no effect: the baseline {baseline!r} has no parameter {name!r}. It takes: {listing}."
        )
    return f"baseline.{name}"


def _refuse_labels(baseline: str) -> None:
    tags = REGISTRY.get("baseline", baseline).tags
    for tag, why in ((ALL_LABELS_TAG, "uses every label"), (NO_LABELS_TAG, "uses no label")):
        if tag in tags:
            raise UserError(f"--label-fraction has no effect: the baseline {baseline!r} {why}. Leave it out.")


def _refuse_without_effect(request: RunRequest, given: set[str], contract: type[Baseline] | None) -> None:
    """Raise `UserError` where an option was given that this run has no use for."""
    options = request.options
    baseline, pairing, groups = (options[name] for name in ("baseline", "pairing", "encoder_groups"))
    if options["encoder_from"] is None and "conditioner" in given:
        raise UserError("--conditioner is of another run's encoder: name the run by --encoder-from, or leave it out.")
    if options["encoder_from"] is not None and "precision" in given:
        raise UserError("--precision has no effect beside --encoder-from, which trains nothing. Leave it out.")
    if contract and "precision" in given and not (contract.trains or contract.pretrains):
        raise UserError(
            f"--precision {options['precision']} has no effect: the baseline {baseline!r} trains nothing. Leave it out."
        )
    if "encoder_groups" in given and groups == "shared":
        if contract and not (contract.needs_encoder or contract.pretrains):
            raise UserError(f"The baseline {baseline!r} has no encoder: leave out --encoder-groups {groups}.")
        part: Any = REGISTRY.get("pairing", pairing).target if pairing else None
        if part and part.network:
            raise UserError(
                f"The pairing {pairing!r} shows an encoder all detectors at once: leave out --encoder-groups {groups}, "
                "or choose another pairing."
            )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
