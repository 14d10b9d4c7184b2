"""The new places of modules that were moved when the packages were rearranged, during version 0.1.0.

An import by an old path works, and gives one warning that names the new path. `gwbench` uses this module only where
Python finds no module of a name, so that other imports are not slowed down.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_PACKAGES: dict[str, tuple[str, dict[str, str]]] = {
    "data.conditioning": (
        "preprocessing",
        {
            "batches": "dataloading.prefetch",
            "budget": "utils.memory",
            "condition": "preprocessing.conditioning",
            "conditioned": "dataloading.conditioned_split",
            "conditioned_files": "dataloading.cache_files",
            "conditioner": "preprocessing.base",
            "noise": "preprocessing.noise_source",
            "row_file": "dataloading.row_cache",
            "simulated_signals": "preprocessing.signal_source",
            "whitening": "data.whitening_filters",
            "zero_phase": "data.zero_phase",
        },
    ),
    "data.pictures": (
        "reporting.strain_plots",
        {"portrait": "reporting.strain_plots.window_view", "strain_portrait": "reporting.strain_plots.file_view"},
    ),
    "data.recorded": (
        "data.strain_files",
        {
            "injections": "simulation.injections",
            "noise_notes": "simulation.injection_notes",
            "shares": "data.strain_files.splitting",
            "strain_files": "data.strain_files.reading",
        },
    ),
    "data.simulation": (
        "simulation",
        {"lal_calls": "data.lal_quiet", "loudness": "simulation.snr_models", "simulate": "simulation.strain"},
    ),
    "distributed": (
        "training.distributed",
        {
            "company": "experiment.launch_external",
            "joined": "training.distributed.global_batch",
            "relay": "utils.progress_relay",
            "team": "training.distributed.process_group",
            "workers": "experiment.launch_local",
        },
    ),
    "evaluate": (
        "evaluation",
        {
            "multiple": "evaluation.multiple_comparisons",
            "neighbours": "evaluation.knn",
            "probe": "evaluation.linear_probe",
            "replicates": "evaluation.seed_inference",
        },
    ),
    "layers": (
        "nn.layers",
        {
            "fused": "nn.fused",
            "sliding": "nn.direct_conv",
            "spectral": "nn.fft_conv",
            "synced": "nn.sync_batchnorm",
        },
    ),
    "leaderboard": (
        "reporting.leaderboard",
        {
            "comparisons": "reporting.leaderboard.significance",
            "entry": "reporting.records.entry",
            "escape": "reporting.escape",
            "figures": "reporting.leaderboard.metrics",
            "formats": "reporting.leaderboard.text_formats",
            "found": "reporting.records.discover",
            "marks": "reporting.leaderboard.tags",
            "method": "reporting.records.method",
            "model": "reporting.leaderboard.schema",
            "order": "reporting.leaderboard.sorting",
            "predictions": "reporting.records.predictions",
            "tables": "reporting.leaderboard.grouping",
        },
    ),
    "pages": (
        "reporting.html",
        {
            "report_account": "reporting.html.report_provenance",
            "report_files": "reporting.html.report_inputs",
            "words": "reporting.html.formatting",
        },
    ),
    "search": ("matched_filter", {"bank": "matched_filter.template_bank"}),
    "trackers": (
        "experiment.loggers",
        {
            "figures": "experiment.loggers.metrics",
            "tracked": "experiment.loggers.async_logger",
            "tracker": "experiment.loggers.backends",
        },
    ),
}
"""Old packages: the new package, and the modules that were renamed or moved elsewhere."""

_MODULES = {
    "callbacks": "training.callbacks",
    "collapse": "training.collapse",
    "combination": "registry.compatibility",
    "diagnostics": "training.diagnostics",
    "encoding": "nn.detector_encoder",
    "environment": "experiment.environment",
    "files": "utils.files",
    "filter_bank": "nn.filter_bank",
    "fit": "training.trainer",
    "frozen": "experiment.checkpoint",
    "kept_fronts": "training.front_end_cache",
    "laboratory": "experiment.context",
    "momentum": "training.ema",
    "notebook": "experiment.recorder",
    "parameters": "registry.parameters",
    "pretrain": "training.pretrain",
    "processes": "utils.subprocesses",
    "progress": "utils.progress",
    "record": "experiment.record",
    "run_folder": "experiment.run_directory",
    "runner": "experiment.runner",
    "scaffold": "registry.scaffold",
    "spec": "experiment.spec",
    "suite.ray_room": "suite.ray_capacity",
    "supervised": "training.supervised",
    "workbench": "experiment.data_cache",
}
"""Other modules of then."""

_NAMES = {
    "gwbench.data.strain_files.segments": {"Stretch": "Segment", "good_stretches": "good_segments"},
    "gwbench.evaluation.linear_probe": {"PROTOCOL": "gwbench.evaluation.version:PROTOCOL"},
    "gwbench.experiment.context": {
        "Laboratory": "ExperimentContext",
        "hide_test": "gwbench.experiment.blinding:hide_test",
    },
    "gwbench.experiment.data_cache": {"Workbench": "DataCache"},
    "gwbench.experiment.recorder": {"Notebook": "RunRecorder"},
    "gwbench.experiment.run_directory": {"folder_of": "directory_of", "lenders": "reusable_runs"},
    "gwbench.experiment.spec": {
        "Evaluation": "EvaluationSettings",
        "Training": "gwbench.training.settings:TrainingSettings",
    },
    "gwbench.registry.parameters": {"reason": "gwbench.utils.validation_errors:reason"},
    "gwbench.reporting.leaderboard.text_formats": {"FORMATS": "gwbench.reporting.formats:FORMATS"},
    "gwbench.simulation.glitches": {"KINDS": "GLITCH_KINDS"},
    "gwbench.simulation.snr_models": {"Loudness": "SnrDistribution", "Uniform": "UniformSnr"},
    "gwbench.simulation.strain": {"Noise": "GaussianNoise"},
    "gwbench.training.distributed.process_group": {"Team": "ProcessGroup"},
    "gwbench.training.ema": {"follow": "ema_update", "slow_copy": "ema_copy"},
    "gwbench.training.front_end_cache": {"KeptFronts": "FrontEndCache"},
    "gwbench.training.pretrain": {"Method": "gwbench.training.method:SslMethod"},
}
"""By new module: the new name of each old name, with its module where that is another one."""


def present_module(name: str) -> str | None:
    """The new path of an old module, such as "gwbench.momentum"; None if there was no such module."""
    old = name.removeprefix("gwbench.")
    if old in _MODULES:
        return f"gwbench.{_MODULES[old]}"
    for package, (present, modules) in _PACKAGES.items():
        if old == package:
            return f"gwbench.{present}"
        module = old.removeprefix(f"{package}.")
        if module != old and "." not in module:
            return f"gwbench.{modules.get(module, f'{present}.{module}')}"
    return None


def find_moved(name: str) -> ModuleSpec | None:
    """A spec that loads the new module under its old path; None if there is none."""
    present = present_module(name)
    if present is None or importlib.util.find_spec(present) is None:
        return None
    return ModuleSpec(name, _MovedLoader(present), is_package=name.removeprefix("gwbench.") in _PACKAGES)


class _MovedLoader(Loader):
    def __init__(self, present: str) -> None:
        self._present = present

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _MovedModule(spec.name, importlib.import_module(self._present))

    def exec_module(self, module: ModuleType) -> None:
        if not hasattr(module, "__path__"):  # a package is usually imported for one of its modules
            _say(module.__name__, self._present)


def _say(name: str, present: str) -> None:
    warnings.warn(f"{name} is {present} now: import from there.", FutureWarning, stacklevel=3)


class _MovedModule(ModuleType):
    """An old module: has what the new module has, under old names too."""

    def __init__(self, name: str, present: ModuleType) -> None:
        super().__init__(name, present.__doc__)
        self._present, self._said = present, False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or present_module(f"{self.__name__}.{name}") in sys.modules:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if hasattr(self, "__path__") and not self._said:
            self._said = True
            _say(self.__name__, self._present.__name__)
        renamed = _NAMES.get(self._present.__name__, {}).get(name, name)
        module, _, attribute = renamed.rpartition(":")
        return getattr(importlib.import_module(module) if module else self._present, attribute)
