"""What several seeds say of a method, and of the difference between two, on one set of test windows.

The scoring function of seed s has an AUC over all windows there could be, A_s, which scatters about the method's mean
mu with variance sigma^2. The test windows give an estimate of it,

    a_s = A_s + e_s,   Var(e_s) = v_s,   Cov(e_s, e_t) = c_st,

with DeLong's variances and covariances: all seeds are scored on the same windows, so their errors go together. Let a,
v and c be the means of a_s, of v_s and of c_st over s != t. The mean of S seeds has

    Var(a) = sigma^2 / S + v / S + (1 - 1 / S) c.

The scatter between seeds, s^2 = sum (a_s - a)^2 / (S - 1), has the expectation sigma^2 + v - c: the error that the
seeds share moves them together and does not show. Hence

    Var(a) = E[s^2] / S + c.                                                                                    (1)

More seeds shrink the first term; only more test windows shrink the second.

`mean_interval` takes Student's quantile. The first term has S - 1 degrees of freedom, the second has those of the
windows, which are many; Satterthwaite's for the sum are (S - 1) (1 + c / (s^2 / S))^2. With few seeds they come out
too large, since s^2 is often small by chance, so s^2 is raised here by (S + 1) / (S - 1), the factor by which its mean
square exceeds its squared mean. Simulated 95 % intervals cover in 94 to 96 % from three seeds on, in 91 to 93 % of two.

`pairwise` compares two methods a and b by the difference of their means, whose variance is that of (1) for both, less
twice the covariance c_ab of their errors on the windows they share. Three seeds say little of a scatter, and among many
pairs some would look certain by chance alone, so the methods' s^2 lend each other strength: they are moderated towards
a common value, the more so the more alike they are (empirical Bayes; Smyth, Statistical Applications in Genetics and
Molecular Biology 3 (2004) article 3). An AUC near 1 has no room to scatter, so it is s / (a (1 - a)), the scatter of
the logit, that is taken to be alike. The two parts of the variance are not known equally well: the difference is
referred to the sum of a normal variable, for the windows, and one of Student's distribution, for the seeds (as Behrens
and Fisher do), with the degrees of freedom of the less certain of the two scatters, which errs on the side of "cannot
be told apart". With one seed each that is DeLong's test. In simulated tables of 6 to 24 equal methods, whose scatters
differ by a factor of ten, some pair is told apart in 3 to 6 % of tables of three seeds or more, in 8 % of two.

What this assumes: seeds are independent draws; A_s is about normal; enough test windows of both classes that the AUC
is, too (the interval is taken on the logit scale, as in `statistics.auc_interval`); windows are independent; the
training data and the split are given, and no part of what varies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike

from gwbench.errors import UserError
from gwbench.evaluation.statistics import Floats, Interval, structural_components

MANY = 1e9
"""Degrees of freedom that are as good as infinite."""

RESOLUTION = 1e-12
"""Differences of AUCs below it are rounding."""


def influence(label: ArrayLike, score: ArrayLike) -> tuple[float, Floats]:
    """An AUC, and how much every window pulled it off: a vector whose inner products are DeLong's covariances.

    Args:
        label: [N] 0 or 1.
        score: [N].

    Returns:
        the AUC, and [N] such that u_a @ u_b is the covariance of the AUCs of two scores on the same windows.

    Raises:
        UserError: fewer than two windows of a class, or a NaN score.
        ValueError: as in `statistics.structural_components`.
    """
    area, of_signals, of_noise = structural_components(label, np.asarray(score)[np.newaxis])
    is_signal = np.asarray(label) == 1
    pull = np.empty(len(is_signal))
    for inside, components in ((is_signal, of_signals[0]), (~is_signal, of_noise[0])):
        n = len(components)
        if n < 2:
            raise UserError("the variance of an AUC needs two windows or more of either class")
        pull[inside] = (components - components.mean()) / np.sqrt(n * (n - 1.0))
    return float(area[0]), pull


def mean_interval(seeds: Sequence[Interval], shared: float | None, level: float, *, share: bool = True) -> Interval:
    """The mean of a method's seeds, with an interval for the method's own mean.

    Of one seed, it is that seed's interval: nothing is known of how seeds scatter. Where nothing varies at all, such as
    an AUC of 1 with every seed, it spans the seeds' intervals.

    Args:
        seeds: the figure of each seed and its interval from the test windows, in [0, 1].
        shared: c of equation (1); None where it is not known. Then the mean variance v of the seeds' own intervals
            stands in its place, which it cannot exceed: the interval errs on the wide side.
        level: confidence, of the seeds' intervals too.
        share: whether the figure is a share; the interval of one that may be any number is symmetric.
    """
    from scipy.special import expit, logit

    if len(seeds) == 1:
        return seeds[0]
    mean = fmean(seed.value for seed in seeds)
    if shared is None:
        shared = fmean(_variance(seed, level, share=share) for seed in seeds)
    own = len(seeds) - 1
    scatter = fsum((seed.value - mean) ** 2 for seed in seeds) / own / len(seeds)
    if scatter + shared == 0.0 or (share and not 0.0 < mean < 1.0):
        return Interval(mean, min(seed.low for seed in seeds), max(seed.high for seed in seeds))
    raised = scatter * (own + 2.0) / own
    df = min(own * (1.0 + min(shared / raised, MANY)) ** 2, MANY) if raised else MANY
    reach = t_quantile(level, df) * (scatter + shared) ** 0.5
    if not share:
        return Interval(mean, mean - reach, mean + reach)
    reach /= mean * (1.0 - mean)
    low, high = float(expit(logit(mean) - reach)), float(expit(logit(mean) + reach))
    return Interval(mean, min(low, mean), max(high, mean))


def t_quantile(level: float, df: float) -> float:
    """How many standard errors either side hold `level` of Student's distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.5 + level / 2.0))


