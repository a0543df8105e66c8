"""Draws the pictures of the user guide: docs/images/beam_search.png and the others."""

import pickle
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from skxmr import XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.inspection import ExplanationDisplay, LabelTreeDisplay
from skxmr.metrics import precision_at_k, recall_at_k
from skxmr.pipeline import make_pipeline

IMAGES = Path(__file__).parent / "images"
INK, FAINT, KEPT, BEST = "#24292f", "#c9d1d9", "#2563a8", "#d97b29"

BRANCHING, N_LEVELS, BEAM = 3, 3, 2
BEAMS = [1, 2, 3, 5, 10, 20, 50]
THRESHOLDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5]
TITLE = ["Organ music in the churches of northern Germany"]


def save(figure, name):
    """Write a picture that is the same whenever it is drawn."""
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / f"{name}.png", dpi=130, metadata={"Software": None})
    plt.close(figure)


def searched(rng):
    """Scores of all nodes, level by level, and which of them a beam looks at and keeps."""
    scores, seen, kept = [np.ones(1)], [np.ones(1, bool)], [np.ones(1, bool)]
    for _ in range(N_LEVELS):
        own = rng.beta(1.3, 1.0, size=len(scores[-1]) * BRANCHING)
        scores.append(np.repeat(scores[-1], BRANCHING) * own)
        seen.append(np.repeat(kept[-1], BRANCHING))
        reached = np.where(seen[-1], scores[-1], -1)
        kept.append(reached >= np.sort(reached)[-BEAM])
    return scores, seen, kept


