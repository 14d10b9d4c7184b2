"""The linear probe: how far a straight line through frozen embeddings separates signal from noise.

Protocol version 1. Embeddings are standardised with the mean and standard deviation of the labelled training
windows. An L2-regularised logistic regression is fitted to those windows over a grid of strengths, from strong
to weak; the strength with the highest ROC-AUC on the validation split is kept, and where strengths tie, the
strongest of them. A grid whose edge wins is continued while that helps, three steps at most. The test
embeddings are scored once, after the choice.

The standardised copy that is fitted is float32, as encoders give it: at 100,000 windows of 6144 features it
takes 2.5 GB, half of what float64 would, and a fit runs twice as fast. Sums and scores are float64, block by
block, so that the other splits are never copied. Against a float64 fit the AUC moves by about 1e-4, far below
its interval.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gwbench.errors import UserError
from gwbench.evaluation.labelled import draw_labelled, known_rows, one_class
from gwbench.evaluation.statistics import auc

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

    from gwbench.nn.linear_head import LinearHead

Array = NDArray[Any]
Floats = NDArray[np.float64]

STRENGTHS = (1e5, 1e4, 1e3, 1e2, 1e1, 1.0)
"""Default grid: lambda in sum(log-loss) + lambda/2 |w|^2 on standardised features; scikit-learn's 1/C."""

MAX_EXTENSIONS = 3
"""Steps by which a grid may be continued beyond its edge."""

MAX_ITERATIONS = 1000
GRADIENT_TOLERANCE = 1e-5
"""On the largest component of the gradient of the mean loss; what float32 resolves."""

FARTHEST = 1e6
"""Standard deviations at which a standardised feature is cut off, so that one which hardly varies in the labelled
training part and does elsewhere cannot overflow. Training windows never get there: they lie within sqrt(n)."""

BLOCK_BYTES = 64 * 2**20
"""Size of a block of embeddings in float64."""


@dataclass(frozen=True)
class ProbeFit:
    """One strength of the grid, and what it gave.

    Attributes:
        strength: of the regularisation.
        val_auc: ROC-AUC on the labelled validation windows.
        iterations: of L-BFGS, from the solution of the next stronger fit.
        converged: False where L-BFGS stopped before it met its tolerance.
    """

    strength: float
    val_auc: float
    iterations: int
    converged: bool


@dataclass(frozen=True)
class ProbeResult:
    """Scores of a linear probe: log-odds of "signal".

    Attributes:
        test_scores: [N_test].
        val_scores: [N_val], unlabelled windows included.
        chosen: the fit that gave the scores.
        path: every fit, strongest regularisation first.
        n_train: labelled windows that were fitted.
        standardiser: of the embeddings, fitted to these windows.
        weight: [F] of standardised features.
        intercept: added to their weighted sum.
    """

    test_scores: Floats
    val_scores: Floats
    chosen: ProbeFit
    path: tuple[ProbeFit, ...]
    n_train: int
    standardiser: Standardiser
    weight: Floats
    intercept: float

    @property
    def strength(self) -> float:
        """The strength that validation chose."""
        return self.chosen.strength

    @property
    def val_auc(self) -> dict[float, float]:
        """ROC-AUC on validation by strength."""
        return {fit.strength: fit.val_auc for fit in self.path}

    def decision(self, x: Array) -> Floats:
        """Log-odds [N] of further embeddings [N, F]."""
        return _decision(x, self.standardiser, self.weight, self.intercept)

    def head(self) -> LinearHead:
        """The probe as a module, [B, F] -> [B]: what scores new embeddings as the test split was scored."""
        import torch

        from gwbench.nn.linear_head import LinearHead

        values = (self.standardiser.mean, self.standardiser.inverse_std, self.weight, np.asarray(self.intercept))
        return LinearHead(*map(torch.from_numpy, values))


