"""Modules by their former names: a plugin written for the tree before still runs.

Until the files were grouped by subject, many modules had another name. `gwbench/__init__.py` asks `find_spec` for a
module of gwbench that does not exist. What plugins were offered is found under its old name, with a
DeprecationWarning that says the new one. Any other old name raises an ImportError that says where its content is.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

OFFERED = {
    "gwbench.data.conditioning": "gwbench.preprocessing",
    "gwbench.data.conditioning.batches": "gwbench.dataloading.prefetch",
    "gwbench.data.conditioning.budget": "gwbench.utils.memory",
    "gwbench.data.conditioning.condition": "gwbench.preprocessing.conditioning",
    "gwbench.data.conditioning.conditioned": "gwbench.dataloading.conditioned_split",
    "gwbench.data.conditioning.conditioned_files": "gwbench.dataloading.cache_files",
    "gwbench.data.conditioning.conditioner": "gwbench.preprocessing.base",
    "gwbench.data.conditioning.noise": "gwbench.preprocessing.noise_source",
    "gwbench.data.conditioning.row_file": "gwbench.dataloading.row_cache",
    "gwbench.data.conditioning.simulated_signals": "gwbench.preprocessing.signal_source",
    "gwbench.data.conditioning.whitening": "gwbench.data.whitening_filters",
    "gwbench.data.conditioning.zero_phase": "gwbench.data.zero_phase",
    "gwbench.data.pictures": "gwbench.reporting.strain_plots",
    "gwbench.data.pictures.plots": "gwbench.reporting.strain_plots.plots",
    "gwbench.data.pictures.portrait": "gwbench.reporting.strain_plots.window_view",
    "gwbench.data.pictures.q_transform": "gwbench.reporting.strain_plots.q_transform",
    "gwbench.data.pictures.strain_portrait": "gwbench.reporting.strain_plots.file_view",
    "gwbench.data.recorded": "gwbench.data.strain_files",
    "gwbench.data.recorded.frame_integrity": "gwbench.data.strain_files.frame_integrity",
    "gwbench.data.recorded.frames": "gwbench.data.strain_files.frames",
    "gwbench.data.recorded.injections": "gwbench.simulation.injections",
    "gwbench.data.recorded.known_events": "gwbench.data.strain_files.known_events",
    "gwbench.data.recorded.noise_notes": "gwbench.simulation.injection_notes",
    "gwbench.data.recorded.recording": "gwbench.data.strain_files.recording",
    "gwbench.data.recorded.resample": "gwbench.data.strain_files.resample",
    "gwbench.data.recorded.segments": "gwbench.data.strain_files.segments",
    "gwbench.data.recorded.shares": "gwbench.data.strain_files.splitting",
    "gwbench.data.recorded.strain_files": "gwbench.data.strain_files.reading",
    "gwbench.data.recorded.strain_hdf5": "gwbench.data.strain_files.strain_hdf5",
    "gwbench.data.recorded.tracked_psd": "gwbench.data.strain_files.tracked_psd",
    "gwbench.data.simulation": "gwbench.simulation",
    "gwbench.data.simulation.binaries": "gwbench.simulation.binaries",
    "gwbench.data.simulation.cosmology": "gwbench.simulation.cosmology",
    "gwbench.data.simulation.dominant_mode": "gwbench.simulation.dominant_mode",
    "gwbench.data.simulation.glitches": "gwbench.simulation.glitches",
    "gwbench.data.simulation.grids": "gwbench.simulation.grids",
    "gwbench.data.simulation.lal_calls": "gwbench.data.lal_quiet",
    "gwbench.data.simulation.loudness": "gwbench.simulation.snr_models",
    "gwbench.data.simulation.population": "gwbench.simulation.population",
    "gwbench.data.simulation.priors": "gwbench.simulation.priors",
    "gwbench.data.simulation.projection": "gwbench.simulation.projection",
    "gwbench.data.simulation.real_glitches": "gwbench.simulation.real_glitches",
    "gwbench.data.simulation.signals": "gwbench.simulation.signals",
    "gwbench.data.simulation.simulate": "gwbench.simulation.strain",
    "gwbench.data.simulation.simulated_dataset": "gwbench.simulation.simulated_dataset",
    "gwbench.data.simulation.tables": "gwbench.simulation.tables",
    "gwbench.data.simulation.waveforms": "gwbench.simulation.waveforms",
    "gwbench.encoding": "gwbench.nn.detector_encoder",
    "gwbench.evaluate": "gwbench.evaluation",
    "gwbench.evaluate.metrics": "gwbench.evaluation.metrics",
    "gwbench.evaluate.multiple": "gwbench.evaluation.multiple_comparisons",
    "gwbench.evaluate.neighbours": "gwbench.evaluation.knn",
    "gwbench.evaluate.probe": "gwbench.evaluation.linear_probe",
    "gwbench.evaluate.protocol": "gwbench.evaluation.protocol",
    "gwbench.evaluate.replicates": "gwbench.evaluation.seed_inference",
    "gwbench.evaluate.statistics": "gwbench.evaluation.statistics",
    "gwbench.files": "gwbench.utils.files",
    "gwbench.filter_bank": "gwbench.nn.filter_bank",
    "gwbench.layers": "gwbench.nn.layers",
    "gwbench.layers.fused": "gwbench.nn.fused",
    "gwbench.layers.sliding": "gwbench.nn.direct_conv",
    "gwbench.layers.spectral": "gwbench.nn.fft_conv",
    "gwbench.layers.synced": "gwbench.nn.sync_batchnorm",
    "gwbench.momentum": "gwbench.training.ema",
    "gwbench.progress": "gwbench.utils.progress",
    "gwbench.search": "gwbench.matched_filter",
    "gwbench.search.bank": "gwbench.matched_filter.template_bank",
    "gwbench.search.coincidence": "gwbench.matched_filter.coincidence",
    "gwbench.search.inner_product": "gwbench.matched_filter.inner_product",
    "gwbench.search.templates": "gwbench.matched_filter.templates",
    "gwbench.search.waveforms": "gwbench.matched_filter.waveforms",
    "gwbench.supervised": "gwbench.training.supervised",
}
"""What plugins were offered: the former name of a module and its name now."""

RENAMED = {
    "gwbench.data.pictures.portrait": {"KINDS": "CLASSES"},
    "gwbench.data.recorded.segments": {"Stretch": "Segment", "good_stretches": "good_segments"},
    "gwbench.data.recorded.tracked_psd": {"NoiseStretch": "NoiseSegment"},
    "gwbench.data.simulation.glitches": {"KINDS": "GLITCH_KINDS"},
    "gwbench.data.simulation.loudness": {"Loudness": "SnrDistribution", "Uniform": "UniformSnr"},
    "gwbench.data.simulation.simulate": {"Noise": "GaussianNoise"},
    "gwbench.data.simulation.tables": {"Table": "InterpolationTable"},
    "gwbench.evaluate.neighbours": {"neighbour_scores": "knn_scores"},
    "gwbench.evaluate.probe": {"PROTOCOL": "gwbench.evaluation.version:PROTOCOL"},
    "gwbench.momentum": {"slow_copy": "ema_copy", "follow": "ema_update"},
    "gwbench.supervised": {"Training": "ClassifierTraining"},
}
"""By the former name of a module: what it held under another name, or (`module:name`) holds no longer."""

INTERNAL = {
    "gwbench._loading": "gwbench.registry.importing",
    "gwbench._source": "gwbench.registry.static_metadata",
    "gwbench.callbacks": "gwbench.training.callbacks",
    "gwbench.collapse": "gwbench.training.collapse",
    "gwbench.combination": "gwbench.registry.compatibility",
    "gwbench.diagnostics": "gwbench.training.diagnostics",
    "gwbench.distributed": "gwbench.training.distributed",
    "gwbench.environment": "gwbench.experiment.environment",
    "gwbench.fit": "gwbench.training.trainer",
    "gwbench.frozen": "gwbench.experiment.checkpoint",
    "gwbench.kept_fronts": "gwbench.training.front_end_cache",
    "gwbench.laboratory": "gwbench.experiment.context",
    "gwbench.leaderboard": "gwbench.reporting.leaderboard",
    "gwbench.notebook": "gwbench.experiment.recorder",
    "gwbench.pages": "gwbench.reporting.html",
    "gwbench.parameters": "gwbench.registry.parameters",
    "gwbench.pretrain": "gwbench.training.pretrain",
    "gwbench.processes": "gwbench.utils.subprocesses",
    "gwbench.record": "gwbench.experiment.record",
    "gwbench.run_folder": "gwbench.experiment.run_directory",
    "gwbench.runner": "gwbench.experiment.runner",
    "gwbench.scaffold": "gwbench.registry.scaffold",
    "gwbench.spec": "gwbench.experiment.spec",
    "gwbench.trackers": "gwbench.experiment.loggers",
    "gwbench.workbench": "gwbench.experiment.data_cache",
}
"""gwbench's own modules: the former name and the one now. They cannot be imported by the former one."""


