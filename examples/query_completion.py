"""Query completion
================

The search box of a library catalog: queries are the names of subjects. In a session, a user
searches for one subject of a record and then for another subject of the same record. This example
compares label trees (clusters, tries, and hybrids), with and without the constraint that
suggestions begin with the typed prefix. Baselines are the most popular completions, and the most
frequent next queries. The test sessions are of other records than the training sessions. Then it
compares weights of popularity, and matches besides prefixes: words, and typing errors.

.. code-block:: sh

    python examples/query_completion.py [--data FOLDER] [--rows N] [--plot FILE] [--n-jobs N]

Without a folder, it uses the sample of skxmr. --rows N uses N random training records and N / 5
test records.
"""

import argparse
import pickle
import time
from collections import Counter, defaultdict
from copy import copy

import numpy as np
import scipy.sparse as sp

from skxmr import (
    KMeansIndexer,
    SessionQueryCompleter,
    TrieHybridIndexer,
    TrieIndexer,
    XRLinearClassifier,
)
from skxmr.completion import training_pairs
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import bleu_rr, mean_reciprocal_rank_by_prefix_length
from skxmr.text import NGramTfidfVectorizer

N_CALLS = 5000
LONGEST = 10  # longer prefixes are one group
FREE, CONSTRAINED = "any query", "completions"
CLASSIFIER_ALONE = {"popularity_weight": 0, "match": "prefix", "max_typing_errors": 0}
DRAWN = {
    ("most popular", CONSTRAINED): "k.-",
    ("most frequent next", CONSTRAINED): "k.:",
    ("k-means", FREE): "C0.--",
    ("position-weighted k-means", FREE): "C1.--",
    ("plain XMR", FREE): "C4.--",
    ("k-means", CONSTRAINED): "C0.-",
    ("trie", CONSTRAINED): "C2.-",
    ("hybrid 1", CONSTRAINED): "C3.-",
}
HEADER = (
    f"{'':27}{'suggests':13}{'MRR@10':>8}{'BLEU_RR':>9}{'p50':>8}{'p99 µs':>8}{'MB':>6}{'fit s':>7}"
)


def sessions(Y, names, n_per_record, rng):
    """Draw pairs of different subjects of the records with at least two."""
    n = np.diff(Y.indptr)
    records = np.repeat(np.flatnonzero(n >= 2), n_per_record)
    first = rng.integers(n[records])
    second = (first + rng.integers(1, n[records])) % n[records]
    subjects = (names[Y.indices[Y.indptr[records] + offset]] for offset in (first, second))
    return np.column_stack(list(subjects))


# %%
# Baselines
# ---------
# The most popular queries that begin with the prefix, and the most frequent next queries.
class MostPopular:
    """Completion by the most frequent queries, without the previous query."""

    def fit(self, X, y):
        """Count queries."""
        self.counts = Counter(y.tolist())
        self.best = defaultdict(list)
        for query in sorted(self.counts, key=lambda query: (-self.counts[query], query)):
            for length in range(len(query) + 1):
                best = self.best[query[:length].lower()]
                if len(best) < 10:
                    best.append(query)
        return self

    def complete(self, prefix, *, previous=""):
        """Suggest 10 queries."""
        return [(query, self.counts[query]) for query in self.best.get(prefix.lower(), ())]


class MostFrequentNext(MostPopular):
    """Completion by the most frequent next queries, then by the most popular queries."""

    def fit(self, X, y):
        """Count the next queries of each query."""
        super().fit(X, y)
        self.followed = defaultdict(Counter)
        for previous, query in zip(X[:, 0], y, strict=True):
            self.followed[previous][query] += 1
        return self

    def complete(self, prefix, *, previous=""):
        """Suggest 10 queries."""
        typed, followed = prefix.lower(), self.followed.get(previous, {})
        known = [item for item in followed.items() if item[0].lower().startswith(typed)]
        known.sort(key=lambda item: (-item[1], -self.counts[item[0]], item[0]))
        others = [item for item in super().complete(prefix) if item[0] not in followed]
        return (known + others)[:10]


