"""What an objective promises: a loss on two views that pulls together what belongs together."""

from __future__ import annotations

import copy
import inspect
from functools import lru_cache

import torch
from torch import Tensor, nn

from gwbench import seeds
from gwbench.conformance.subject import Subject
from gwbench.conformance.table import Failure, NotApplicable, check, require
from gwbench.conformance.toys import SAMPLE_RATE, Chirps, combination, nudge, unreached
from gwbench.conformance.watch import printed, quoted, random_state_touched
from gwbench.contracts import Encoder, InputShape, Objective, View
from gwbench.nn.detector_encoder import DetectorEncoder
from gwbench.training.diagnostics import GENERATIVE_TAG

BATCH = 64
WINDOW = 1024
EMBED_DIM = 32
DETECTORS = ("H1", "L1", "V1")
STEPS = 30
"""Optimiser steps before aligned and shuffled pairs are compared."""
COMPARED = 4
"""Fresh batches in each of which the aligned pairs must have the lower loss."""


@check("objective")
def scalar(subject: Subject) -> str:
    """The loss is one finite float32 number."""
    loss = Trial(subject).loss()
    require(loss.ndim == 0, f"the loss has shape {list(loss.shape)}")
    require(loss.dtype == torch.float32, f"the loss is {loss.dtype}")
    require(bool(torch.isfinite(loss)), f"the loss is {loss.item()}")
    return f"{loss.item():.4g} before training"


@check("objective")
def smallest_batch(subject: Subject) -> str:
    """The loss is finite for the smallest batch that it declares."""
    least = subject.target.min_batch
    trial = Trial(subject)
    loss = trial.loss(trial.pairs(least))
    require(bool(torch.isfinite(loss)), f"the loss of {least} pairs is {loss.item()}")
    return f"{loss.item():.4g} for {least} pairs"


@check("objective")
def gradients(subject: Subject) -> str:
    """The gradient reaches the encoder and every trainable parameter of the objective."""
    trial = Trial(subject)
    nudge(trial.encoder)
    nudge(trial.objective)
    trial.loss().backward()
    if missed := unreached(trial.encoder):
        raise Failure(f"no gradient, or not a finite one, at the encoder's {missed}")
    if missed := unreached(trial.objective):
        raise Failure(f"no gradient, or not a finite one, at {missed}")
    return f"{sum(p.numel() for p in trial.objective.parameters() if p.requires_grad):,} numbers of its own"


@check("objective")
def aligned(subject: Subject) -> str:
    """Aligned pairs have a lower loss than shuffled ones, in each of 4 batches, after 30 steps on toy signals."""
    if GENERATIVE_TAG in subject.plugin.tags:
        raise NotApplicable(f"it is tagged {GENERATIVE_TAG!r}: it models each view, and does not compare them")
    trial = Trial(subject)
    trial.train(STEPS)
    losses = []
    for number in range(COMPARED):
        a, b = trial.pairs(BATCH, seed=1000 + number)
        shuffled = View(b.samples.roll(1, 0), b.detectors.roll(1, 0))
        losses.append((trial.peek((a, b)), trial.peek((a, shuffled))))
    means = [sum(column) / COMPARED for column in zip(*losses, strict=True)]
    numbers = f"{means[0]:.4g} aligned, {means[1]:.4g} shuffled"
    require(all(low < high for low, high in losses), numbers)
    return numbers


@check("objective")
def collapse(subject: Subject) -> str:
    """On constant embeddings, loss and gradient are finite, and the docstring says what collapse does."""
    trial = Trial(subject, encoder=_Constant)
    loss = trial.loss()
    loss.backward()
    value = f"{loss.item():.4g} on constant embeddings"
    require(bool(torch.isfinite(loss)), value)
    parameters = [*trial.encoder.parameters(), *trial.objective.parameters()]
    ok = all(bool(torch.isfinite(p.grad).all()) for p in parameters if p.grad is not None)
    require(ok, f"{value}, where a gradient is not finite")
    documented = "collaps" in (inspect.getdoc(subject.target) or "").lower()
    require(documented, f"{value}, and no word about collapse in the docstring")
    return f"{value}; documented"


