"""Ranking metrics on sparse label matrices, and scorers for model selection.

Every metric is called as ``metric(Y_true, Y_ranked, k=...)`` and returns one Python float, the
average over the rows. Two are for completion of queries: ``bleu_rr`` compares texts instead of
labels, and ``mean_reciprocal_rank_by_prefix_length`` has an average for each length.

``Y_true`` is a 0/1 indicator of shape (n_samples, n_labels), sparse of any format or dense.

``Y_ranked`` says which labels were put first. It is one of

- a ranking: integers of shape (n_samples, m), label indices best first. A place that holds -1
  is empty, as in the padding of ``rank``;
- the pair ``(labels, scores)`` that ``rank`` returns, of which only the labels are read;
- scores of shape (n_samples, n_labels): a sparse matrix of any type, of which only the stored
  entries are candidates (what is not stored was never reached by the search, which is not the same
  as a score of zero), or a dense array of floating point numbers. Equal scores are ranked by
  lower label first, and a score of minus infinity is no candidate.

So a dense array is a ranking if its type is an integer, and scores if it is floating point.

Places among the first k that no candidate fills are misses. Rows without any true label cannot
be ranked well by anyone; they are kept and count as 0, as in :func:`sklearn.metrics.ndcg_score`
and in the usual tools of extreme classification. With ``sample_weight`` the average is weighted.
"""

from ._propensity import propensities, psp_at_k
from ._ranking import (
    hit_rate_at_k,
    mean_reciprocal_rank,
    mean_reciprocal_rank_by_prefix_length,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)
from ._scorers import (
    hit_rate_at_10_scorer,
    join_ranking_scorers,
    make_ranking_scorer,
    mrr_at_10_scorer,
    ndcg_at_5_scorer,
    precision_at_1_scorer,
    precision_at_3_scorer,
    precision_at_5_scorer,
    recall_at_10_scorer,
)
from ._text import bleu_rr

__all__ = [
    "bleu_rr",
    "hit_rate_at_10_scorer",
    "hit_rate_at_k",
    "join_ranking_scorers",
    "make_ranking_scorer",
    "mean_reciprocal_rank",
    "mean_reciprocal_rank_by_prefix_length",
    "mrr_at_10_scorer",
    "ndcg_at_5_scorer",
    "ndcg_at_k",
    "precision_at_1_scorer",
    "precision_at_3_scorer",
    "precision_at_5_scorer",
    "precision_at_k",
    "propensities",
    "psp_at_k",
    "recall_at_10_scorer",
    "recall_at_k",
]


def __dir__():
    return __all__