# %%
# Label trees
# -----------
# Clusters of queries with equal beginnings or in the same sessions, tries and hybrids.
def completers(n_jobs):
    """Return the systems to compare, by name."""

    def make(indexer, label_embedding="pifa", **params):
        classifier = XRLinearClassifier(indexer, label_embedding=label_embedding)
        return SessionQueryCompleter(
            classifier, n_jobs=n_jobs, random_state=0, **CLASSIFIER_ALONE, **params
        )

    plain = NGramTfidfVectorizer("char", (1, 3), lowercase=False)
    bisecting = KMeansIndexer(branching=2)
    return {
        "most popular": MostPopular(),
        "most frequent next": MostFrequentNext(),
        "k-means": make(bisecting, "features", prefix_vectorizer=plain),
        "position-weighted k-means": make(bisecting, "features"),
        "plain XMR": make(None, prefix_vectorizer=plain),
        "trie": make(TrieIndexer(16)),
        "hybrid 1": make(TrieHybridIndexer(1)),
        "hybrid 2": make(TrieHybridIndexer(2)),
        "hybrid 3": make(TrieHybridIndexer(3)),
    }


# %%
# Quality and speed
# -----------------
def suggest(completer, X, queries):
    """Rank 10 suggestions for each row, as positions in `queries`, padded with -1."""
    if isinstance(completer, MostPopular):
        texts = [[q for q, _ in completer.complete(prefix, previous=q)] for q, prefix in X.tolist()]
        ranking = np.full((len(X), 10), -1)
        for row, found in zip(ranking, texts, strict=True):
            row[: len(found)] = np.searchsorted(queries, found)
        return ranking
    labels, _ = completer.rank(X, 10)
    return np.where(labels >= 0, np.searchsorted(queries, completer.classes_)[labels], -1)


def quality(ranking, y, lengths, queries):
    """Compute MRR@10 and BLEU_RR, of all rows and by the length of the prefix."""
    positions = np.searchsorted(queries, y)
    shape = len(y), len(queries)
    Y = sp.csr_matrix((np.ones(len(y)), positions, np.arange(len(y) + 1)), shape=shape)
    texts = [[queries[i] for i in row if i >= 0] for row in ranking.tolist()]
    by_length = mean_reciprocal_rank_by_prefix_length(Y, ranking, lengths)
    rows_of = [np.flatnonzero(lengths == length) for length in by_length.length]
    bleu = [bleu_rr(y[rows], [texts[i] for i in rows]) for rows in rows_of]
    return {
        "mrr": float(np.average(by_length.mrr, weights=by_length.n_rows)),
        "bleu": float(np.average(bleu, weights=by_length.n_rows)),
        "length": by_length.length,
        "mrr_by_length": by_length.mrr,
        "bleu_by_length": np.array(bleu),
    }


def latency(completer, X):
    """Measure the median and the 99th percentile of single completions, in microseconds."""
    seconds = []
    for previous, prefix in X[:N_CALLS].tolist():
        start = time.perf_counter()
        completer.complete(prefix, previous=previous)
        seconds.append(time.perf_counter() - start)
    return dict(zip(("p50", "p99"), 1e6 * np.percentile(seconds, [50, 99]), strict=True))


# %%
# Popularity
# ----------
# The same completer with several weights of popularity, with and without the previous query.
def compare_weights(completer, most_popular, test, queries, lengths):
    """Print the MRR@10 by the length of the prefix."""
    X, y = test
    without = np.column_stack((np.full(len(X), "", dtype=object), X[:, 1]))
    for title, rows in (("with the previous query", X), ("without", without)):
        results = {
            ("most popular", ""): quality(suggest(most_popular, rows, queries), y, lengths, queries)
        }
        for weight in (0, 0.2, 0.5):
            weighted = copy(completer).set_params(popularity_weight=weight)
            ranking = suggest(weighted, rows, queries)
            results["weight of popularity", weight] = quality(ranking, y, lengths, queries)
        show_by_length(results, "mrr_by_length", f"MRR@10 {title}")
        print("All:", ", ".join(f"{found['mrr']:.4f}" for found in results.values()))