@check("objective")
def own_score(subject: Subject) -> str:
    """Where it has a score of its own, every window has a finite one, whatever other windows are scored with it."""
    if not subject.target.scores_windows():
        return "it has none"
    trial = Trial(subject)
    trial.train(3)
    objective = trial.objective.eval()
    view = trial.pairs(BATCH)[0]
    with torch.no_grad():
        one = trial.encoder.eval()(view)
        embedding = one if trial.network else torch.cat([one] * len(DETECTORS), dim=1)
        scores, first = objective.log_odds(embedding), objective.log_odds(embedding[:1])
    require(scores.shape == (BATCH,), f"its shape is {list(scores.shape)} for {BATCH} windows")
    require(bool(torch.isfinite(scores).all()), "a score is NaN or infinite")
    together, alone = scores[0].item(), first[0].item()
    require(abs(together - alone) < 1e-4 * max(1.0, abs(alone)), f"{alone:.5g} alone, {together:.5g} among others")
    return f"from {scores.min().item():.3g} to {scores.max().item():.3g}"


@check("objective")
def resumes(subject: Subject) -> str:
    """A state_dict holds all that a resumed training needs: a new instance with it has the same next losses."""
    trial, other = Trial(subject), Trial(subject, seed=1)
    trial.train(3)
    other.encoder.load_state_dict(copy.deepcopy(trial.encoder.state_dict()))
    other.objective.load_state_dict(copy.deepcopy(trial.objective.state_dict()))
    other.step = trial.step
    losses = [[each.step_without_learning() for _ in range(3)] for each in (trial, other)]
    apart = max(abs(a - b) / max(abs(a), 1e-6) for a, b in zip(*losses, strict=True))
    require(apart < 1e-5, f"the losses go on as {_numbers(losses[0])}; with the loaded state as {_numbers(losses[1])}")
    return f"{_numbers(losses[0])}, equal to {apart:.0e}"


@check("objective")
def input_kept(subject: Subject) -> str:
    """Does not change the views."""
    trial = Trial(subject)
    views = copy.deepcopy(trial.pairs(BATCH))
    before = [(view.samples.clone(), view.detectors.clone()) for view in views]
    trial.loss(views)
    for view, (samples, detectors) in zip(views, before, strict=True):
        require(torch.equal(view.samples, samples) and torch.equal(view.detectors, detectors), "a view changed")
    return "unchanged"


@check("objective")
def global_random_state(subject: Subject) -> str:
    """Touches no global random state but torch's, which the core seeds for every step."""
    trial = Trial(subject)
    touched = [name for name in random_state_touched(lambda: trial.train(2)) if "torch" not in name]
    require(not touched, f"it touches the global generator of {', '.join(touched)}")
    return "none touched"


@check("objective")
def quiet(subject: Subject) -> str:
    """Prints nothing."""
    text = printed(lambda: Trial(subject).train(2))
    require(not text, f"it prints {quoted(text)}")
    return "nothing"


# --- what the checks share ----------------------------------------------------------------------------------


