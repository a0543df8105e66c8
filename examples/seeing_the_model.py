"""Inspection of a model: explanations, quality and speed
======================================================

This example trains on the sample of library titles of skxmr. It explains the ranking of a title
that is not in the training data, and writes plots to a folder.

.. code-block:: sh

    python examples/seeing_the_model.py [FOLDER]

Needs matplotlib: ``pip install "skxmr[plot]"``.
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from skxmr import XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.inspection import (
    ExplanationDisplay,
    LabelTreeDisplay,
    LatencyDisplay,
    RankingMetricsDisplay,
    ReliabilityDisplay,
    SearchQualityDisplay,
)
from skxmr.metrics import make_ranking_scorer, precision_at_k, propensities
from skxmr.pipeline import make_pipeline

TITLE = "Organ music in the churches of northern Germany"

#: Number of test titles in the plots that rank them many times.
FEW = 1000


def train(data):
    """Fit a pipeline from titles to subjects with nearest neighbors."""
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    classifier = XRLinearClassifier(n_neighbors=20, n_jobs=2, random_state=0, verbose=1)
    return make_pipeline(vectorizer, classifier).fit(data.text_train, data.Y_train)


def show_explanation(model, data):
    """Print the explanation and the neighbors of the first subject of a title; return its index."""
    label = model.rank([TITLE], k=1).names[0][0]
    explanation = model.explain([TITLE], label, label_name=data.label_names[label])
    print(f"{TITLE}\n\n{explanation}\n\nThe most similar titles:")
    for row in explanation.neighbors.rows[0, :5]:
        print(f"  {data.text_train[row]}")
    return label


def draw_all(model, data, label):
    """Yield the name of each plot and its display."""
    texts = data.text_test
    Y = data.Y_test
    name = data.label_names[label]
    yield "explanation", ExplanationDisplay.from_estimator(model, [TITLE], label, label_name=name)
    options = {"metrics": ("precision", "recall", "ndcg", "psp"), "name": "XR-Linear"}
    known = {"propensities": propensities(data.Y_train)}
    yield "metrics", RankingMetricsDisplay.from_estimator(model, texts, Y, **options, **known)
    options = {"scoring": make_ranking_scorer(precision_at_k, k=5), "name": "XR-Linear"}
    grid = {"beam_widths": [1, 2, 5, 10, 20], "prune_thresholds": [0.1, 0.2, 0.3]}
    few = texts[:FEW], Y[:FEW]
    yield "search", SearchQualityDisplay.from_estimator(model, *few, **grid, **options)
    yield "tree", LabelTreeDisplay.from_estimator(model)
    branch = {"kind": "nodes", "label": label, "max_labels": 20}
    names = list(data.label_names)
    yield "branch", LabelTreeDisplay.from_estimator(model, label_names=names, **branch)
    yield "reliability", ReliabilityDisplay.from_estimator(model, texts, Y, name="XR-Linear")
    yield "latency", LatencyDisplay.from_estimator(model, texts[:FEW], name="pipeline, one title")


def main():
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="folder of the plots; by default a new folder")
    args = parser.parse_args()
    matplotlib.use("Agg")
    folder = Path(args.folder or tempfile.mkdtemp(prefix="skxmr-"))
    folder.mkdir(parents=True, exist_ok=True)

    data = load_catalogue_subjects()
    model = train(data)
    label = show_explanation(model, data)
    print()
    for name, display in draw_all(model, data, label):
        path = folder / f"{name}.png"
        display.figure_.savefig(path, dpi=120, bbox_inches="tight")
        print(path)


if __name__ == "__main__":
    main()
