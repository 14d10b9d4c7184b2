"""The forms in which objects are handed over, and what they are told apart by."""

from __future__ import annotations

import functools
import linecache
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightly.loss import NTXentLoss
from torch import Tensor, nn

import gwbench
from gwbench.contracts import InputShape
from gwbench.errors import UserError
from gwbench.experiment.object_plugins import as_plugin
from gwbench.experiment.objects import named, refuse_other_processes
from gwbench.registry import REGISTRY, Plugin
from gwbench.registry.object_identity import identify
from gwbench.training.distributed import ProcessGroup

SHAPE = InputShape(1, 256, 1024.0)


class Frozen(nn.Module):
    """A network of which a part stays in evaluation mode."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv1d(1, width, 16), nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.5)
        self.norm.eval()

    def forward(self, strain: Tensor) -> Tensor:
        largest: Tensor = self.drop(self.norm(self.first(strain))).amax(2)
        return largest


def built(kind: str, given: Any, *context: Any) -> Any:
    plugin = as_plugin(kind, given)
    assert isinstance(plugin, Plugin) and plugin.target
    return plugin.target(*context)


def test_a_module_is_copied_and_keeps_its_modes_and_its_random_numbers() -> None:
    given = Frozen()
    before = {name: value.clone() for name, value in given.state_dict().items()}
    torch.manual_seed(5)
    encoder = built("encoder", given, SHAPE)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1)), "asking for the width drew from the global generator"
    assert encoder.embed_dim == 4
    assert encoder.network is not given
    assert [module.training for module in encoder.network.modules()] == [module.training for module in given.modules()]
    for name, value in given.state_dict().items():
        assert torch.equal(value, before[name])
    assert encoder(torch.zeros(3, 1, 256)).shape == (3, 4)


def test_factories_get_the_shape_where_they_ask_for_one_thing() -> None:
    seen = []

    def of_shape(shape: InputShape) -> nn.Module:
        seen.append(shape)
        return Frozen()

    assert built("encoder", of_shape, SHAPE).embed_dim == 4 and seen == [SHAPE]
    assert built("encoder", functools.partial(Frozen, width=6), SHAPE).embed_dim == 6
    assert as_plugin("encoder", functools.partial(Frozen, width=6)).name == "frozen"  # type: ignore[union-attr]
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    assert built("encoder", lazy, SHAPE).embed_dim == 3
    assert nn.parameter.is_lazy(next(lazy.parameters())), "the caller's module stays as it was"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda shape, width: Frozen(), "asks for shape, width: .*lambda shape"),
        (lambda: 3, "makes 3: expected a torch module"),
        (nn.Conv1d(1, 2, 3), r"gives \[2, 2, 254\]"),
        (nn.GRU(256, 3), "gives tuple"),
        (Frozen().double(), "fails on strain of shape"),
    ],
)
def test_what_gives_no_embeddings_is_named(given: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        built("encoder", given, SHAPE)


def test_a_loss_has_the_head_that_it_is_given_with() -> None:
    a, b = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0)).unbind(0)
    head = nn.Linear(5, 3)
    expected = NTXentLoss(0.2)(head(a), head(b))
    kept = built("objective", gwbench.Loss(NTXentLoss(0.2), projector=head), 5)
    torch.testing.assert_close(kept.loss(a, b), expected)
    assert kept.projector is not head
    bare = built("objective", gwbench.Loss(NTXentLoss(0.2)), 5)
    torch.testing.assert_close(bare.loss(a, b), NTXentLoss(0.2)(a, b))
    made = built("objective", gwbench.Loss(NTXentLoss, projector=lambda width: nn.Linear(width, 7)), 5)
    assert made.project(a).shape == (8, 7)
    assert as_plugin("objective", gwbench.Loss(NTXentLoss())).name == "nt-xent-loss"  # type: ignore[union-attr]
    for wrong, message in ((gwbench.Loss(3), "cannot be called"), (gwbench.Loss(abs, projector=3), "expected a torch")):
        with pytest.raises(UserError, match=message):
            built("objective", wrong, 5)


def test_the_parameters_of_a_loss_are_trained() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return (self.scale * (a - b) ** 2).mean()

    objective = built("objective", Scaled(), 5)
    assert "criterion.scale" in objective.state_dict()
    objective.loss(torch.randn(4, 5), torch.randn(4, 5)).backward()
    assert objective.criterion.scale.grad is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NTXentLoss(0.5), NTXentLoss(0.2)),
        (gwbench.Loss(NTXentLoss()), gwbench.Loss(NTXentLoss(), projector=nn.Identity())),
        (functools.partial(Frozen, width=4), functools.partial(Frozen, width=6)),
        (nn.MaxPool1d(2), nn.MaxPool1d(3)),
        (lambda a, b: (a - b).mean(), lambda a, b: (a + b).mean()),
    ],
)
def test_what_differs_is_told_apart(one: Any, other: Any) -> None:
    def hashes(given: Any) -> tuple[str, str]:
        identity = identify(given)
        return identity.source_hash, identity.state_hash

    assert hashes(one) == hashes(one) != hashes(other)


CELL = """class Typed(torch.nn.Module):
    scale = {scale}
    def forward(self, x):
        return self.scale * x.amax(2)