@dataclass(frozen=True)
class Standardiser:
    """Takes every feature to zero mean and unit standard deviation; a constant feature to zero.

    Attributes:
        mean: [F].
        inverse_std: [F]; 0 where a feature is constant up to its rounding.
    """

    mean: Floats
    inverse_std: Floats

    @classmethod
    def fit(cls, x: Array) -> Standardiser:
        """Measure embeddings [N, F]."""
        mean = sum(block.sum(axis=0) for _, block in _blocks(x)) / len(x)
        std = np.sqrt(sum(((block - mean) ** 2).sum(axis=0) for _, block in _blocks(x)) / len(x))
        rounding = float(np.finfo(x.dtype).eps) if np.issubdtype(x.dtype, np.floating) else 0.0
        varies = std > 4.0 * rounding * np.abs(mean)
        return cls(mean, np.divide(1.0, std, out=np.zeros_like(std), where=varies))

    def blocks(self, x: Array) -> Iterator[tuple[slice, Floats]]:
        """Standardised embeddings, float64, a bounded number of rows at a time, with the rows they are."""
        for rows, block in _blocks(x):
            yield rows, np.clip((block - self.mean) * self.inverse_std, -FARTHEST, FARTHEST)

    def transform(self, x: Array) -> NDArray[np.float32]:
        """Standardised embeddings [N, F] as float32."""
        out = np.empty(x.shape, dtype=np.float32)
        for rows, block in self.blocks(x):
            out[rows] = block
        return out


def linear_probe(
    train_x: Array,
    train_y: Array,
    val_x: Array,
    val_y: Array,
    test_x: Array,
    *,
    strengths: Sequence[float] = STRENGTHS,
) -> ProbeResult:
    """Fit, choose on validation, score the test split.

    Args:
        train_x: [n, F] embeddings of the labelled training windows.
        train_y: [n] 1 signal, 0 noise; windows with any other label are ignored.
        val_x: [N_val, F].
        val_y: [N_val]; windows with a label other than 0 and 1 do not take part in the choice.
        test_x: [N_test, F].
        strengths: the grid. One strength alone is taken as it is; two or more may be extended at an edge.

    Raises:
        UserError: one class only, an embedding that is not finite, or a strength that is not positive.
        ValueError: wrong shapes.
    """
    grid = _checked_grid(strengths)
    seen, signals = labelled_part(train_x, train_y, "training")
    val_labelled = labelled_rows(val_x, val_y, "validation")
    if test_x.ndim != 2 or not train_x.shape[1] == val_x.shape[1] == test_x.shape[1]:
        raise ValueError(f"embeddings differ in width: {train_x.shape}, {val_x.shape}, {test_x.shape}")

    standardiser = Standardiser.fit(seen)
    probe = _Probe(standardiser.transform(seen), signals, standardiser, val_x, val_y, val_labelled)
    candidates = probe.search(grid)
    chosen = _best(candidates)

    require_finite(test_x, "test")
    return ProbeResult(
        test_scores=_decision(test_x, standardiser, chosen.weight, chosen.intercept),
        val_scores=chosen.val_scores,
        chosen=chosen.fit,
        path=tuple(candidate.fit for candidate in candidates),
        n_train=len(seen),
        standardiser=standardiser,
        weight=chosen.weight,
        intercept=chosen.intercept,
    )


def labelled_rows(x: Array, y: Array, split: str) -> NDArray[np.int64]:
    """The positions with a label of 0 or 1, once a split's embeddings are known to be fit for use.

    Raises:
        UserError: an embedding is not finite, or a class is absent.
        ValueError: wrong shapes.
    """
    if x.ndim != 2 or y.shape != (len(x),):
        raise ValueError(f"{split} embeddings {x.shape} and labels {y.shape} are not [N, F] and [N]")
    for value, name in ((0, "noise"), (1, "signal")):
        if not np.any(y == value):
            raise UserError(one_class(y, split, name))
    require_finite(x, split)
    return known_rows(y)


def labelled_part(x: Array, y: Array, split: str) -> tuple[Array, NDArray[np.bool_]]:
    """The embeddings with a label, not copied where all have one, and which of them are signals.

    Raises:
        UserError, ValueError: as in `labelled_rows`.
    """
    rows = labelled_rows(x, y, split)
    return (x if len(rows) == len(x) else x[rows]), y[rows] == 1


