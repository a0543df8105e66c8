"""Ranking metrics on sparse label matrices, and scorers for model selection.

All metrics are functions ``metric(Y_true, Y_ranked, k=...)`` that return one float, the average
over the rows. Two metrics are for query completion: ``bleu_rr`` compares texts instead of labels,
and ``mean_reciprocal_rank_by_prefix_length`` returns an average for each length of the prefix.

``Y_true`` is a 0/1 indicator matrix of shape (n_samples, n_labels), sparse or dense.

``Y_ranked`` is one of

- a ranking: integers of shape (n_samples, m), the indices of labels, best first. The value -1
  stands for no label, as in the padding of ``rank``;
- the pair ``(labels, scores)`` that ``rank`` returns. The scores are not used;
- scores of shape (n_samples, n_labels). In a sparse matrix of any type, only the stored entries
  are candidates: a label without an entry was not reached by the search, which differs from a score
  of zero. In a dense array of floating point numbers, a score of minus infinity is not a candidate.
  Equal scores are ranked by lower label first.

A dense array of integers is therefore a ranking, and a dense array of floating point numbers holds
scores.

If a row has fewer than k candidates, the missing ones are misses, except in ``f1_at_k``. Rows
without true labels count as 0, as in :func:`sklearn.metrics.ndcg_score` and in the common tools of
extreme classification. With ``sample_weight``, the average is weighted.
"""

from ._propensity import propensities, psp_at_k
from ._ranking import (
    f1_at_k,
    hit_rate_at_k,
    mean_reciprocal_rank,
    mean_reciprocal_rank_by_prefix_length,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)
from ._recommendation import coverage_at_k, novelty_at_k, paired_bootstrap
from ._scorers import (
    f1_at_5_scorer,
    hit_rate_at_6_scorer,
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
    "coverage_at_k",
    "f1_at_5_scorer",
    "f1_at_k",
    "hit_rate_at_6_scorer",
    "hit_rate_at_10_scorer",
    "hit_rate_at_k",
    "join_ranking_scorers",
    "make_ranking_scorer",
    "mean_reciprocal_rank",
    "mean_reciprocal_rank_by_prefix_length",
    "mrr_at_10_scorer",
    "ndcg_at_5_scorer",
    "ndcg_at_k",
    "novelty_at_k",
    "paired_bootstrap",
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
