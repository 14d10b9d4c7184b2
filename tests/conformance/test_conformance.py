"""The checks of `gwbench check`: everything registered passes them, and each catches a plugin that breaks it."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gwbench.conformance import Case, Subject, cases, checks
from gwbench.contracts import (
    Array,
    Augmentation,
    Baseline,
    DataContext,
    Dataset,
    Embedded,
    Encode,
    Encoder,
    InputShape,
    Objective,
    Pairing,
    Parts,
    ProbeSettings,
    RunContext,
    Scores,
    Split,
    StrainInfo,
    StrainSplits,
    Task,
    View,
)
from gwbench.errors import UserError
from gwbench.experiment.spec import RunSpec
from gwbench.registry import KINDS, REGISTRY, Registry, register
from gwbench.registry.compatibility import parts_of, why_not

SHIPPED = [(plugin.kind, plugin.name) for plugin in REGISTRY.list()]

SMALLER: dict[str, dict[str, Any]] = {
    "baseline matched-filter": {"baseline.draws": 200, "baseline.most_templates": 40},
    "baseline supervised": {"baseline.epochs": 2},
    "baseline supervised-all": {"baseline.epochs": 2},
    "baseline fine-tune": {"baseline.epochs": 2},
    "baseline frozen": {"baseline.source": "timm:test_resnet", "baseline.random": True, "baseline.size": 32},
}
"""Settings that make the same checks quicker."""


# --- everything registered ---


@pytest.mark.parametrize(("kind", "name"), SHIPPED, ids=map("-".join, SHIPPED))
def test_every_plugin_keeps_its_contract(kind: str, name: str, tmp_path: Path) -> None:
    settings = dict(SMALLER.get(f"{kind} {name}", {}))
    if (kind, name) == ("dataset", "g2net"):
        settings["dataset.path"] = str(g2net_folder(tmp_path))
        settings["dataset.val_fraction"] = settings["dataset.test_fraction"] = 0.3
    if (kind, name) == ("dataset", "real-noise") and os.environ.get("GWBENCH_TEST_DATA"):
        settings["dataset.path"] = f"{os.environ['GWBENCH_TEST_DATA']}/o3a-noise"
    findings = {str(case): case.run() for case in cases(name, kind, settings)}
    failed = {case: finding.found for case, finding in findings.items() if finding.result == "failed"}
    assert not failed, "\n".join(f"{case}: {found}" for case, found in failed.items())
    passed = [finding for finding in findings.values() if finding.result == "passed"]
    if not passed:
        pytest.skip(next(iter(findings.values())).found)
    assert len(passed) >= len(findings) - 1  # a plugin may leave one check out, with a reason


def g2net_folder(root: Path) -> Path:
    rng = np.random.default_rng(0)
    names = [f"{number:010x}" for number in rng.integers(2**40, size=24)]
    for name in names:
        path = root / "train" / name[0] / name[1] / name[2] / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, 1e-20 * rng.standard_normal((3, 4096)))
    with (root / "training_labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "target"), *((name, number % 2) for number, name in enumerate(names))])
    return root


# --- plugins that break one check each ---


class GoodEncoder(Encoder):
    """Keeps the contract."""

    fixed_front_end = True

    def __init__(self, shape: InputShape) -> None:
        super().__init__()
        self.embed_dim = 8
        self.linear = nn.Linear(shape.channels * 64, 8)

    def front_end(self, strain: Tensor) -> Tensor:
        blocks: Tensor = strain.unflatten(2, (64, -1)).mean(3)
        return blocks

    def body(self, features: Tensor) -> Tensor:
        out: Tensor = self.linear(features.flatten(1))
        return out

    def forward(self, strain: Tensor) -> Tensor:
        return self.body(self.front_end(strain))


def encoder(forward: Callable[[Any, Tensor], Tensor], **extra: Any) -> type[Encoder]:
    return type("Broken", (GoodEncoder,), {"__doc__": "Broken.", "forward": forward, **extra})


def plain(self: GoodEncoder, strain: Tensor) -> Tensor:
    return GoodEncoder.forward(self, strain)


class UnusedParameter(GoodEncoder):
    """Has a layer that nothing goes through."""

    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.unused = nn.Parameter(torch.ones(3))


class LostBuffer(GoodEncoder):
    """Has numbers that its state_dict leaves out."""

    factor: Tensor

    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.register_buffer("factor", torch.randn(8), persistent=False)

    def forward(self, strain: Tensor) -> Tensor:
        return super().forward(strain) * self.factor


def needs_three(self: GoodEncoder, strain: Tensor) -> Tensor:
    if self.training and len(strain) < 3:
        raise ValueError("Expected more than 2 values per channel when training")
    return plain(self, strain)


def printing(self: GoodEncoder, strain: Tensor) -> Tensor:
    os.write(1, b"from below Python")
    return plain(self, strain)


def front_end(change: Callable[[Any, Tensor], Tensor]) -> type[Encoder]:
    """An encoder that keeps the contract but for its front end."""
    changed = {"front_end": lambda self, x: change(self, GoodEncoder.front_end(self, x))}
    return type("Broken", (GoodEncoder,), {"__doc__": "Broken.", **changed})


def following(self: Any, x: Tensor) -> Tensor:
    if self.training:
        self.level = 0.9 * getattr(self, "level", 0.0) + 0.1 * float(x.detach().mean())
    return x - getattr(self, "level", 0.0)


FRONT_ENDS: dict[str, type] = {
    "mixes channels": front_end(lambda self, x: x - x.mean(1, keepdim=True)),
    "mixes windows": front_end(lambda self, x: x - x.mean(0, keepdim=True)),
    "learns": front_end(lambda self, x: x * self.linear.bias[0]),
    "differs from instance to instance": front_end(lambda self, x: x * self.linear.bias[0].detach()),
    "draws": front_end(lambda self, x: F.dropout(x, 0.1)),
    "differs in evaluation": front_end(lambda self, x: x * (1.0 if self.training else 0.9)),
    "follows the training": front_end(following),
    "loses its channels": front_end(lambda self, x: x.flatten(1)),
    "gives half precision": front_end(lambda self, x: x.bfloat16()),
    "is left out of the embedding": encoder(lambda self, x: self.body(2 * self.front_end(x))),
}

ENCODERS: dict[str, type] = {
    "front_end": FRONT_ENDS["mixes channels"],
    "shapes": encoder(lambda self, x: plain(self, x)[:, :7]),
    "responds": encoder(lambda self, x: 0 * plain(self, x) + self.linear.bias),
    "dtype": encoder(lambda self, x: plain(self, x).double()),
    "batch_of_two": encoder(needs_three),
    "gradients": UnusedParameter,
    "mixed_precision": encoder(lambda self, x: torch.complex(out := plain(self, x), out).real),
    "deterministic": encoder(lambda self, x: F.dropout(plain(self, x), training=True)),
    "neighbours": encoder(lambda self, x: plain(self, x) - 0.01 * self.front_end(x).mean()),
    "finite": encoder(lambda self, x: plain(self, x / x.std(2, keepdim=True))),
    "input_kept": encoder(lambda self, x: plain(self, x.mul_(2))),
    "weights": LostBuffer,
    "global_random_state": encoder(lambda self, x: plain(self, x) + 0 * np.random.rand()),  # noqa: NPY002
    "quiet": encoder(printing),
}


class GoodPairing(Pairing):
    """Keeps the contract."""

    selects = True

    def __init__(self, info: StrainInfo) -> None:
        pass

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        chosen = torch.randint(strain.shape[1], (len(strain),), generator=generator)
        view = View(strain[torch.arange(len(strain)), chosen].unsqueeze(1), chosen.unsqueeze(1))
        return self.spoil(view, generator), view

    def spoil(self, view: View, generator: torch.Generator) -> View:
        return view


class GoodAugmentation(Augmentation):
    """Keeps the contract."""

    def __init__(self, info: StrainInfo) -> None:
        pass

    def augment(self, view: View, generator: torch.Generator) -> View:
        sign = torch.randint(0, 2, (len(view.samples), 1, 1), generator=generator).mul(2).sub(1)
        return self.spoil(View(view.samples * sign, view.detectors), generator)

    def spoil(self, view: View, generator: torch.Generator) -> View:
        return view


def globally(view: View, _: torch.Generator) -> View:
    np.random.rand()  # noqa: NPY002
    return view


def talking(view: View, _: torch.Generator) -> View:
    print("a view")  # noqa: T201
    return view


SPOILT: dict[str, Callable[[View, torch.Generator], View]] = {
    "shapes": lambda view, _: View(view.samples[..., :-1], view.detectors),
    "detectors": lambda view, _: View(view.samples, view.detectors + 1),
    "reproducible": lambda view, _: View(view.samples + torch.rand(1), view.detectors),
    "finite": lambda view, _: View(view.samples / view.samples.std(2, keepdim=True), view.detectors),
    "global_random_state": globally,
    "quiet": talking,
}


def same_for_every_seed(view: View, generator: torch.Generator) -> View:
    torch.rand(1, generator=generator)
    return View(view.samples + 0, view.detectors)


class Overwriting(GoodPairing):
    """Changes the strain."""

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        strain[:, 0, 0] = 0.0
        return super().pair(strain, generator)


class FirstDetector(GoodPairing):
    """Draws, and takes the first detector whatever came."""

    def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
        view = View(strain[:, :1], torch.zeros(len(strain), 1, dtype=torch.long))
        return same_for_every_seed(view, generator), view


class Louder(GoodPairing):
    """Says that a view is the strain of its detector, and scales it."""

    def spoil(self, view: View, generator: torch.Generator) -> View:
        return View(1.5 * view.samples, view.detectors)


class OverwritingAugmentation(GoodAugmentation):
    """Changes the view."""

    def augment(self, view: View, generator: torch.Generator) -> View:
        view.samples.mul_(2)
        return super().augment(view, generator)


class DrawingInVain(GoodAugmentation):
    """Draws, and changes nothing."""

    def augment(self, view: View, generator: torch.Generator) -> View:
        return same_for_every_seed(view, generator)


def spoilt(base: type) -> dict[str, type]:
    return {
        name: type("Broken", (base,), {"__doc__": "Broken.", "spoil": staticmethod(spoil)})
        for name, spoil in SPOILT.items()
    }


PAIRINGS = {**spoilt(GoodPairing), "random": FirstDetector, "selects": Louder, "input_kept": Overwriting}
AUGMENTATIONS = {**spoilt(GoodAugmentation), "random": DrawingInVain, "input_kept": OverwritingAugmentation}


class GoodObjective(Objective):
    """InfoNCE; with constant embeddings, in collapse, the loss is log B."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__(embed_dim)
        self.projector = nn.Linear(embed_dim, 16)

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        similarity = F.normalize(self.projector(a)) @ F.normalize(self.projector(b)).T
        return F.cross_entropy(similarity / 0.2, torch.arange(len(a)))


