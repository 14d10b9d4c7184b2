from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from gwbench.reporting.html.embedding_map import principal_map


def test_the_map_is_the_principal_components_of_scikit_learn_up_to_sign() -> None:
    rng = np.random.default_rng(0)
    embedding = (rng.normal(size=(500, 3)) @ rng.normal(size=(3, 20)) + 0.3 * rng.normal(size=(500, 20))) * 1e-3 + 5.0
    found = principal_map(embedding.astype(np.float32))
    assert found is not None
    pca = PCA(2, svd_solver="full").fit(StandardScaler().fit_transform(embedding))
    expected = pca.transform(StandardScaler().fit_transform(embedding))
    for axis in (0, 1):
        assert abs(np.corrcoef(found.points[:, axis], expected[:, axis])[0, 1]) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(found.points.std(axis=0), expected.std(axis=0), rtol=1e-3)
    np.testing.assert_allclose(found.share, pca.explained_variance_ratio_, rtol=1e-3)
    assert found.features == (20, 20)


def test_the_scale_and_the_sign_of_a_feature_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    embedding = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 6))
    one, other = principal_map(embedding), principal_map(embedding * [1, 10, 100, 1e-3, 5, 2] + 3)
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(one.points, other.points, atol=1e-8)


def test_features_that_do_not_vary_are_left_out() -> None:
    rng = np.random.default_rng(2)
    embedding = rng.normal(size=(100, 5)).astype(np.float32)
    embedding[:, 2] = 0.1
    embedding[:, 4] = 0
    found = principal_map(embedding)
    assert found is not None
    assert found.features == (3, 5)
    assert np.isfinite(found.points).all()


@pytest.mark.parametrize(
    "embedding", [np.ones((50, 4)), np.c_[np.arange(50.0), np.ones(50)], np.eye(2), np.zeros((0, 3)), np.ones((9, 1))]
)
def test_there_is_no_plane_where_too_little_varies(
    embedding: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> None:
    assert principal_map(embedding) is None
