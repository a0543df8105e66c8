"""Product retrieval: features, speed and quality
==============================================

Product search as ranking of many labels (KDD 2021), on titles of a library catalog. The subject
headings are the products. This example compares three kinds of tf-idf features, alone and combined.
It then searches pruning thresholds and beam widths with all features, and plots the results.

.. code-block:: sh

    python examples/product_retrieval.py [--data FOLDER] [--titles N] [--rows N] [--plot FILE]
        [--n-jobs N]

Without a folder, it uses the sample of skxmr. --titles N uses N random training rows and N / 5 test
rows. The search uses at most as many training rows as --rows.
"""

import argparse
import tempfile
import time
from contextlib import contextmanager
from itertools import count

import numpy as np
from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid
from sklearn.pipeline import Pipeline

from skxmr import XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import precision_at_k, recall_at_10_scorer, recall_at_k
from skxmr.text import NGramTfidfVectorizer

ALL = "words, pairs, trigrams"
FEATURES = {
    "words": {"analyzer": "word", "ngram_range": (1, 1)},
    "pairs of words": {"analyzer": "word", "ngram_range": (2, 2)},
    "character trigrams": {"analyzer": "char_wb", "ngram_range": (3, 3)},
    "words, pairs": {"analyzer": "word", "ngram_range": (1, 2)},
    "words, trigrams": {"analyzer": ["word", "char_wb"], "ngram_range": [(1, 1), (3, 3)]},
    ALL: {"analyzer": ["word", "char_wb"], "ngram_range": [(1, 2), (3, 3)]},
}
GRID = {"rank__prune_threshold": [0.05, 0.1, 0.2, 0.4], "rank__beam_width": [1, 2, 5, 10, 20]}
N_FOLDS = 3
SLACK = 0.005  # maximum difference to the best recall of the setting that is chosen
HEADER = f"{'':24}{'columns':>9}{'P@1':>8}{'R@10':>8}{'R@100':>8}{'fit s':>8}{'µs':>7}"


# %%
# From texts to ranked labels
# ---------------------------
# `memory` caches features and training. A search over ranking parameters then trains each fold
# once.
def make_pipeline(features, n_jobs, memory=None):
    """Make the pipeline from texts to ranked labels."""
    steps = [
        ("text", NGramTfidfVectorizer(**FEATURES[features], min_df=2, n_jobs=n_jobs)),
        ("rank", XRLinearClassifier(memory=memory, n_jobs=n_jobs, random_state=0)),
    ]
    return Pipeline(steps, memory=memory)


