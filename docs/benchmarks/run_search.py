"""Cost of a search over ranking parameters, compared with its fits: python run_search.py.

First with matrices, then with texts and a pipeline, in one process and with the backends of joblib.
"""

import argparse
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
from measure import Stopwatch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline

from skxmr import KMeansIndexer, XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import precision_at_1_scorer
from skxmr.text import NGramTfidfVectorizer

GRID = {"beam_width": [3, 5, 10, 15, 20], "prune_threshold": [0.05, 0.1, 0.15, 0.2, 0.3]}


class NotedIndexer(KMeansIndexer):
    """Indexer that records each tree it builds in a file, from any process."""

    def __init__(self, note=None, branching=16, max_leaf_size=200, balanced=False, spherical=True):
        super().__init__(branching, max_leaf_size, balanced, spherical, random_state=0)
        self.note = note

    def fit(self, X, y=None):
        """Build a tree and record it."""
        with open(self.note, "a") as file:
            file.write("fit\n")
        return super().fit(X, y)


class Timed(XRLinearClassifier):
    """Classifier that sums the CPU seconds of fitting and of ranking, in one process only."""

    spent = {"fit": 0.0, "rank": 0.0}

    def fit(self, *args, **kwargs):
        """Fit and measure the time."""
        return self._timed("fit", super().fit, *args, **kwargs)

    def rank(self, *args, **kwargs):
        """Rank and measure the time."""
        return self._timed("rank", super().rank, *args, **kwargs)

    def _timed(self, what, method, *args, **kwargs):
        start = time.process_time()
        try:
            return method(*args, **kwargs)
        finally:
            self.spent[what] += time.process_time() - start


def plain_fits(model, X, Y, folds):
    """Fit to the training rows of each fold without a search."""
    watch = Stopwatch()
    for rows, _ in folds.split(np.zeros(Y.shape[0])):
        part = X[rows] if hasattr(X, "indptr") else [X[i] for i in rows]
        watch.time("fit", lambda part=part, rows=rows: clone(model).fit(part, Y[rows]))
    return sum(step["cpu"] for step in watch.seconds["fit"])


def searched(model, grid, X, Y, folds, note, backend=None):
    """Search; return wall seconds and the number of trees that were built."""
    note.write_text("")
    search = GridSearchCV(model, grid, cv=folds, refit=False, scoring=precision_at_1_scorer)
    start, cpu = time.perf_counter(), time.process_time()
    if backend is None:
        search.fit(X, Y)
    else:
        with joblib.parallel_config(backend, n_jobs=2):
            search.fit(X, Y)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    return wall, cpu, len(note.read_text().split())


def on_matrices(X, Y, folds, options):
    """Compare a search in one process with its fits, in CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "note"
        indexer = NotedIndexer(str(note))
        fits = plain_fits(XRLinearClassifier(indexer, **options), X, Y, folds)
        model = Timed(indexer, memory=folder, **options)
        Timed.spent.update(fit=0.0, rank=0.0)
        _, cpu, n_trees = searched(model, GRID, X, Y, folds, note)
        spent = dict(Timed.spent)
    print(f"3 fits {fits:.1f} s; search {cpu:.1f} s ({n_trees} trees)", end=": ")
    print(f"fits {spent['fit']:.1f} s, ranking {spent['rank']:.1f} s, rest", end=" ")
    print(f"{cpu - sum(spent.values()):.1f} s; fits in the search / 3 fits", end=" ")
    print(f"{spent['fit'] / fits:.2f}; all / 3 fits {cpu / fits:.2f}", flush=True)


def on_texts(texts, Y, folds, options):
    """Compare a search over a pipeline with a vectorizer with its fits, in CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "note"
        indexer = NotedIndexer(str(note))
        vectorizer = NGramTfidfVectorizer(min_df=3)
        model = make_pipeline(vectorizer, XRLinearClassifier(indexer, **options))
        fits = plain_fits(model, texts, Y, folds)
        grid = {f"timed__{name}": values for name, values in GRID.items()}
        for memory in (None, folder):
            part = Timed(indexer, memory=Path(folder) / f"{memory is None}", **options)
            Timed.spent.update(fit=0.0, rank=0.0)
            pipeline = make_pipeline(vectorizer, part, memory=memory)
            _, cpu, n_trees = searched(pipeline, grid, texts, Y, folds, note)
            spent = dict(Timed.spent)
            print(f"pipeline, memory={memory is not None}: 3 fits {fits:.1f} s", end="; ")
            print(
                f"search {cpu:.1f} s ({n_trees} trees), of these fits {spent['fit']:.1f} s",
                end=", ",
            )
            print(f"ranking {spent['rank']:.1f} s, the rest for text features", flush=True)


def on_backends(X, Y, folds, options):
    """Count the trees that searches with two workers build."""
    for backend in ("threading", "loky", "dask"):
        with tempfile.TemporaryDirectory() as folder:
            note = Path(folder) / "note"
            model = XRLinearClassifier(NotedIndexer(str(note)), memory=folder, **options)
            wall, _, n_trees = searched(model, GRID, X, Y, folds, note, backend)
        print(f"{backend}, 2 workers: {wall:.1f} s wall, {n_trees} trees", flush=True)


def main():
    """Run the selected measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", help="folder of the corpus; by default the bundled sample")
    parser.add_argument(
        "--held-out", type=int, help="number of rows held out of each fit; by default a third"
    )
    parser.add_argument("--no-neighbors", action="store_true")
    parser.add_argument("--only", choices=("matrices", "texts", "backends"))
    args = parser.parse_args()
    folds = KFold(3)
    if args.held_out is not None:
        folds = ShuffleSplit(3, test_size=args.held_out, random_state=0)
    options = {"random_state": 0, **({"n_neighbors": None} if args.no_neighbors else {})}
    data = load_catalogue_subjects(args.corpus)
    texts, Y = list(data.text_train), data.Y_train
    X = NGramTfidfVectorizer(min_df=3).fit_transform(texts)
    parts = {"matrices": (on_matrices, X), "texts": (on_texts, texts), "backends": (on_backends, X)}
    if args.only in (None, "backends"):
        from dask.distributed import Client

        client = Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
    for name, (measure, rows) in parts.items():
        if args.only in (None, name):
            measure(rows, Y, folds, options)
    if args.only in (None, "backends"):
        client.close()


if __name__ == "__main__":
    main()
