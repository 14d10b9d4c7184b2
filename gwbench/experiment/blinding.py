"""What a method must not see of the test split."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gwbench.contracts import StrainSplits
from gwbench.experiment.spec import RunSpec
from gwbench.registry import REGISTRY


def hide_test(splits: StrainSplits, spec: RunSpec) -> StrainSplits:
    """The splits without what is known of the test windows, so that nothing that learns or searches can look at it.

    Labels become -1. SNRs and parameters would tell the labels too, as noise has none: they become NaN, but for a
    baseline that declares `sees_sources`.
    """
    test = replace(splits.test, label=np.full_like(splits.test.label, -1))
    baseline: Any = spec.baseline and REGISTRY.get("baseline", spec.baseline.name).target
    if not (baseline and baseline.sees_sources):
        unknown = np.full(len(test), np.nan, np.float32)
        test = replace(test, snr=unknown, parameters=dict.fromkeys(test.parameters, unknown))
    return replace(splits, test=test)
