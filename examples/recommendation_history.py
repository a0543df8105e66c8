"""What users buy next
===================

Amazon's recommendations began with item-to-item filtering in 2003. Its measure of relatedness was
corrected years later. At Prime Video, an autoencoder then lost to a list of bestsellers, until it
was trained to predict what users watch next. This script measures all of these, and later ideas, on
a log of purchases: the hit rate at 6, which is the fraction of users who buy at least one of six
recommended items in the two weeks after a cutoff.

.. code-block:: sh

    python examples/recommendation_history.py                      # the bundled purchases
    python examples/recommendation_history.py --plots .            # with a plot
    python examples/recommendation_history.py --log online-retail movietweetings --plots .

A log is a folder with interactions.tsv or interactions.tsv.xz, with the columns user, item and
unix_time. Each log gets a table and a plot. The bundled log takes two minutes on one core, and
larger ones much longer; lines of progress tell what is being measured.

The settings of each method are chosen on the window before the first test window. If the package
implicit is installed, its models are measured as well.

.. image:: ../images/recommendation_history.png
    :alt: The hit rate of each method on the bundled purchases, with two standard errors.
"""

# sphinx_gallery_thumbnail_path = "images/recommendation_history.png"
import argparse
import csv
import lzma
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import vstack
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

#: Days after which a training window has half of the weight.
WINDOW_HALF_LIFE = 60


#: The ideas in the order of the story, and the methods of each.
STORY = {
    "bestsellers": ("popular, 14 days", "popular, 7 days"),
    "similar people (1994)": ("user to user",),
    "related items (2003)": ("item to item, difference (2003)", "item to item, cosine"),
    "corrected for heavy buyers (2017)": (
        "item to item, corrected as published",
        "item to item, corrected, shrunk",
        "item to item, corrected + popular",
    ),
    "completing the matrix": (
        "matrix factorization, ALS",
        "matrix factorization, BPR",
        "EASE",
        "autoencoder, within histories",
    ),
    "predicting what comes next": (
        "item to item, ordered",
        "ridge, history to next",
        "autoencoder, time-ordered",
        "XRLinearClassifier, time-ordered",
    ),
    "what comes next, shifted to recent sales": (
        "autoencoder, time-ordered + prior",
        "XRLinearClassifier, time-ordered + prior",
    ),
    "all together": ("blend of XR, users and popular",),
    "implicit": ("implicit cosine", "implicit BM25", "implicit ALS"),
}

#: The list of bestsellers that the story compares with.
BASELINE = "popular, 14 days"

#: Pairs of methods whose difference is printed.
COMPARED = (
    ("autoencoder, time-ordered", "autoencoder, within histories"),
    ("autoencoder, time-ordered", BASELINE),
    ("autoencoder, time-ordered", "item to item, corrected, shrunk"),
    ("item to item, corrected + popular", BASELINE),
)


def log_file(folder):
    """Return the file with the interactions of a folder."""
    for name in ("interactions.tsv", "interactions.tsv.xz"):
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise argparse.ArgumentTypeError(f"{folder} has no interactions.tsv or interactions.tsv.xz")


