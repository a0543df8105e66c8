"""Related items by symmetric measures, for which each pair of items is counted once."""

import numpy as np

from .._core import SYMMETRIC, OrderedHistories, relate_symmetric
from .._utils import parallel
from ._relatedness import measure_of, run_ranges

#: Most bytes of the keys of all threads. If they would take more, pairs are counted twice.
_MOST_BYTES = 1 << 29


def symmetric_related(histories, recommender):
    """Find the related items of all items if each pair can be counted once.

    The result is that of `Counted.related`.

    Returns
    -------
    related : Related or None
        None if the measure is not symmetric, or if memory is short.
    """
    relatedness = recommender.relatedness
    if callable(relatedness) or relatedness not in SYMMETRIC:
        return None
    if sum(histories.shape) + histories.nnz > np.iinfo(np.int32).max:
        return None
    measure = measure_of(recommender, histories.shape[1])
    n_parts = parallel.n_workers(recommender.n_jobs)
    ordered = OrderedHistories(histories)
    if 8 * n_parts * int(ordered.capacities(measure.n_related).sum()) > _MOST_BYTES:
        return None
    costs = ordered.n_before + 1
    parts = run_ranges(_relate, costs, n_parts, ordered, (measure,), recommender.n_jobs)
    return ordered.joined(measure.n_related, parts)


def _relate(ordered, begin, end, measure):
    return relate_symmetric(ordered, measure, begin, end)
