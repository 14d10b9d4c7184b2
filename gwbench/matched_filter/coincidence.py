"""Matched filtering of a network: SNR in each detector, and coincidence within the time light takes between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

SLACK = 2
"""Samples allowed beyond the light travel time: noise moves the peak of a faint signal."""

CPU_CHUNK, DEVICE_CHUNK = 2**17, 2**26
"""Samples of SNR series in hand at a time: what the processor's cache holds, or what keeps an accelerator busy."""


def allowed_lags(detectors: Sequence[str], sample_rate: float) -> tuple[int, ...]:
    """For every detector, by how many samples its arrival may differ from that at a reference detector.

    The reference, whose own lag is 0, is the detector with the others nearest.

    Args:
        detectors: names that pycbc knows.
        sample_rate: Hz.
    """
    from pycbc.detector import Detector

    places = [Detector(name) for name in detectors]
    seconds = [[one.light_travel_time_to_detector(other) for other in places] for one in places]
    reference = min(range(len(places)), key=lambda d: sum(seconds[d]))
    return tuple(
        0 if d == reference else math.ceil(time * sample_rate) + SLACK for d, time in enumerate(seconds[reference])
    )


def snr_series(strain: Tensor, templates: Tensor, samples: int) -> Tensor:
    """Complex SNR [B, P, D, T] of windows under templates; |SNR| at a sample belongs to coalescence there.

    In noise the mean of |SNR|^2 is 2, one for each phase of the template; under a signal's own template its peak is
    the optimal SNR. Times are cyclic.

    Args:
        strain: [B, D, F] vectors of windows (`InnerProduct.vectors`).
        templates: [P, D, F] vectors of templates with coalescence at sample 0, of norm 1 in each detector.
        samples: T.
    """
    series: Tensor = torch.fft.ifft(strain[:, None] * templates.conj(), n=samples, norm="forward")
    return series


def sliding_max(series: Tensor, reach: int) -> Tensor:
    """The maximum of [..., T] over the samples within `reach`, by doubling the width: log2 of it steps, not all."""
    width, done = 2 * reach + 1, 1
    maxima = torch.nn.functional.pad(series, (reach, reach))
    while done < width:
        step = min(done, width - done)
        maxima = torch.maximum(maxima[..., :-step], maxima[..., step:])
        done += step
    return maxima


def network_power(power: Tensor, lags: Sequence[int]) -> Tensor:
    """Network SNR^2 [..., T] by time at the reference, from SNR^2 >= 0 of the detectors [..., D, T].

    Each detector adds its largest within its lag of the reference's time.
    """
    total = power[..., lags.index(0), :].clone()
    for d, lag in enumerate(lags):
        if lag:
            total += sliding_max(power[..., d, :], lag)
    return total


def loudest(strain: Tensor, templates: Tensor, lags: Sequence[int], samples: int) -> Tensor:
    """The largest network SNR^2 [B, P] over all times. Arguments as `snr_series` and `network_power`.

    On a processor every core takes windows of its own: in steps as small as a cache holds, cores that share each step
    would spend their time waiting for each other.
    """
    scores = torch.empty(len(strain), len(templates), device=strain.device)
    if strain.device.type != "cpu":
        _loudest(scores, strain, templates, lags, samples, DEVICE_CHUNK)
        return scores
    threads = torch.get_num_threads()
    parts = zip(scores.tensor_split(threads), strain.tensor_split(threads), strict=True)
    inference = torch.is_inference_mode_enabled()  # a mode of the thread, without which its tensors cannot be written

    def search(out: Tensor, part: Tensor) -> None:
        with torch.inference_mode(inference):
            _loudest(out, part, templates, lags, samples, CPU_CHUNK)

    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        running = [pool.submit(search, out, part) for out, part in parts]
    torch.set_num_threads(threads)
    for future in running:
        future.result()
    return scores


def _loudest(scores: Tensor, strain: Tensor, templates: Tensor, lags: Sequence[int], samples: int, budget: int) -> None:
    rows = max(1, budget // (samples * len(lags)))
    windows, bank = max(1, rows // len(templates)), min(rows, len(templates))
    for out, part in zip(scores.split(windows), strain.split(windows), strict=True):
        for best, some in zip(out.split(bank, dim=1), templates.split(bank), strict=True):
            series = torch.view_as_real(snr_series(part, some, samples))
            best.copy_(network_power(series.square().sum(dim=-1), lags).amax(dim=-1))


__all__ = ["allowed_lags", "loudest", "network_power", "sliding_max", "snr_series"]