# %%
# Words and typing errors
# -----------------------
# What is typed may begin with a later word of the query, or have one typing error.
def mistyped(text, rng):
    """Return a text with one typing error after its first character."""
    at = rng.integers(1, len(text))
    letter = chr(rng.integers(ord("a"), ord("z") + 1))
    return (
        text[:at] + text[at + 1 :],
        text[:at] + letter + text[at:],
        text[:at] + letter + text[at + 1 :],
        text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
    )[rng.integers(4)]


def typed_otherwise(X, y, kind, rng):
    """Return rows whose prefix is another part of the next query, and their next queries."""
    rows = []
    for (previous, _), query in zip(X.tolist(), y.tolist(), strict=True):
        begins = [at + 1 for at, letter in enumerate(query[:-1]) if letter == " "]
        begin = 0 if kind == "typing error" else rng.choice(begins or [len(query)])
        part = query[begin:]
        if len(part) >= 4:
            typed = part[: rng.integers(4, len(part) + 1)]
            typed = mistyped(typed, rng) if "error" in kind else typed
            rows.append((previous, typed, query))
    previous, typed, queries = map(np.array, zip(*rows, strict=True))
    return np.column_stack((previous, typed)).astype(object), queries.astype(object)


def compare_matches(completer, test):
    """Print how well parts of queries are completed, and how long a completion takes."""
    print(f"\n{'typed':32}{'MRR@10':>9}{'found':>8}{'prefix only':>13}{'p50':>7}{'p99 µs':>8}")
    rng = np.random.default_rng(0)
    prefix_only = copy(completer).set_params(match="prefix", max_typing_errors=0)
    for kind in ("prefix", "word", "typing error", "word, typing error"):
        X, y = test if kind == "prefix" else typed_otherwise(*test, kind, rng)
        X, y = X[:N_CALLS], y[:N_CALLS]
        found = np.mean(
            [
                query in {each.query for each in completer.complete(prefix, previous=previous)}
                for (previous, prefix), query in zip(X.tolist(), y.tolist(), strict=True)
            ]
        )
        times = latency(completer, X)
        print(
            f"{kind:32}{completer.score(X, y):9.4f}{found:8.3f}{prefix_only.score(X, y):13.4f}"
            f"{times['p50']:7.0f}{times['p99']:8.0f}"
        )


def variants(completer):
    """Return the variants of the search of a fitted completer, by name."""
    if isinstance(completer, MostPopular):
        return {CONSTRAINED: completer}
    free = copy(completer).set_params(constrained=False)
    return {FREE: free, CONSTRAINED: completer}


def compare(train, test, n_jobs):
    """Fit and measure all systems.

    Returns
    -------
    results : dict by (name, variant of the search)
    fitted : dict by name
    """
    (X, y), (X_test, y_test) = train, test
    queries = np.unique(np.concatenate((y, y_test)))
    lengths = np.minimum([len(prefix) for prefix in X_test[:, 1]], LONGEST)
    results = {}
    fitted = {}
    print(f"\n{HEADER}")
    for name, completer in completers(n_jobs).items():
        print(f"{name:27}", end="", flush=True)
        start = time.perf_counter()
        completer.fit(X, y)
        seconds = time.perf_counter() - start
        if name in ("most popular", "hybrid 1"):
            fitted[name] = completer
        size = len(pickle.dumps(completer)) / 1e6
        for i, (way, variant) in enumerate(variants(completer).items()):
            if i:
                print(f"{name:27}", end="", flush=True)
            found = quality(suggest(variant, X_test, queries), y_test, lengths, queries)
            found |= latency(variant, X_test)
            results[name, way] = found
            print(
                f"{way:13}{found['mrr']:8.4f}{found['bleu']:9.4f}{found['p50']:8.0f}"
                f"{found['p99']:8.0f}{size:6.0f}{seconds:7.1f}",
                flush=True,
            )
    return results, fitted


