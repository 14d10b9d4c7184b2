"""What an encoder promises: [B, C, T] conditioned strain to [B, embed_dim]."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from safetensors.torch import load, save
from torch import Tensor

from gwbench import seeds
from gwbench.conformance.subject import Subject
from gwbench.conformance.table import Failure, NotApplicable, check, require
from gwbench.conformance.toys import SAMPLE_RATE, TINY_STRAIN, WINDOW, combination, nudge, unreached
from gwbench.conformance.watch import printed, quoted, random_state_touched
from gwbench.contracts import Encoder, InputShape
from gwbench.errors import UserError

CHANNELS = (1, 2, 3)
BATCH = 4
ROUNDING = 1e-6
"""How far two fp32 results of the same arithmetic in another order may lie apart, as a part of the largest number."""
OF_SPREAD = 1e-3
"""And as a part of how far different windows lie apart, which is little before training."""


@check("encoder")
def shapes(subject: Subject) -> str:
    """Embeds windows of 1, 2 and 3 channels as [B, embed_dim]."""
    refused, outputs = {}, []
    for channels in CHANNELS:
        try:
            encoder = build(subject, channels)
        except UserError as error:
            refused[channels] = str(error)
            continue
        out = embed(encoder, strain(subject, channels))
        require(isinstance(encoder.embed_dim, int), f"embed_dim is {encoder.embed_dim!r}, not an integer")
        expected = (BATCH, encoder.embed_dim)
        require(tuple(out.shape) == expected, f"{channels} channels give {list(out.shape)}, not {list(expected)}")
        outputs.append(f"C={channels}: {list(out.shape)}")
    require(bool(outputs), f"it refuses every number of channels: {'; '.join(refused.values())}")
    return "; ".join([*outputs, *(f"C={channels} refused: {reason}" for channels, reason in refused.items())])


@check("encoder")
def responds(subject: Subject) -> str:
    """Embeds different windows differently."""
    out = embed(*ready(subject))
    spread, largest = _spread(out), float(out.abs().max())
    require(spread > ROUNDING * largest, f"windows lie {spread:.1e} apart, embeddings are as large as {largest:.1e}")
    return f"windows lie {spread:.1e} apart, embeddings are as large as {largest:.1e}"


@check("encoder")
def dtype(subject: Subject) -> str:
    """Embeds in float32."""
    out = embed(*ready(subject))
    require(out.dtype == torch.float32, f"embeddings are {out.dtype}")
    return str(out.dtype)


@check("encoder")
def batch_of_two(subject: Subject) -> str:
    """Trains on a batch of two windows."""
    encoder, windows = ready(subject)
    out = encoder.train()(windows[:2])
    require(tuple(out.shape) == (2, encoder.embed_dim), f"two windows give {list(out.shape)}")
    require(bool(torch.isfinite(out).all()), "the embeddings are not finite")
    return f"{list(out.shape)}, finite"


@check("encoder")
def gradients(subject: Subject) -> str:
    """The gradient reaches every parameter."""
    encoder, windows = ready(subject)
    nudge(encoder)
    trainable = [p for p in encoder.parameters() if p.requires_grad]
    if not trainable:
        raise NotApplicable("it has no trainable parameter")
    probe_loss(encoder.train()(windows)).backward()
    if missed := unreached(encoder):
        raise Failure(f"no gradient, or not a finite one, at {missed}")
    return f"{len(trainable)} tensors, {sum(p.numel() for p in trainable):,} numbers"


@check("encoder")
def mixed_precision(subject: Subject) -> str:
    """Trains under bf16 autocast, as runs in bf16 do."""
    encoder, windows = ready(subject)
    encoder.train()
    with torch.autocast(windows.device.type, dtype=torch.bfloat16):
        out = encoder(windows)
    require(bool(torch.isfinite(out).all()), "the embeddings are not finite")
    if any(p.requires_grad for p in encoder.parameters()):
        probe_loss(out.float()).backward()
        require(_finite_gradients(encoder), "a gradient is not finite")
    return f"embeddings in {out.dtype}"


@check("encoder")
def deterministic(subject: Subject) -> str:
    """Gives the same embeddings twice in evaluation mode."""
    encoder, windows = ready(subject)
    return same(embed(encoder, windows), embed(encoder, windows), "of the same windows")


@check("encoder")
def neighbours(subject: Subject) -> str:
    """A window's embedding does not depend on the rest of its batch in evaluation mode."""
    encoder, windows = ready(subject)
    together, alone = embed(encoder, windows), embed(encoder, windows[:1])
    same(together, alone, "of a window alone and in a batch")
    louder = torch.cat([windows[:1], 10 * windows[1:] + 1])
    return same(together, embed(encoder, louder)[:1], "of a window beside others")


