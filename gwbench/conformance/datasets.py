"""What a dataset promises: strain in three splits, the same for the same seed wherever it is made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from gwbench.conformance.subject import Subject
from gwbench.conformance.table import Failure, NotApplicable, check, require
from gwbench.conformance.watch import printed, quoted, random_state_touched
from gwbench.contracts import Dataset, Split, StrainSplits
from gwbench.data.store.cache import CacheContext
from gwbench.errors import UserError
from gwbench.experiment.data_cache import recipes_of
from gwbench.registry.parameters import parameters, validate
from gwbench.utils.progress import Progress

SIZES = {"train": 12, "val": 6, "test": 6}
"""Windows per split, where sizes are parameters of these names."""

FINGERPRINT_SECONDS = 1.0
"""Of the processor, at most."""


@check("dataset")
def shapes(subject: Subject) -> str:
    """Splits hold strain [N, D, T + 2 margin] in float32 with labels and SNRs [N], in the sizes asked for."""
    with opened(subject) as splits:
        require(len(set(splits.detectors)) == len(splits.detectors) > 0, f"detectors are {splits.detectors}")
        require(splits.sample_rate > 0 and splits.window > 0, f"{splits.window} samples at {splits.sample_rate} Hz")
        asked = {name: size for name, size in _values(subject).items() if name in SIZES}
        for name, size in splits.sizes.items():
            split = splits[name]
            expected = (asked.get(name, size), len(splits.detectors), splits.window + 2 * splits.margin)
            shape, strain = tuple(split.strain.shape), split.strain[:2]
            require(shape == expected and expected[0] > 0, f"{name}: strain is {list(shape)}, not {list(expected)}")
            require(strain.dtype == np.float32, f"{name}: strain is {strain.dtype}")
            require(strain.shape == (min(2, size), *shape[1:]), f"{name}: two windows are {list(strain.shape)}")
            for what, values, dtype in (("labels", split.label, np.int8), ("SNRs", split.snr, np.float32)):
                ok = values.shape == (size,) and values.dtype == dtype
                require(ok, f"{name}: {what} are {values.dtype} {list(values.shape)}, not {np.dtype(dtype)} [{size}]")
            wrong = [key for key, values in split.parameters.items() if np.shape(values) != (size,)]
            require(not wrong, f"{name}: parameters {', '.join(wrong)} are not [{size}]")
        windows = ", ".join(f"{name} {size}" for name, size in splits.sizes.items())
        return f"{windows}; {', '.join(splits.detectors)}; {splits.window} samples at {splits.sample_rate:g} Hz"


@check("dataset")
def labels(subject: Subject) -> str:
    """Labels are 1, 0 or -1, with both classes to validate and to test on; noise has no SNR."""
    with opened(subject) as splits:
        for name in splits.sizes:
            split = splits[name]
            require(set(np.unique(split.label)) <= {-1, 0, 1}, f"{name}: labels {np.unique(split.label)}")
            if name != "train":
                require({0, 1} <= set(split.label.tolist()), f"{name}: one class only")
            require(bool(np.isnan(split.snr[split.label == 0]).all()), f"{name}: noise has an SNR")
            loud = split.snr[split.label == 1]
            require(bool((np.isnan(loud) | (loud > 0)).all()), f"{name}: a signal's SNR is not positive")
        share = float((splits.test.label == 1).mean())
    return f"{share:.0%} of the test windows hold a signal"


@check("dataset")
def finite(subject: Subject) -> str:
    """Strain is finite, and no channel is empty."""
    with opened(subject) as splits:
        for name in splits.sizes:
            strain = splits[name].strain[: SIZES["train"]]
            require(bool(np.isfinite(strain).all()), f"{name}: strain is not finite")
            require(bool(strain.any(-1).all()), f"{name}: a channel is zero throughout")
        return f"root mean square {float(np.sqrt(np.mean(np.square(strain, dtype=np.float64)))):.1e}"


@check("dataset")
def splits_apart(subject: Subject) -> str:
    """No window is in two splits, or twice in one."""
    seen: dict[bytes, str] = {}
    with opened(subject) as splits:
        for name, size in splits.sizes.items():
            for number in range(min(size, SIZES["train"])):
                window = splits[name].strain[number : number + 1].tobytes()
                require(window not in seen, f"a window of {seen.get(window)} comes again in {name}")
                seen[window] = name
    return f"{len(seen)} different windows"


@check("dataset")
def reproducible(subject: Subject) -> str:
    """The same data seed gives the same strain and content hash, made anew, with one worker or two."""
    made = {}
    for what, workers in (("once", 1), ("again", 1), ("with two workers", 2)):
        with opened(subject, workers=workers) as splits:
            made[what] = (splits.content_hash, [_numbers(splits[name]) for name in splits.sizes])
    for what, numbers in made.items():
        require(numbers == made["once"], f"the data made {what} differ from those made once")
    content = made["once"][0]
    require(bool(content), "the content hash is empty")
    return f"content hash {content[:16]}"


@check("dataset")
def seeded(subject: Subject) -> str:
    """Another data seed gives other data, under another content hash."""
    by_seed = []
    for seed in (0, 1):
        with opened(subject, seed=seed) as splits:
            by_seed.append((splits.content_hash, [_numbers(splits[name]) for name in splits.sizes]))
    require(by_seed[0][1] != by_seed[1][1], "the data are the same for every seed")
    require(by_seed[0][0] != by_seed[1][0], "the content hash is the same for other data")
    return "they differ"


@check("dataset")
def fingerprint(subject: Subject) -> str:
    """The fingerprint is text by name, the same for a new instance, and takes less than a second of the processor."""
    first = _ready(subject).fingerprint()
    start = time.process_time()
    second = _ready(subject).fingerprint()
    seconds = time.process_time() - start
    require(dict(first) == dict(second), "two instances have different fingerprints")
    ok = all(isinstance(text, str) for pair in first.items() for text in pair)
    require(ok, f"it holds other things than text: {first}")
    require(seconds < FINGERPRINT_SECONDS, f"it takes {seconds:.1f} s")
    return f"{len(first)} entries, {seconds:.2f} s"


@check("dataset")
def global_random_state(subject: Subject) -> str:
    """Touches no global random state."""
    _ready(subject)
    touched = random_state_touched(lambda: _use(subject))
    require(not touched, f"it touches the global generator of {', '.join(touched)}")
    return "none touched"


@check("dataset")
def quiet(subject: Subject) -> str:
    """Prints nothing."""
    _ready(subject)
    text = printed(lambda: _use(subject))
    require(not text, f"it prints {quoted(text)}")
    return "nothing"


# --- what the checks share ----------------------------------------------------------------------------------


@contextmanager
def opened(subject: Subject, *, seed: int = 0, workers: int = 1) -> Iterator[StrainSplits]:
    """The dataset, made in an empty cache."""
    dataset, values = _ready(subject), _values(subject)
    with TemporaryDirectory() as root:
        prints = dataset.fingerprint()
        context = CacheContext.of(
            recipes_of(subject.plugin, values, seed, prints), root=root, workers=workers, progress=Progress()
        )
        splits = dataset.load(context)
        require(isinstance(splits, StrainSplits), f"it loads a {type(splits).__name__}, not StrainSplits")
        yield splits


def _values(subject: Subject) -> dict[str, Any]:
    """All parameters, with few windows where their number is not given."""
    known = {parameter.name for parameter in parameters(subject.plugin)}
    sizes = {name: size for name, size in SIZES.items() if name in known}
    return validate(subject.plugin, {**sizes, **subject.parameters})


def _ready(subject: Subject) -> Dataset:
    """A new instance whose files are there.

    Raises:
        NotApplicable: it needs files, and is not told where they are.
    """
    values = _values(subject)
    dataset: Dataset = subject.target(**values)
    try:
        dataset.fingerprint()
    except UserError as error:
        untold = [place for place in subject.target.places if not values[place]]
        if not untold:
            raise Failure(f"it refuses: {error}") from None
        raise NotApplicable(f"it needs files: --set dataset.{untold[0]}=... says where they are") from None
    return dataset


def _use(subject: Subject) -> None:
    with opened(subject) as splits:
        splits.train.strain[:2]


def _numbers(split: Split) -> tuple[bytes, ...]:
    """The first windows of a split, their labels and SNRs."""
    first = slice(0, SIZES["train"])
    return tuple(np.asarray(values[first]).tobytes() for values in (split.strain, split.label, split.snr))
