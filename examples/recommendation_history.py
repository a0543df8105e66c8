"""What users buy next
===================

Amazon's recommendations began with item-to-item filtering in 2003. Its measure of relatedness was
corrected years later. At Prime Video, an autoencoder then lost to a list of bestsellers, until it
was trained to predict what users watch next. This script measures all of these, and later ideas, on
a log of purchases: the hit rate at 6, which is the fraction of users who buy at least one of six
recommended items in the two weeks after a cutoff.

.. code-block:: sh

    python examples/recommendation_history.py                      # the bundled purchases
    python examples/recommendation_history.py --log FOLDER --plot history.png

A folder has interactions.tsv or interactions.tsv.xz, with the columns user, item and unix_time. The
settings of each method are chosen on the window before the first test window. If the package
implicit is installed, its models are measured as well.
"""

import argparse
import csv
import lzma
import time
from pathlib import Path

import numpy as np
from sklearn.frozen import FrozenEstimator

from skxmr.datasets import load_retail_purchases
from skxmr.metrics import hit_rate_at_k, ndcg_at_k, paired_bootstrap, recall_at_k
from skxmr.pipeline import make_pipeline
from skxmr.recommenders import (
    AutoencoderRecommender,
    BlendedRecommender,
    InteractionEncoder,
    ItemToItemRecommender,
    LinearAutoencoderRecommender,
    MatrixFactorizationRecommender,
    MostPopularRecommender,
    PriorShift,
    Recency,
    UserToUserRecommender,
    make_next_item_recommender,
    temporal_examples,
)

DAYS = 14


def read_log(folder):
    """Read the interactions of a folder, or the bundled ones."""
    if folder is None:
        return load_retail_purchases().log
    path = next(Path(folder).glob("interactions.tsv*"))
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        users, items, times = zip(
            *((int(row["user"]), row["item"], int(row["unix_time"])) for row in rows), strict=True
        )
    return InteractionEncoder().fit_transform((np.array(users), np.array(items), np.array(times)))


def cut_offs(last, n, every=DAYS):
    """Return n cutoffs, the last one included."""
    return last - np.timedelta64(every, "D") * np.arange(n)[::-1]


class Split:
    """What is known at a cutoff, and the rows to test."""

    def __init__(self, log, cutoff, n_windows, every=7):
        known = log.take(log.times < cutoff)
        latest = cutoff - np.timedelta64(DAYS, "D")
        self.windows = temporal_examples(known, cut_offs(latest, n_windows, every))
        # All users, also those who bought nothing in the last window, or for the first time.
        self.histories = temporal_examples(known, [latest], min_history=0, min_targets=0)
        self.test = temporal_examples(log, [cutoff])

    def fit(self, model, name, ordered):
        """Fit a pipeline or a recommender, to windows or to histories."""
        data = self.windows if ordered else self.histories
        prefix = f"{model.steps[-1][0]}__" if hasattr(model, "steps") else ""
        given = {"users": data.users, "target_times": data.target_times}
        return model.fit(data.X, data.y, **{prefix + key: value for key, value in given.items()})


def related(measure, **params):
    return ItemToItemRecommender(measure, n_related=500, **params)


def with_recency(half_life, model):
    return make_pipeline(Recency(half_life), model)


