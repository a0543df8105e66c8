"""Hit rates of recommenders after test cutoffs, and those of irspack, RecTools and LensKit.

.. code-block:: sh

    python run_recommender_quality.py FOLDER --cutoffs 2011-10-28 2011-11-11 2011-11-25
    python run_recommender_quality.py FOLDER --cutoffs ... --methods irspack rectools lenskit own

A folder has interactions.tsv or interactions.tsv.xz, with the columns user, item and unix_time. The
settings are those of the function `methods`. They were chosen on cutoffs before the test cutoffs.
All methods learn from the same purchases before each cutoff, rank for the same rows, and leave out
the items of their histories. The packages irspack, rectools and lenskit are measured if they are
installed.
"""

import argparse
import importlib
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.frozen import FrozenEstimator

from skxmr.metrics import hit_rate_at_k, paired_bootstrap, recall_at_k
from skxmr.recommenders import (
    AutoencoderRecommender,
    ItemToItemRecommender,
    LinearAutoencoderRecommender,
    MatrixFactorizationRecommender,
    MostPopularRecommender,
    PriorShift,
    make_next_item_recommender,
    temporal_examples,
)

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
from recommendation_history import Split, log_file, read_log, with_recency

K = 6


def own_rank(make, split, ordered):
    """Fit one of our recommenders and return the items for the test rows."""
    return split.fit(make(), "", ordered).rank(split.test.X, K).labels


def with_priors(make, priors, split):
    """Return the items of a recommender without and with prior shifts, fitted once.

    The prior shifts are pairs of a window and a strength. Their windows have the purchases of new
    users as well, whose rows have no history.
    """
    data = temporal_examples(split.known, np.unique(split.windows.cutoffs), min_history=0)
    given = {"users": data.users, "target_times": data.target_times}
    fitted = split.fit(make(), "", True)
    if isinstance(fitted, PriorShift):
        half_life = fitted.window_half_life
        fitted = fitted.estimator_
    else:
        half_life = fitted[-1].window_half_life
    found = {}
    for window, strength in ((1, 0), *priors):
        shifted = PriorShift(
            FrozenEstimator(fitted), strength=strength, window=window, window_half_life=half_life
        )
        name = f" + prior {strength}, {window}" if strength else ""
        found[name] = shifted.fit(data.X, data.y, **given).rank(split.test.X, K).labels
    return found


def purchases_of(split):
    """Return the purchases before the cutoff as a 0/1 matrix of users and items."""
    data = split.histories
    matrix = sp.csr_matrix((data.X + data.y) != 0, dtype=np.float32)
    matrix.sort_indices()
    return matrix


def test_rows(split):
    rows = sp.csr_matrix(split.test.X != 0, dtype=np.float32)
    rows.sort_indices()
    return rows


def best_new(scores, rows):
    """Return the best items of dense scores that are not in the rows."""
    scores = np.array(scores, dtype=np.float64)
    scores[rows.nonzero()] = -np.inf
    best = np.argpartition(-scores, K - 1, axis=1)[:, :K]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def irspack_rank(name, split, **params):
    """Fit a recommender of irspack. It scores the rows as new users."""
    module = importlib.import_module("irspack.recommenders")
    model = getattr(module, name)(purchases_of(split), **params).learn()
    rows = test_rows(split)
    return best_new(model.get_score_cold_user(rows), rows)


def rectools_rank(make, split):
    """Fit a model of RecTools. It ranks for the users of the rows, by its own filter."""
    import pandas as pd
    from rectools.dataset import Dataset

    users, items = purchases_of(split).nonzero()
    users = split.histories.users[users]
    frame = pd.DataFrame({"user_id": users, "item_id": items, "weight": 1.0})
    frame["datetime"] = pd.Timestamp("2011-01-01")
    dataset = Dataset.construct(frame)
    model = make()
    model.fit(dataset)
    wanted = split.test.users
    found = model.recommend(wanted, dataset, k=K, filter_viewed=True)
    tops = np.full((len(wanted), K), -1)
    row_of_user = {user: row for row, user in enumerate(wanted.tolist())}
    rows = found["user_id"].map(row_of_user).to_numpy()
    tops[rows, found["rank"].to_numpy() - 1] = found["item_id"].to_numpy()
    return tops


def rectools_model(kind):
    """Make a model of RecTools."""
    from rectools.models import EASEModel, ImplicitALSWrapperModel, ImplicitItemKNNWrapperModel

    if kind == "EASE":
        return EASEModel(regularization=200.0, num_threads=1)
    if kind == "cosine":
        from implicit.nearest_neighbours import CosineRecommender

        return ImplicitItemKNNWrapperModel(CosineRecommender(K=50, num_threads=1))
    from implicit.als import AlternatingLeastSquares

    return ImplicitALSWrapperModel(
        AlternatingLeastSquares(
            factors=32, alpha=10, regularization=0.1, random_state=0, num_threads=1
        )
    )


def lenskit_rank(make, split):
    """Fit a scorer of LensKit. It ranks for the users of the rows, given their histories."""
    import pandas as pd
    from lenskit import recommend
    from lenskit.data import from_interactions_df
    from lenskit.pipeline import topn_pipeline

    users, items = purchases_of(split).nonzero()
    users = split.histories.users[users]
    data = from_interactions_df(pd.DataFrame({"user_id": users, "item_id": items}))
    pipeline = topn_pipeline(make(), n=K)
    pipeline.train(data)
    wanted = split.test.users.tolist()
    tops = np.full((len(wanted), K), -1)
    for row, user in enumerate(wanted):
        found = recommend(pipeline, user, K).ids()
        tops[row, : len(found)] = found
    return tops