"""


def typed(scale: float, name: str = "", monkeypatch: Any = None) -> Any:
    """A class as a notebook has it: of a module without a file, its text known where a cell has a name."""
    text = CELL.format(scale=scale)
    names: dict[str, Any] = {"__name__": "cell_of_a_notebook", "torch": torch}
    if name:
        monkeypatch.setitem(linecache.cache, name, (len(text), None, text.splitlines(keepends=True), name))
    exec(compile(text, name or "<typed>", "exec"), names)
    return names["Typed"]


def test_a_class_of_a_notebook_has_its_text_and_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    known = identify(typed(1.0, "<cell-1>", monkeypatch))
    assert known.source == CELL.format(scale=1.0).rstrip("\n") or known.source == CELL.format(scale=1.0)
    again, other = (identify(typed(scale, f"<cell-{scale}>", monkeypatch)) for scale in (1.0, 2.0))
    assert known.source_hash == again.source_hash != other.source_hash
    assert identify(typed(1.0)) == identify(typed(1.0)) != identify(typed(2.0)), "without a text its values count"


def test_what_is_lent_is_of_one_thread_and_in_no_listing() -> None:
    found: list[str] = []

    def ask() -> None:
        try:
            REGISTRY.get("encoder", "frozen")
        except UserError as error:
            found.append(str(error))

    with named({"encoder": Frozen}) as names:
        assert REGISTRY.get("encoder", names["encoder"]).given
        assert names["encoder"] not in [plugin.name for plugin in REGISTRY.list("encoder")]
        other = threading.Thread(target=ask)
        other.start()
        other.join()
    assert found and "There is no encoder" in found[0]
    ask()
    assert len(found) == 2


def test_a_loss_that_gathers_nothing_is_not_spread_over_machines() -> None:
    plugin = as_plugin("objective", NTXentLoss())
    assert isinstance(plugin, Plugin)
    with pytest.raises(UserError, match="only the windows of its own process"):
        refuse_other_processes([plugin], ProcessGroup(2, 1, 0, 0, "torchrun"))


def test_arrays_are_named_and_checked_as_users_err(tmp_path: Path) -> None:
    strain = np.random.default_rng(0).normal(size=(12, 2, 64))
    hl: dict[str, Any] = {"sample_rate": 1024, "detectors": "h1,L1"}
    data = gwbench.ArrayDataset(strain, **hl, name="my-strain")
    assert (data.detectors, len(data)) == (("H1", "L1"), 12)
    assert as_plugin("dataset", data).name == "my-strain"  # type: ignore[union-attr]
    assert as_plugin("dataset", gwbench.ArrayDataset(strain, **hl, name="bbh")).name == "bbh-object"  # type: ignore[union-attr]
    for changed, message in (
        ({"name": "My strain"}, "kebab-case"),
        ({"sample_rate": "fast"}, "expected a number"),
        ({"margin": 0.5}, "number of samples"),
        ({"strain": strain[:, 0]}, r"strain\[:, None, :\]"),
        ({"strain": np.moveaxis(strain, 1, 2)}, "np.moveaxis"),
        ({"strain": strain * 1e60}, "float32 has no room"),
        ({"strain": strain * 1e-60}, "below 1e-45"),
    ):
        given: dict[str, Any] = {"strain": strain, **hl, **changed}
        with pytest.raises(UserError, match=message):
            gwbench.ArrayDataset(**given).fingerprint()