def objective(loss: Callable[[Any, Tensor, Tensor], Tensor], **extra: Any) -> type[Objective]:
    return type("Broken", (GoodObjective,), {"__doc__": "Says what it does on collapse.", "loss": loss, **extra})


def good(self: Any, a: Tensor, b: Tensor) -> Tensor:
    return GoodObjective.loss(self, a, b)


class Forgetful(GoodObjective):
    """On collapse, log B. Counts its steps where no state_dict sees it."""

    seen = 0

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        return super().loss(a, b) * (1 + 0.1 * self.seen)

    def after_step(self, step: int, total_steps: int) -> None:
        self.seen += 1


class Erasing(GoodObjective):
    """On collapse, log B. Writes into its view."""

    def forward(self, a: View, b: View, encode: Encode) -> Tensor:
        a.samples[:, :, :100] = 0.0
        return super().forward(a, b, encode)


def loud_loss(self: Any, a: Tensor, b: Tensor) -> Tensor:
    print("loss")  # noqa: T201
    return good(self, a, b)


def numpy_loss(self: Any, a: Tensor, b: Tensor) -> Tensor:
    return good(self, a, b) * (1 + 0 * np.random.rand())  # noqa: NPY002


OBJECTIVES: dict[str, type] = {
    "scalar": objective(lambda self, a, b: (self.projector(a) - self.projector(b)).square().sum(1)),
    "smallest_batch": objective(lambda self, a, b: good(self, a, b) + 0 * a.std(0).sum(), min_batch=1),
    "gradients": objective(lambda self, a, b: good(self, a.detach(), b.detach())),
    "aligned": objective(lambda self, a, b: self.projector(a).square().mean() + self.projector(b).square().mean()),
    "collapse": objective(good, __doc__="Says nothing of what happens when all embeddings are the same."),
    "own_score": objective(good, log_odds=lambda self, embedding: (embedding - embedding.mean(0)).sum(1)),
    "resumes": Forgetful,
    "input_kept": Erasing,
    "global_random_state": objective(numpy_loss),
    "quiet": objective(loud_loss),
}