def lenskit_scorer(kind):
    """Make a scorer of LensKit."""
    if kind == "cosine":
        from lenskit.knn import ItemKNNScorer

        return ItemKNNScorer(max_nbrs=1000, save_nbrs=50, feedback="implicit")
    if kind == "EASE":
        from lenskit.knn import EASEScorer

        return EASEScorer(regularization=200.0)
    from lenskit.als import ImplicitMFScorer

    return ImplicitMFScorer(embedding_size=32, weight=10, regularization=0.1)


def own_methods(films):
    """Return functions of a split, by name, with settings chosen on earlier cutoffs."""
    related = partial(ItemToItemRecommender, "corrected", n_related=500)
    network = partial(
        AutoencoderRecommender,
        ordered=True,
        window_half_life=15 if films else 60,
        min_support=10 if films else 3,
        n_epochs=4 if films else 6,
        random_state=0,
    )
    plain = {
        "popular, 14 days": lambda: MostPopularRecommender("14D"),
        "popular, 7 days": lambda: MostPopularRecommender("7D"),
        "item to item, cosine": partial(ItemToItemRecommender, "cosine", shrinkage=0, n_related=50),
        "item to item, corrected": lambda: with_recency(30, related(shrinkage=20)),
        "item to item, corrected + popular": lambda: with_recency(
            14, related(shrinkage=5, popularity=30 if films else 10)
        ),
        "EASE, without times": lambda: LinearAutoencoderRecommender(
            200.0, min_support=5 if films else 1
        ),
        "ALS, without times": lambda: MatrixFactorizationRecommender(
            n_factors=32, alpha=10, regularization=5.0, n_iter=8, random_state=0
        ),
    }
    found = {
        name: lambda split, make=make: {"": own_rank(make, split, False)}
        for name, make in plain.items()
    }
    found["autoencoder, time-ordered"] = partial(
        with_priors,
        lambda: with_recency(100 if films else 365, network()),
        [("7D", 1.0), ("7D", 0.7)] if films else [("14D", 1.0), ("7D", 0.7)],
    )
    found["XRLinearClassifier, time-ordered"] = partial(
        with_priors,
        lambda: make_next_item_recommender(
            half_life=365,
            n_components=30,
            window_half_life=30,
            tol=0.01,
            max_iter=300,
            n_neighbors=None,
            beam_width=64,
            random_state=0,
            n_jobs=1,
        ),
        [("14D", 1.0), ("7D", 0.7)],
    )
    return found


def methods(package, films):
    """Return the methods of a package."""
    if package == "own":
        return own_methods(films)
    kinds = ("cosine", "EASE", "ALS")
    if package == "irspack":
        params = {
            "cosine": ("CosineKNNRecommender", {"top_k": 50, "normalize": True, "n_threads": 1}),
            "EASE": ("DenseSLIMRecommender", {"reg": 200.0}),
            "ALS": ("IALSRecommender", {"n_components": 32, "alpha0": 0.1, "n_threads": 1}),
        }
        return {
            f"irspack, {kind}": lambda split, name=name, given=given: {
                "": irspack_rank(name, split, **given)
            }
            for kind, (name, given) in params.items()
        }
    rank, make = {
        "rectools": (rectools_rank, rectools_model),
        "lenskit": (lenskit_rank, lenskit_scorer),
    }[package]
    return {
        f"{package}, {kind}": lambda split, kind=kind: {"": rank(partial(make, kind), split)}
        for kind in kinds
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="folder with interactions.tsv(.xz)")
    parser.add_argument("--cutoffs", nargs="+", required=True, help="test cutoffs")
    parser.add_argument("--methods", nargs="+", default=["own"], metavar="PACKAGE")
    parser.add_argument("--only", help="part of the names of the methods to run")
    parser.add_argument("--windows", type=int, default=16, help="number of training windows")
    parser.add_argument("--every", type=int, default=7, help="days between training windows")
    parser.add_argument("--films", action="store_true", help="settings for MovieTweetings")
    arguments = parser.parse_args()
    log = read_log(log_file(arguments.folder))
    rankings = {}
    seconds = {}
    truth = []
    for cutoff in arguments.cutoffs:
        split = Split(log, np.datetime64(cutoff, "us"), arguments.windows, arguments.every)
        truth.append(split.test.y)
        for package in arguments.methods:
            for name, method in methods(package, arguments.films).items():
                if arguments.only and arguments.only not in name:
                    continue
                begin = time.process_time()
                found = method(split)
                spent = time.process_time() - begin
                for suffix, tops in found.items():
                    rankings.setdefault(name + suffix, []).append(tops)
                    seconds[name + suffix] = seconds.get(name + suffix, 0) + spent
                    hit = hit_rate_at_k(split.test.y, tops, K)
                    print(f"{cutoff} {name + suffix}: {hit:.3f}, {spent:.1f} s", flush=True)
    y = sp.vstack(truth, format="csr")
    joined = {name: np.concatenate(tops) for name, tops in rankings.items()}
    for name, tops in joined.items():
        hit = hit_rate_at_k(y, tops, K)
        error = np.sqrt(hit * (1 - hit) / len(tops))
        recall = recall_at_k(y, tops, K)
        print(f"{name:45} {hit:.3f} ({error:.3f})  recall {recall:.3f}  {seconds[name]:.0f} s")
    baseline = "popular, 14 days"
    for name, tops in joined.items():
        if baseline in joined and name != baseline:
            result = paired_bootstrap(y, tops, joined[baseline], k=K, random_state=0)
            interval = f"[{result.low:+.3f}, {result.high:+.3f}]"
            print(f"{name} minus {baseline}: {result.difference:+.3f} {interval}")


if __name__ == "__main__":
    main()
