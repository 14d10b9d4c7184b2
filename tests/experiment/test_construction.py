"""Constructing plugins: what fails, and what does not fit into memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gwbench.contracts import InputShape
from gwbench.errors import UserError, in_words
from gwbench.experiment import construction
from gwbench.experiment.choice import Choice
from gwbench.experiment.construction import is_out_of_memory, settings_to_lower, too_large
from gwbench.experiment.spec import RunSpec
from gwbench.registry import Registry
from gwbench.registry.parameters import parameters
from tests.registry.plugin_files import ENCODER

SHAPE = InputShape(1, 4096, 2048.0)


def _file(folder: Path, name: str, old: str, new: str) -> str:
    path = folder / f"{name}.py"
    text = ENCODER.format(name=name)
    assert old in text
    path.write_text(text.replace(old, new))
    return str(path)


@pytest.mark.parametrize("value", [10**12, 10**8])
def test_a_network_that_does_not_fit_names_its_setting_and_the_memory(value: int) -> None:
    """A linear layer of [10^12, 384] float32 alone takes 1.5e15 bytes."""
    with pytest.raises(UserError, match=rf"encoder\.embed_dim={value} \(by default 128\): this needs .* GiB of memory"):
        Choice.of("encoder", "cnn1d", {"embed_dim": value}).build("encoder", SHAPE)


def test_the_memory_of_weights_is_that_of_four_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Choice.of("encoder", "cnn1d", {"embed_dim": 20_000}).build("encoder", SHAPE)
    size = 4 * sum(4 * weight.numel() for weight in encoder.parameters())
    monkeypatch.setattr(construction, "free_memory", lambda: size)
    assert Choice.of("encoder", "cnn1d", {"embed_dim": 20_000}).build("encoder", SHAPE)
    monkeypatch.setattr(construction, "free_memory", lambda: size - 1)
    with pytest.raises(UserError, match=rf"needs {size / 2**30:,.1f} GiB of memory to train"):
        Choice.of("encoder", "cnn1d", {"embed_dim": 20_000}).build("encoder", SHAPE)


def test_finding_out_draws_no_random_number() -> None:
    drawn = []
    for width in (20_000, 20_000):
        torch.manual_seed(1)
        Choice.of("encoder", "cnn1d", {"embed_dim": width}).build("encoder", SHAPE)
        drawn.append(torch.rand(()).item())
    torch.manual_seed(1)
    from gwbench.plugins.encoders.cnn1d import Cnn1d

    Cnn1d(SHAPE, embed_dim=20_000)
    assert drawn == [torch.rand(()).item()] * 2


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096000 bytes."), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (OverflowError("Python int too large to convert to C long"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (UserError("out of memory"), False),
        (ValueError("expected a number"), False),
    ],
)
def test_what_says_that_memory_does_not_suffice(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) is is_one


def test_a_batch_that_does_not_fit_names_what_may_be_lowered() -> None:
    spec = RunSpec.create(settings={"training.batch_size": 4096, "encoder.width": 64, "encoder.embed_dim": 8})
    error = too_large(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."), settings_to_lower(spec))
    assert str(error).startswith(
        "encoder.width=64 (by default 32), training.batch_size=4096: this needs 2.0 GiB of memory, and "
    )


def test_a_constructor_that_raises_is_one_message_with_its_line(registry: Registry, tmp_path: Path) -> None:
    source = _file(
        tmp_path, "raising", "        self.embed_dim = width", "        raise ValueError(f'no {width}\\nat all')"
    )
    registry.load_source(source)
    with pytest.raises(UserError) as error:
        Choice.of("encoder", "raising", {"width": 7}).build("encoder", SHAPE)
    assert str(error.value) == (
        "encoder 'raising' cannot be constructed with width=7: ValueError: no 7 at all (at raising.py:11)."
    )


MUTE = "class Mute(Exception):\n    def __str__(self): raise KeyError('x')\n"


def test_an_exception_that_cannot_be_printed_is_named(registry: Registry, tmp_path: Path) -> None:
    source = _file(tmp_path, "mute", "        self.embed_dim = width", "        raise Mute()")
    Path(source).write_text(MUTE + Path(source).read_text())
    registry.load_source(source)
    with pytest.raises(UserError, match=r"Mute: its text cannot be made \(KeyError\) \(at mute.py:13\)"):
        Choice.of("encoder", "mute", {}).build("encoder", SHAPE)


def test_words_of_an_exception_are_one_printable_line() -> None:
    assert in_words(ValueError("a\n\tb \x1b[31m red")) == "ValueError: a b [31m red"
    assert in_words(ValueError()) == "ValueError"
    assert len(in_words(ValueError("x" * 10**6))) < 600


@pytest.mark.parametrize("annotation", ["1 / 0", "no_such_name", "int[3]", "(lambda: exit())()"])
def test_an_annotation_that_does_not_evaluate_is_one_message(
    registry: Registry, tmp_path: Path, annotation: str
) -> None:
    source = _file(tmp_path, "odd", "width: int = 4", f"width: {annotation!r} = 4")
    registry.load_source(source)
    with pytest.raises(UserError, match=r"encoder 'odd' at .*odd\.py:\d+: a parameter's type"):
        parameters(registry.get("encoder", "odd"))
