"""benchmarks/glitch_losses.py: what scores lose on windows with glitches."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks.glitch_losses import has_glitch, losses, table
from gwbench.data.dataset import Split
from gwbench.errors import UserError


def test_figures_are_those_of_either_kind_of_windows() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(2, size=800).astype(np.int8)
    glitchy = rng.random(800) < 0.5
    sound = label + rng.standard_normal(800) * 0.5
    fooled = np.where(glitchy & (label == 0), sound + 1, sound)
    first, second = losses(label, glitchy, [sound, fooled])
    for kind, some in (("clean", ~glitchy), ("glitchy", glitchy)):
        assert second[f"auc {kind}"].value == pytest.approx(roc_auc_score(label[some], fooled[some]))
    assert second["auc loss"].value == second["auc clean"].value - second["auc glitchy"].value
    assert second["- auc loss"].value == pytest.approx(second["auc loss"].value - first["auc loss"].value)
    assert second["- auc loss"].low > 0 == first["- auc loss"].value
    noise = label == 0
    threshold = np.sort(fooled[noise & ~glitchy])[::-1][int(0.01 * np.sum(noise & ~glitchy))]
    assert second["passed"].value == np.mean(fooled[noise & glitchy] > threshold)
    assert table(["a", "b"], [first, second])[3].startswith("| b | 0.")


def test_windows_with_a_glitch_in_any_detector_are_told() -> None:
    empty = np.zeros((3, 1, 1), np.float32)
    counts = {"glitches_H1": np.array([0.0, 2.0, 0.0]), "glitches_L1": np.array([0.0, 0.0, 1.0])}
    split = Split(empty, np.zeros(3, np.int8), np.zeros(3), parameters=counts)
    assert has_glitch(split).tolist() == [False, True, True]
    with pytest.raises(UserError, match="tells of no glitches"):
        has_glitch(Split(empty, np.zeros(3, np.int8), np.zeros(3), parameters={}))
