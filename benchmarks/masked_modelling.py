"""How much of hidden strain can be predicted at all, and how much of a feature of it.

    python benchmarks/masked_modelling.py
    python benchmarks/masked_modelling.py --preset g2net-like

Masked modelling of strain predicts samples that were hidden. Their variance is that of noise, which nothing else tells,
and of signals. This takes the noise-free waveforms of the validation split's signals through the run's conditioning
and prints what share of the variance they are: by how much a predictor that knows every signal exactly would lower the
loss. Beside it stands the share for one number a window that measures the signal, a matched filter's output, and how
much of an untrained encoder's features can be predicted from what `data2vec` shows of a window.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise

import click
import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from torch import nn

import gwbench
from gwbench import seeds
from gwbench.contracts import InputShape, View
from gwbench.experiment.open_dataset import ConditionedDataset
from gwbench.matched_filter.inner_product import InnerProduct
from gwbench.matched_filter.waveforms import signal_strain
from gwbench.plugins.baselines.oracle import NEEDED
from gwbench.plugins.objectives.data2vec import Data2Vec, masked
from gwbench.registry import REGISTRY
from gwbench.simulation.population import REFERENCE_GPS
from gwbench.utils.progress import Progress, TerminalProgress

Floats = NDArray[np.float64]

SPAN = 64
"""Samples that are hidden at once, as by `masked-strain`."""
AVERAGED = (1, 4, 16)
"""How many neighbouring samples are averaged into one to predict: `objective.downsample` of `masked-strain`."""
BANDS = (20.0, 64.0, 128.0, 256.0, 600.0)
"""Edges in Hz."""
CONTEXT = 2048
"""Samples of the stretch, half of it hidden, in which noise is predicted from its neighbours."""


@click.command()
@click.option("--preset", default="quick", show_default=True, help="Of the dataset bbh.")
@click.option("--signals", default=500, show_default=True, help="Windows of each kind, signals and noise.")
@click.option("--quiet", is_flag=True)
def main(preset: str, signals: int, quiet: bool) -> None:
    """Print the shares for a preset of the dataset bbh."""
    opened = gwbench.open_dataset("bbh", preset=preset, progress=Progress() if quiet else TerminalProgress())
    conditioned = opened.conditioned()
    positions = np.flatnonzero(conditioned.val.label == 1)[:signals]
    waves = waveforms(conditioned, positions)
    noise = conditioned.val[np.flatnonzero(conditioned.val.label == 0)[:signals]].double().numpy()
    snr = optimal_snr(conditioned, waves, noise)
    network = np.sqrt((snr**2).sum(axis=1))
    click.echo(
        f"{len(waves)} signals, {len(noise)} noise windows, {', '.join(opened.detectors)}; network SNR "
        f"{network.mean():.1f} on average, {np.sqrt((network**2).mean()):.1f} in the root mean square.\n"
    )
    rows = (sample_rows(waves, noise), band_rows(waves, noise, opened.sample_rate), filter_rows(snr))
    for row in chain.from_iterable((*table, "") for table in (*rows, encoder_rows(conditioned))):
        click.echo(row)


def waveforms(conditioned: ConditionedDataset, positions: NDArray[np.int64]) -> Floats:
    """Conditioned strain [n, D, T] of the signals alone of validation windows."""
    splits = conditioned.splits
    rate, margin = splits.sample_rate, splits.margin
    found = np.empty((len(positions), len(splits.detectors), splits.window))
    chunks = signal_strain(
        {name: np.asarray(conditioned.val.parameters[name], np.float64)[positions] for name in NEEDED},
        splits.detectors,
        margin=margin / rate,
        sample_rate=rate,
        samples=splits.window + 2 * margin,
        approximant="IMRPhenomXAS",
        f_low=20.0,
        gps=REFERENCE_GPS,
    )
    for rows, strain in chunks:
        found[rows] = conditioned.conditioner(strain).numpy()
    return found


def optimal_snr(conditioned: ConditionedDataset, waves: Floats, noise: Floats) -> Floats:
    """[n, D] optimal SNR of every signal in every detector."""
    settings = conditioned.conditioner.settings
    inner = InnerProduct(
        torch.from_numpy(noise), sample_rate=conditioned.splits.sample_rate, band=(settings.low, settings.high)
    )
    snrs: Floats = inner.vectors(torch.from_numpy(waves)).norm(dim=2).numpy()
    return snrs


def averaged(strain: Floats, width: int) -> Floats:
    """Means of `width` neighbouring samples."""
    means: Floats = strain.reshape(*strain.shape[:-1], -1, width).mean(axis=-1)
    return means


def share(waves: Floats, noise: Floats) -> float:
    """Share of signals in the variance, where one window in two holds a signal."""
    return float((waves**2).mean() / ((waves**2).mean() + 2 * (noise**2).mean()))


def sample_rows(waves: Floats, noise: Floats) -> Iterator[str]:
    """By how much the loss over hidden samples can fall."""
    yield "| predicted | signals' share | in the loudest span | in the median span | noise told by its neighbours |"
    yield "|---|---|---|---|---|"
    for width in AVERAGED:
        mine, others = averaged(waves, width), averaged(noise, width)
        power = (mine**2).reshape(*mine.shape[:2], -1, SPAN // width).mean(axis=3)  # [n, D, spans]
        floor = (others**2).mean()
        loudest = np.mean(power.max(axis=2) / (power.max(axis=2) + floor))
        median = np.mean(np.median(power, axis=2) / (np.median(power, axis=2) + floor))
        what = "samples" if width == 1 else f"means of {width}"
        yield (
            f"| {what} | {percent(share(mine, others))} | {percent(loudest)} | {percent(median)} | "
            f"{percent(predictable_noise(noise, width))} |"
        )


def predictable_noise(noise: Floats, width: int) -> float:
    """Share of hidden noise's variance that the best linear predictor explains from what is in sight around it.

    Half of the spans are hidden, as by `masked-strain`; the noise is Gaussian, so no other predictor is better.
    """
    power = (np.abs(np.fft.rfft(noise, axis=-1)) ** 2).mean(axis=(0, 1))
    lags = np.fft.irfft(power)[:CONTEXT] / noise.shape[-1]
    covariance = scipy.linalg.toeplitz(lags)
    spans = CONTEXT // SPAN
    hidden = np.zeros(spans, bool)
    hidden[seeds.numpy_generator(0, "noise").permutation(spans)[: spans // 2]] = True
    hidden = hidden.repeat(SPAN)
    across = covariance[np.ix_(~hidden, hidden)]
    seen = covariance[np.ix_(~hidden, ~hidden)] + 1e-6 * lags[0] * np.eye(int((~hidden).sum()))
    explained = across.T @ scipy.linalg.solve(seen, across, assume_a="pos")
    means = np.kron(np.eye(hidden.sum() // width), np.full((1, width), 1 / width))
    total = means @ covariance[np.ix_(hidden, hidden)] @ means.T
    return float(np.trace(means @ explained @ means.T) / np.trace(total))


def band_rows(waves: Floats, noise: Floats, rate: float) -> Iterator[str]:
    """The share of signals, by frequency."""
    frequency = np.fft.rfftfreq(waves.shape[-1], 1 / rate)
    signal, quiet = (np.abs(np.fft.rfft(strain, axis=-1)) ** 2 for strain in (waves, noise))
    yield "| Hz | signals' share |"
    yield "|---|---|"
    for low, high in pairwise(BANDS):
        inside = (frequency >= low) & (frequency < high)
        part = signal[..., inside].mean() / (signal[..., inside].mean() + 2 * quiet[..., inside].mean())
        yield f"| {low:.0f}-{high:.0f} | {percent(part)} |"


def filter_rows(snr: Floats) -> Iterator[str]:
    """What a detector's matched-filter output holds of signals, and what another detector's tells of it."""
    yield "| predicted | from | share |"
    yield "|---|---|---|"
    own = 0.5 * snr.mean(axis=0)
    variance = 0.5 * (snr**2).mean(axis=0) - own**2  # of the signal's part, where one window in two holds one
    yield f"| a detector's filter output | the signal | {percent(float(np.mean(variance / (variance + 1))))} |"
    detectors = snr.shape[1]
    pairs = [(a, b) for a in range(detectors) for b in range(a + 1, detectors)]
    shared = [0.5 * (snr[:, a] * snr[:, b]).mean() - own[a] * own[b] for a, b in pairs]
    told = [value**2 / ((variance[a] + 1) * (variance[b] + 1)) for value, (a, b) in zip(shared, pairs, strict=True)]
    yield f"| a detector's filter output | another detector's | {percent(float(np.mean(told)))} |"


def encoder_rows(conditioned: ConditionedDataset) -> Iterator[str]:
    """What a linear predictor makes of an untrained encoder's features, in noise alone and with signals.

    Half of the windows fit it, and the others judge it. All features have the same weight, as in the loss.
    """
    target = REGISTRY.get("encoder", "cnn1d").target
    assert target is not None
    with seeds.torch_global(0, "init"):
        encoder = target(InputShape(1, conditioned.splits.window, conditioned.splits.sample_rate))
        views = [View(conditioned.val[:][:, d : d + 1], torch.zeros(0)) for d in range(2)]
        hidden = Data2Vec(encoder.embed_dim).hidden(views[0])
    seen = embedded(encoder, masked(views[0], hidden))
    targets = {
        "the same window, whole": embedded(encoder, views[0]),
        "its hidden half": embedded(encoder, masked(views[0], ~hidden)),
        "another detector": embedded(encoder, views[1]),
    }
    yield "| features predicted | share in noise | share with signals |"
    yield "|---|---|---|"
    for name, features in targets.items():
        shares = []
        for rows in (np.flatnonzero(conditioned.val.label == 0), np.arange(len(conditioned.val))):
            x, y = seen[rows], (features[rows] - features[rows].mean(axis=0)) / features[rows].std(axis=0)
            half = len(rows) // 2
            fitted = RidgeCV(np.logspace(0, 7, 15)).fit(x[:half], y[:half])
            shares.append(float(r2_score(y[half:], fitted.predict(x[half:]), multioutput="uniform_average")))
        yield f"| {name} | {percent(shares[0])} | {percent(shares[1])} |"


@torch.no_grad()
def embedded(encoder: nn.Module, view: View) -> Floats:
    """Features [N, embed_dim] of mean 0 and variance 1."""
    encoder.train()  # BatchNorm normalises by the batch, as in training
    features = torch.cat([encoder(samples) for samples in view.samples.split(250)]).double().numpy()
    normalised: Floats = (features - features.mean(axis=0)) / features.std(axis=0)
    return normalised


def percent(value: float) -> str:
    """With three figures."""
    return f"{100 * value:.3g} %"


if __name__ == "__main__":
    main()
