from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gwbench.training.contention import CoreTimes, contention
from gwbench.training.settings import TrainingSettings
from gwbench.training.signals import alignment, uniformity
from gwbench.training.stopping import DecaySchedule, check_stopper, epochs_of_decay, has_room, on_plateau, overfits


def sphere(n: int, width: int, seed: int) -> Tensor:
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(n, width)))
    return torch.nn.functional.normalize(x, dim=1)


def test_alignment_is_the_mean_squared_distance_on_the_sphere() -> None:
    a, b = sphere(40, 5, 0), sphere(40, 5, 1)
    by_hand = np.mean([np.sum((x - y) ** 2) for x, y in zip(a.numpy(), b.numpy(), strict=True)])
    assert alignment(3 * a, 0.1 * b) == pytest.approx(by_hand)
    assert alignment(a, 7 * a) == pytest.approx(0, abs=1e-12)


def test_uniformity_is_the_log_of_the_mean_potential_of_all_pairs() -> None:
    a = sphere(20, 4, 2).numpy()
    potentials = [math.exp(-2 * np.sum((a[i] - a[j]) ** 2)) for i in range(20) for j in range(i)]
    assert uniformity(torch.from_numpy(5 * a)) == pytest.approx(math.log(np.mean(potentials)))
    assert uniformity(torch.ones(6, 3)) == pytest.approx(0)


def test_a_wide_sphere_is_as_uniform_as_theory_has_it() -> None:
    # distances on a wide sphere are all about sqrt(2), so that the potential is exp(-4)
    assert uniformity(sphere(300, 2000, 3)) == pytest.approx(-4, abs=0.02)


def history(**signals: list[float]) -> list[dict[str, float]]:
    return [dict(zip(signals, values, strict=True)) for values in zip(*signals.values(), strict=True)]


FALLING = [1.0, 0.8, 0.7, 0.65, 0.64, 0.63]
FLAT = [1.0, 0.8, 0.8, 0.8, 0.8, 0.8]


@pytest.mark.parametrize(
    ("signals", "done"),
    [
        ({"ssl_loss": FLAT, "effective_rank": [1, 9, 9, 9, 9, 9]}, True),
        ({"ssl_loss": FALLING, "effective_rank": [1, 9, 9, 9, 9, 9]}, False),  # one that improves is enough
        ({"ssl_loss": FLAT, "effective_rank": [9, 8, 7, 6, 5, 4]}, True),  # a falling rank is no improvement
        ({"ssl_loss": FLAT, "effective_rank": [1, 2, 3, 4, 5, 6]}, False),
        ({"ssl_loss": [-1.0, -2.0, -2.0, -2.0, -2.0, -2.0]}, True),  # losses may be negative
        ({"ssl_loss": FLAT[:4]}, False),  # patience is not over
    ],
)
def test_training_is_done_when_no_signal_improves_any_more(signals: dict[str, list[float]], done: bool) -> None:
    assert on_plateau(history(**signals), patience=4, tolerance=0.02) is done


def test_what_moves_by_less_than_the_tolerance_is_no_improvement() -> None:
    creeping = [1.0, 0.5, 0.499, 0.498, 0.497]  # 0.2 % of the way so far each
    assert on_plateau(history(ssl_loss=creeping), patience=3, tolerance=0.02)
    assert not on_plateau(history(ssl_loss=creeping), patience=3, tolerance=0.001)


@pytest.mark.parametrize(
    ("training", "held_out", "done"),
    [
        ([6.0, 5.8, 5.7, 5.6, 5.5, 5.4], [6.1, 5.9, 5.85, 5.86, 5.87, 5.88], True),
        ([6.0, 5.8, 5.7, 5.6, 5.5, 5.4], [6.1, 5.9, 5.85, 5.86, 5.8, 5.75], False),  # both improve
        ([6.0, 5.8, 5.7, 5.6, 5.5], [6.1, 5.9, 5.85, 5.86, 5.87], False),  # patience is not over
        ([6.0, 5.8, 5.7, 5.7, 5.7, 5.7], [6.1, 5.9, 5.85, 5.86, 5.87, 5.88], False),  # neither: a plateau, not this
        # SimCLR's first plateau on faint signals: above guessing, which held-out windows show
        ([6.31, 6.29, 6.28, 6.27, 6.27, 6.26], [6.236, 6.237, 6.236, 6.237, 6.237, 6.237], False),
        # cqt2d, which learns faint windows by heart from the first epoch on (docs/explain/objectives.md)
        ([6.38, 6.27, 6.15, 6.01], [6.24, 6.33, 6.36, 6.35], True),
    ],
)
def test_a_loss_that_improves_on_training_windows_alone_ends_the_training(
    training: list[float], held_out: list[float], done: bool
) -> None:
    assert overfits(training, held_out, patience=3, tolerance=0.02) is done


