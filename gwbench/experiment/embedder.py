"""An encoder as a transformer of scikit-learn: strain in, embeddings out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor, nn

from gwbench.contracts import Array
from gwbench.errors import UserError
from gwbench.experiment.checkpoint import EMBED_CHUNK, FrozenEncoder, load_encoder
from gwbench.preprocessing.base import Conditioner


class Embedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Embeds windows of strain with a frozen encoder; nothing is fitted to the data.

        embedder = gwbench.Embedder("runs/...")
        embeddings = embedder.fit_transform(strain)  # [N, D, T + 2 margin] -> [N, F]
        make_pipeline(embedder, StandardScaler(), LogisticRegression()).fit(strain, labels)

    Strain is 3-D, as scikit-learn lets any array pass through a pipeline and `cross_val_score`. 2-D input [N, D K] is
    taken for windows whose detectors lie one behind the other, where the encoder's conditioning, or `shape`, says
    what D and K are; without either it is strain of one detector.

    Args:
        encoder: the folder of a run, what `gwbench.load_encoder` gives, or a torch module.
        conditioner: for a module: what conditions strain before it, such as `splits.conditioned().conditioner`; None
            for strain that is conditioned already. An encoder of a run has its own.
        network: for a module: True where it takes all detectors at once, [B, D, T]; False where it takes each by
            itself, [B, 1, T], and the embeddings stand side by side, as a run's probe has them.
        shape: for a module without a conditioner: (D, T) of a window, which 2-D input needs.
        batch_size: windows embedded at once.
        device: where to compute: "cpu", "cuda", "cuda:1" or "mps".
        plugins: files or modules that register the encoder of a run's folder.

    Attributes:
        n_features_in_: values of a window, D K.
    """

    def __init__(
        self,
        encoder: Any,
        *,
        conditioner: Conditioner | None = None,
        network: bool = False,
        shape: tuple[int, int] | None = None,
        batch_size: int = EMBED_CHUNK,
        device: str = "cpu",
        plugins: Sequence[str] = (),
    ) -> None:
        self.encoder = encoder
        self.conditioner = conditioner
        self.network = network
        self.shape = shape
        self.batch_size = batch_size
        self.device = device
        self.plugins = plugins

    def fit(self, X: Any, y: Any = None) -> Embedder:
        """Load the encoder, check that the strain fits it, and find out how wide its embeddings are.

        Args:
            X: strain [N, D, K] or [N, D K].
            y: not used.

        Raises:
            UserError: there is no such encoder, or the strain does not fit it.
            ValueError: the strain is empty, not finite or no numbers.
        """
        self._load()
        strain = self._windows(X)
        self.n_features_in_ = int(strain.shape[1] * strain.shape[2])
        self._n_features_out = self._embed(strain[:1]).shape[1]
        return self

    def transform(self, X: Any) -> Array:
        """Embeddings [N, F] float32 of strain [N, D, K] or [N, D K].

        Raises:
            NotFittedError: `fit` comes first.
            UserError, ValueError: as of `fit`.
        """
        check_is_fitted(self, "_n_features_out")
        strain = self._windows(X)
        if strain.shape[1] * strain.shape[2] != self.n_features_in_:
            raise ValueError(
                f"X has {strain.shape[1] * strain.shape[2]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )
        return np.concatenate([
            self._embed(strain[start : start + self.batch_size]) for start in range(0, len(strain), self.batch_size)
        ])  # fmt: skip

    def _load(self) -> None:
        """Set what embeds: copies, so that the caller's own stay where and as they are."""
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise UserError(f"batch_size={self.batch_size!r}: expected a whole number, 1 or more.")
        encoder = self.encoder
        if isinstance(encoder, str | Path):
            encoder = load_encoder(encoder, self.plugins)
        if isinstance(encoder, FrozenEncoder):
            if self.conditioner is not None or self.network or self.shape is not None:
                raise UserError(
                    "An encoder of a run has its conditioning and its detectors: leave out conditioner, network and "
                    "shape."
                )
            module, conditioner, embed = encoder.encoder, encoder.conditioner, True
        elif isinstance(encoder, nn.Module):
            module, conditioner, embed = encoder, self.conditioner, False
        else:
            raise UserError(
                f"encoder={encoder!r} is no encoder: give the folder of a run, what gwbench.load_encoder gives, or a "
                "torch module."
            )
        self._module = copy.deepcopy(module).eval().to(self.device)
        self._conditioner = copy.deepcopy(conditioner).to(self.device) if conditioner is not None else None
        self._embeds_network = embed

    def _windows(self, values: Any) -> Array:
        """Strain [N, D, K], checked."""
        if isinstance(values, Tensor):
            values = values.detach().cpu().numpy()
        strain: Array = check_array(values, allow_nd=True, dtype=[np.float32, np.float64], estimator=self)
        shape = self._window_shape()
        if strain.ndim == 2:
            shape = shape or (1, strain.shape[1])
            if strain.shape[1] != shape[0] * shape[1]:
                raise ValueError(
                    f"X has {strain.shape[1]} features, but {type(self).__name__} is expecting {shape[0] * shape[1]} "
                    f"features as input: {shape[0]} detectors of {shape[1]} samples."
                )
            strain = strain.reshape(len(strain), *shape)
        if strain.ndim != 3 or (shape and strain.shape[1:] != shape):
            expected = f"[N, {shape[0]}, {shape[1]}]" if shape else "[N, detectors, samples]"
            raise UserError(f"Strain of shape {strain.shape} is not {expected}.")
        return strain

    def _window_shape(self) -> tuple[int, int] | None:
        """(D, K) as far as it is known."""
        if (own := self._conditioner) is not None:
            return len(own.detectors), own.window + 2 * own.margin
        return None if self.shape is None else (int(self.shape[0]), int(self.shape[1]))

    def _embed(self, strain: Array) -> Array:
        """[B, F] of strain [B, D, K]."""
        module: Any = self._module
        with (
            torch.inference_mode(),
            torch.autocast(torch.device(self.device).type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        ):
            given = (
                torch.from_numpy(np.ascontiguousarray(strain, dtype=np.float32)).to(self.device)
                if self._conditioner is None
                else self._conditioner(strain)
            )
            if self._embeds_network:
                out = module.embed(given)
            elif self.network:
                out = _embedding(module(given), len(given))
            else:
                views = [given[:, d : d + 1] for d in range(given.shape[1])]
                out = torch.cat([_embedding(module(view), len(given)) for view in views], dim=1)
        embeddings: Array = out.float().cpu().numpy()
        return embeddings


def _embedding(out: Any, count: int) -> Tensor:
    """What a module gave, if it is [B, F]."""
    if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != count:
        found = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else f"type {type(out).__name__}"
        raise UserError(
            f"The encoder gave {found} for {count} windows: expected embeddings [{count}, F]. End it with a pooling "
            "over time and nn.Flatten()."
        )
    return out


__all__ = ["Embedder"]
