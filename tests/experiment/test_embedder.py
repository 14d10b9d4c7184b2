from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from torch import Tensor, nn

import gwbench
from gwbench.errors import UserError
from gwbench.experiment.embedder import Embedder
from gwbench.utils.progress import Progress
from tests.experiment.own_strain import MARGIN, WINDOW, backbone, own_dataset, strain_and_labels

STRAIN, LABELS = strain_and_labels(120, seed=1)


class Moments(nn.Module):
    """Mean and standard deviation over time, [B, C, T] -> [B, 2 C], of any T."""

    def forward(self, strain: Tensor) -> Tensor:
        return torch.cat([strain.mean(dim=2), strain.std(dim=2, correction=0)], dim=1)


@pytest.fixture(scope="module")
def conditioner() -> Any:
    return gwbench.open_dataset(own_dataset(), progress=Progress()).conditioned().conditioner


def test_a_module_sees_each_detector_or_the_network(conditioner: Any) -> None:
    expected = conditioner(STRAIN).numpy()
    embedder = Embedder(Moments(), conditioner=conditioner, batch_size=50)
    embeddings = embedder.fit_transform(STRAIN)
    assert embeddings.shape == (120, 4)
    assert embeddings.dtype == np.float32
    each = [np.stack([expected[:, d].mean(axis=1), expected[:, d].std(axis=1)], axis=1) for d in range(2)]
    np.testing.assert_allclose(embeddings, np.concatenate(each, axis=1), atol=1e-5)
    network = Embedder(Moments(), conditioner=conditioner, network=True).fit_transform(STRAIN)
    np.testing.assert_allclose(network[:, [0, 2, 1, 3]], embeddings, atol=1e-5)
    assert list(embedder.get_feature_names_out()) == [f"embedder{number}" for number in range(4)]


def test_flat_strain_and_tensors_are_the_same_windows(conditioner: Any) -> None:
    embedder = Embedder(Moments(), conditioner=conditioner).fit(STRAIN)
    expected = embedder.transform(STRAIN)
    assert embedder.n_features_in_ == 2 * (WINDOW + 2 * MARGIN)
    np.testing.assert_array_equal(embedder.transform(STRAIN.reshape(120, -1)), expected)
    np.testing.assert_array_equal(embedder.transform(torch.from_numpy(STRAIN)), expected)
    shaped = Embedder(Moments(), shape=STRAIN.shape[1:]).fit(STRAIN.reshape(120, -1))
    np.testing.assert_array_equal(shaped.transform(STRAIN), Embedder(Moments()).fit_transform(STRAIN))


def test_it_goes_through_a_pipeline_and_cross_validation(conditioner: Any) -> None:
    pipeline = make_pipeline(Embedder(Moments(), conditioner=conditioner), StandardScaler(), LogisticRegression())
    scores = cross_val_score(pipeline, STRAIN, LABELS, cv=3, scoring="roc_auc")
    assert scores.min() > 0.7  # the bursts add power
    copy = pickle.loads(pickle.dumps(pipeline.fit(STRAIN, LABELS)))
    np.testing.assert_array_equal(copy.predict(STRAIN), pipeline.predict(STRAIN))


def test_the_module_stays_as_it_was() -> None:
    module = nn.Sequential(nn.Dropout(0.5), backbone())
    embedder = Embedder(module)
    np.testing.assert_array_equal(embedder.fit_transform(STRAIN), embedder.transform(STRAIN))
    assert module.training
    assert embedder.encoder is module
    assert clone(embedder).get_params()["batch_size"] == 256


def test_what_does_not_fit_is_refused(conditioner: Any) -> None:
    with pytest.raises(NotFittedError):
        Embedder(Moments()).transform(STRAIN)
    with pytest.raises(UserError, match=r"is not \[N, 2, 1536\]"):
        Embedder(Moments(), conditioner=conditioner).fit(STRAIN[:, :1])
    with pytest.raises(UserError, match="no encoder"):
        Embedder(3).fit(STRAIN)
    with pytest.raises(UserError, match="There is no record"):
        Embedder("no-such-folder").fit(STRAIN)
    with pytest.raises(UserError, match="expected embeddings"):
        Embedder(nn.Identity()).fit(STRAIN)
    with pytest.raises(UserError, match="batch_size=0"):
        Embedder(Moments(), batch_size=0).fit(STRAIN)
    with pytest.raises(ValueError, match="0 sample"):
        Embedder(Moments()).fit(STRAIN[:0])
    with pytest.raises(ValueError, match="NaN"):
        Embedder(Moments()).fit(np.full_like(STRAIN, np.nan))


EXPECTED = {
    "check_transformer_preserve_dtypes": "a frozen network computes in float32, whatever the strain comes in",
}
"""Checks of scikit-learn that do not make sense for it, each with the reason."""


@pytest.mark.skipif(tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 6), reason="no expected_failed_checks")
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_finds_it_well_behaved() -> None:
    results = estimator_checks.check_estimator(Embedder(Moments()), expected_failed_checks=EXPECTED, on_fail=None)
    failed = {each["check_name"]: each["exception"] for each in results if each["status"] == "failed"}
    assert failed == {}
    assert sum(each["status"] == "passed" for each in results) > 30