class Spectral(Encoder):
    """A toy encoder that is quick to train: a layer on the spectrum of a window, by blocks of frequency."""

    BLOCKS = 64

    def __init__(self, shape: InputShape) -> None:
        super().__init__()
        self.embed_dim = EMBED_DIM
        self.layers = nn.Sequential(
            nn.Linear(shape.channels * self.BLOCKS, 64), nn.LayerNorm(64), nn.ReLU(), nn.Linear(64, EMBED_DIM)
        )

    def forward(self, strain: Tensor) -> Tensor:
        """[B, C, T] -> [B, EMBED_DIM]."""
        power = torch.fft.rfft(strain.float())[..., : strain.shape[-1] // 8].abs()  # below a quarter of Nyquist
        blocks = nn.functional.adaptive_avg_pool1d(power, self.BLOCKS).log1p()
        return self.layers(blocks.flatten(1))  # type: ignore[no-any-return]


class _Constant(Encoder):
    """A collapsed encoder: one embedding for every window."""

    def __init__(self, shape: InputShape) -> None:
        super().__init__()
        self.embed_dim = EMBED_DIM
        self.embedding = nn.Parameter(torch.linspace(-1, 1, EMBED_DIM))

    def forward(self, strain: Tensor) -> Tensor:
        """[B, C, T] -> [B, EMBED_DIM], all rows equal."""
        return self.embedding.expand(len(strain), EMBED_DIM)


@lru_cache(maxsize=2 * STEPS)
def pairs(batch: int, seed: int = 0) -> tuple[View, View]:
    """Two detectors' views of the same toy signals in independent noise, [batch, 1, WINDOW] each."""
    generator = torch.Generator().manual_seed(seed)
    signals = 2 * Chirps(len(DETECTORS), WINDOW).draw(batch, generator)
    noise = torch.randn(2, batch, WINDOW, generator=generator)
    rows = torch.arange(batch)
    first = torch.randint(len(DETECTORS), (batch,), generator=generator)
    second = (first + 1) % len(DETECTORS)
    a, b = (View((signals[rows, d] + noise[n]).unsqueeze(1), d.unsqueeze(1)) for n, d in enumerate((first, second)))
    return a, b


@lru_cache(maxsize=2 * STEPS)
def slid_pairs(batch: int, seed: int = 0) -> tuple[View, View]:
    """Toy signals of the network in independent noise, and the same slid between detectors, [batch, D, WINDOW] each."""
    generator = torch.Generator().manual_seed(seed)
    signals = 2 * Chirps(len(DETECTORS), WINDOW).draw(batch, generator)
    strain = signals + torch.randn(signals.shape, generator=generator)
    slid = torch.stack([strain[:, d].roll(d, 0) for d in range(len(DETECTORS))], dim=1)
    index = torch.arange(len(DETECTORS)).expand(batch, len(DETECTORS))
    return View(strain, index), View(slid, index)


class Trial:
    """An objective in training with a toy encoder.

    Raises:
        NotApplicable: the objective refuses views of one detector, and of the network too.
        UserError: the objective refuses the width of the embedding.
    """

    def __init__(self, subject: Subject, *, encoder: type[Encoder] = Spectral, seed: int = 0) -> None:
        self.network = bool(combination(subject.target, network=False))
        if self.network and (reason := combination(subject.target, network=True)):
            raise NotApplicable(reason)
        self.device = subject.device
        with seeds.torch_global(seed, "init"):
            shape = InputShape(len(DETECTORS) if self.network else 1, WINDOW, SAMPLE_RATE)
            everyone = [list(range(len(DETECTORS)))]
            self.encoder = DetectorEncoder(lambda: encoder(shape), everyone, network=self.network).to(self.device)
            self.objective: Objective = subject.build(EMBED_DIM).to(self.device)
            self.objective.attach(self.encoder)
        self.objective.to(self.device).train()
        self.encoder.train()
        self.step = 0

    def pairs(self, batch: int, seed: int = 0) -> tuple[View, View]:
        """Toy views of one detector; or of the network, where the objective refuses those."""
        return slid_pairs(batch, seed) if self.network else pairs(batch, seed)

    def loss(self, views: tuple[View, View] | None = None) -> Tensor:
        """The loss of views, or of a batch that belongs to the step; random numbers belong to the step too."""
        views = views or self.pairs(BATCH, seed=self.step)
        moved = [View(view.samples.to(self.device), view.detectors.to(self.device)) for view in views]
        with seeds.torch_global(0, "noise", self.step):
            loss: Tensor = self.objective(*moved, self.encoder)
        return loss

    def train(self, steps: int) -> None:
        """Optimiser steps on aligned pairs, as the core takes them."""
        parameters = [p for p in (*self.encoder.parameters(), *self.objective.parameters()) if p.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=2e-3)
        for _ in range(steps):
            optimizer.zero_grad()
            self.loss().backward()
            optimizer.step()
            self.advance()

    def advance(self) -> None:
        """What follows an optimiser step."""
        self.step += 1
        self.objective.after_step(self.step, STEPS)

    def step_without_learning(self) -> float:
        """The loss of the next step, which is taken with a learning rate of zero."""
        loss = self.loss().item()
        self.advance()
        return loss

    def peek(self, views: tuple[View, View]) -> float:
        """The loss of views; the state is as before afterwards."""
        kept = [(module, copy.deepcopy(module.state_dict())) for module in (self.encoder, self.objective)]
        with torch.no_grad():
            loss = self.loss(views).item()
        for module, state in kept:
            module.load_state_dict(state)
        return loss


def _numbers(losses: list[float]) -> str:
    return ", ".join(f"{loss:.5g}" for loss in losses)
