"""Fitting with `folder`: the model is written to its folder while it is trained."""

import os

import numpy as np
import pytest
from datasets import labels_as_features
from shards import files_of
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skxmr import KMeansIndexer, XRLinearClassifier, load


@pytest.fixture(scope="module")
def topics():
    return labels_as_features(200, 30, label_density=0.06, noise=0.05)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"n_trees": 2, "weight_dtype": "float16"},
        {"negative_sampling": "tfn+man", "n_neighbors": None},
        {"max_clusters_per_label": 2, "threshold": "auto"},
        {"indexer": KMeansIndexer(max_leaf_size=4)},
    ],
    ids=["defaults", "trees", "matcher", "disentangled", "balanced"],
)
def test_the_folder_is_that_of_fit_and_save(topics, tmp_path, params):
    X, Y = topics
    clf = XRLinearClassifier(random_state=0, **params)
    clf.fit(X, Y).save(tmp_path / "saved")
    same = XRLinearClassifier(random_state=0, **params).fit(X, Y, folder=tmp_path / "written")
    assert files_of(tmp_path / "written") == files_of(tmp_path / "saved")
    assert sorted(os.listdir(tmp_path / "written")) == sorted(
        ["skxmr.json", *(path.name for path in (tmp_path / "written").glob("arrays-*"))]
    )
    for mine, theirs in zip(same.rank(X), clf.rank(X), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    loaded = load(tmp_path / "written")  # verifies all checksums
    np.testing.assert_array_equal(loaded.rank(X).scores, clf.rank(X).scores)


def test_weights_are_mapped(topics, tmp_path):
    X, Y = topics
    clf = XRLinearClassifier(random_state=0).fit(X, Y, folder=tmp_path)
    for layer in clf._fitted.rankers[0].layers:
        assert not layer.payload.flags.owndata
        assert not layer.payload.flags.writeable


def test_no_links(topics, tmp_path, monkeypatch):
    """Arrays are copied where the file system has no links."""
    X, Y = topics

    def fail(*args):
        raise PermissionError("no links")

    monkeypatch.setattr(os, "link", fail)
    clf = XRLinearClassifier(random_state=0).fit(X, Y, folder=tmp_path / "copied")
    monkeypatch.undo()
    clf.save(tmp_path / "saved")
    assert files_of(tmp_path / "copied") == files_of(tmp_path / "saved")


def test_a_failure_keeps_the_model_before(topics, tmp_path, monkeypatch):
    X, Y = topics
    clf = XRLinearClassifier(random_state=0).fit(X, Y, folder=tmp_path)
    before = clf.rank(X)
    files = files_of(tmp_path)

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("skxmr._training.trainer.train_chunks", fail)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y, folder=tmp_path)
    assert files_of(tmp_path) == files
    assert len(os.listdir(tmp_path)) == 2
    np.testing.assert_array_equal(clf.rank(X).scores, before.scores)
    np.testing.assert_array_equal(load(tmp_path).rank(X).scores, before.scores)


def test_a_subclass_is_saved_as_its_base(topics, tmp_path):
    class Derived(XRLinearClassifier):
        pass

    X, Y = topics
    clf = Derived(random_state=0).fit(X, Y, folder=tmp_path)
    assert type(load(tmp_path)) is XRLinearClassifier
    np.testing.assert_array_equal(load(tmp_path).rank(X).scores, clf.rank(X).scores)


def test_in_a_pipeline(topics, tmp_path):
    X, Y = topics
    pipeline = make_pipeline(Normalizer(), XRLinearClassifier(random_state=0))
    pipeline.fit(X, Y, xrlinearclassifier__folder=tmp_path)
    np.testing.assert_array_equal(
        load(tmp_path).rank(Normalizer().transform(X)).scores,
        pipeline[-1].rank(Normalizer().transform(X)).scores,
    )


def test_bad_folders(topics, tmp_path):
    X, Y = topics
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="folder must name a directory"):
        XRLinearClassifier().fit(X, Y, folder=tmp_path / "file")
    with pytest.raises(TypeError, match="folder must be a str or a path"):
        XRLinearClassifier().fit(X, Y, folder=3)
    with pytest.raises(ValueError, match="folder must be None with a memory"):
        XRLinearClassifier(memory=str(tmp_path / "memory")).fit(X, Y, folder=tmp_path / "model")
    assert not (tmp_path / "model").exists()
    with pytest.raises(ValueError, match="X"):
        XRLinearClassifier().fit(X[:0], Y[:0], folder=tmp_path / "model")
    assert not (tmp_path / "model").exists()