def all_methods(n_epochs):
    """Return, for each method, whether it learns from windows, and the models to choose from."""
    network = {"n_epochs": n_epochs, "batch_size": 128, "random_state": 0}
    return {
        "popular, 14 days": (False, [MostPopularRecommender("14D")]),
        "popular, 7 days": (False, [MostPopularRecommender("7D")]),
        "item to item, difference (2003)": (False, [related("difference", shrinkage=0)]),
        "item to item, cosine": (False, [related("cosine", shrinkage=0)]),
        "item to item, corrected as published": (False, [related("corrected", shrinkage=0)]),
        "item to item, corrected, shrunk": (
            False,
            [
                with_recency(half_life, related("corrected", shrinkage=shrinkage))
                for half_life in (14, 30)
                for shrinkage in (5, 20)
            ],
        ),
        "item to item, corrected + popular": (
            False,
            [
                with_recency(14, related("corrected", shrinkage=5, popularity=popularity))
                for popularity in (3, 10, 30)
            ],
        ),
        "item to item, ordered": (
            True,
            [with_recency(30, related("corrected", shrinkage=s, ordered=True)) for s in (5, 20)],
        ),
        "user to user": (
            False,
            [with_recency(h, UserToUserRecommender(n)) for h in (14, 30) for n in (100, 300)],
        ),
        "matrix factorization, ALS": (
            False,
            [
                MatrixFactorizationRecommender(
                    n_factors=32, alpha=alpha, regularization=5.0, n_iter=8, random_state=0
                )
                for alpha in (2, 10)
            ],
        ),
        "matrix factorization, BPR": (
            False,
            [MatrixFactorizationRecommender("bpr", n_factors=32, n_iter=20, random_state=0)],
        ),
        "EASE": (False, [with_recency(30, LinearAutoencoderRecommender(200.0, min_support=5))]),
        "ridge, history to next": (
            True,
            [
                with_recency(
                    h,
                    LinearAutoencoderRecommender(
                        200.0, min_support=5, ordered=True, window_half_life=60
                    ),
                )
                for h in (90,)
            ],
        ),
        "autoencoder, within histories": (
            False,
            [AutoencoderRecommender(**network)],
        ),
        "autoencoder, time-ordered": (
            True,
            [
                with_recency(
                    60, AutoencoderRecommender(ordered=True, window_half_life=60, **network)
                )
            ],
        ),
        "XRLinearClassifier, time-ordered": (
            True,
            [make_next_item_recommender(half_life=h, random_state=0) for h in (30, 90)],
        ),
    }


#: Methods that get a prior shift, and strengths to choose from.
SHIFTED = ("autoencoder, time-ordered", "XRLinearClassifier, time-ordered")
STRENGTHS = (0.4, 0.7, 1.0)
BLENDED = ("XRLinearClassifier, time-ordered + prior", "user to user", "popular, 7 days")
WEIGHTS = ((1, 0.3, 0), (1, 0.3, 0.3), (1, 1, 0.3))


def ranked(model, split):
    return model.rank(split.test.X, 10)


def hit_rate(model, split):
    return hit_rate_at_k(split.test.y, ranked(model, split), 6)


def best_of(models, split):
    """Return the position of the fitted model with the best hit rate."""
    return int(np.argmax([hit_rate(model, split) for model in models]))


def variants(fitted, split):
    """Yield names and lists of further models that are made of fitted ones."""
    data = split.windows
    meta = {"users": data.users, "target_times": data.target_times}
    for name in SHIFTED:
        models = [
            PriorShift(FrozenEstimator(fitted[name]), strength=s).fit(data.X, data.y, **meta)
            for s in STRENGTHS
        ]
        yield f"{name} + prior", models
    parts = [(f"part {i}", FrozenEstimator(fitted[name])) for i, name in enumerate(BLENDED)]
    blends = [BlendedRecommender(parts, weights=w).fit(data.X, data.y) for w in WEIGHTS]
    yield "blend of XR, users and popular", blends


def fit_all(methods, split, chosen=None):
    """Fit all methods. Without choices, fit all settings and return the best ones."""
    fitted = {}
    choices = {}
    for name, (ordered, models) in methods.items():
        begin = time.perf_counter()
        if chosen is None:
            models = [split.fit(model, name, ordered) for model in models]
            choices[name] = best_of(models, split)
            fitted[name] = models[choices[name]]
        else:
            fitted[name] = split.fit(models[chosen[name]], name, ordered)
        print(f"  {name}: {time.perf_counter() - begin:.1f} s", flush=True)
    for name, models in variants(fitted, split):
        choices[name] = best_of(models, split) if chosen is None else chosen[name]
        fitted[name] = models[choices[name]]
    return fitted, choices


def implicit_rankings(split):
    """Return the rankings of implicit's models by name, or nothing if it is not installed."""
    try:
        from implicit.als import AlternatingLeastSquares
        from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
    except ImportError:
        return {}
    data = split.histories
    purchases = ((data.X + data.y) != 0).astype(np.float32).tocsr()
    rows = (split.test.X != 0).astype(np.float32).tocsr()
    models = {
        "implicit cosine": CosineRecommender(K=50, num_threads=1),
        "implicit BM25": BM25Recommender(K=50, num_threads=1),
        "implicit ALS": AlternatingLeastSquares(
            factors=32, alpha=10, regularization=0.1, random_state=0, num_threads=1
        ),
    }
    found = {}
    for name, model in models.items():
        model.fit(purchases, show_progress=False)
        params = {"recalculate_user": True} if name.endswith("ALS") else {}
        items, scores = model.recommend(np.arange(rows.shape[0]), rows, N=10, **params)
        found[name] = distinct(np.where(np.isfinite(scores), items, -1))
    return found


