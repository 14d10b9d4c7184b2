"""A run's folder with everything in it that a report shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gwbench.experiment.record import DIAGNOSTICS, PREDICTIONS, RECORD, write_arrays
from tests.reporting.synthetic_runs import LABEL, SNR, scores_of, write_run

EVIL = "<img src=x onerror=document.title='pwned'></script><script>document.title='pwned'</script>&\"' $x$ \u202e"
FEATURES, WIDTH, WINDOWS = 6, 24, 400


def embeddings() -> np.ndarray[Any, Any]:
    """[300, 6]: loud signals far from noise."""
    rng = np.random.default_rng(5)
    away = np.nan_to_num(SNR)[:, None] * rng.normal(size=FEATURES) / 10
    return np.asarray(rng.normal(size=(len(LABEL), FEATURES)) + away, np.float32)


def matrix() -> np.ndarray[Any, Any]:
    """[24, 24] of projections whose two views share half of their variance."""
    rng = np.random.default_rng(6)
    common, a, b = rng.normal(size=(3, WINDOWS, WIDTH))
    found = np.corrcoef(common + a, common + b, rowvar=False)[:WIDTH, WIDTH:]
    return np.asarray(found, np.float16)


def write_full_run(root: Path, edit: Callable[[dict[str, Any]], None] | None = None, **options: Any) -> Path:
    """As `write_run`, with the history of its training, a probe, embeddings and a cross-correlation matrix."""

    def complete(document: dict[str, Any]) -> None:
        document["training"] = {
            "loss": [400.0, 250.0, 180.0],
            "collapse": [{"spread": s, "effective_rank": r} for s, r in ((0.4, 12.0), (0.8, 30.0), (0.9, 35.5))],
            "warning": None,
            "resumed_from": 0,
        }
        document["details"] = {
            "probe_strength": 1000.0,
            "probe_converged": True,
            "probe_path": [{"strength": 1e4, "val_auc": 0.91}, {"strength": 1e3, "val_auc": 0.93}],
        }
        document["environment"]["packages"] = {"torch": "2.14.1"}
        document["seeds"] = {"init": 12345}
        if edit:
            edit(document)

    place = write_run(root, edit=complete, **options)
    score = scores_of(options.get("quality", 1.5), options.get("seed", 0), title(place))
    arrays = {"label": LABEL, "score": score, "snr": SNR, "embedding": embeddings()}
    write_arrays(place / PREDICTIONS, arrays)
    write_matrix(place)
    return place


def write_matrix(place: Path, found: np.ndarray[Any, Any] | None = None, **changed: Any) -> None:
    """Write what pre-training leaves to look at."""
    kept = matrix() if found is None else found
    arrays = {"cross_correlation": kept, "dimension": np.arange(len(kept)), "width": np.array(len(kept)),
              "windows": np.array(WINDOWS)}  # fmt: skip
    write_arrays(place / DIAGNOSTICS, arrays | changed)


def title(place: Path) -> str:
    """What `write_run` draws a method's scores by."""
    spec = json.loads((place / RECORD).read_text())["spec"]
    kinds = ("encoder", "pairing", "objective")
    return " + ".join(spec[kind]["name"] for kind in kinds)
