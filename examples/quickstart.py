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

from skxmr import XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import ndcg_at_k, precision_at_k
from skxmr.pipeline import make_pipeline


# %%
# Train
# -----
# The model is a pipeline from texts to ranked labels. Y is a sparse matrix with one row per title
# and one column per subject.
def train(data, n_jobs):
    """Fit a pipeline; return it and the seconds of the fit."""
    model = make_pipeline(
        TfidfVectorizer(min_df=3, dtype=np.float32),
        XRLinearClassifier(n_jobs=n_jobs, random_state=0, verbose=1),
    )
    start = time.perf_counter()
    model.fit(data.text_train, data.Y_train, label_names=data.label_names)
    return model, time.perf_counter() - start


# %%
# Rank
# ----
# `rank` returns the best labels of each text, best first, and their scores.
def rank(model, texts, k=5):
    """Rank k labels per text; return the ranking and the microseconds per text."""
    start = time.perf_counter()
    ranking = model.rank(texts, k)
    return ranking, 1e6 * (time.perf_counter() - start) / len(texts)


# %%
# Results
# -------
# Precision and nDCG on the test titles, and the rankings of some titles.
def report(data, ranking, fit_seconds, text_microseconds):
    """Print the metrics."""
    print(f"\ntrained in {fit_seconds:.1f} s, {text_microseconds:.0f} microseconds per text")
    for k in (1, 3, 5):
        print(f"P@{k}     {precision_at_k(data.Y_test, ranking, k=k):.4f}")
    print(f"nDCG@5  {ndcg_at_k(data.Y_test, ranking, k=5):.4f}")


def show(data, ranking, rows):
    """Print true and ranked subjects; a star marks the correct ones."""
    for row in rows:
        true = data.label_names[data.Y_test[row].indices]
        print(f"\n{data.text_test[row]}")
        print("  true:   " + "; ".join(sorted(true)))
        for name, score in zip(ranking.names[row], ranking.scores[row], strict=False):
            mark = "*" if name in true else " "
            print(f"  {score:.3f} {mark} {name}")


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
    ranking, text_microseconds = rank(model, data.text_test)
    report(data, ranking, fit_seconds, text_microseconds)
    chosen = np.random.default_rng(0).choice(len(data.text_test), 6, replace=False)
    show(data, ranking, chosen)


if __name__ == "__main__":
    main()
