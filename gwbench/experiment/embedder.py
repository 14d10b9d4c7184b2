"""An encoder as a scikit-learn transformer."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import nn

from gwbench.data.dataset import Array
from gwbench.errors import UserError
from gwbench.experiment.checkpoint import FrozenEncoder, load_encoder


class Embedder(TransformerMixin, BaseEstimator):
    """Embeddings of strain by a trained encoder, as a step of a scikit-learn pipeline.

        model = make_pipeline(gwbench.Embedder("runs/NAME"), StandardScaler(), LogisticRegression())
        model.fit(strain, labels)  # strain [N, D, T + 2 margin]

    Nothing is fitted but the number of features: the encoder is frozen.

    Args:
        encoder: a finished run's folder, what `gwbench.load_encoder` gives, or a torch module from [B, ...] to [B, F],
            which is taken in evaluation mode and sees the strain as it is.
        batch_size: windows embedded at once.
        flat: take [N, D x (T + 2 margin)] instead, each window in one row, as transformers that know tables alone hand
            it on.

    Attributes:
        encoder_: the encoder that is used.
        n_features_in_: samples of a window.
        n_features_out_: width of an embedding.
    """

    def __init__(
        self,
        encoder: str | Path | FrozenEncoder | nn.Module | None = None,
        *,
        batch_size: int = 256,
        flat: bool = False,
    ) -> None:
        self.encoder = encoder
        self.batch_size = batch_size
        self.flat = flat

    def fit(self, X: ArrayLike, y: Any = None) -> Embedder:
        """Load the encoder, and see what it makes of a window.

        Args:
            X: strain as `transform` takes it.
            y: not read.

        Raises:
            UserError: there is no such run, or the strain does not fit it.
        """
        strain = self._strain(X, fitting=True)
        if self.encoder is None:
            raise UserError(
                "An Embedder needs an encoder: a run's folder, what gwbench.load_encoder gives, or a module."
            )
        if isinstance(self.encoder, (str, Path)):
            self.encoder_: Any = load_encoder(self.encoder)
        else:
            self.encoder_ = copy.deepcopy(self.encoder)
        if isinstance(self.encoder_, nn.Module):
            self.encoder_.eval()
        self.n_features_out_ = self._embed(strain[:1]).shape[1]
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Embeddings [N, F] of strain [N, D, T + 2 margin], in strain units, in the run's detector order."""
        check_is_fitted(self, "n_features_out_")
        strain = self._strain(X, fitting=False)
        parts = [strain[start : start + self.batch_size] for start in range(0, len(strain), self.batch_size)]
        return np.concatenate([self._embed(part) for part in parts])

    def __sklearn_tags__(self) -> Any:
        """Embeddings are float32, whatever the strain is."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names of the embedding's components: embedder0, embedder1, ..."""
        check_is_fitted(self, "n_features_out_")
        return np.array([f"embedder{number}" for number in range(self.n_features_out_)], dtype=object)

    def _strain(self, X: ArrayLike, *, fitting: bool) -> Array:
        if hasattr(X, "detach"):
            X = X.detach().cpu().numpy()
        if self.flat or len(getattr(X, "shape", ())) != 3:  # a table, with all that scikit-learn checks of one
            table: Array = validate_data(self, X, reset=fitting, dtype="numeric")
            return table
        strain: Array = check_array(X, allow_nd=True, dtype="numeric")
        if fitting:
            self.n_features_in_ = int(np.prod(strain.shape[1:]))
        elif np.prod(strain.shape[1:]) != self.n_features_in_:
            raise UserError(
                f"Windows of shape {strain.shape[1:]} have not the {self.n_features_in_} samples fitted to."
            )
        return strain

    def _embed(self, strain: Array) -> Array:
        if isinstance(self.encoder_, nn.Module):
            with torch.inference_mode():
                embedding = self.encoder_(torch.from_numpy(np.ascontiguousarray(strain, dtype=np.float32)))
            if embedding.ndim != 2 or len(embedding) != len(strain):
                raise UserError(
                    f"The module gives {list(embedding.shape)} for {len(strain)} windows: expected [{len(strain)}, F]."
                )
            return np.asarray(embedding.numpy())
        if strain.ndim == 2:
            own = self.encoder_.conditioner
            window = len(own.detectors), own.window + 2 * own.margin
            if strain.shape[1] != np.prod(window):
                raise UserError(
                    f"Rows of {strain.shape[1]} numbers are no windows of {window[0]} detectors x {window[1]} samples."
                )
            strain = strain.reshape(len(strain), *window)
        return np.asarray(self.encoder_(np.asarray(strain)))
