"""What a task promises: targets, a probe of frozen embeddings, and metrics of its predictions."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pydantic_core

from gwbench import seeds
from gwbench.conformance.subject import Subject
from gwbench.conformance.table import check, require
from gwbench.conformance.watch import printed, quoted, random_state_touched
from gwbench.contracts import Array, Embedded, ProbeSettings, Scores, Split, Task
from gwbench.utils.progress import Progress

SIZES = {"train": 192, "val": 96, "test": 96}
FEATURES = 8
NEIGHBOURS = 5


@check("task")
def targets(subject: Subject) -> str:
    """Has a target for every window, known for some at least."""
    task = subject.build()
    for name in SIZES:
        values = np.asarray(task.targets(toy_split(name)))
        require(len(values) == SIZES[name], f"{SIZES[name]} windows of {name} have {len(values)} targets")
        known = np.isfinite(values.astype(float).reshape(len(values), -1)).any()
        require(bool(known), f"no target of {name} is known, of windows whose label, SNR and masses are")
    return f"{values.dtype} {list(values.shape)}"


@check("task")
def predictions(subject: Subject) -> str:
    """Predicts something finite for every test window."""
    test = np.asarray(fit_predict(subject).test)
    require(len(test) == SIZES["test"], f"{SIZES['test']} windows have {len(test)} predictions")
    require(bool(np.isfinite(test).all()), f"{int((~np.isfinite(test)).sum())} predictions are not finite")
    return str(list(test.shape))


@check("task")
def learns(subject: Subject) -> str:
    """Predicts otherwise where the training targets are those of other windows."""
    task: Task = subject.build()
    train, val, test = embedded(task, "train"), embedded(task, "val"), embedding("test")
    shuffled = Embedded(train.embeddings, seeds.numpy_generator(1, "data").permutation(train.targets))
    given = np.asarray(task.fit_predict(train, val, test, settings(subject)).test)
    other = np.asarray(task.fit_predict(shuffled, val, test, settings(subject)).test)
    require(not np.array_equal(given, other), "the predictions are the same")
    return f"{np.mean(given != other):.0%} of the predictions differ"


@check("task")
def deterministic(subject: Subject) -> str:
    """The same seed gives the same predictions."""
    first, second = np.asarray(fit_predict(subject).test), np.asarray(fit_predict(subject).test)
    require(np.array_equal(first, second), "two fits with the same seed differ")
    return "equal"


@check("task")
def input_kept(subject: Subject) -> str:
    """Does not change the embeddings and targets that it is given."""
    task: Task = subject.build()
    given = embedded(task, "train"), embedded(task, "val"), embedding("test")
    before = copy.deepcopy(given)
    task.fit_predict(*given, settings(subject))
    for now, then in zip(_arrays(given), _arrays(before), strict=True):
        require(now.tobytes() == then.tobytes(), "an array changed")
    return "unchanged"


@check("task")
def metrics(subject: Subject) -> str:
    """Reports figures by name that a record can hold."""
    figures = report(subject, toy_split("test"))
    require(isinstance(figures, dict) and bool(figures), f"it reports {type(figures).__name__}, or nothing")
    return ", ".join(list(figures)[:6])


@check("task")
def judges_the_test_split(subject: Subject) -> str:
    """Reports other figures of the same predictions where what is known of the test windows is another's."""
    split = toy_split("test")
    order = seeds.numpy_generator(2, "data").permutation(len(split))
    other = replace(
        split,
        label=split.label[order],
        snr=split.snr[order],
        parameters={name: values[order] for name, values in split.parameters.items()},
    )
    require(report(subject, split) != report(subject, other), "the figures are the same")
    return "they differ"


@check("task")
def global_random_state(subject: Subject) -> str:
    """Touches no global random state."""
    touched = random_state_touched(lambda: report(subject, toy_split("test")))
    require(not touched, f"it touches the global generator of {', '.join(touched)}")
    return "none touched"


@check("task")
def quiet(subject: Subject) -> str:
    """Prints nothing."""
    text = printed(lambda: report(subject, toy_split("test")))
    require(not text, f"it prints {quoted(text)}")
    return "nothing"


# --- what the checks share ----------------------------------------------------------------------------------


def toy_split(name: str) -> Split:
    """Windows without strain, every second one a signal of known SNR and masses."""
    rng, n = seeds.numpy_generator(0, "data", list(SIZES).index(name)), SIZES[name]
    label = (np.arange(n) % 2).astype(np.int8)
    signal = label == 1
    snr = np.where(signal, rng.uniform(6.0, 30.0, n), np.nan).astype(np.float32)
    heavier = np.where(signal, rng.uniform(20.0, 80.0, n), np.nan)
    lighter = heavier * rng.uniform(0.3, 1.0, n)
    chirp_mass = (heavier * lighter) ** 0.6 / (heavier + lighter) ** 0.2
    parameters = {"mass_1": heavier, "mass_2": lighter, "chirp_mass": chirp_mass, **_glitches(n, rng)}
    return Split(np.zeros((n, 1, 1), np.float32), label, snr, parameters)


def _glitches(n: int, rng: np.random.Generator) -> dict[str, Array]:
    """What simulated glitches in two detectors tell of themselves."""
    told: dict[str, Array] = {}
    for detector in ("H1", "L1"):
        there = rng.random(n) < 0.4
        told[f"glitch_snr_{detector}"] = np.where(there, rng.uniform(8.0, 50.0, n), 0.0)
        told[f"glitch_time_{detector}"] = np.where(there, rng.uniform(0.0, 2.0, n), np.nan)
        told[f"glitch_kind_{detector}"] = np.where(there, rng.integers(3, size=n), -1.0)
    return told


def embedding(name: str) -> Array:
    """Embeddings [N, F] float32 that hold the label, the SNR and the masses, mixed and with noise."""
    split = toy_split(name)
    rng = seeds.numpy_generator(0, "data", 10 + list(SIZES).index(name))
    mixing = seeds.numpy_generator(0, "data", 20).normal(size=(4, FEATURES))
    known = np.stack([split.label, split.snr / 10, split.parameters["mass_1"] / 30, split.parameters["mass_2"] / 30])
    noise = 0.3 * rng.normal(size=(len(split), FEATURES))
    return np.asarray(np.nan_to_num(known.T) @ mixing + noise, np.float32)


def embedded(task: Task, name: str) -> Embedded:
    """The toy embeddings of a split, with the task's targets."""
    return Embedded(embedding(name), np.array(task.targets(toy_split(name))))


def settings(subject: Subject) -> ProbeSettings:
    """What a run would tell the task's probe."""
    return ProbeSettings(seed=0, neighbours=NEIGHBOURS, device=subject.device, progress=Progress())


def fit_predict(subject: Subject) -> Scores:
    """The task's predictions for the toy test split."""
    task: Task = subject.build()
    return task.fit_predict(embedded(task, "train"), embedded(task, "val"), embedding("test"), settings(subject))


def report(subject: Subject, test: Split) -> Any:
    """What the task reports of its predictions for the toy test split, as a record would hold it."""
    return pydantic_core.to_jsonable_python(subject.build().metrics(test, fit_predict(subject)))


def _arrays(given: tuple[Embedded, Embedded, Array]) -> list[Array]:
    train, val, test = given
    return [train.embeddings, train.targets, val.embeddings, val.targets, test]