def distinct(items):
    """Replace repeated items of a row by -1."""
    for row in items:
        _, first = np.unique(row, return_index=True)
        row[np.setdiff1d(np.arange(len(row)), first)] = -1
    return items


def measures(truth, rankings):
    """Return rows (name, hit rate, its standard error, recall, nDCG) over all test windows."""
    rows = []
    for name, tops in rankings.items():
        pairs = list(zip(truth, tops, strict=True))
        hits = [hit_rate_at_k(Y, top, 6) for Y, top in pairs]
        sizes = [Y.shape[0] for Y, _ in pairs]
        error = np.sqrt(sum(n * p * (1 - p) for n, p in zip(sizes, hits, strict=True))) / sum(sizes)
        recall = np.average([recall_at_k(Y, top, 10) for Y, top in pairs], weights=sizes)
        ndcg = np.average([ndcg_at_k(Y, top, 10) for Y, top in pairs], weights=sizes)
        rows.append((name, np.average(hits, weights=sizes), error, recall, ndcg))
    return rows


def print_comparison(truth, rankings, first, second):
    """Print the paired difference of two methods."""
    from scipy.sparse import vstack

    tops = [np.concatenate(rankings[name]) for name in (first, second)]
    result = paired_bootstrap(vstack(truth, format="csr"), *tops, k=6, random_state=0)
    print(
        f"{first} minus {second}: {result.difference:+.3f} [{result.low:+.3f}, {result.high:+.3f}]"
    )


def plot(rows, title, path):
    """Draw the hit rates with two standard errors."""
    import matplotlib.pyplot as plt

    names, hits, errors, _, _ = zip(*rows[::-1], strict=True)
    _, axes = plt.subplots(figsize=(8, 0.32 * len(names) + 1), layout="constrained")
    axes.barh(names, hits, xerr=2 * np.array(errors), color="tab:blue", ecolor="0.3")
    axes.set_xlabel("hit rate at 6, with two standard errors")
    axes.set_title(title)
    plt.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log", help="folder with interactions.tsv(.xz); default: bundled")
    parser.add_argument("--windows", type=int, default=16, help="training windows, one a week")
    parser.add_argument("--epochs", type=int, default=15, help="epochs of the autoencoders")
    parser.add_argument("--tests", type=int, default=3, help="test windows")
    parser.add_argument("--plot", help="file of the plot")
    parser.add_argument("--title", default="What users buy in the next two weeks")
    parser.add_argument("--last", help="last test cutoff; default: two weeks before the end")
    arguments = parser.parse_args()
    methods = all_methods(arguments.epochs)
    log = read_log(arguments.log)
    print(log)
    last = log.times[-1].astype("datetime64[D]") - np.timedelta64(DAYS, "D")
    cutoffs = cut_offs(np.datetime64(arguments.last or last, "us"), arguments.tests + 1)
    print(f"settings are chosen at {cutoffs[0]}")
    _, choices = fit_all(methods, Split(log, cutoffs[0], arguments.windows))
    truth = []
    rankings = {}
    for cutoff in cutoffs[1:]:
        print(f"test at {cutoff}")
        split = Split(log, cutoff, arguments.windows)
        fitted, _ = fit_all(methods, split, choices)
        tops = {name: ranked(model, split).labels for name, model in fitted.items()}
        for name, top in {**tops, **implicit_rankings(split)}.items():
            rankings.setdefault(name, []).append(top)
        truth.append(split.test.y)
    rows = measures(truth, rankings)
    print(f"\n{'':44}hit rate@6   (SE)  recall@10  nDCG@10")
    for name, hit, error, recall, ndcg in rows:
        print(f"{name:44}     {hit:.3f} ({error:.3f})      {recall:.3f}    {ndcg:.3f}")
    order = "autoencoder, time-ordered"
    print()
    print_comparison(truth, rankings, order, "autoencoder, within histories")
    print_comparison(truth, rankings, order, "popular, 14 days")
    print_comparison(truth, rankings, order, "item to item, corrected, shrunk")
    print_comparison(truth, rankings, "item to item, corrected + popular", "popular, 14 days")
    if arguments.plot:
        plot(rows, arguments.title, arguments.plot)


if __name__ == "__main__":
    main()
