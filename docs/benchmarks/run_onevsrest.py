"""Measure OneVsRestClassifier and a tree of XRLinearClassifier on the bundled sample.

    python docs/benchmarks/run_onevsrest.py xr|ovr [--labels N]

Each runs in its own process with one thread. --labels selects the N most frequent labels.
"""

import argparse
import json
import pickle
import time

import numpy as np
from measure import peak_bytes
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from skxmr import XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import precision_at_k, propensities, psp_at_k

N_SINGLE = 200


def load(n_labels):
    """Return features and labels. Rows whose labels are all removed are kept."""
    data = load_catalogue_subjects()
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    X = vectorizer.fit_transform(data.text_train), vectorizer.transform(data.text_test)
    often = np.argsort(-data.Y_train.getnnz(axis=0), kind="stable")[:n_labels]
    return *X, data.Y_train[:, np.sort(often)], data.Y_test[:, np.sort(often)]


def make(kind):
    """Return the estimator."""
    if kind == "ovr":
        return OneVsRestClassifier(LinearSVC())
    return XRLinearClassifier(n_neighbors=None, random_state=0)


def top(estimator, X, k=5):
    """Return the k best labels of each row, from `rank` or from the scores of all labels."""
    if hasattr(estimator, "rank"):
        return estimator.rank(X, k)[0]
    scores = estimator.decision_function(X)
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def cpu_seconds(function, *args):
    """Return the result of a call, and its CPU seconds."""
    start = time.process_time()
    result = function(*args)
    return result, time.process_time() - start


def main():
    """Measure one of the two estimators."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["xr", "ovr"])
    parser.add_argument("--labels", type=int, default=5000)
    args = parser.parse_args()
    X, X_test, Y, Y_test = load(args.labels)
    estimator, fit = cpu_seconds(make(args.kind).fit, X, Y)
    ranking, batch = cpu_seconds(top, estimator, X_test)
    _, single = cpu_seconds(lambda: [top(estimator, X_test[i]) for i in range(N_SINGLE)])
    options = {"propensities": propensities(Y)}
    print(
        json.dumps(
            {
                "kind": args.kind,
                "labels": Y.shape[1],
                "P@1,3,5": [
                    round(100 * precision_at_k(Y_test, ranking, k=k), 2) for k in (1, 3, 5)
                ],
                "PSP@5": round(100 * psp_at_k(Y_test, ranking, k=5, **options), 2),
                "fit, CPU s": round(fit, 1),
                "batch, µs a row": round(1e6 * batch / len(ranking), 1),
                "one row, µs": round(1e6 * single / N_SINGLE),
                "pickle, MB": round(len(pickle.dumps(estimator)) / 1e6, 1),
                "peak, MB": round(peak_bytes() / 2**20),
            },
            ensure_ascii=False,
        )
    )


if __name__ == "__main__":
    main()
