"""What a ranker says about rows: by itself, or inside of pipelines, searches and the like."""

import numpy as np
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import _safe_indexing, gen_batches, indexable
from sklearn.utils.validation import _num_samples

from .._core import csr_top_k
from .._utils.matrices import canonical_csr
from .._utils.pairs import ranking_csr
from .classifier import RankingClassifierMixin

#: Estimators whose scores are those of their ``estimator_``.
_PASSING_ON = FixedThresholdClassifier, TunedThresholdClassifierCV, SelfTrainingClassifier

#: Of rankings as wide as there are labels, this many scores are held at once.
_BLOCK = 1 << 22


def unwrapped(estimator, X):
    """Return the ranker inside fitted pipelines and searches, and the features it is given."""
    for _, before in wrappers(estimator):
        if before is not None:
            X = before.transform(X)
    return last_ranker(estimator), X


def last_ranker(estimator):
    """Return the ranker inside fitted pipelines and searches."""
    for inner, _ in wrappers(estimator):
        estimator = inner
    return estimator


def wrappers(estimator):
    """Go through all that only passes rows on to the ranker inside, from without.

    Yields
    ------
    inner : estimator
        What the wrapper holds.
    before : transformer or None
        What the wrapper does to rows before. A pipeline passes on the methods that scikit-learn
        knows, and `rank` is not one of them.
    """
    opened = _opened(estimator)
    while opened is not None:
        yield opened
        opened = _opened(opened[0])


def _opened(estimator):
    """Return what a wrapper holds and what comes before it, or None for all other estimators."""
    # First, since it has all attributes of what it holds.
    if isinstance(estimator, FrozenEstimator):
        return estimator.estimator, None
    if hasattr(estimator, "best_estimator_"):
        return estimator.best_estimator_, None
    if isinstance(estimator, _PASSING_ON):
        return getattr(estimator, "estimator_", estimator.estimator), None
    if hasattr(estimator, "steps"):
        return estimator.steps[-1][1], estimator[:-1] if len(estimator.steps) > 1 else None
    return None


def ranked_by(estimator, X, k):
    """Return what the estimator ranks first for `X`, as the metrics take it."""
    estimator, X = unwrapped(estimator, X)
    if hasattr(estimator, "rank"):
        return estimator.rank(X, k=k)
    return _score_matrix(estimator, X)


def best_scores(estimator, X, k, n_labels):
    """Return labels and scores of the k best of each row, as `rank` does, from any ranker."""
    estimator, X = unwrapped(estimator, X)
    if hasattr(estimator, "rank"):
        return estimator.rank(X, k)
    scores = reached_scores(estimator, X, n_labels)
    return csr_top_k(canonical_csr(scores, "scores", keep_zeros=True), k)


def reached_scores(estimator, X, n_labels, *, sparse_y=True):
    """Return the scores that `rank` shows, of all labels that are reached, as canonical CSR.

    Where the estimator was not fitted to a sparse y, its ``decision_function`` is dense and does
    not say which labels were reached; `rank` does.
    """
    estimator, X = unwrapped(estimator, X)
    if isinstance(estimator, RankingClassifierMixin):
        return estimator._scores_of(X)
    ranks, scores = hasattr(estimator, "rank"), None
    if not ranks or (sparse_y and hasattr(estimator, "decision_function")):
        scores = _score_matrix(estimator, X)
    if sparse.issparse(scores):
        scores = sparse.csr_matrix(scores)
        scores.sort_indices()
        return scores
    return _reached_by_rank(estimator, X, n_labels) if ranks else dense_csr(scores)


def take_rows(X, rows):
    """Return some rows of whatever an estimator takes as X."""
    return _safe_indexing(indexable(X)[0], rows)


def _reached_by_rank(estimator, X, n_labels):
    n_labels = len(getattr(estimator, "classes_", range(n_labels)))
    n_rows = _num_samples(X)
    blocks = [
        ranking_csr(*estimator.rank(take_rows(X, rows), n_labels), n_labels)
        for rows in gen_batches(n_rows, max(1, _BLOCK // n_labels))
    ]
    return sparse.vstack(blocks, format="csr")


def _score_matrix(estimator, X):
    """Return the result of `decision_function` with one column of scores per class."""
    if not hasattr(estimator, "decision_function"):
        raise TypeError(
            f"estimator must have rank or decision_function once fitted, got {estimator!r}"
        )
    scores = estimator.decision_function(X)
    if sparse.issparse(scores):
        return scores
    scores = np.asarray(scores)
    # Votes may be counted in integers, which the metrics would take for a ranking.
    scores = scores.astype(np.result_type(scores, np.float32), copy=False)
    # Of two classes scikit-learn gives the score of the second one only.
    return np.column_stack([-scores, scores]) if scores.ndim == 1 else scores


def dense_csr(scores):
    """Return a dense matrix as CSR whose entries are all stored, zeros too."""
    n_rows, n_labels = scores.shape
    indices = np.tile(np.arange(n_labels, dtype=np.int32), n_rows)
    indptr = np.arange(n_rows + 1) * n_labels
    return sparse.csr_matrix((scores.ravel(), indices, indptr), shape=scores.shape)