@check("encoder")
def finite(subject: Subject) -> str:
    """Finite on constant and on tiny strain, and so are the gradients."""
    encoder, windows = ready(subject)
    odd = {
        "zeros": torch.zeros_like(windows),
        "ones": torch.ones_like(windows),
        f"strain of {TINY_STRAIN:g}": TINY_STRAIN * windows,
    }
    for name, given in odd.items():
        require(bool(torch.isfinite(embed(encoder, given)).all()), f"the embedding of {name} is not finite")
        mixed = torch.cat([given[:1], windows[1:]])
        out = encoder.train()(mixed)
        require(bool(torch.isfinite(out).all()), f"the embeddings of a batch with {name} in it are not finite")
        if out.requires_grad:
            encoder.zero_grad()
            probe_loss(out).backward()
            require(_finite_gradients(encoder), f"a gradient of a batch with {name} in it is not finite")
    return ", ".join(odd)


@check("encoder")
def input_kept(subject: Subject) -> str:
    """Does not change its input."""
    encoder, windows = ready(subject)
    before = windows.clone()
    embed(encoder, windows)
    require(torch.equal(windows, before), "the input changed in evaluation mode")
    encoder.train()(windows)
    require(torch.equal(windows, before), "the input changed in training mode")
    return "unchanged, in training and in evaluation mode"


@check("encoder")
def front_end(subject: Subject) -> str:
    """A fixed front end gives the same numbers always, and the body takes them."""
    encoder, windows = ready(subject)
    if not encoder.fixed_front_end:
        return "it has none"
    features = encoder.train().front_end(windows)
    require(features.shape[:2] == windows.shape[:2], f"it gives {list(features.shape)}, not [B, C, ...]")
    require(features.dtype == torch.float32, f"it gives {features.dtype}")
    require(not features.requires_grad, "it has parameters that learn")
    touched = random_state_touched(lambda: encoder.front_end(windows))
    require(not touched, f"it touches the global generator of {', '.join(touched)}")
    with torch.no_grad(), evaluating(encoder):
        same(encoder(windows), encoder.body(encoder.front_end(windows)), "by the body behind it")
        _alike(features, encoder.front_end(windows), "in evaluation mode")
    with torch.autocast(windows.device.type, dtype=torch.bfloat16):
        _alike(features, encoder.front_end(windows), "under autocast")
    encoder(10 * windows + 1)
    _alike(features, encoder.front_end(windows), "after a batch in training")
    _alike(features, build(subject, windows.shape[1], seed=1).front_end(windows), "of another instance")
    network = strain(subject, max(CHANNELS))
    parts = [torch.cat([encoder.front_end(row[None, None]) for row in window], dim=1) for window in network]
    _alike(encoder.front_end(network), torch.cat(parts), "of every channel alone")
    return f"{list(windows.shape)} -> {list(features.shape)}"


@check("encoder")
def weights(subject: Subject) -> str:
    """Its weights go through a safetensors file into a new instance that embeds alike."""
    encoder, windows = ready(subject)
    encoder.train()(windows)  # moves running statistics off their start
    state = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    other = build(subject, windows.shape[1], seed=1)
    other.load_state_dict(load(save(state)))
    return same(embed(encoder, windows), embed(other, windows), "before and after")