def read_log(path):
    """Read the interactions of a file."""
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
        self.known = log.take(log.times < cutoff)
        latest = cutoff - np.timedelta64(DAYS, "D")
        self.windows = temporal_examples(self.known, cut_offs(latest, n_windows, every))
        # All users, also those who bought nothing in the last window, or for the first time.
        self.histories = temporal_examples(self.known, [latest], min_history=0, min_targets=0)
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
            [AutoencoderRecommender(n_epochs=n_epochs, random_state=0)],
        ),
        "autoencoder, time-ordered": (
            True,
            [
                with_recency(
                    365,
                    AutoencoderRecommender(
                        ordered=True, window_half_life=WINDOW_HALF_LIFE, random_state=0
                    ),
                )
            ],
        ),
        "XRLinearClassifier, time-ordered": (
            True,
            [
                make_next_item_recommender(
                    half_life=365,
                    n_components=n,
                    window_half_life=WINDOW_HALF_LIFE,
                    tol=0.01,
                    n_neighbors=None,
                    random_state=0,
                )
                for n in (None, 30)
            ],
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
            PriorShift(
                FrozenEstimator(fitted[name]), strength=s, window_half_life=WINDOW_HALF_LIFE
            ).fit(data.X, data.y, **meta)
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
    found = {}
    with warnings.catch_warnings():
        # About conversions of its own, and the threads of OpenBLAS.
        warnings.simplefilter("ignore")
        models = {
            "implicit cosine": CosineRecommender(K=50, num_threads=1),
            "implicit BM25": BM25Recommender(K=50, num_threads=1),
            "implicit ALS": AlternatingLeastSquares(
                factors=32, alpha=10, regularization=0.1, random_state=0, num_threads=1
            ),
        }
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


@dataclass
class Measured:
    """The measures of a method: hit rate at 6, recall and nDCG at 10.

    The hit rate is also there for each test window. The standard error is that of a mean over the
    rows of all test windows.
    """

    name: str
    hit_rate: float
    error: float
    recall: float
    ndcg: float
    windows: list


def measure(name, truth, tops):
    """Measure the rankings of a method at all test windows."""
    pairs = list(zip(truth, tops, strict=True))
    hits = np.array([hit_rate_at_k(Y, top, 6) for Y, top in pairs])
    sizes = np.array([Y.shape[0] for Y, _ in pairs])
    return Measured(
        name,
        np.average(hits, weights=sizes),
        np.sqrt((sizes * hits * (1 - hits)).sum()) / sizes.sum(),
        np.average([recall_at_k(Y, top, 10) for Y, top in pairs], weights=sizes),
        np.average([ndcg_at_k(Y, top, 10) for Y, top in pairs], weights=sizes),
        hits.tolist(),
    )


def run(log, last, n_tests, n_windows, n_epochs):
    """Return the test cutoffs, the targets at each of them, and the rankings of each method."""
    methods = all_methods(n_epochs)
    if last is None:
        last = log.times[-1].astype("datetime64[D]") - np.timedelta64(DAYS, "D")
    cutoffs = cut_offs(np.datetime64(last, "us"), n_tests + 1)
    print(f"choosing settings at {day(cutoffs[0])}, window 0 of {n_tests}", flush=True)
    _, choices = fit_all(methods, Split(log, cutoffs[0], n_windows))
    truth = []
    rankings = {}
    for number, cutoff in enumerate(cutoffs[1:], 1):
        print(f"testing at {day(cutoff)}, window {number} of {n_tests}", flush=True)
        split = Split(log, cutoff, n_windows)
        fitted, _ = fit_all(methods, split, choices)
        tops = {name: ranked(model, split).labels for name, model in fitted.items()}
        for name, top in {**tops, **implicit_rankings(split)}.items():
            rankings.setdefault(name, []).append(top)
        truth.append(split.test.y)
    return cutoffs[1:], truth, rankings


def day(cutoff):
    return str(cutoff.astype("datetime64[D]"))


def by_idea(rows):
    """Return the rows of each idea of the story, without ideas that have none."""
    found = {row.name: row for row in rows}
    ideas = {idea: [found[n] for n in names if n in found] for idea, names in STORY.items()}
    return {idea: members for idea, members in ideas.items() if members}


def print_table(cutoffs, truth, rows):
    """Print the measures of all methods, and the hit rate at each cutoff."""
    n_rows = sum(Y.shape[0] for Y in truth)
    print(f"\n{n_rows:,} rows at {len(cutoffs)} cutoffs; the last columns are hit rates at each")
    days = "".join(f"{day(cutoff):>12}" for cutoff in cutoffs)
    print(f"{'':42}hit rate@6   (SE)  recall@10  nDCG@10{days}")
    for idea, members in by_idea(rows).items():
        print(idea)
        for row in members:
            each = "".join(f"{hit:12.3f}" for hit in row.windows)
            print(
                f"  {row.name:40}     {row.hit_rate:.3f} ({row.error:.3f})      {row.recall:.3f}"
                f"    {row.ndcg:.3f}{each}"
            )


def print_comparisons(truth, rankings):
    """Print the paired differences of methods, with intervals."""
    print("\npaired differences of the hit rate, with 95 % intervals of a bootstrap")
    stacked = vstack(truth, format="csr")
    for first, second in COMPARED:
        tops = [np.concatenate(rankings[name]) for name in (first, second)]
        result = paired_bootstrap(stacked, *tops, k=6, random_state=0)
        interval = f"[{result.low:+.3f}, {result.high:+.3f}]"
        print(f"{result.difference:+.3f} {interval}  {first} minus {second}")


def plot(rows, title, path):
    """Draw the hit rate of each method, with two standard errors, in the order of the story."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print('No plot: it needs matplotlib, as in pip install "skxmr[plot]".')
        return
    ideas = by_idea(rows)
    baseline = next(row for row in rows if row.name == BASELINE)
    n_lines = len(rows) + len(ideas)
    figure, ax = plt.subplots(figsize=(8, 0.25 * n_lines + 0.9), layout="constrained")
    ax.axvline(baseline.hit_rate, color="0.45", lw=1, ls="--", zorder=0)
    ticks = []
    line = 0
    for idea, members in ideas.items():
        ticks.append((line, idea, True))
        color = "tab:gray" if idea == "implicit" else "tab:blue"
        for row in members:
            line += 1
            ticks.append((line, row.name, False))
            ax.plot(row.windows, [line] * len(row.windows), "|", color=color, alpha=0.5, ms=7)
            ax.errorbar(row.hit_rate, line, xerr=2 * row.error, fmt="o", ms=5, lw=1.5, color=color)
        line += 1
    positions, labels, is_idea = zip(*ticks, strict=True)
    ax.set_yticks(positions, labels, fontsize=9)
    for label, mark, bold in zip(
        ax.get_yticklabels(), ax.yaxis.get_major_ticks(), is_idea, strict=True
    ):
        label.set_fontweight("bold" if bold else "normal")
        mark.tick1line.set_visible(False)
    ax.set_ylim(line - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.annotate(
        "bestsellers of 14 days",
        (baseline.hit_rate, 0),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color="0.35",
    )
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.set_xlabel("hit rate at 6 (bars: two standard errors; ticks: each cutoff)")
    ax.set_title(title, fontsize=11)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)
    print(f"plot: {path}")


def positive(text):
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return number


def date(text):
    try:
        return np.datetime64(text, "D")
    except ValueError:
        message = f"must be a date such as 2011-11-25, got {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def read_arguments():
    parser = argparse.ArgumentParser(
        description="Compare recommenders on logs of purchases: a table and a plot for each log."
    )
    add = parser.add_argument
    add(
        "--log",
        nargs="+",
        type=log_file,
        metavar="FOLDER",
        help="folders with interactions.tsv or interactions.tsv.xz; without it, the bundled log",
    )
    add("--plots", type=Path, metavar="FOLDER", help="folder for a plot of each log")
    add("--tests", type=positive, default=3, metavar="N", help="test windows; default: %(default)s")
    add(
        "--windows",
        type=positive,
        default=16,
        metavar="N",
        help="weekly training windows; default: %(default)s",
    )
    add(
        "--epochs",
        type=positive,
        default=15,
        metavar="N",
        help="epochs of the autoencoder within histories; default: %(default)s",
    )
    add(
        "--last",
        type=date,
        metavar="DATE",
        help="last test cutoff; without it, two weeks before the end",
    )
    return parser.parse_args()


def main():
    arguments = read_arguments()
    if arguments.plots:
        arguments.plots.mkdir(parents=True, exist_ok=True)
    for path in arguments.log or [None]:
        title = path.parent.resolve().name if path else "bundled purchases"
        log = read_log(path) if path else load_retail_purchases().log
        print(f"{title}: {log}")
        cutoffs, truth, rankings = run(
            log, arguments.last, arguments.tests, arguments.windows, arguments.epochs
        )
        rows = [measure(name, truth, tops) for name, tops in rankings.items()]
        print_table(cutoffs, truth, rows)
        print_comparisons(truth, rankings)
        if arguments.plots:
            name = title.replace(" ", "_")
            plot(rows, f"What users buy next: {title}", arguments.plots / f"{name}.png")
        print(flush=True)


if __name__ == "__main__":
    main()