# %%
# Tables and a plot
# -----------------
def show_by_length(results, measure, title):
    """Print a table of a measure by the length of the prefix."""
    length = next(iter(results.values()))["length"]
    heads = "".join(f"{n:>7}" for n in length[:-1]) + f"{f'{length[-1]}+':>7}"
    print(f"\n{title + ', characters typed':40}{heads}")
    for (name, way), found in results.items():
        print(f"{name:27}{way:13}" + "".join(f"{value:7.3f}" for value in found[measure]))


def conclude(results):
    """Print the gain of the hybrids."""
    best = max((key for key in results if "hybrid" in key[0]), key=lambda key: results[key]["mrr"])
    print(f"\nBest of the hybrids: {best[0]}, {best[1]}.")
    for other in (("k-means", FREE), ("most popular", CONSTRAINED)):
        ratios = results[best]["mrr_by_length"] / np.maximum(results[other]["mrr_by_length"], 1e-9)
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios[:6])
        print(
            f"Its MRR is {results[best]['mrr'] / results[other]['mrr']:.2f} times that of "
            f"{other[0]}; after 0 to 5 characters {shown} times."
        )


def plot(results, path):
    """Draw both measures over the length of the prefix."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print('No plot: it needs matplotlib, as in pip install "skxmr[plot]".')
        return
    figure, panels = plt.subplots(1, 2, figsize=(12, 4.5), sharex=True, layout="constrained")
    for axes, measure, title in zip(panels, ("mrr", "bleu"), ("MRR@10", "BLEU_RR"), strict=True):
        for (name, way), style in DRAWN.items():
            found = results[name, way]
            axes.plot(found["length"], found[f"{measure}_by_length"], style, label=f"{name}: {way}")
        length = found["length"]
        axes.set(xlabel="characters typed", title=title, ylim=0)
        axes.set_xticks(length, [*length[:-1], f"{length[-1]}+"])
        axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
    figure.savefig(path, dpi=150)
    print(f"Plot: {path}")


# %%
# All together
# ------------
def main():
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the full data; by default the bundled sample")
    parser.add_argument("--rows", type=int, help="maximum training records; by default all")
    parser.add_argument("--plot", default="query_completion.png", help="file of the plot")
    parser.add_argument("--n-jobs", type=int, default=2)
    args = parser.parse_args()

    data = load_catalogue_subjects(args.data)
    rng = np.random.default_rng(0)
    Y_train, Y_test = data.Y_train, data.Y_test
    if args.rows is not None:
        Y_train = Y_train[rng.permutation(Y_train.shape[0])[: args.rows]]
        Y_test = Y_test[: args.rows // 5]
    # Names that differ only in case or spaces are one query.
    first_forms = {}
    stripped = [" ".join(name.split()) for name in data.label_names]
    names = np.array([first_forms.setdefault(n.casefold(), n) for n in stripped], dtype=object)
    pairs = [sessions(Y, names, n, rng) for Y, n in ((Y_train, 4), (Y_test, 1))]
    train, test = (training_pairs(p, kind="pairs", random_state=0) for p in pairs)
    print(f"{len(train[1]):,} training pairs of queries, {len(test[1]):,} test pairs")
    results, fitted = compare(train, test, args.n_jobs)
    show_by_length(results, "mrr_by_length", "MRR@10")
    show_by_length(results, "bleu_by_length", "BLEU_RR")
    conclude(results)
    queries = np.unique(np.concatenate((train[1], test[1])))
    lengths = np.minimum([len(prefix) for prefix in test[0][:, 1]], LONGEST)
    completer = fitted["hybrid 1"]
    compare_weights(completer, fitted["most popular"], test, queries, lengths)
    completer.set_params(popularity_weight=0.2, match="words", max_typing_errors=1)
    compare_matches(completer, test)
    plot(results, args.plot)


if __name__ == "__main__":
    main()
