"""Draws the gallery's pictures of examples without a figure: docs/images/thumbnails/*.png."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from skxmr import KMeansIndexer, XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.embeddings import pifa
from skxmr.pipeline import make_pipeline

HERE = Path(__file__).parent
FOLDER = HERE / "images" / "thumbnails"
sys.path.insert(0, str(HERE.parent / "examples"))

INK, FIRST, SECOND = "#24292f", "#7fb0e6", "#d97b29"
SIZE = (4, 2.8)
TITLE = "Organ music in northern Germany"


def save(figure, name):
    """Write a picture that is the same whenever it is drawn."""
    FOLDER.mkdir(exist_ok=True)
    figure.savefig(FOLDER / f"{name}.png", dpi=130, metadata={"Software": None})
    plt.close(figure)


def quickstart():
    """The ranked subjects of a title."""
    data = load_catalogue_subjects()
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    model = make_pipeline(vectorizer, XRLinearClassifier(random_state=0))
    model.fit(data.text_train, data.Y_train)
    labels, scores = (part[0] for part in model.rank([TITLE], k=5))
    figure, ax = plt.subplots(figsize=SIZE, layout="constrained")
    ax.barh(range(len(labels)), scores, color=FIRST)
    for position, label in enumerate(labels):
        ax.text(0.02, position, data.label_names[label], va="center", color=INK, fontsize=11)
    ax.set(xlim=(0, 1), xlabel="score", yticks=[])
    ax.invert_yaxis()
    ax.set_title(TITLE, loc="left", fontsize=11, color=INK)
    ax.spines[["top", "right", "left"]].set_visible(False)
    save(figure, "quickstart")


def label_disentanglement():
    """A label between the labels of its two clusters."""
    from label_disentanglement import groups_of, planted_texts

    texts, Y, names = planted_texts()
    X = TfidfVectorizer(dtype=np.float32).fit_transform(texts)
    indexer = KMeansIndexer(branching=2, max_leaf_size=11)
    options = {"training_beam_width": 1, "beam_width": 1, "random_state": 0}
    clf = XRLinearClassifier(indexer, max_clusters_per_label=2, **options).fit(X[:2000], Y[:2000])
    apple = names.tolist().index("apple")
    groups = groups_of(clf.tree_, pifa(X, Y), apple)
    figure, ax = plt.subplots(figsize=SIZE, layout="constrained")
    for x, color, group in zip((0.15, 0.85), (SECOND, FIRST), groups, strict=True):
        for y, label in zip(np.linspace(0.2, 0.8, len(group)), group, strict=True):
            ax.plot([0.5, x], [0.5, y], color=color, lw=1.2, zorder=1)
            box = {"fc": "white", "ec": color, "boxstyle": "round,pad=0.3"}
            ax.text(x, y, names[label], ha="center", va="center", fontsize=11, color=INK, bbox=box)
    box = {"fc": INK, "ec": INK, "boxstyle": "round,pad=0.4"}
    ax.text(0.5, 0.5, "apple", ha="center", va="center", fontsize=13, color="white", bbox=box)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.axis("off")
    save(figure, "label_disentanglement")


def dask_cluster():
    """Scores of the first labels in one process and on a cluster of two workers."""
    import joblib
    from dask.distributed import Client

    data = load_catalogue_subjects()
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    X = vectorizer.fit_transform(data.text_train[::10])
    X_test = vectorizer.transform(data.text_test[::10])
    clf = XRLinearClassifier(random_state=0)
    here = clf.fit(X, data.Y_train[::10]).rank(X_test, 1).scores
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with Client(**options), joblib.parallel_config("dask"):
        there = clf.fit(X, data.Y_train[::10]).rank(X_test, 1).scores
    figure, ax = plt.subplots(figsize=SIZE, layout="constrained")
    ax.plot(here, there, "o", color=FIRST, ms=4, alpha=0.5)
    same = "the same" if np.array_equal(here, there) else "not the same"
    ax.set_title(f"scores of {len(here)} titles: {same}", loc="left", fontsize=10, color=INK)
    ax.set(xlabel="one process", ylabel="cluster of two workers")
    ax.spines[["top", "right"]].set_visible(False)
    save(figure, "dask_cluster")


def main():
    """Draw them all."""
    quickstart()
    label_disentanglement()
    dask_cluster()


if __name__ == "__main__":
    main()
