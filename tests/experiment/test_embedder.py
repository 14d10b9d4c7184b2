"""The Embedder keeps scikit-learn's contract, and gives a run's embeddings."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from torch import Tensor, nn

import gwbench
from gwbench.errors import UserError
from tests.data.test_array_dataset import strain_of
from tests.experiment.test_objects import Loudest, finished
from tests.experiment.test_objects import data as data

__all__ = ["data", "finished"]


class Moments(nn.Module):
    """Mean and spread of a row."""

    def forward(self, rows: Tensor) -> Tensor:
        flat = rows.flatten(1)
        return torch.stack([flat.mean(1), flat.std(1, correction=0)], dim=1)


def test_scikit_learn_finds_nothing_to_object_to() -> None:
    results = check_estimator(gwbench.Embedder(Moments()), on_fail=None, on_skip=None)
    failed = {each["check_name"]: each["exception"] for each in results if each["status"] == "failed"}
    assert failed == {}


def test_it_gives_a_runs_embeddings_in_a_pipeline(finished: gwbench.RunRecord) -> None:
    encoder = gwbench.load_encoder(finished.folder or "", encoder=Loudest)
    strain = strain_of(40, samples=1024)
    labels = np.arange(40) % 2
    strain[1::2] *= 3
    embedder = gwbench.Embedder(encoder).fit(strain)
    np.testing.assert_array_equal(embedder.transform(strain), encoder(strain))
    flat = gwbench.Embedder(encoder, flat=True, batch_size=7).fit_transform(strain.reshape(40, -1))
    np.testing.assert_allclose(flat, encoder(strain), rtol=1e-5, atol=1e-6)
    assert list(embedder.get_feature_names_out())[:2] == ["embedder0", "embedder1"]
    pipeline = make_pipeline(gwbench.Embedder(encoder), StandardScaler(), LogisticRegression())
    assert cross_val_score(pipeline, strain, labels, cv=3).mean() > 0.8
    assert isinstance(clone(embedder).encoder, gwbench.FrozenEncoder)
    again: Any = pickle.loads(pickle.dumps(gwbench.Embedder(Moments()).fit(strain)))
    assert again.transform(strain).shape == (40, 2)


def test_mistakes_are_named() -> None:
    strain = strain_of(4)
    with pytest.raises(UserError, match="needs an encoder"):
        gwbench.Embedder().fit(strain)
    with pytest.raises(UserError, match="There is no record"):
        gwbench.Embedder("nowhere").fit(strain)
    with pytest.raises(NotFittedError):
        gwbench.Embedder(Moments()).transform(strain)
    with pytest.raises(UserError, match=r"gives \[1, 2, 32\] for 1 windows"):
        gwbench.Embedder(nn.AvgPool1d(2)).fit(strain)
    with pytest.raises(UserError, match="have not the 128 samples"):
        gwbench.Embedder(Moments()).fit(strain).transform(strain[..., :32])