@check("encoder")
def global_random_state(subject: Subject) -> str:
    """Touches no global random state outside its constructor.

    In training, torch's is free for dropout: the core seeds it for every step.
    """
    encoder, windows = ready(subject)
    touched = random_state_touched(lambda: embed(encoder, windows))
    touched += [name for name in random_state_touched(lambda: encoder.train()(windows)) if "torch" not in name]
    require(not touched, f"it touches the global generator of {', '.join(dict.fromkeys(touched))}")
    return "none touched"


@check("encoder")
def quiet(subject: Subject) -> str:
    """Prints nothing."""

    def use() -> None:
        encoder, windows = ready(subject)
        embed(encoder, windows)
        encoder.train()(windows)

    text = printed(use)
    require(not text, f"it prints {quoted(text)}")
    return "nothing"


# --- what the checks share ----------------------------------------------------------------------------------


def build(subject: Subject, channels: int, seed: int = 0) -> Encoder:
    """The encoder for windows of so many channels, with weights that the seed gives.

    Raises:
        UserError: it refuses them.
    """
    if reason := combination(subject.target, network=channels > 1):
        raise UserError(reason)
    with seeds.torch_global(seed, "init"):
        encoder: Encoder = subject.build(InputShape(channels, WINDOW, SAMPLE_RATE))
    return encoder.to(subject.device)


def ready(subject: Subject) -> tuple[Encoder, Tensor]:
    """The encoder for the fewest channels that it takes, and a batch for it."""
    reasons = []
    for channels in CHANNELS:
        try:
            return build(subject, channels), strain(subject, channels)
        except UserError as error:
            reasons.append(str(error))
    raise Failure(f"it refuses every number of channels: {'; '.join(reasons)}")


def strain(subject: Subject, channels: int) -> Tensor:
    """White noise of unit variance [BATCH, channels, WINDOW], as whitening gives it."""
    return torch.randn(BATCH, channels, WINDOW, generator=torch.Generator().manual_seed(channels)).to(subject.device)


def embed(encoder: Encoder, windows: Tensor) -> Tensor:
    """Embeddings in evaluation mode, without gradients."""
    with torch.no_grad(), evaluating(encoder):
        out: Tensor = encoder(windows)
    return out


@contextmanager
def evaluating(encoder: Encoder) -> Iterator[None]:
    """Evaluation mode for the block."""
    was_training = encoder.training
    encoder.eval()
    yield
    encoder.train(was_training)


def probe_loss(embeddings: Tensor) -> Tensor:
    """A loss whose gradient differs from window to window and is not along the embedding."""
    target = torch.randn(embeddings.shape, generator=torch.Generator().manual_seed(7)).to(embeddings.device)
    return (embeddings - target).square().sum()


def same(first: Tensor, second: Tensor, what: str) -> str:
    """That embeddings agree to rounding with those of the same windows, or of the first of them."""
    apart = float((first[: len(second)] - second).abs().max())
    limit = ROUNDING * float(first.abs().max()) + OF_SPREAD * _spread(first)
    require(apart <= limit, f"the embeddings {what} differ by {apart:.1e}; rounding explains {limit:.1e}")
    return f"largest difference {apart:.1e}, within the {limit:.1e} of rounding"


def _alike(first: Tensor, second: Tensor, what: str) -> None:
    """That features agree to rounding, on average: a logarithm has no bound to that of a single one."""
    apart = float((first - second).square().mean().sqrt())
    limit = ROUNDING * float(first.abs().max()) + OF_SPREAD * float(first.std())
    require(apart <= limit, f"what it gives {what} differs by {apart:.1e}; rounding explains {limit:.1e}")


def _spread(embeddings: Tensor) -> float:
    """How far windows lie apart: the largest standard deviation of a coordinate."""
    return float(embeddings.std(0).max())


def _finite_gradients(encoder: Encoder) -> bool:
    return all(bool(torch.isfinite(p.grad).all()) for p in encoder.parameters() if p.grad is not None)