class GoodBaseline(Baseline):
    """Nearest mean of the loudest samples."""

    def scores(self, job: RunContext) -> Scores:
        x = self.features(job, "train")
        y = job.splits.train.label
        used = self.used(job)
        loud, quiet = (float(x[used][y[used] == value].mean()) for value in (1, 0))
        test = self.features(job, "test")
        return Scores(self.spoil(job, (test - quiet) / (loud - quiet)))

    def features(self, job: RunContext, split: str) -> np.ndarray[Any, Any]:
        return job.conditioned(split, slice(None)).abs().amax((1, 2)).numpy()

    def used(self, job: RunContext) -> np.ndarray[Any, Any]:
        return job.labelled

    def spoil(self, job: RunContext, scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return scores


def baseline(spoil: Callable[[RunContext, Any], Any]) -> type[Baseline]:
    return type(
        "Broken", (GoodBaseline,), {"__doc__": "Broken.", "spoil": lambda self, job, scores: spoil(job, scores)}
    )


class Greedy(GoodBaseline):
    """Uses all labels."""

    def used(self, job: RunContext) -> np.ndarray[Any, Any]:
        return np.arange(len(job.splits.train))


class Squaring(GoodBaseline):
    """Works in place."""

    def features(self, job: RunContext, split: str) -> np.ndarray[Any, Any]:
        return job.conditioned(split, slice(None)).square_().amax((1, 2)).numpy()


def with_noise(job: RunContext, scores: Any) -> Any:
    np.random.rand()  # noqa: NPY002
    return scores


def aloud(job: RunContext, scores: Any) -> Any:
    print("scores")  # noqa: T201
    return scores


BASELINES: dict[str, type] = {
    "shape": baseline(lambda job, scores: np.append(scores, 0.0)),
    "deterministic": baseline(lambda job, scores: scores + os.urandom(4)[0]),
    "test_labels": baseline(lambda job, scores: scores + np.isfinite(job.splits.test.snr)),
    "labelled_only": Greedy,
    "strain_kept": Squaring,
    "global_random_state": baseline(with_noise),
    "quiet": baseline(aloud),
}


class GoodDataset(Dataset):
    """White noise and louder white noise."""

    def __init__(self, *, train: int = 4000, val: int = 1000, test: int = 1000) -> None:
        self.sizes = {"train": train, "val": val, "test": test}

    def load(self, context: DataContext) -> StrainSplits:
        rng = self.rng(context)
        splits: dict[str, Any] = {}
        for name, size in self.sizes.items():
            label = (np.arange(size) % 2).astype(np.int8)
            strain = 1e-21 * rng.standard_normal((size, 2, 64)).astype(np.float32)
            strain[label == 1] *= 2
            snr = np.where(label == 1, 8.0, np.nan).astype(np.float32)
            splits[name] = self.spoil(Split(strain, label, snr), splits)
        digest = str(hash(b"".join(split.strain[:].tobytes() for split in splits.values())))
        return StrainSplits(**splits, detectors=("H1", "L1"), sample_rate=64.0, margin=0, content_hash=digest)

    def rng(self, context: DataContext) -> np.random.Generator:
        return np.random.default_rng(context.seed)

    def spoil(self, split: Split, before: dict[str, Split]) -> Split:
        return split


def dataset(spoil: Callable[[Split, dict[str, Split]], Split]) -> type[Dataset]:
    return type(
        "Broken", (GoodDataset,), {"__doc__": "Broken.", "spoil": lambda self, split, before: spoil(split, before)}
    )


def drawing(split: Split, before: dict[str, Split]) -> Split:
    np.random.rand()  # noqa: NPY002
    return split


def telling(split: Split, before: dict[str, Split]) -> Split:
    print("a split")  # noqa: T201
    return split


def unseeded(seed: Callable[[], int]) -> type[Dataset]:
    return type(
        "Broken",
        (GoodDataset,),
        {"__doc__": "Broken.", "rng": lambda self, context: np.random.default_rng(seed())},
    )


class Restless(GoodDataset):
    """A fingerprint of its own every time."""

    def fingerprint(self) -> dict[str, str]:
        return {"file": os.urandom(8).hex()}


DATASETS: dict[str, type] = {
    "shapes": dataset(lambda split, _: replace(split, strain=split.strain[:].astype(float))),
    "labels": dataset(lambda split, _: replace(split, snr=np.full_like(split.snr, 8.0))),
    "finite": dataset(lambda split, _: replace(split, strain=split.strain[:] / np.float32(0))),
    "splits_apart": dataset(lambda split, before: next(iter(before.values()), split)),
    "reproducible": unseeded(lambda: int.from_bytes(os.urandom(8))),
    "seeded": unseeded(lambda: 0),
    "fingerprint": Restless,
    "global_random_state": dataset(drawing),
    "quiet": dataset(telling),
}


class GoodTask(Task):
    """Signal or noise, by the difference of the classes' means; the share of windows that are told rightly."""

    def targets(self, split: Split) -> Array:
        return split.label

    def fit_predict(self, train: Embedded, val: Embedded, test: Array, settings: ProbeSettings) -> Scores:
        means = [train.embeddings[train.targets == value].mean(0) for value in (0, 1)]
        weight = means[1] - means[0]
        return Scores((test - (means[0] + means[1]) / 2) @ weight)

    def metrics(self, test: Split, scores: Scores) -> dict[str, Any]:
        return {"accuracy": np.mean((scores.test > 0) == (test.label == 1))}


def task(spoil: Callable[[Scores, Embedded], Any]) -> type[Task]:
    def fit_predict(self: Any, train: Embedded, val: Embedded, test: Array, settings: ProbeSettings) -> Scores:
        scores = GoodTask.fit_predict(self, train, val, test, settings)
        return Scores(spoil(scores, train))

    return type("Broken", (GoodTask,), {"__doc__": "Broken.", "fit_predict": fit_predict})


def told(metrics: Callable[[Scores], Any]) -> type[Task]:
    return type("Broken", (GoodTask,), {"__doc__": "Broken.", "metrics": lambda self, test, scores: metrics(scores)})


class Untargeted(GoodTask):
    """Has a target for every second window."""

    def targets(self, split: Split) -> Array:
        return split.label[::2]


def scaled(scores: Scores, train: Embedded) -> Array:
    train.embeddings[:] *= 2
    return scores.test


def drawn(scores: Scores) -> dict[str, float]:
    return {"luck": float(np.random.rand()) + float(scores.test[0])}  # noqa: NPY002


def spoken(scores: Scores) -> dict[str, float]:
    print("figures")  # noqa: T201
    return {"first": float(scores.test[0])}


TASKS: dict[str, type] = {
    "targets": Untargeted,
    "predictions": task(lambda scores, train: scores.test / 0.0),
    "learns": task(lambda scores, train: np.zeros(len(scores.test))),
    "deterministic": task(lambda scores, train: scores.test + os.urandom(4)[0]),
    "input_kept": task(scaled),
    "metrics": told(lambda scores: 0.9),
    "judges_the_test_split": told(lambda scores: {"mean": float(scores.test.mean())}),
    "global_random_state": told(drawn),
    "quiet": told(spoken),
}

BROKEN = {
    "encoder": ENCODERS,
    "pairing": PAIRINGS,
    "augmentation": AUGMENTATIONS,
    "objective": OBJECTIVES,
    "baseline": BASELINES,
    "dataset": DATASETS,
    "task": TASKS,
}
GOOD: dict[str, type] = {
    "encoder": GoodEncoder,
    "pairing": GoodPairing,
    "augmentation": GoodAugmentation,
    "objective": GoodObjective,
    "baseline": GoodBaseline,
    "dataset": GoodDataset,
    "task": GoodTask,
}
EVERY_CHECK = [(kind, each.name) for kind in KINDS for each in checks(kind)]


def case(kind: str, check: str, cls: type) -> Case:
    register(kind, "under-test")(cls)
    (found,) = (each for each in checks(kind) if each.name == check)
    return Case(Subject(REGISTRY.get(kind, "under-test")), found)


@pytest.mark.parametrize(("kind", "check"), EVERY_CHECK, ids=map("-".join, EVERY_CHECK))
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning", "ignore:std\\(\\).*:UserWarning")
def test_every_check_catches_a_plugin_that_breaks_it_and_passes_one_that_does_not(
    kind: str, check: str, registry: Registry
) -> None:
    finding = case(kind, check, GOOD[kind]).run()
    assert finding.result == "passed", finding.found
    registry._loaded.pop((kind, "under-test"))
    finding = case(kind, check, BROKEN[kind][check]).run()
    assert finding.result == "failed"
    assert finding.found
    assert finding.check
    assert not finding.check.endswith(".")


@pytest.mark.parametrize("fault", FRONT_ENDS)
def test_a_front_end_whose_results_cannot_be_kept_is_caught(fault: str, registry: Registry) -> None:
    finding = case("encoder", "front_end", FRONT_ENDS[fault]).run()
    assert finding.result == "failed", finding.found


@pytest.mark.parametrize(
    "undocumented",
    [
        objective(lambda self, a, b: (a - b).square().sum().sqrt()),  # its gradient at zero is not finite
        objective(lambda self, a, b: -((a - b) / a.std(0)).square().mean()),
    ],
)
def test_an_objective_that_breaks_down_on_collapse_is_caught(undocumented: type, registry: Registry) -> None:
    finding = case("objective", "collapse", undocumented).run()
    assert finding.result == "failed"
    assert "constant embeddings" in finding.found


def test_gradients_of_an_objectives_own_layers_are_asked_for(registry: Registry) -> None:
    finding = case("objective", "gradients", objective(lambda self, a, b: (a - b).square().mean())).run()
    assert finding.result == "failed"
    assert "projector.weight" in finding.found


def test_a_zero_start_is_not_taken_for_a_missing_gradient(registry: Registry) -> None:
    class ZeroStart(GoodEncoder):
        """Ends in a layer that starts at zero: behind it no gradient arrives at first."""

        def __init__(self, shape: InputShape) -> None:
            super().__init__(shape)
            self.gate = nn.Parameter(torch.zeros(8))

        def forward(self, strain: Tensor) -> Tensor:
            return super().forward(strain) * self.gate

    assert case("encoder", "gradients", ZeroStart).run().result == "passed"


def test_what_draws_nothing_or_compares_nothing_is_let_off_with_the_reason(registry: Registry) -> None:
    class Fixed(GoodPairing):
        """The first two detectors."""

        def pair(self, strain: Tensor, generator: torch.Generator) -> tuple[View, View]:
            a, b = (View(strain[:, d : d + 1], torch.full((len(strain), 1), d)) for d in (0, 1))
            return a, b

    finding = case("pairing", "random", Fixed).run()
    assert (finding.result, finding.found) == ("skipped", "it draws nothing")
    register("objective", "generative", tags=("generative",))(OBJECTIVES["aligned"])
    (aligned,) = (each for each in checks("objective") if each.name == "aligned")
    assert Case(Subject(registry.get("objective", "generative")), aligned).run().result == "skipped"


def test_refusals_are_named_and_refusing_everything_fails(registry: Registry) -> None:
    class OneChannel(GoodEncoder):
        """For single detectors."""

        def __init__(self, shape: InputShape) -> None:
            if shape.channels > 1:
                raise UserError("one at a time")
            super().__init__(shape)

    finding = case("encoder", "shapes", OneChannel).run()
    assert finding.result == "passed"
    assert finding.found == "C=1: [4, 8]; C=2 refused: one at a time; C=3 refused: one at a time"

    class NoChannel(GoodEncoder):
        """For nobody."""

        def __init__(self, shape: InputShape) -> None:
            raise UserError("not today")

    registry._loaded.pop(("encoder", "under-test"))
    for check in ("shapes", "dtype"):
        finding = case("encoder", check, NoChannel).run()
        registry._loaded.pop(("encoder", "under-test"))
        assert finding.result == "failed"
        assert "not today" in finding.found


def test_an_error_is_a_failed_check_that_names_the_line(registry: Registry) -> None:
    def explode(self: GoodEncoder, strain: Tensor) -> Tensor:
        raise KeyError("missing")

    finding = case("encoder", "dtype", encoder(explode)).run()
    line = explode.__code__.co_firstlineno + 1
    assert (finding.result, finding.found) == ("failed", f"KeyError: 'missing' (test_conformance.py:{line})")


def test_the_checks_leave_the_global_generators_as_they_are() -> None:
    states = [torch.get_rng_state().tolist(), str(np.random.get_state(legacy=False))]  # noqa: NPY002
    for each in cases("cnn1d", "encoder", {"encoder.width": 2, "encoder.embed_dim": 4, "encoder.stride": 8}):
        each.run()
    assert states == [torch.get_rng_state().tolist(), str(np.random.get_state(legacy=False))]  # noqa: NPY002


# --- combinations ---


class Choosy(GoodObjective):
    """On collapse, log B. Wants views of one detector."""

    asked: ClassVar[list[Parts]] = []

    @classmethod
    def skip(cls, parts: Parts) -> str:
        cls.asked.append(parts)
        return "it compares single detectors" if parts.pairing and parts.pairing.network else ""


class WholeNetwork(GoodPairing):
    """All detectors."""

    network = True


def test_a_combination_that_makes_no_sense_is_refused_with_the_reason(registry: Registry) -> None:
    register("objective", "choosy")(Choosy)
    register("pairing", "whole")(WholeNetwork)
    register("augmentation", "any")(GoodAugmentation)
    spec = RunSpec.create(objective="choosy", augmentations=["any"])
    assert spec.objective is not None
    parts = Choosy.asked[-1]
    assert parts.objective is Choosy
    assert parts.augmentations == (GoodAugmentation,)
    assert parts.baseline is None
    assert None not in (parts.dataset, parts.encoder, parts.pairing)
    with pytest.raises(UserError, match=r"pairing 'whole'.* cannot be combined: it compares single detectors\.$"):
        RunSpec.create(objective="choosy", pairing="whole")


def test_a_suite_can_ask_without_an_exception(registry: Registry) -> None:
    register("objective", "choosy")(Choosy)
    register("pairing", "whole")(WholeNetwork)
    names = [("objective", "choosy"), ("encoder", "cnn1d")]
    assert why_not(parts_of([*names, ("pairing", "whole")])) == "it compares single detectors"
    assert why_not(parts_of([*names, ("pairing", "cross-detector")])) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_every_broken_plugin_names_a_check(kind: str) -> None:
    assert set(BROKEN[kind]) == {each.name for each in checks(kind)}