def test_the_rate_rises_stays_and_decays_as_one_minus_a_square_root() -> None:
    schedule = DecaySchedule(warmup=4)
    assert [schedule(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert schedule(10_000) == 1
    schedule.decay_from, schedule.end = 100, 125
    expected = [1 - math.sqrt(step / 25) for step in range(25)]
    assert [schedule(100 + step) for step in range(25)] == pytest.approx(expected)
    assert schedule(125) == schedule(200) == 0


@pytest.mark.parametrize("epochs", [2, 3, 7, 40])
@pytest.mark.parametrize("cooldown", [0.1, 0.2, 1.0])
def test_the_decay_always_fits_into_the_epochs_there_are(epochs: int, cooldown: float) -> None:
    settings = TrainingSettings(epochs=epochs, stop="plateau", cooldown=cooldown)
    stable = 1
    while has_room(stable, settings):
        stable += 1
    assert 1 <= epochs_of_decay(stable, settings) <= epochs - stable
    assert stable + 1 + math.ceil(cooldown * (stable + 1)) > epochs


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": 9}, "no effect"),
        ({"epochs": 1, "stop": "plateau"}, "no epoch for the decay"),
        ({"windows": 1000, "stop": "plateau"}, "leave one of them out"),
        ({"windows": 100, "batch_size": 128}, "fewer than a batch of 128"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**settings)  # type: ignore[arg-type]


def test_settings_of_older_runs_read_as_they_did() -> None:
    assert set(TrainingSettings().model_dump()) == {
        "epochs", "batch_size", "lr", "weight_decay", "optimizer", "warmup", "clip"
    }  # fmt: skip
    assert {"stop", "patience", "tolerance", "cooldown"} <= set(TrainingSettings(stop="plateau").model_dump())
    by_windows = TrainingSettings(windows=1000)
    assert "epochs" not in by_windows.model_dump() and by_windows.steps(31) == 1000 // 256
    assert TrainingSettings.model_validate(by_windows.model_dump()) == by_windows


@pytest.mark.parametrize(
    ("state", "whole"),
    [
        ({"signals": [{"ssl_loss": 1.0}] * 3, "reason": "", "decay_epoch": 0}, True),
        ({"signals": [{"ssl_loss": 1.0}] * 3, "reason": "cap", "decay_epoch": 2}, True),
        ({"signals": [{"ssl_loss": 1.0}] * 3, "reason": "overfit", "decay_epoch": 2}, True),
        ({"signals": [{"ssl_loss": 1.0}] * 2, "reason": "", "decay_epoch": 0}, False),
        ({"signals": [{"ssl_loss": float("nan")}] * 3, "reason": "", "decay_epoch": 0}, False),
        ({"signals": [{"ssl_loss": 1.0}] * 3, "reason": "cap", "decay_epoch": 4}, False),
        ({"signals": [{"ssl_loss": 1.0}] * 3, "reason": "bored", "decay_epoch": 2}, False),
    ],
)
def test_a_checkpoint_says_when_its_rate_decays_or_is_of_something_else(state: dict[str, object], whole: bool) -> None:
    assert (check_stopper(state, epochs=5, done=3) == "") is whole


@pytest.mark.parametrize(
    ("own", "busy", "threads", "advice"),
    [
        (20.0, 20.0, 2, ""),  # alone
        (17.0, 20.0, 2, ""),  # a little besides
        (10.0, 20.0, 2, "OMP_NUM_THREADS=1"),
        (10.0, 20.0, 1, ""),  # one thread waits for nobody
        (12.0, 9.0, 2, ""),  # clocks that do not agree
    ],
)
def test_contention_is_said_where_threads_share_their_cores(own: float, busy: float, threads: int, advice: str) -> None:
    said = contention(CoreTimes(0, 0, 0), CoreTimes(10, own, busy), threads=threads, cores=2)
    assert (advice in said) if advice else not said