def require_finite(x: Array, split: str) -> None:
    """Raise `UserError` where an embedding [N, F] of a split holds NaN or infinity."""
    bad = sum(int(np.count_nonzero(~np.isfinite(block).all(axis=1))) for _, block in _blocks(x))
    if bad:
        raise UserError(
            f"{bad} of {len(x)} {split} embeddings hold NaN or infinity: the encoder diverged. "
            "Train it again with a smaller learning rate (--lr, or training.lr in a file) or in precision fp32."
        )


# --- the search over strengths ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Candidate:
    fit: ProbeFit
    weight: Floats
    intercept: float
    val_scores: Floats


@dataclass(frozen=True)
class _Probe:
    """Everything a fit needs: the standardised training part [n, F], its labels, and the validation split."""

    x: NDArray[np.float32]
    y: NDArray[np.bool_]
    standardiser: Standardiser
    val_x: Array
    val_y: Array
    val_labelled: NDArray[np.int64]

    def search(self, grid: tuple[float, ...]) -> list[_Candidate]:
        """Fit a descending grid and continue it where its edge wins; strongest first."""
        model = _new_model()
        candidates = [self.fit(model, strength) for strength in grid]
        for _ in range(MAX_EXTENSIONS if len(grid) > 1 else 0):
            best = _best(candidates)
            strengths = [candidate.fit.strength for candidate in candidates]
            if best is candidates[-1]:
                beyond = self.fit(model, strengths[-1] ** 2 / strengths[-2])
                candidates.append(beyond)
            elif best is candidates[0]:
                beyond = self.fit(_new_model(), strengths[0] ** 2 / strengths[1])
                candidates.insert(0, beyond)
            else:
                break
            # A tie is no reason to go on: scores stop changing as the strength grows.
            if beyond.fit.val_auc <= best.fit.val_auc:
                break
        return candidates

    def fit(self, model: LogisticRegression, strength: float) -> _Candidate:
        """One strength, starting from where `model` stands."""
        from sklearn.exceptions import ConvergenceWarning

        model.set_params(C=1.0 / strength)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(self.x, self.y)
        weight = model.coef_[0].astype(np.float64)
        intercept = float(model.intercept_[0])
        val_scores = _decision(self.val_x, self.standardiser, weight, intercept)
        fit = ProbeFit(
            strength=strength,
            val_auc=auc(self.val_y[self.val_labelled], val_scores[self.val_labelled]),
            iterations=int(model.n_iter_[0]),
            converged=not any(issubclass(warning.category, ConvergenceWarning) for warning in caught),
        )
        return _Candidate(fit, weight, intercept, val_scores)


def _new_model() -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(solver="lbfgs", warm_start=True, max_iter=MAX_ITERATIONS, tol=GRADIENT_TOLERANCE)


def _best(candidates: Sequence[_Candidate]) -> _Candidate:
    """The highest AUC on validation; the first, which is the strongest, of those that tie."""
    return max(candidates, key=lambda candidate: candidate.fit.val_auc)


def _decision(x: Array, standardiser: Standardiser, weight: Floats, intercept: float) -> Floats:
    """Log-odds [N] of embeddings [N, F]."""
    out = np.empty(len(x))
    for rows, block in standardiser.blocks(x):
        out[rows] = block @ weight + intercept
    return out


def _blocks(x: Array) -> Iterator[tuple[slice, Floats]]:
    """The rows of [N, F] as float64, a bounded number at a time."""
    step = max(1, BLOCK_BYTES // (8 * max(1, x.shape[1])))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        yield rows, x[rows].astype(np.float64)


def _checked_grid(strengths: Sequence[float]) -> tuple[float, ...]:
    grid = tuple(sorted({float(strength) for strength in strengths}, reverse=True))
    if not grid or not all(0.0 < strength < np.inf for strength in grid):
        raise UserError(f"probe strengths {tuple(strengths)} must be positive numbers, such as {STRENGTHS}")
    return grid


__all__ = [
    "FARTHEST",
    "STRENGTHS",
    "ProbeFit",
    "ProbeResult",
    "Standardiser",
    "draw_labelled",
    "labelled_part",
    "labelled_rows",
    "linear_probe",
    "require_finite",
]
