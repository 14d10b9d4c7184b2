"""`gwbench.export`: a finished run as one file that other programs run, without gwbench."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gwbench import seeds
from gwbench._version import __version__
from gwbench.errors import UserError, did_you_mean, in_words
from gwbench.experiment.record import RunRecord
from gwbench.preprocessing.conditioning import Whitening
from gwbench.sharing import export_formats as formats
from gwbench.sharing.export_module import MEANINGS, WHATS, ExportModule, RunParts, What, parts_of
from gwbench.utils.files import atomic
from gwbench.utils.paths import user_path
from gwbench.utils.progress import default as default_progress

if TYPE_CHECKING:
    from gwbench.preprocessing.conditioning import Conditioner
    from gwbench.utils.progress import Progress

COMPARED = (1, 2, 5)
"""Windows in the batches that an export is compared on."""

BURST, CYCLES = 8.0, 9.0
"""Amplitude, in standard deviations of the noise, and quality factor of the bursts in the strain that it is compared
on."""


@dataclass(frozen=True)
class Exported:
    """A file that was written, and how well it agrees with the run.

    Attributes:
        path: of the file.
        format: "onnx", "torchscript" or "torch-export".
        what: "encoder", "scorer" or "whole".
        difference: largest difference from the run's own numbers, by the outputs' names: of a probability as it is, of
            others in units of the root mean square of the run's numbers.
        tolerance: what each may be.
        metadata: as the file holds them.
    """

    path: Path
    format: formats.Format
    what: What
    difference: dict[str, float]
    tolerance: dict[str, float]
    metadata: dict[str, Any]

    @property
    def largest_difference(self) -> float:
        """Over all outputs."""
        return max(self.difference.values())

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "path": str(self.path),
            "format": self.format,
            "what": self.what,
            "largest_difference": self.largest_difference,
            "difference": self.difference,
            "tolerance": self.tolerance,
            "metadata": self.metadata,
        }


def export(
    run: str | Path | RunRecord,
    *,
    format: formats.Format = "onnx",
    what: What = "encoder",
    path: str | Path | None = None,
    plugins: Sequence[str] = (),
    progress: Progress | None = None,
) -> Exported:
    """Write a finished run as one file of float32 arithmetic that takes any number of windows.

        gwbench.export("runs/...", format="onnx").path             # conditioned strain [B, D, T] -> [B, F]
        gwbench.export(record, what="whole", path="search.onnx")   # strain [B, D, T + 2 margin] -> log-odds, ...

    The file is compared with the run on random input and on noise with bursts, and kept only where they agree.

    Args:
        run: folder of the run, or its record.
        format: "onnx", "torchscript" or "torch-export".
        what: "encoder", conditioned strain to embedding; "scorer", conditioned strain to embedding, log-odds and
            probability; "whole", which conditions strain first.
        path: of the file; by default in the run's folder, named after what it is.
        plugins: files or modules that register the run's encoder or baseline, if gwbench does not know them.
        progress: what shows how far it is.

    Raises:
        UserError: the run has no such part, the format cannot hold what it does, or the file disagrees with the run.
    """
    format, what = _known("format", format, formats.FORMATS), _known("what", what, WHATS)
    folder = _folder(run)
    target = _target(path, folder, format, what)
    formats.require_packages(format)
    progress = progress or default_progress()
    with progress.task("Export", 3, "steps") as task:
        parts = parts_of(folder, what, plugins)
        raw = what == "whole"
        module = ExportModule(parts, raw=raw, power_of_two=format == "onnx")
        batches = _inputs(parts.conditioner, raw)
        metadata = describe(parts, what)
        task.advance(note="read")
        with atomic(target) as temporary:
            try:
                example = next(iter(batches.values()))[: formats.BATCH]
                formats.write(module, example, temporary, format, parts.outputs, metadata)
                loaded = formats.load(temporary, format)
                task.advance(note="written")
                found, allowed = differences(loaded, parts, batches, raw, formats.TOLERANCE[format])
            except Exception as error:  # whatever an exporter, or a loader, makes of what its format has not
                raise UserError(_impossible(parts, format, error)) from error
            _refuse_disagreement(found, allowed, parts, format, raw)
        task.advance(note="compared")
    return Exported(target, format, what, found, allowed, metadata)


def describe(parts: RunParts, what: What) -> dict[str, Any]:
    """What an exported file says of itself: plain JSON."""
    record, own = parts.record, parts.conditioner
    samples = own.window + (2 * own.margin if what == "whole" else 0)
    meaning = "strain in strain units" if what == "whole" else "strain conditioned as the run conditions it"
    return {
        "gwbench": __version__,
        "what": what,
        "run_id": record.run_id,
        "method": record.spec.title,
        "dataset": record.spec.dataset.name,
        "created": record.created,
        "test_auc": record.metrics.auc.value if record.metrics else None,
        "detectors": list(own.detectors),
        "sample_rate": own.sample_rate,
        "window": own.window,
        "margin": own.margin,
        "conditioning": own.settings.model_dump(),
        "inputs": {"strain": f"[B, {len(own.detectors)}, {samples}] float32: {meaning}, detectors in this order"},
        "outputs": {name: MEANINGS[name] for name in parts.outputs},
    }


def differences(
    loaded: formats.Loaded, parts: RunParts, batches: Mapping[str, Tensor], raw: bool, tolerance: float
) -> tuple[dict[str, float], dict[str, float]]:
    """The largest difference between a file's numbers and the run's own, by output, and what it may be.

    A probability's is taken as it is. That of others is divided by the root mean square of the run's own numbers over
    all batches. Where the probe magnifies rounding (`RunParts.gain`), log-odds and probability may differ by as much
    more. NaN and other shapes count as infinite.
    """
    largest = dict.fromkeys(parts.outputs, 0.0)
    own: dict[str, list[Tensor]] = {name: [] for name in parts.outputs}
    for strain in batches.values():
        with torch.no_grad():
            given = dict(zip(parts.outputs, loaded(strain), strict=True))
        for name, wanted in parts.reference(strain, raw=raw).items():
            own[name].append(wanted.double())
            fits = given[name].shape == wanted.shape
            worst = float((given[name].double() - wanted.double()).abs().max()) if fits else math.inf
            largest[name] = max(largest[name], worst if math.isfinite(worst) else math.inf)
    whole = {name: torch.cat(each) for name, each in own.items()}
    gain = parts.gain(whole["embedding"]) if "embedding" in whole else 1.0
    scale = {name: float(each.square().mean().sqrt()) for name, each in whole.items()} | {"probability": 1.0}
    found = {name: worst / (scale[name] or 1.0) for name, worst in largest.items()}
    return found, {name: tolerance * (1.0 if name == "embedding" else gain) for name in parts.outputs}


def _inputs(conditioner: Conditioner, raw: bool) -> dict[str, Tensor]:
    """Strain to compare on, by what it is, in batches of several sizes: random, and noise with bursts in it."""
    rng = seeds.numpy_generator(0, "diagnostics", 1)
    shape = (len(conditioner.detectors), conditioner.window + (2 * conditioner.margin if raw else 0))
    unit = 1e-21 if raw else 1.0
    batches: dict[str, Any] = {}
    for size in (max(COMPARED), *COMPARED):
        noise = rng.standard_normal((size, *shape))
        batches[f"random-{len(batches)}"] = noise * unit
        if raw and isinstance(conditioner, Whitening):
            noise = _coloured(noise, conditioner) / unit
        time = np.arange(shape[1]) / conditioner.sample_rate
        low, high = conditioner.settings.low, conditioner.settings.high
        frequency = rng.uniform(low, min(high, 4 * low), (size, 1, 1))
        since = time - rng.uniform(0.3, 0.7, (size, 1, 1)) * time[-1]
        envelope = np.exp(-((2 * np.pi * frequency * since / CYCLES) ** 2))
        burst = BURST * noise.std() * envelope * np.sin(2 * np.pi * frequency * since)
        batches[f"bursts-{len(batches)}"] = (noise + burst) * unit
    return {name: torch.from_numpy(strain.astype(np.float32)) for name, strain in batches.items()}


def _coloured(white: np.ndarray[Any, Any], conditioner: Whitening) -> np.ndarray[Any, Any]:
    """Noise of the PSD that the run measured, made of white noise [B, D, samples] of unit variance."""
    frequencies, psd = conditioner.frequencies.cpu().numpy(), conditioner.psd.cpu().numpy()
    bins = np.fft.rfftfreq(white.shape[-1], 1 / conditioner.sample_rate)
    shape = np.stack([np.interp(bins, frequencies, each) for each in psd])
    spectrum = np.fft.rfft(white) * np.sqrt(shape * conditioner.sample_rate / 2)
    return np.fft.irfft(spectrum, n=white.shape[-1])


def _refuse_disagreement(
    found: Mapping[str, float], allowed: Mapping[str, float], parts: RunParts, how: formats.Format, raw: bool
) -> None:
    worst = max(found, key=lambda name: found[name] / allowed[name])
    if found[worst] <= allowed[worst]:
        return
    others = " or ".join(each for each in formats.FORMATS if each != how)
    advice = "Export what takes conditioned strain (--what scorer), or try" if raw else "Try"
    advice += f" {others}."
    by = f"by {found[worst]:.2g}, where {allowed[worst]:.2g} is allowed"
    if math.isinf(found[worst]):
        by = "in shape, or by what is no number, at some number of windows"
    raise UserError(
        f"The {how} file of {parts.record.spec.title} disagrees with the run: {worst} {by}. It was not kept. {advice}"
    )


def _impossible(parts: RunParts, how: formats.Format, error: Exception) -> str:
    others = " or ".join(each for each in formats.FORMATS if each != how)
    cause = error
    while cause.__cause__ is not None and isinstance(cause.__cause__, Exception):
        cause = cause.__cause__
    return f"{parts.record.spec.title} cannot be written as {how}: {in_words(cause)}. Try {others}."


def _known(name: str, value: Any, known: Sequence[Any]) -> Any:
    if value not in known:
        raise UserError(f"{name}={value!r}: expected {', '.join(known)}.{did_you_mean(str(value), known)}")
    return value


def _folder(run: str | Path | RunRecord) -> Path:
    if isinstance(run, RunRecord):
        if run.folder is None:
            raise UserError(f"The record {run.run_id} does not say where its run is: give the run's folder.")
        return Path(run.folder)
    return user_path(run)


def _target(path: str | Path | None, folder: Path, how: formats.Format, what: What) -> Path:
    suffixes = formats.SUFFIXES[how]
    if path is None:
        return folder / f"{what}{suffixes[0]}"
    given = user_path(path)
    if given.suffix.lower() not in suffixes:
        raise UserError(f"--out {given}: a file of {how} has a name that ends in {' or '.join(suffixes)}.")
    return given


__all__ = ["Exported", "describe", "differences", "export"]