def _variance(interval: Interval, level: float, *, share: bool = True) -> float:
    """The variance behind an interval, which was taken on the logit scale where that has room."""
    from scipy.special import logit

    two_sided = 2.0 * t_quantile(level, MANY)
    if share and interval.low > 0.0 and interval.high < 1.0:
        width = (logit(interval.high) - logit(interval.low)) * interval.value * (1.0 - interval.value)
    else:
        width = interval.high - interval.low
    return float(width / two_sided) ** 2


# --- differences --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replicates:
    """A method's seeds on one set of test windows.

    Attributes:
        areas: [S] AUC of every seed.
        error: [N] mean of the seeds' vectors from `influence`.
        own: v, the mean DeLong variance of one seed.
        shared: c, the mean covariance of two seeds; v where there is one seed.
    """

    areas: Floats
    error: Floats
    own: float
    shared: float

    @classmethod
    def of(cls, label: ArrayLike, scores: Iterable[ArrayLike]) -> Replicates:
        """From the labels [N] and every seed's scores [N], which are read one at a time.

        Raises:
            UserError, ValueError: as in `influence`.
        """
        areas: list[float] = []
        total, squares = np.zeros(len(np.asarray(label))), 0.0
        for score in scores:
            area, error = influence(label, score)
            areas.append(area)
            total += error
            squares += float(error @ error)
        n = len(areas)
        own = squares / n
        shared = max(float(total @ total) - squares, 0.0) / (n * (n - 1)) if n > 1 else own
        return cls(np.array(areas), total / n, own, shared)

    @property
    def scatter(self) -> float:
        """s^2, the variance between seeds; NaN with one seed."""
        return float(self.areas.var(ddof=1)) if len(self.areas) > 1 else float("nan")


@dataclass(frozen=True)
class Pairwise:
    """Every method against every other: [M, M] each, row minus column.

    Attributes:
        difference: of the mean AUCs.
        of_windows, of_seeds: the two parts of its variance.
        freedom: degrees of freedom of the second part.
        p: two-sided p-value of no difference, one at a time.
    """

    difference: Floats
    of_windows: Floats
    of_seeds: Floats
    freedom: Floats
    p: Floats

    def reach(self, column: int, level: float) -> Floats:
        """How far either side of the differences with one method their intervals reach: [M]."""
        parts = self.of_windows[:, column], self.of_seeds[:, column], self.freedom[:, column]
        low, high = np.zeros(len(self.p)), np.full(len(self.p), 2.0)
        for _ in range(50):
            middle = (low + high) / 2.0
            outside = _two_sided(middle, *parts) > 1.0 - level
            low, high = np.where(outside, middle, low), np.where(outside, high, middle)
        return high


def pairwise(methods: Sequence[Replicates]) -> Pairwise:
    """Paired tests of every method against every other on the same test windows (see above).

    A method with one seed borrows its scatter from the others. Where no method has two seeds, this is DeLong's paired
    test and speaks of the networks that were trained, not of the methods.
    """
    n = np.array([len(method.areas) for method in methods])
    mean = np.array([method.areas.mean() for method in methods])
    room = np.maximum(mean * (1.0 - mean), RESOLUTION)
    between = np.array([method.scatter for method in methods])
    between[between < RESOLUTION**2] = 0.0
    scatter, freedom = moderated(between / room**2, n - 1.0)
    errors = np.stack([method.error for method in methods])
    inner = errors @ errors.T
    # The error of a mean holds v / S + (1 - 1 / S) c, and s^2 / S holds (v - c) / S of that already.
    twice = np.array([max(method.own - method.shared, 0.0) for method in methods]) / n
    test = np.diag(inner) - twice
    of_windows = np.maximum(test[:, None] + test - inner - inner.T, 0.0)
    own = scatter * room**2 / n
    of_seeds = own[:, None] + own
    both = np.minimum(freedom[:, None], freedom)
    for part in (of_windows, of_seeds):
        np.fill_diagonal(part, 0.0)
    difference = mean[:, None] - mean
    p = np.ones_like(difference)
    upper = np.triu_indices(len(methods), 1)
    p[upper] = _two_sided(np.abs(difference)[upper], of_windows[upper], of_seeds[upper], both[upper])
    return Pairwise(difference, of_windows, of_seeds, both, np.minimum(p, p.T))


