"""Dense columns as features of the rankers: fit, rank, save, and changes of the model."""

import pickle
from functools import partial

import numpy as np
import pytest
from datasets import classifier, embedded_rows
from numpy.testing import assert_allclose, assert_array_equal
from reference import assert_same_ranking
from saved_models import (
    array_file,
    assert_refused,
    forge,
    manifest_of,
    write_field,
)
from scipy import sparse as sp

import skxmr
from skxmr._data.features import DenseColumns

N_DIMS = 20
X, Y, NAMES = embedded_rows()
N_LABELS = Y.shape[1]

dense_features = partial(
    classifier, dense_columns=N_DIMS, dense_use="features", prune_threshold=0.0
)


def scores_of(clf, rows=X):
    return np.asarray(sp.csr_matrix(clf.decision_function(rows)).toarray())


def n_dense_of(clf):
    return {ranker.n_dense for ranker in clf._fitted.rankers}


@pytest.fixture(scope="module")
def fitted():
    return dense_features(n_trees=2).fit(X, Y)


@pytest.fixture
def without_block(monkeypatch):
    """Fit treats dense columns as sparse ones, as before there were dense weights."""
    monkeypatch.setattr(DenseColumns, "n_dense_in_trees", 0)


@pytest.mark.parametrize("dense_use", ["features", "both"])
@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
def test_results_equal_those_of_sparse_weights(dense_use, loss, request):
    params = {"dense_use": dense_use, "loss": loss, "tol": 1e-5, "max_iter": 2000}
    clf = dense_features(**params).fit(X, Y)
    assert n_dense_of(clf) == {N_DIMS}
    request.getfixturevalue("without_block")
    sparse = dense_features(**params).fit(X, Y)
    assert n_dense_of(sparse) == {0}
    assert_allclose(scores_of(clf), scores_of(sparse), atol=2e-3)


def test_neighbors_only_need_no_dense_weights():
    clf = classifier(dense_columns=N_DIMS).fit(X, Y)
    assert n_dense_of(clf) == {0}


@pytest.mark.parametrize("container", ["csr", "array"])
def test_all_columns_may_be_dense(container):
    E = X[:, -N_DIMS:]
    rows = E.toarray() if container == "array" else E
    clf = dense_features().fit(rows, Y)
    assert n_dense_of(clf) == {N_DIMS}
    assert all(len(layer.payload) == 0 for layer in clf._fitted.rankers[0].layers)
    sparse = dense_features(dense_columns=0, tol=1e-5, max_iter=2000).fit(rows, Y)
    exact = dense_features(tol=1e-5, max_iter=2000).fit(rows, Y)
    assert_allclose(scores_of(exact, rows), scores_of(sparse, rows), atol=2e-3)


@pytest.mark.parametrize("sampling", ["tfn", "tfn+man"])
def test_results_do_not_depend_on_n_jobs(sampling):
    params = {"negative_sampling": sampling, "max_clusters_per_label": 2}
    first = dense_features(n_jobs=1, **params).fit(X, Y)
    second = dense_features(n_jobs=3, **params).fit(X, Y)
    for left, right in zip(
        first._fitted.rankers[0].layers, second._fitted.rankers[0].layers, strict=True
    ):
        assert_array_equal(left.dense, right.dense)
        assert_array_equal(left.payload, right.payload)
    assert_same_ranking(first.rank(X, 5), second.rank(X, 5))


def test_the_threshold_does_not_apply_to_dense_weights():
    clf = dense_features(prune_threshold=1e6).fit(X, Y)
    for layer in clf._fitted.rankers[0].layers:
        assert len(layer.payload) == 0
        assert np.count_nonzero(layer.dense.view("f4")) > 0.9 * layer.bias.size * N_DIMS


def test_single_rows_rank_as_in_a_batch(fitted):
    labels, scores = fitted.rank(X[:20], 4)
    for i in range(20):
        row = X[i]
        assert_same_ranking(fitted.rank(row, 4), (labels[i : i + 1], scores[i : i + 1]))
        pair = fitted.rank((row.indices, row.data), 4)
        assert_same_ranking(pair, (labels[i : i + 1], scores[i : i + 1]))
        array = fitted.rank(row.toarray(), 4)
        assert_same_ranking(array, (labels[i : i + 1], scores[i : i + 1]))


def test_rows_may_lack_dense_values(fitted):
    rows = X[:4].tolil()
    rows[0, -N_DIMS:] = 0
    rows[1, -3] = 0
    rows[2, :] = 0
    labels, scores = fitted.rank(rows.tocsr(), N_LABELS)
    assert np.isfinite(scores).all()
    assert_same_ranking((labels, scores), fitted.rank(rows.toarray(), N_LABELS))


