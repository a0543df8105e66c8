"""Quick start: subjects for titles
================================

Ranks subject headings for titles of a library catalogue. Trains on the sample that comes with skxmr
(or, given a folder, on the full data), prints how well unseen titles are ranked, how long that
takes, and what it looks like.

.. code-block:: sh

    python examples/quickstart.py [--data FOLDER] [--n-jobs N]
"""

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
# The pipeline is scikit-learn's. Y is a sparse matrix: a row per title, a column per subject.
def train(data, n_jobs):
    """Fit a pipeline from text to ranked labels; returns it and the seconds it took."""
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
# `rank` returns the best labels of each row and their scores, as two arrays, best first.
def rank(model, texts, k=5):
    """Rank k labels per text; returns labels, scores and the microseconds per query."""
    vectorizer, classifier = model[:-1], model[-1]
    X = vectorizer.transform(texts)
    start = time.perf_counter()
    labels, scores = classifier.rank(X, k)
    return labels, scores, 1e6 * (time.perf_counter() - start) / len(texts)


# %%
# Look at it
# ----------
# How many of the first places hold a true label, and some titles one by one.
def report(data, labels, fit_seconds, query_microseconds):
    """Print the figures."""
    print(f"\ntrained in {fit_seconds:.1f} s, {query_microseconds:.0f} microseconds per query")
    for k in (1, 3, 5):
        print(f"P@{k}     {precision_at_k(data.Y_test, labels, k=k):.4f}")
    print(f"nDCG@5  {ndcg_at_k(data.Y_test, labels, k=5):.4f}")


def show(data, labels, scores, rows):
    """Print ranked beside true subjects; a star marks those that are right."""
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
    print(f"{n_rows:,} titles to learn from, {len(data.text_test):,} unseen, {n_labels:,} labels")
    model, fit_seconds = train(data, args.n_jobs)
    labels, scores, query_microseconds = rank(model, data.text_test)
    report(data, labels, fit_seconds, query_microseconds)
    chosen = np.random.default_rng(0).choice(len(data.text_test), 6, replace=False)
    show(data, labels, scores, chosen)


if __name__ == "__main__":
    main()
