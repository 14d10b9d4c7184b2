"""What a run's coincidence head has learnt, beside the likelihood ratio of coherent to incoherent strain.

    python benchmarks/coherence.py runs/NAME
    python benchmarks/coherence.py runs/NAME --windows 500

The objective `coincidence` tells recorded windows from windows whose detectors were slid against each other. In
Gaussian noise the statistic that does so best is known. Windows are of the run's dataset, made with another seed, so
that no run has seen them, and each is there twice: as it is, and slid. Every statistic is computed for all of them:

- Z_C, evidence of one signal in the whole network against noise: one template of a bank for all detectors, arriving
  within the time that light takes between them, everywhere in the window; amplitude and phase are free in each
  detector.
- Z_d, the same of a signal in one detector alone, whose template and time are its own.
- ln Z_C: signal against noise.
- ln Z_C - sum_d ln(q + (1 - q) Z_d): coherent against incoherent, where every detector may hold a signal of its own
  with probability 1 - q (Veitch and Vecchio, arXiv:0911.3820; Isi et al., arXiv:1803.09783).
- ln(q + (1 - q) Z_C) - sum_d ln(q + (1 - q) Z_d): the likelihood ratio of recorded to slid windows, of which a share q
  is noise. It is the score that the objective would have at its best, as far as these templates know of the signals.
- the head's log-odds; the score that a run without labels makes of them, by silencing each detector in turn
  (gwbench.nn.objective_scorer); and the run's own score, which is a probe's where the run used labels.

Amplitudes are Gaussian with the mean square SNR of the data's signals, so that the evidence of a template at a time is
exp(SNR^2 / 2 * v / (1 + v)) / (1 + v), v the variance of each quadrature. The bank is placed as the baseline
`matched-filter` places it, on other signals of the same population: these statistics know what the head had to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import rankdata
from torch import Tensor

import gwbench
from gwbench import seeds
from gwbench.data.dataset import Split
from gwbench.errors import UserError
from gwbench.evaluation.bootstrap import bootstrap_intervals
from gwbench.evaluation.statistics import Interval, auc
from gwbench.experiment.objective_file import load_objective, objective_scorer
from gwbench.experiment.record import read_record
from gwbench.matched_filter.coincidence import allowed_lags, snr_series
from gwbench.matched_filter.inner_product import InnerProduct
from gwbench.matched_filter.template_bank import place, unit
from gwbench.matched_filter.templates import drawn_like, known_shapes, network_vectors, template_vectors
from gwbench.nn.objective_scorer import ObjectiveScorer
from gwbench.preprocessing.conditioning import Conditioner
from gwbench.utils.progress import Progress, TerminalProgress

CHUNK = 100
"""Windows conditioned and embedded at once."""

BANK_SIGNALS = 1000
"""Windows whose signals the bank is placed by; none of them is scored."""

DRAWS, MINIMAL_MATCH, COVERAGE = 2000, 0.95, 0.97
"""Of the bank's placement: some coarser than that of the baseline matched-filter, as averages allow."""

Floats = NDArray[np.float64]

COHERENT, RATIO, IDEAL, HEAD, FREE, OWN = (
    "ln Z_C, signal against noise",
    "coherent against incoherent",
    "ideal: recorded against slid",
    "the head",
    "score without labels",
    "the run's own score",
)


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--windows", default=2000, show_default=True, help="Half of them are noise; each is also slid.")
@click.option("--data-seed", default=77, show_default=True, help="Of the windows; another than the run's own.")
@click.option("--quiet", is_flag=True)
def main(run: Path, windows: int, data_seed: int, quiet: bool) -> None:
    """Compare the head of RUN, the folder of a finished run, with likelihood ratios."""
    progress = Progress() if quiet else TerminalProgress()
    try:
        known, split = fresh_windows(run, windows, data_seed, progress)
        recorded = slides(windows, split.strain.shape[1], data_seed)
        statistics, templates = scored(run, known, split, recorded, progress)
    except UserError as error:
        raise click.ClickException(str(error)) from error
    signals = split.label[recorded.source] == 1
    click.echo(f"{windows:,} windows of {run.name}'s dataset, recorded and slid; {templates} templates\n")
    for row in table(statistics, recorded.slid, signals):
        click.echo(row)


