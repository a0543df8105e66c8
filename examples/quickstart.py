"""Quick start: subjects for titles
================================

This example ranks subject headings for titles of a library catalog. It trains on the sample of
skxmr, or on the full data in a folder. It prints the quality and the speed on test titles, and some
rankings.

.. code-block:: sh

    python examples/quickstart.py [--data FOLDER] [--n-jobs N]
"""

# sphinx_gallery_thumbnail_path = "images/thumbnails/quickstart.png"

import argparse
import time

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skxmr import XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import ndcg_at_k, precision_at_k


# %%
# Train
# -----
# The model is a scikit-learn pipeline. Y is a sparse matrix with one row per title and one column
# per subject.
def train(data, n_jobs):
    """Fit a pipeline from text to ranked labels; return it and the seconds of the fit."""
    model = make_pipeline(
        TfidfVectorizer(min_df=3, dtype=np.float32),
        XRLinearClassifier(n_jobs=n_jobs, random_state=0, verbose=1),
    )
    start = time.perf_counter()
    model.fit(data.text_train, data.Y_train)
    return model, time.perf_counter() - start


# %%
# Rank
# ----
# `rank` returns two arrays: the best labels of each row, best first, and their scores.
def rank(model, texts, k=5):
    """Rank k labels per text; return labels, scores and the microseconds per query."""
    classifier = model[-1]
    X = model[:-1].transform(texts)
    start = time.perf_counter()
    labels, scores = classifier.rank(X, k)
    return labels, scores, 1e6 * (time.perf_counter() - start) / len(texts)


# %%
# Results
# -------
# Precision and nDCG on the test titles, and the rankings of some titles.
def report(data, labels, fit_seconds, query_microseconds):
    """Print the metrics."""
    print(f"\ntrained in {fit_seconds:.1f} s, {query_microseconds:.0f} microseconds per query")
    for k in (1, 3, 5):
        print(f"P@{k}     {precision_at_k(data.Y_test, labels, k=k):.4f}")
    print(f"nDCG@5  {ndcg_at_k(data.Y_test, labels, k=5):.4f}")


def show(data, labels, scores, rows):
    """Print true and ranked subjects; a star marks the correct ones."""
    for row in rows:
        true = set(data.Y_test[row].indices)
        print(f"\n{data.text_test[row]}")
        print("  true:   " + "; ".join(data.label_names[sorted(true)]))
        for label, score in zip(labels[row], scores[row], strict=True):
            if label >= 0:
                mark = "*" if label in true else " "
                print(f"  {score:.3f} {mark} {data.label_names[label]}")


# %%
# All together
# ------------
def main():
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the full data; by default the bundled sample")
    parser.add_argument("--n-jobs", type=int, default=2)
    args = parser.parse_args()

    data = load_catalogue_subjects(args.data)
    n_rows, n_labels = data.Y_train.shape
    print(f"{n_rows:,} training titles, {len(data.text_test):,} test titles, {n_labels:,} labels")
    model, fit_seconds = train(data, args.n_jobs)
    labels, scores, query_microseconds = rank(model, data.text_test)
    report(data, labels, fit_seconds, query_microseconds)
    chosen = np.random.default_rng(0).choice(len(data.text_test), 6, replace=False)
    show(data, labels, scores, chosen)


if __name__ == "__main__":
    main()
