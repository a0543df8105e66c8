"""Counts of pairs of items, and the related items of all items."""

from itertools import pairwise

import numpy as np

from .._core import (
    Expectation,
    Measure,
    PairCounts,
    Purchases,
    Related,
    cooccurrences,
    csr_transpose,
    find_related,
    indptr_of,
)
from .._utils import parallel
from .._utils.pairs import row_of_entries

#: Targets counted by one task, unless a single item has more.
_TASK_TARGETS = 1 << 24

#: Measures of weighted rows, and those of counts.
WEIGHTED = ("tfidf", "bm25")
MEASURES = ("corrected", "difference", "cosine", "jaccard", "lift", "log_likelihood")

#: Parameters of BM25, as customary.
_BM25_K1, _BM25_B = 1.2, 0.75


class Counted:
    """Histories that pairs of items are counted in.

    Parameters
    ----------
    histories : csr_matrix
    targets : csr_matrix or None
        None: an item is followed by the others of its history.
    recommender : ItemToItemRecommender
        For its parameters.
    """

    def __init__(self, histories, targets, recommender):
        self.relatedness = recommender.relatedness
        self.max_history = recommender.max_history
        self.n_jobs = recommender.n_jobs
        followers = histories if targets is None else targets
        row_ptr, rows = csr_transpose(histories)
        target_ptr = followers.indptr.astype(np.int64)
        indices = np.ascontiguousarray(followers.indices, dtype=np.int32)
        weights = {}
        if self.relatedness in WEIGHTED:
            row_weight, factor = _weights(histories, self.relatedness)
            weights = {"row_weight": row_weight, "factor": factor}
        self.purchases = Purchases(
            row_ptr, rows, target_ptr, indices, same=targets is None, **weights
        )
        self.measure = measure_of(recommender, self.purchases.n_items)
        self.expectation = None
        if self.relatedness == "corrected":
            others = np.diff(target_ptr) - (1 if targets is None else 0)
            self.expectation = Expectation(np.maximum(others, 0), self.purchases)

    def related(self, items=None, n_kept=None, frequent=None):
        """Return the related items of each item.

        Parameters
        ----------
        items : ndarray of int32, optional
            Default: all items.
        n_kept : int, optional
            Number of related items that the result has in addition, with their counts.
        frequent : FrequentPairs, optional
            Counts to fill.

        Returns
        -------
        related : Related
        """
        costs = self.purchases.costs() + 1
        if items is None:
            items = np.arange(self.purchases.n_items, dtype=np.int32)
        parts = self.in_ranges(_find_range, costs[items], items, n_kept, frequent)
        return joined(parts)

    def in_ranges(self, task, costs, *args):
        """Call a task with ranges of similar cost, in parallel, and return the results."""
        n_parts = max(4 * parallel.n_workers(self.n_jobs), int(costs.sum() // _TASK_TARGETS))
        return run_ranges(task, costs, n_parts, self, args, self.n_jobs)


def measure_of(recommender, n_items):
    """Return the measure that the parameters of a recommender describe."""
    relatedness = recommender.relatedness
    return Measure(
        "weighted" if relatedness in WEIGHTED else relatedness,
        float(recommender.shrinkage),
        int(min(recommender.n_related, n_items)),
        int(recommender.min_support),
    )


def run_ranges(task, costs, n_parts, counted, args, n_jobs):
    """Call a task as ``task(counted, begin, end, *args)`` with ranges of similar cost, in parallel.

    Returns
    -------
    results : list
    """
    before = indptr_of(costs)
    inner = np.searchsorted(before, before[-1] * np.arange(1, n_parts) / n_parts)
    edges = np.unique(np.concatenate(([0], inner, [len(costs)]))).tolist()
    ranges = list(pairwise(edges))
    tasks = [(counted, begin, end, *args) for begin, end in ranges]
    sums = [int(before[end] - before[begin]) for begin, end in ranges]
    return parallel.run(task, tasks, sums, n_jobs=n_jobs, what="relate", shares_memory=True)


def joined(parts):
    """Join the related items of successive ranges."""
    lengths, items, scores, kept, bounds = zip(*parts, strict=True)
    arrays = (np.concatenate(lengths), np.concatenate(items), np.concatenate(scores))
    if kept[0] is None:
        return Related(*arrays)
    ptr = indptr_of(np.concatenate([np.diff(counts.ptr) for counts in kept]))
    others, both = (np.concatenate([counts[i] for counts in kept]) for i in (1, 2))
    return Related(*arrays, PairCounts(ptr, others, both), np.concatenate(bounds))


def _find_range(counted, begin, end, items, n_kept, frequent):
    measure = counted.measure
    if callable(counted.relatedness):
        return _call_measure(counted, items[begin:end])
    n_needed = None
    if n_kept is not None:
        n_needed = measure.n_related
        measure = measure._replace(n_related=n_kept)
    return find_related(
        counted.purchases, counted.expectation, items[begin:end], measure, n_needed, frequent
    )


def _call_measure(counted, items):
    """Score pairs by a callable."""
    purchases, measure = counted.purchases, counted.measure
    parts = []
    for item in items:
        counts = cooccurrences(purchases, item, item + 1)
        counts.sort_indices()
        both = counts.data.astype(np.float64)
        with_item = np.full(len(both), float(purchases.n_with[item]))
        with_other = purchases.n_followers[counts.indices].astype(np.float64)
        scores = np.asarray(counted.relatedness(both, with_item, with_other, purchases.n_rows))
        if scores.shape != both.shape or scores.dtype.kind not in "iuf":
            raise ValueError(
                f"relatedness must return an array of {both.shape} numbers, got {scores!r:.80}"
            )
        if not np.isfinite(scores).all():
            raise ValueError("relatedness must return finite scores")
        if measure.shrinkage:
            scores = scores * (both / (both + measure.shrinkage))
        kept = (scores > 0) & (both >= measure.n_least)
        order = np.lexsort((counts.indices[kept], -scores[kept].astype(np.float32)))
        order = order[: measure.n_related]
        parts.append((counts.indices[kept][order], scores[kept][order].astype(np.float32)))
    lengths = np.array([len(items) for items, _ in parts], dtype=np.int64)
    items, scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Related(lengths, items.astype(np.int32), scores)


def _weights(histories, relatedness):
    """Return the weight of each row and the factor of each item."""
    n_items = histories.shape[1]
    lengths = np.diff(histories.indptr)
    idf = np.log(n_items) - np.log1p(lengths)
    row_weight = (idf * idf).astype(np.float32)
    rows = row_of_entries(histories)
    counts = np.bincount(histories.indices, minlength=n_items).astype(np.float64)
    if relatedness == "tfidf":
        squares = np.bincount(
            histories.indices, row_weight[rows].astype(np.float64), minlength=n_items
        )
        factor = 1 / np.sqrt(np.where(squares > 0, squares, 1))
    else:
        average = max(counts.mean(), 1e-300)
        length = 1 - _BM25_B + _BM25_B * counts / average
        factor = (_BM25_K1 + 1) / (_BM25_K1 * length + 1)
    return row_weight, factor.astype(np.float32)