@dataclass(frozen=True)
class Slides:
    """Recorded windows, then the same slid.

    Attributes:
        source: [2 N, D] the window that each detector's strain is of.
    """

    source: NDArray[np.int64]

    @property
    def slid(self) -> NDArray[np.bool_]:
        """[2 N] whether the detectors' strain is of different windows."""
        return np.asarray((self.source != self.source[:, :1]).any(axis=1))

    def strain(self, conditioned: Tensor, rows: slice) -> Tensor:
        """Some of these windows [n, D, T], of conditioned windows [N, D, T]."""
        index = torch.from_numpy(self.source[rows])
        return conditioned[index, torch.arange(index.shape[1])]


def slides(windows: int, detectors: int, seed: int) -> Slides:
    """N recorded windows, and N slid ones: detector d of window i is of window i + s_d, with other s_d for each."""
    start = seeds.numpy_generator(seed, "pairing").permutation(windows)[:detectors]
    row = np.arange(windows)[:, None]
    return Slides(np.concatenate([np.repeat(row, detectors, axis=1), (row + start) % windows]))


def fresh_windows(run: Path, windows: int, data_seed: int, progress: Progress) -> tuple[Split, Split]:
    """Windows of the run's dataset made with another seed: by whose signals a bank is placed, and that are scored.

    Raises:
        UserError: the run was made with that seed.
    """
    spec = read_record(run).spec
    if spec.data_seed == data_seed:
        raise UserError(f"{run} was itself made with the data seed {data_seed}: give another --data-seed.")
    parameters = {**spec.dataset.parameters, "train": BANK_SIGNALS, "val": 16, "test": windows}
    splits = gwbench.open_dataset(spec.dataset.name, seed=data_seed, progress=progress, **parameters)
    return splits.train, splits.test


def scored(run: Path, known: Split, split: Split, slides: Slides, progress: Progress) -> tuple[dict[str, Floats], int]:
    """Every statistic [2 N] of recorded and slid windows, and how many templates the bank has."""
    frozen = gwbench.load_encoder(run)
    own = gwbench.load_scorer(run)
    spec = read_record(run).spec
    objective = load_objective(run, spec, frozen.encoder)
    free = objective_scorer(spec, frozen.encoder, objective)
    head = ObjectiveScorer(frozen.encoder, free.head, coherence=False)
    conditioner = frozen.conditioner
    evidence = Evidence.of(conditioner, known, progress)
    with progress.task("Condition", len(split.label), "windows") as task:
        parts = []
        for begin in range(0, len(split.label), CHUNK):
            parts.append(conditioner(split.strain[begin : begin + CHUNK]))
            task.advance(len(parts[-1]))
        conditioned = torch.cat(parts)
    noise = float((split.label == 0).mean())
    found: dict[str, list[Floats]] = {name: [] for name in (COHERENT, RATIO, IDEAL, HEAD, FREE, OWN)}
    with progress.task("Score", len(slides.source), "windows") as task:
        for begin in range(0, len(slides.source), CHUNK):
            strain = slides.strain(conditioned, slice(begin, begin + CHUNK))
            coherent, single = evidence(strain)
            incoherent = mixed(single, noise).sum(axis=1)
            found[COHERENT].append(coherent)
            found[RATIO].append(coherent - incoherent)
            found[IDEAL].append(mixed(coherent, noise) - incoherent)
            found[HEAD].append(head(strain).numpy())
            found[FREE].append(free(strain).numpy())
            found[OWN].append(own.scorer(strain).double().numpy())
            task.advance(len(strain))
    return {name: np.concatenate(values) for name, values in found.items()}, len(evidence.templates)


def mixed(log_evidence: Floats, noise: float) -> Floats:
    """ln(q + (1 - q) Z) for a share q of noise."""
    return np.asarray(np.logaddexp(np.log(noise), np.log1p(-noise) + log_evidence))


