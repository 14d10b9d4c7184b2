"""A network from elsewhere, behind a front end, as an encoder of one detector's strain."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from gwbench.contracts import Encoder, Scorer
from gwbench.errors import UserError, did_you_mean, in_words
from gwbench.nn.encoder_scorer import EncoderScorer
from gwbench.nn.pretrained.front_ends import Waveform

Pool = Literal["mean", "max", "mean-max"]


class ImportedEncoder(Encoder):
    """Embeds strain by a network that was trained on something else, which is left as it is.

    Args:
        network: takes what the front end gives, all frames of a waveform as a batch.
        front_end: `Waveform`, or what gives an image.
        samples: of a window.
        layer: the name of the submodule whose output is taken; empty for what the network itself gives.
        feature_axis: of that output, where it has several axes beside the batch; the others are pooled.
        pool: how a map, a sequence and frames become one vector; "mean-max" gives both, side by side.

    Raises:
        UserError: there is no such layer, or the network does not take what the front end gives.
    """

    def __init__(
        self,
        network: nn.Module,
        front_end: nn.Module,
        samples: int,
        *,
        layer: str = "",
        feature_axis: int = 1,
        pool: Pool = "mean",
    ) -> None:
        super().__init__()
        for weight in network.parameters():  # of TorchScript, too, whose modules refuse `requires_grad_`
            weight.requires_grad_(False)
        self.network = network.eval()
        self.show = front_end
        self.layer, self.feature_axis, self.pool = layer, feature_axis, pool
        self._check_layer()
        with torch.no_grad():
            self.embed_dim = self(torch.zeros(1, 1, samples)).shape[1]

    def train(self, mode: bool = True) -> ImportedEncoder:
        """The network stays in evaluation mode: it is never trained."""
        return self

    def forward(self, strain: Tensor) -> Tensor:
        """[B, 1, T] -> [B, embed_dim]."""
        shown = self.show(strain[:, 0])
        if not isinstance(self.show, Waveform):
            return self._features(shown)
        features = self._features(shown.flatten(0, 1)).unflatten(0, shown.shape[:2])
        return self._pooled(features, 1) if shown.shape[1] > 1 else features[:, 0]

    def _features(self, shown: Tensor) -> Tensor:
        """[n, F] of what the network is shown."""
        output = self._output(shown)
        if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != len(shown):
            what = f"shape {list(output.shape)}" if isinstance(output, Tensor) else f"type {type(output).__name__}"
            raise UserError(
                f"For {len(shown)} inputs the network gives an output of {what}, not [{len(shown)}, ...]: name one of "
                "its layers with baseline.layer, or wrap it in a function that returns [B, F]."
            )
        if output.ndim == 2:
            return output.float()
        if not -output.ndim < self.feature_axis < output.ndim or self.feature_axis == 0:
            raise UserError(f"baseline.feature_axis={self.feature_axis} is no axis of an output {list(output.shape)}.")
        return self._pooled(output.float().movedim(self.feature_axis, 1).flatten(2), 2)

    def _pooled(self, features: Tensor, axis: int) -> Tensor:
        parts = [features.mean(axis)] if self.pool != "max" else []
        parts += [features.amax(axis)] if self.pool != "mean" else []
        return torch.cat(parts, dim=1)

    def _output(self, shown: Tensor) -> Any:
        """What the network, or its layer, gives."""
        kept: list[Any] = []
        hook = None
        if self.layer:
            hook = self.network.get_submodule(self.layer).register_forward_hook(lambda *seen: kept.append(seen[2]))
        try:
            output = self.network(shown)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"The network does not take inputs {list(shown.shape)}: {in_words(error)}. Mend the front end: "
                "baseline.front_end, baseline.samples, baseline.size or baseline.channels."
            ) from error
        finally:
            if hook:
                hook.remove()
        if self.layer and not kept:
            raise UserError(f"The network never uses its layer {self.layer!r}: name another with baseline.layer.")
        return kept[-1] if kept else output

    def _check_layer(self) -> None:
        if not self.layer:
            return
        names = [name for name, _ in self.network.named_modules() if name]
        if self.layer not in names:
            listing = (", ".join(names[:20]) or "none") + (", ..." if len(names) > 20 else "")
            raise UserError(
                f"The network has no layer {self.layer!r}.{did_you_mean(self.layer, names)} It has: {listing}."
            )
        if isinstance(self.network, torch.jit.ScriptModule):
            raise UserError(
                "The layers of a TorchScript network cannot be looked into: leave out baseline.layer, or save a "
                "network that ends there."
            )


class ImportedScorer(Scorer):
    """Log-odds by an imported encoder with a probe: its state holds the network's weights too."""

    def __init__(self, scorer: EncoderScorer) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, strain: Tensor) -> Tensor:
        """Log-odds [B] float64 of conditioned strain [B, D, T]."""
        scores: Tensor = self.scorer(strain)
        return scores

    @property
    def offset(self) -> float:
        """The probe's intercept."""
        return self.scorer.offset

    @property
    def network(self) -> bool:
        """False: every detector is embedded by itself."""
        return self.scorer.network

    def parts(self, strain: Tensor) -> Tensor | None:
        """What each detector's embedding adds, [B, D] float64."""
        return self.scorer.parts(strain)