def test_explanations_add_up_to_scores(fitted):
    labels, scores = fitted.rank(X, N_LABELS)
    explanation = fitted.explain(X, 3)
    reached = explanation.reached
    assert reached.any()
    assert_array_equal(explanation.scores[reached], scores[labels == 3])
    for tree in explanation.trees:
        added = np.cumsum(tree.contributions[0].toarray(), axis=1, dtype=np.float32)[:, -1]
        assert_array_equal(added + tree.bias[:, 0], tree.margins[:, 0])


def test_pickles_hold_dense_weights(fitted):
    assert_same_ranking(pickle.loads(pickle.dumps(fitted)).rank(X, 5), fitted.rank(X, 5))


@pytest.mark.parametrize("weight_dtype", ["float32", "float16"])
@pytest.mark.parametrize("mmap", [False, True])
def test_folders_hold_dense_weights(tmp_path, weight_dtype, mmap):
    clf = dense_features(weight_dtype=weight_dtype).fit(X, Y)
    clf.save(tmp_path / "model")
    assert manifest_of(tmp_path / "model")["version"] == 8
    loaded = skxmr.load(tmp_path / "model", mmap=mmap)
    assert n_dense_of(loaded) == {N_DIMS}
    assert_same_ranking(loaded.rank(X, 5), clf.rank(X, 5))
    loaded.save(tmp_path / "again")
    assert_same_ranking(skxmr.load(tmp_path / "again").rank(X, 5), clf.rank(X, 5))


def test_models_without_dense_weights_have_the_earlier_format(tmp_path, without_block):
    clf = dense_features().fit(X, Y)
    clf.save(tmp_path / "features")
    assert manifest_of(tmp_path / "features")["version"] == 7
    clf = classifier(dense_columns=0).fit(X, Y)
    clf.save(tmp_path / "sparse")
    assert manifest_of(tmp_path / "sparse")["version"] == 7  # for the parameter
    loaded = skxmr.load(tmp_path / "features")
    assert n_dense_of(loaded) == {0}


def test_labels_are_added_to_models_without_dense_weights(without_block, monkeypatch):
    clf = dense_features(n_trees=2).fit(X[:, :], Y[:, :-1])
    monkeypatch.undo()
    clf.add_labels(X, Y)
    assert n_dense_of(clf) == {0}


@pytest.mark.parametrize("retrain_siblings", [False, True])
def test_labels_are_added_and_removed(retrain_siblings):
    clf = dense_features().fit(X, Y[:, :-1])
    before = clf.rank(X, 3)
    clf.add_labels(X, Y, retrain_siblings=retrain_siblings)
    assert n_dense_of(clf) == {N_DIMS}
    new = sp.csr_matrix(Y)[:, [N_LABELS - 1]].toarray().ravel() > 0
    ranked = (clf.rank(X, 3)[0] == N_LABELS - 1).any(axis=1)
    assert ranked[new].mean() > 0.5 > ranked[~new].mean()
    clf.remove_labels([N_LABELS - 1])
    assert n_dense_of(clf) == {N_DIMS}
    if not retrain_siblings:
        assert_same_ranking(clf.rank(X, 3), before)


def test_a_memory_serves_other_thresholds(tmp_path):
    params = {"memory": str(tmp_path), "prune_threshold": 0.2, "weight_dtype": "float16"}
    for threshold in (0.2, 0.05):
        params["prune_threshold"] = threshold
        cached = dense_features(**params).fit(X, Y)
        plain = dense_features(**{**params, "memory": None}).fit(X, Y)
        assert_same_ranking(cached.rank(X, 5), plain.rank(X, 5))


# ---- damaged folders ----


@pytest.fixture
def saved(tmp_path):
    dense_features().fit(X, Y).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize("value", [-1, 0, 5, 21, X.shape[1] + 1, 10**10, 2**62, 20.0, "20", None])
def test_forged_numbers_of_dense_features_are_refused(saved, value):
    write_field(saved, "n_dense", value)
    assert_refused(saved)


@pytest.mark.parametrize("key", ["tree.0.layer.0.dense", "tree.0.layer.1.dense"])
def test_forged_lengths_of_dense_weights_are_refused(saved, key):
    whole = np.load(array_file(saved, key))
    forge(saved, key, whole[:-4])
    assert_refused(saved)
    forge(saved, key, np.concatenate((whole, whole[:4])))
    assert_refused(saved)
    forge(saved, key, whole.view(np.float32))
    assert_refused(saved)


def test_forged_dense_weights_are_refused_or_harmless(saved):
    key = "tree.0.layer.0.dense"
    weights = np.load(array_file(saved, key)).copy()
    weights.view(np.float32)[::5] = np.nan
    forge(saved, key, weights)
    with pytest.raises(ValueError, match="dense weights contain NaN"):
        skxmr.load(saved)
    labels, _ = skxmr.load(saved, mmap=True, verify=False).rank(X, 5)
    assert ((labels >= -1) & (labels < N_LABELS)).all()


def test_damaged_dense_weights_are_refused(saved):
    file = array_file(saved, "tree.0.layer.1.dense")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        skxmr.load(saved)