def find_spec(name: str) -> ModuleSpec | None:
    """How to import a module by its former name; None where it had none.

    A module of gwbench's own is found too, so that asking for it raises nothing. Only its import does.
    """
    if name in OFFERED or name in INTERNAL:
        return ModuleSpec(name, _Former(), is_package=True)
    return None


class _Former(Loader):
    """Imports the module that took the place of another."""

    def create_module(self, spec: ModuleSpec) -> None:
        """Let an ordinary module be made."""
        if spec.name in INTERNAL:
            new = INTERNAL[spec.name]
            # No ModuleNotFoundError: `from gwbench import runner` would hide the message of one.
            raise ImportError(f"{spec.name} has moved to {new}: import what you need from there.", name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Give it everything that the new module has, under former names as well."""
        name = module.__name__
        new = importlib.import_module(OFFERED[name])
        if not hasattr(new, "__path__"):  # of a package, what is imported from it is named
            _warn(f"{name} is {OFFERED[name]} now: import from there.")
        public = {key: value for key, value in vars(new).items() if _public(key, value)}
        vars(module).update(public, __doc__=new.__doc__)
        for former, today in RENAMED.get(name, {}).items():
            home, _, attribute = today.rpartition(":")
            setattr(module, former, getattr(importlib.import_module(home) if home else new, attribute))

        def find(attribute: str) -> Any:
            former = f"{name}.{attribute}"
            return importlib.import_module(former) if former in OFFERED else getattr(new, attribute)

        # Modules below it by their former names, and what the new one finds late.
        module.__dict__["__getattr__"] = find


def _public(name: str, value: object) -> bool:
    return not name.startswith("__") and not isinstance(value, ModuleType)


def _warn(message: str) -> None:
    """Warn where the import is written: a level counted from here would depend on how it was imported."""
    frame = sys._getframe(1)
    while frame.f_back is not None and ("importlib" in frame.f_code.co_filename or frame.f_globals is globals()):
        frame = frame.f_back
    module = frame.f_globals.get("__name__", "<unknown>")
    warnings.warn_explicit(message, DeprecationWarning, frame.f_code.co_filename, frame.f_lineno, module=module)
