"""gwbench: a benchmark toolkit for self-supervised learning on gravitational-wave strain.

import gwbench
record = gwbench.run()
record.auc
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gwbench._version import __version__
from gwbench.utils.namesake import warn_of_namesake

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from gwbench import contracts, errors, registry, seeds
    from gwbench.data.array_dataset import ArrayDataset
    from gwbench.evaluation.probe import Probe
    from gwbench.experiment.checkpoint import FrozenEncoder, load_encoder
    from gwbench.experiment.embedder import Embedder
    from gwbench.experiment.loss import Loss
    from gwbench.experiment.open_dataset import open_dataset
    from gwbench.experiment.pair_dataset import PairDataset
    from gwbench.experiment.record import RunRecord, read_record
    from gwbench.experiment.run import run
    from gwbench.experiment.scorer import load_scorer
    from gwbench.registry import register
    from gwbench.reporting.figures import plot_learning, plot_roc, plot_window
    from gwbench.reporting.leaderboard.ranking import rank as leaderboard
    from gwbench.search.predict.predictor import predict
    from gwbench.search.scan import scan
    from gwbench.sharing.export import export
    from gwbench.sharing.verify import verify

_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "setup.cfg").is_file() and (_checkout / "plugins" / "__init__.py").is_file():
    # In a checkout `gwbench.plugins` lies beside this folder. An installation knows that; Python started in the
    # checkout, which finds this folder first, does not.
    __path__.append(str(_checkout))


class _MovedModules:
    """Finds modules by their old paths where Python finds nothing (`gwbench.utils.moved_modules`)."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Called by Python's import."""
        if not name.startswith("gwbench.") or name.startswith(("gwbench.utils", "gwbench.plugins")):
            return None
        from gwbench.utils.moved_modules import find_moved

        return find_moved(name)


sys.meta_path.append(_MovedModules)
warn_of_namesake(Path(__file__).resolve().parent.parent)

__all__ = [
    "ArrayDataset",
    "Embedder",
    "FrozenEncoder",
    "Loss",
    "PairDataset",
    "Probe",
    "RunRecord",
    "__version__",
    "contracts",
    "errors",
    "export",
    "leaderboard",
    "load_encoder",
    "load_scorer",
    "open_dataset",
    "plot_learning",
    "plot_roc",
    "plot_window",
    "predict",
    "read_record",
    "register",
    "registry",
    "run",
    "scan",
    "seeds",
    "verify",
]

_HOMES = {
    "ArrayDataset": "gwbench.data.array_dataset",
    "Embedder": "gwbench.experiment.embedder",
    "FrozenEncoder": "gwbench.experiment.checkpoint",
    "Loss": "gwbench.experiment.loss",
    "PairDataset": "gwbench.experiment.pair_dataset",
    "Probe": "gwbench.evaluation.probe",
    "RunRecord": "gwbench.experiment.record",
    "export": "gwbench.sharing.export",
    "leaderboard": "gwbench.reporting.leaderboard.ranking:rank",
    "load_encoder": "gwbench.experiment.checkpoint",
    "load_scorer": "gwbench.experiment.scorer",
    "open_dataset": "gwbench.experiment.open_dataset",
    "plot_learning": "gwbench.reporting.figures",
    "plot_roc": "gwbench.reporting.figures",
    "plot_window": "gwbench.reporting.figures",
    "predict": "gwbench.search.predict.predictor",
    "read_record": "gwbench.experiment.record",
    "register": "gwbench.registry",
    "run": "gwbench.experiment.run",
    "scan": "gwbench.search.scan",
    "verify": "gwbench.sharing.verify",
}

_MODULES = ("contracts", "errors", "registry", "seeds")
"""What the authors of plugins import."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import gwbench` stays instant."""
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"gwbench.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'gwbench' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    """The public names, whether they have been used yet or not."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