def draw_beam(ax, scores, seen, kept):
    """The tree from its root at the top to its labels at the bottom."""
    xs = [(np.arange(len(level)) + 0.5) / len(level) for level in scores]
    for depth, level in enumerate(scores):
        for node, score in enumerate(level):
            x, y = xs[depth][node], -depth
            color = FAINT if not seen[depth][node] else KEPT if kept[depth][node] else INK
            if depth and depth == N_LEVELS and kept[depth][node]:
                color = BEST
            if depth:
                ends = [xs[depth - 1][node // BRANCHING], x], [1 - depth, y]
                ax.plot(*ends, color=color, lw=2 if kept[depth][node] else 1, zorder=1)
            filled = color if kept[depth][node] else "white"
            ax.plot(x, y, "o", color=color, mfc=filled, ms=12 - 2 * depth, zorder=2)
            if depth and seen[depth][node]:
                ax.annotate(
                    f"{score:.2f}",
                    (x, y),
                    (0, -9 - (10 - 2 * depth) / 2),
                    textcoords="offset points",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=color,
                    bbox={"fc": "white", "ec": "none", "pad": 0.6},
                )
    ax.set(xlim=(0, 1), ylim=(-N_LEVELS - 0.35, 0.2))
    ax.axis("off")


def beam_search():
    """A beam of two nodes in a small tree."""
    figure, ax = plt.subplots(figsize=(9, 3.9), layout="constrained")
    draw_beam(ax, *searched(np.random.default_rng(4)))
    texts = ["root", "clusters", "leaf clusters", "labels"]
    for depth, text in enumerate(texts):
        ax.text(-0.01, -depth, text, ha="right", va="center", fontsize=9, color="#57606a")
    save(figure, "beam_search")


def post_processors():
    """How margins become scores."""
    v = np.linspace(-3, 3, 301)
    curves = {
        "sigmoid": 1 / (1 + np.exp(-v)),
        "l1-hinge": np.exp(-np.maximum(0, 1 - v)),
        "l2-hinge": np.exp(-(np.maximum(0, 1 - v) ** 2)),
        "l3-hinge (default)": np.exp(-(np.maximum(0, 1 - v) ** 3)),
        "l4-hinge": np.exp(-(np.maximum(0, 1 - v) ** 4)),
    }
    figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
    shades = ["#57606a", *plt.colormaps["viridis"](np.linspace(0.1, 0.85, 4))]
    for color, (name, curve) in zip(shades, curves.items(), strict=True):
        ax.plot(v, curve, color=color, lw=2.4 if "default" in name else 1.4, label=name)
    ax.set(xlabel="margin of a node's ranker", ylabel="score, multiplied by its parent's")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    save(figure, "post_processors")


def sample():
    """Features and labels of the bundled sample."""
    data = load_catalogue_subjects()
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    X, X_test = vectorizer.fit_transform(data.text_train), vectorizer.transform(data.text_test)
    return X, data.Y_train, X_test, data.Y_test


def beams(X, Y, X_test, Y_test):
    """Quality of one model for each beam width, in per cent."""
    clf = XRLinearClassifier(n_neighbors=None, random_state=0).fit(X, Y)
    rows = []
    for width in BEAMS:
        ranking = clf.set_params(beam_width=width).rank(X_test, 100)
        rows.append(
            [
                precision_at_k(Y_test, ranking, k=1),
                precision_at_k(Y_test, ranking, k=5),
                recall_at_k(Y_test, ranking, k=100),
            ]
        )
    return 100 * np.array(rows)


def thresholds(X, Y, X_test, Y_test, memory):
    """Quality in per cent, and megabytes, of models pruned at each threshold."""
    rows = []
    for threshold in THRESHOLDS:
        clf = XRLinearClassifier(
            prune_threshold=threshold, n_neighbors=None, memory=memory, random_state=0
        ).fit(X, Y)
        ranking = clf.rank(X_test, 5)
        quality = (precision_at_k(Y_test, ranking, k=k) for k in (1, 5))
        rows.append([*(100 * q for q in quality), len(pickle.dumps(clf)) / 1e6])
    return np.array(rows)


def search_parameters(memory):
    """What beams and pruning do to the sample's model."""
    data = sample()
    found = beams(*data)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for column, (name, color) in enumerate(
        zip(("P@1", "P@5", "R@100"), (KEPT, INK, BEST), strict=True)
    ):
        left.semilogx(BEAMS, found[:, column], "o-", color=color, label=name, ms=4)
    left.set_xticks(BEAMS, BEAMS)
    left.minorticks_off()
    left.set(xlabel="beam_width", ylabel="per cent", ylim=0)
    found = thresholds(*data, memory)
    for column, (name, color) in enumerate(zip(("P@1", "P@5"), (KEPT, INK), strict=True)):
        right.semilogx(THRESHOLDS, found[:, column], "o-", color=color, label=name, ms=4)
    right.semilogx(THRESHOLDS, found[:, 2], "o--", color=BEST, label="pickled model, MB", ms=4)
    right.set_xticks(THRESHOLDS, THRESHOLDS)
    right.minorticks_off()
    right.set(xlabel="prune_threshold", ylabel="per cent, MB", ylim=0)
    for ax in (left, right):
        ax.legend(frameon=False)
        ax.spines[["top", "right"]].set_visible(False)

    save(figure, "search_parameters")


def seeing():
    """Why a title gets its first subject, and the branch of the tree that the subject is in."""
    data = load_catalogue_subjects()
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    model = make_pipeline(vectorizer, XRLinearClassifier(random_state=0))
    model.fit(data.text_train, data.Y_train)
    label = model.rank(TITLE, k=1).names[0][0]
    names = list(data.label_names)
    why = ExplanationDisplay.from_estimator(model, TITLE, label, label_name=names[label])
    save(why.figure_, "explanation")
    branch = {"kind": "nodes", "label": label, "max_labels": 20}
    save(LabelTreeDisplay.from_estimator(model, label_names=names, **branch).figure_, "branch")


def main():
    """Draw them all."""
    beam_search()
    post_processors()
    seeing()
    with tempfile.TemporaryDirectory() as memory:
        search_parameters(memory)


if __name__ == "__main__":
    main()