NODES = 128
"""Points at which the seeds' part of a variance is looked at."""

AT_ONCE = 4096
"""Pairs of methods at once, which bounds memory."""

NORMAL = 1e4
"""Degrees of freedom from which on Student's distribution is taken as normal."""


def _two_sided(distance: Floats, of_windows: Floats, of_seeds: Floats, freedom: Floats) -> Floats:
    """P(|sqrt(of_windows) Z + sqrt(of_seeds) T| > distance), elementwise, of normal Z and of T by Student: all [K].

    T is Z / sqrt(w) with w a chi-square over its degrees of freedom, and given w the sum is normal: the integral over
    log w, whose density is smooth and falls off at either side, by the trapezoidal rule. Without any variance any
    difference is real.
    """
    from scipy.special import erfc, gammaln

    p_values = np.empty(len(distance))
    steps = np.linspace(0.0, 1.0, NODES)
    for begin in range(0, len(distance), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        d, many = np.minimum(freedom[part], NORMAL)[:, None], freedom[part] >= NORMAL
        width = 8.0 * np.sqrt(2.0 / d)
        log_w = -width - 42.0 / d + (2.0 * width + 42.0 / d) * steps
        w = np.exp(log_w)
        weight = np.exp(d / 2.0 * (np.log(d / 2.0) + log_w - w) - gammaln(d / 2.0))
        w[many], weight[many] = 1.0, 1.0
        variance = of_windows[part, None] + of_seeds[part, None] / w
        x = np.broadcast_to(distance[part, None], variance.shape)
        without = np.where(x < RESOLUTION, 0.0, np.inf)
        standard = np.divide(x, np.sqrt(2.0 * variance), out=without, where=variance > RESOLUTION**2)
        p_values[part] = np.sum(erfc(standard) * weight, axis=1) / np.sum(weight, axis=1)
    return p_values


def moderated(scatter: Floats, freedom: Floats) -> tuple[Floats, Floats]:
    """Variances [M] drawn towards a common one, and their degrees of freedom (Smyth 2004, section 6.2).

    The true variances are taken as scattered about s0^2 as if s0^2 had d0 degrees of freedom; both follow from the
    mean and the variance of log s^2. A method whose seeds all agree to the last digit does not depend on the seed: it
    is left alone.

    Args:
        scatter: [M] estimates s^2, NaN where there is one seed.
        freedom: [M] their degrees of freedom.
    """
    from scipy.special import digamma, polygamma

    variances, degrees = np.where(scatter == 0.0, 0.0, np.nan), np.full(len(scatter), MANY)
    usable = scatter > 0.0
    if not usable.any():
        return np.zeros(len(scatter)), degrees
    s2, own = scatter[usable], freedom[usable]
    logs = np.log(s2) - digamma(own / 2.0) + np.log(own / 2.0)
    excess = np.var(logs, ddof=1) - np.mean(polygamma(1, own / 2.0)) if len(s2) > 1 else np.inf
    if excess > 0.0:
        prior = 2.0 * _inverse_trigamma(float(excess))
        common = float(np.exp(np.mean(logs) + digamma(prior / 2.0) - np.log(prior / 2.0))) if prior else 0.0
        variances[usable] = (prior * common + own * s2) / (prior + own)
    else:  # no more scattered than chance would have them: one variance for all
        prior, common = np.inf, float(np.average(s2, weights=own))
        variances[usable] = common
    degrees[usable] = np.minimum(prior + own, own.sum())
    borrowing = np.isnan(scatter)
    variances[borrowing], degrees[borrowing] = float(np.average(s2, weights=own)), min(max(prior, 1.0), own.sum())
    return variances, degrees


def _inverse_trigamma(value: float) -> float:
    """The y > 0 at which the trigamma function is `value`, by Newton's method (Smyth 2004, appendix); 0 at infinity."""
    from scipy.special import polygamma

    if np.isinf(value):
        return 0.0
    y = 0.5 + 1.0 / value
    for _ in range(50):
        trigamma = float(polygamma(1, y))
        step = trigamma * (1.0 - trigamma / value) / float(polygamma(2, y))
        y += step
        if abs(step) < 1e-10 * y:
            break
    return y