def microseconds(model, texts, n_calls=1000, n_warm=50):
    """Measure the median time to rank the features of one text per call."""
    X = model[:-1].transform(texts[:: max(1, len(texts) // n_calls)])
    rows = [X[i] for i in range(X.shape[0])]
    for row in rows[:n_warm]:
        model[-1].rank(row, k=10)
    seconds = []
    for row in rows:
        start = time.perf_counter()
        model[-1].rank(row, k=10)
        seconds.append(time.perf_counter() - start)
    return 1e6 * float(np.median(seconds))


# %%
# Comparison of features
# ----------------------
def measure(name, model, data):
    """Fit on all training rows, print the results on the test rows and return R@10."""
    print(f"{name:24}", end="", flush=True)
    start = time.perf_counter()
    model.fit(data.text_train, data.Y_train)
    fit_seconds = time.perf_counter() - start
    X = model[:-1].transform(data.text_test)
    ranking = model[-1].rank(X, k=100)
    recall = recall_at_k(data.Y_test, ranking, k=10)
    print(
        f"{X.shape[1]:9,}{precision_at_k(data.Y_test, ranking, k=1):8.4f}{recall:8.4f}"
        f"{recall_at_k(data.Y_test, ranking, k=100):8.4f}{fit_seconds:8.1f}"
        f"{microseconds(model, data.text_test):7.0f}",
        flush=True,
    )
    return recall


def compare_features(data, n_jobs):
    """Print a table of the features."""
    print(f"\n{HEADER}")
    recalls = {name: measure(name, make_pipeline(name, n_jobs), data) for name in FEATURES}
    print(f"Highest recall at 10: {max(recalls, key=recalls.get)}.")


# %%
# Thresholds and beams
# --------------------
# A scorer can be any callable, so that one grid measures recall and time. It is called after each
# fit and also reports the progress.
@contextmanager
def progress(n_fits):
    """Yield a function to call after each fit, for a bar of tqdm or a line every ten fits."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        numbers = count(1)

        def advance():
            if (n_done := next(numbers)) % 10 == 0:
                print(f"  {n_done} of {n_fits} fits", flush=True)

        yield advance
        return
    with tqdm(total=n_fits, unit="fit") as bar:
        yield bar.update


def search(texts, Y, n_jobs):
    """Cross-validate the settings of the search; return one record per setting."""
    folds = KFold(N_FOLDS, shuffle=True, random_state=0)
    start = time.perf_counter()
    n_fits = N_FOLDS * len(ParameterGrid(GRID))
    with tempfile.TemporaryDirectory() as memory, progress(n_fits) as advance:

        def timed(model, texts, Y):
            value = microseconds(model, texts)
            advance()
            return value

        scoring = {"recall": recall_at_10_scorer, "time": timed}
        pipeline = make_pipeline(ALL, n_jobs, memory)
        grid = GridSearchCV(pipeline, GRID, scoring=scoring, cv=folds, refit=False)
        grid.fit(texts, Y)
    results = grid.cv_results_
    report_times(results["mean_fit_time"], time.perf_counter() - start)
    columns = "params", "mean_test_recall", "mean_test_time"
    return list(zip(*(results[column] for column in columns), strict=True))


def report_times(fit_seconds, all_seconds):
    """Print the times of fits. Only the first fit of each fold trains."""
    n = len(fit_seconds)
    print(
        f"{n} settings on {N_FOLDS} folds took {all_seconds:.0f} s. The first fit of a fold, which "
        f"trains, took {fit_seconds[0]:.1f} s, the {n - 1} after it {fit_seconds[1:].mean():.1f} s "
        "each."
    )


def choose(settings):
    """Return the parameters of the fastest setting whose recall is close to the best."""
    enough = max(recall for _, recall, _ in settings) - SLACK
    return min((s for s in settings if s[1] >= enough), key=lambda s: s[2])[0]


def lines(settings):
    """Group settings by threshold, as lists of (beam width, recall, latency)."""
    by_threshold = {threshold: [] for threshold in GRID["rank__prune_threshold"]}
    for params, recall, latency in settings:
        point = params["rank__beam_width"], recall, latency
        by_threshold[params["rank__prune_threshold"]].append(point)
    return by_threshold


def show(settings):
    """Print a table with a row for each threshold."""
    widths = "".join(f"{f'beam {width}':>14}" for width in GRID["rank__beam_width"])
    print(f"\nR@10 and µs\n{'threshold':<10}{widths}")
    for threshold, points in lines(settings).items():
        cells = (f"{recall:.4f} {latency:5.0f}" for _, recall, latency in points)
        print(f"{threshold:<10}" + "".join(f"{cell:>14}" for cell in cells))


def plot(settings, path):
    """Draw recall over latency, a line for each threshold."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print('No plot: it needs matplotlib, as in pip install "skxmr[plot]".')
        return
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    shades = plt.colormaps["viridis"](np.linspace(0, 0.85, len(lines(settings))))
    for shade, (threshold, points) in zip(shades, lines(settings).items(), strict=True):
        widths, recalls, latencies = zip(*points, strict=True)
        percent = [100 * recall for recall in recalls]
        axes.plot(latencies, percent, "o-", color=shade, label=f"{threshold}")
        for i, width in enumerate(widths):
            offset = (-4, 7) if i % 2 else (4, -12)
            point = latencies[i], percent[i]
            axes.annotate(width, point, offset, textcoords="offset points", fontsize=8, color=shade)
    axes.set(xlabel="median µs of a call with one row", ylabel="recall at 10, %")
    axes.set_title("Numbers: beam width", loc="left", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e7eb")
    axes.margins(0.06)
    axes.legend(title="prune_threshold", frameon=False, loc="lower right")
    figure.savefig(path, dpi=120)
    print(f"Plot: {path}")


def some_rows(data, n):
    """Return the texts and labels of at most n training rows, drawn at random."""
    n_train = len(data.text_train)
    if n >= n_train:
        return data.text_train, data.Y_train
    rows = np.sort(np.random.default_rng(0).choice(n_train, n, replace=False))
    return [data.text_train[row] for row in rows], data.Y_train[rows]


# %%
# All together
# ------------
def main():
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the full data; by default the bundled sample")
    parser.add_argument("--titles", type=int, help="maximum training rows; by default all")
    parser.add_argument("--rows", type=int, default=100_000, help="maximum rows of the search")
    parser.add_argument("--plot", default="product_retrieval.png", help="file of the plot")
    parser.add_argument("--n-jobs", type=int, default=2)
    args = parser.parse_args()

    data = load_catalogue_subjects(args.data)
    if args.titles is not None:
        data.text_train, data.Y_train = some_rows(data, args.titles)
        n_test = args.titles // 5
        data.text_test, data.Y_test = data.text_test[:n_test], data.Y_test[:n_test]
    n_rows, n_labels = data.Y_train.shape
    print(f"{n_rows:,} training titles, {len(data.text_test):,} test titles, {n_labels:,} labels")
    compare_features(data, args.n_jobs)

    texts, Y = some_rows(data, args.rows)
    print(f"\nSearching over {ALL}, on {len(texts):,} training rows")
    settings = search(texts, Y, args.n_jobs)
    show(settings)
    chosen = choose(settings)
    named = ", ".join(f"{name.removeprefix('rank__')} {value}" for name, value in chosen.items())
    print(f"\nThe fastest setting within {SLACK} of the best: {named}.")
    print(f"Trained on all rows, on the test rows:\n{HEADER}")
    measure("chosen", make_pipeline(ALL, args.n_jobs).set_params(**chosen), data)
    plot(settings, args.plot)


if __name__ == "__main__":
    main()