@dataclass(frozen=True)
class Evidence:
    """The evidence of signals in Gaussian noise, averaged over a bank of templates and over times.

    Attributes:
        inner: the inner product of the conditioned noise.
        templates: [P, D, F], of norm 1 in each detector.
        share: [P] of the population; they sum to 1.
        variance: [D] of each quadrature of a signal's SNR.
        lags: times by which a detector's arrival may differ from the reference's.
        samples: times in a window at which a signal may arrive.
    """

    inner: InnerProduct
    templates: Tensor
    share: Floats
    variance: Floats
    lags: Sequence[int]
    samples: int

    @classmethod
    def of(cls, conditioner: Conditioner, known: Split, progress: Progress) -> Evidence:
        """For conditioned strain, with a bank placed by known signals.

        Raises:
            UserError: the conditioner measured no PSD; the dataset does not tell its signals' masses and spins.
        """
        power = conditioner.noise_power()
        signals = known_shapes(known.parameters, np.flatnonzero(known.label == 1))
        if power is None or not len(signals["mass_1"]):
            raise UserError("The likelihood needs whitened strain and a dataset that tells its signals' masses.")
        low = int(np.ceil(conditioner.settings.low * conditioner.window / conditioner.sample_rate))
        high = int(np.floor(conditioner.settings.high * conditioner.window / conditioner.sample_rate))
        bins = slice(low, min(high, conditioner.window // 2 - 1) + 1)
        inner = InnerProduct.of_power(power[:, bins].float(), conditioner)
        with progress.task("Place templates", 1) as task:
            drawn = drawn_like(signals, DRAWS, seeds.numpy_generator(0, "probe"))
            proposals = template_vectors(drawn, conditioner, inner, approximant="IMRPhenomXAS", f_low=20.0)
            chosen, covered = place(
                unit(network_vectors(proposals)),
                minimal_match=MINIMAL_MATCH,
                coverage=COVERAGE,
                most=1000,
                samples=conditioner.window,
            )
            task.advance(note=f"{len(chosen)} templates")
        coarser = 1  # the band leaves nothing between samples that are so much further apart
        while conditioner.window % (2 * coarser) == 0 and conditioner.window // (2 * coarser) > proposals.shape[2]:
            coarser *= 2
        loudness = proposals[chosen].abs().square().sum(dim=2).mean(dim=0).double().numpy()  # [D], of one distance
        square = float(np.nanmean(np.square(known.snr[known.label == 1])))
        return cls(
            inner=inner,
            templates=unit(proposals[chosen]),
            share=np.asarray(covered) / sum(covered),
            variance=square * loudness / loudness.sum() / 2,
            lags=allowed_lags(conditioner.detectors, conditioner.sample_rate / coarser),
            samples=conditioner.window // coarser,
        )

    def __call__(self, strain: Tensor) -> tuple[Floats, Floats]:
        """Logarithms of the evidences: Z_C [B] and Z_d [B, D], of conditioned strain [B, D, T]."""
        coherent, single = zip(*(self._of_window(vectors) for vectors in self.inner.vectors(strain)), strict=True)
        return np.array(coherent), np.stack(single)

    def _of_window(self, vectors: Tensor) -> tuple[float, Floats]:
        """Of vectors [D, F]. Exponents are taken against the largest of each detector, so that none overflows."""
        series = snr_series(vectors[None], self.templates, self.samples)[0]
        square = torch.view_as_real(series).double().square().sum(dim=-1)  # [P, D, T]
        variance = torch.from_numpy(self.variance)[:, None]
        log = square / 2 * variance / (1 + variance) - torch.log1p(variance)
        largest = log.amax(dim=(0, 2))
        scaled = (log - largest[:, None]).exp()
        share = torch.from_numpy(self.share)
        single = (share @ scaled.mean(dim=2)).log() + largest
        together = torch.stack([cyclic_mean(scaled[:, d], lag) for d, lag in enumerate(self.lags)]).prod(dim=0)
        mean = share @ together.mean(dim=1)
        coherent = float(mean.log() + largest.sum()) if mean > 0 else float(self._far_apart(log))
        return coherent, single.numpy()

    def _far_apart(self, log: Tensor) -> float:
        """The same of logarithms [P, D, T] where the detectors' loudest times are so far apart that products vanish."""
        total = torch.zeros_like(log[:, 0])
        for d, lag in enumerate(self.lags):
            shifted = torch.stack([log[:, d].roll(step, dims=-1) for step in range(-lag, lag + 1)])
            total += torch.logsumexp(shifted, dim=0) - np.log(2 * lag + 1)
        weighted = total.logsumexp(dim=1).numpy() - np.log(total.shape[1]) + np.log(self.share)
        return float(logsumexp(weighted))


def cyclic_mean(series: Tensor, reach: int) -> Tensor:
    """The mean of [..., T] over the samples within `reach`, around the end: sums of 1, 2, 4, ... samples, put together.

    A running sum would lose what is small behind what is large.
    """
    width, offset, step = 2 * reach + 1, 0, 1
    blocks, total = series, torch.zeros_like(series)
    while step <= width:
        if width & step:
            total = total + blocks.roll(-offset, dims=-1)
            offset += step
        blocks = blocks + blocks.roll(-step, dims=-1)
        step *= 2
    return total.roll(reach, dims=-1) / width


def table(statistics: dict[str, Floats], slid: NDArray[np.bool_], signals: NDArray[np.bool_]) -> list[str]:
    """Lines of a Markdown table.

    Args:
        statistics: [M] by name.
        slid: [M] whether a window is slid.
        signals: [M, D] whether a detector's strain holds a signal.
    """
    found = figures_of(statistics, slid, signals)
    heads = ["statistic", "recorded from slid", "signals from noise", "signals from slid signals",
             "cross-entropy", "rank correlation with the head"]  # fmt: skip
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name in statistics:
        cells = [_text(found[f"{name} {kind}"], digits) for kind, digits in KINDS.items()]
        cells[3] = cells[3] if name in (IDEAL, HEAD) else "–"  # the others are no log-odds of this
        cells[4] = "1" if name == HEAD else cells[4]
        rows.append("| " + " | ".join([name, *cells]) + " |")
    return [
        *rows,
        "",
        "The first three are ROC-AUCs: of recorded against slid windows; of recorded windows with a signal against "
        "those without; of recorded windows with a signal against slid windows with one in at least one detector. The "
        "cross-entropy is that of recorded against slid, in nats. 95 % intervals: bootstrap over windows.",
    ]


KINDS = {"pretext": 4, "signal": 4, "coherence": 4, "entropy": 3, "rank": 3}
"""Figures of a statistic, with their decimals."""


def figures_of(
    statistics: dict[str, Floats], slid: NDArray[np.bool_], signals: NDArray[np.bool_]
) -> dict[str, Interval]:
    """AUCs, cross-entropy and rank correlation of every statistic with their intervals; as of `table`."""
    recorded, some = ~slid, np.asarray(signals.any(axis=1))

    def figures(rows: NDArray[np.intp]) -> dict[str, float]:
        true, any_signal = recorded[rows], some[rows]
        head = rankdata(statistics[HEAD][rows])
        made: dict[str, float] = {}
        for name, every in statistics.items():
            score = every[rows]
            made[f"{name} pretext"] = auc(true.astype(int), score)
            made[f"{name} signal"] = auc(any_signal[true].astype(int), score[true])
            made[f"{name} coherence"] = auc(true[any_signal].astype(int), score[any_signal])
            wrong = np.logaddexp(0, np.where(true, -score, score))
            made[f"{name} entropy"] = float((wrong[true].mean() + wrong[~true].mean()) / 2)
            made[f"{name} rank"] = float(np.corrcoef(head, rankdata(score))[0, 1])
        return made

    return bootstrap_intervals(figures, len(slid))


def _text(interval: Interval, digits: int) -> str:
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


if __name__ == "__main__":
    main()
