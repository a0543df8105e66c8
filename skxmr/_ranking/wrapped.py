"""Rankings and scores of estimators, also inside pipelines, searches and similar estimators."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import _safe_indexing, gen_batches, indexable
from sklearn.utils.validation import _num_samples

from .._core import csr_top_k
from .._utils.matrices import canonical_csr
from .._utils.pairs import ranking_csr, top_k
from .._utils.params import check_integer
from .classifier import RankingClassifierMixin
from .ranking import Ranking, library_of

#: Estimators with the scores of their ``estimator_``.
_TRANSPARENT = (FixedThresholdClassifier, TunedThresholdClassifierCV, SelfTrainingClassifier)

#: Number of scores in memory at once when all labels are ranked.
_BLOCK = 1 << 22


def rank(model, X, k=10, **params):
    """Rank the k best labels of each row with any fitted model.

    Parameters
    ----------
    model : estimator
        Fitted estimator with `rank`, `decision_function` or `predict_proba`. It may be inside
        pipelines, searches (the best estimator ranks),
        :class:`sklearn.frozen.FrozenEstimator`, and other wrappers of scikit-learn, in any nesting.
        An estimator without `rank` is ranked by its scores.
    X : input of the model
        Rows, for example texts.
    k : int, default=10
        Number of labels, at least 1.
    **params
        Other parameters of the method `rank`, such as those of
        :meth:`skxmr.XRLinearClassifier.rank`.

    Returns
    -------
    ranking : Ranking
        A pair of arrays ``(labels, scores)`` with the shape (n_samples, k), padded with -1 and
        -inf. ``ranking.names`` lists the names of the labels.

    Raises
    ------
    TypeError
        If the model does not rank, or `params` are given and it has no method `rank`.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> import skxmr
    >>> model = make_pipeline(TfidfVectorizer(), skxmr.XRLinearClassifier(random_state=0))
    >>> _ = model.fit(["cats purr", "dogs bark", "eels slip"], ["cat", "dog", "eel"])
    >>> skxmr.rank(model, ["my cats purr"], k=1).names
    [['cat']]
    """
    estimator, features = unwrapped(model, X)
    return ranking_of(estimator, features, k, params, X)


def ranking_of(estimator, X, k, params, input_rows):
    """Rank with an estimator that is not wrapped.

    Parameters
    ----------
    estimator : estimator
    X : input of the estimator
    k : int
    params : dict
        Other parameters of the method `rank`.
    input_rows : object
        The rows before the steps of pipelines. Frames have the library of these rows.

    Returns
    -------
    ranking : Ranking
    """
    library = library_of(input_rows)
    if hasattr(estimator, "rank"):
        ranking = estimator.rank(X, k=k, **params)
        if not isinstance(ranking, Ranking):
            return Ranking(*ranking, names_of_labels(estimator), library)
        return ranking._for_library(library)
    if params:
        raise TypeError(
            f"{type(estimator).__name__} has no method rank, so that params must be empty, got "
            f"{', '.join(params)}"
        )
    check_integer(k, "k", 1, np.iinfo(np.int32).max)
    if hasattr(estimator, "decision_function"):
        scores = reached_scores(estimator, X, None)
    elif hasattr(estimator, "predict_proba"):
        scores = dense_csr(_probabilities(estimator, X))
    else:
        raise TypeError(
            "model must have rank, decision_function or predict_proba once fitted, or be a "
            f"pipeline or a search that ends in such an estimator, got {estimator!r:.200}"
        )
    labels, scores = top_k(scores, k)
    return Ranking(labels.astype(np.int32), scores, names_of_labels(estimator), library)


def names_of_labels(estimator):
    """Return the name of each label, or None if labels are numbered."""
    classes = getattr(estimator, "classes_", None)
    # scikit-learn has a list with the classes 0 and 1 of each column if y is an indicator.
    return None if isinstance(classes, list) else classes


def unwrapped(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the ranker inside fitted pipelines and searches, and X transformed for it."""
    for _, before in wrappers(estimator):
        if before is not None:
            X = before.transform(X)
    return last_ranker(estimator), X


def last_ranker(estimator: Any) -> Any:
    """Return the ranker inside fitted pipelines and searches."""
    for inner, _ in wrappers(estimator):
        estimator = inner
    return estimator


def wrappers(estimator: Any) -> Iterator[tuple[Any, Any]]:
    """Iterate over the wrappers around a ranker, outermost first.

    A pipeline only has the methods that scikit-learn knows, and `rank` is not one of them.

    Yields
    ------
    inner : estimator
        The estimator inside the wrapper.
    before : transformer or None
        The transformer that the wrapper applies to rows before `inner`.
    """
    content = _content(estimator)
    while content is not None:
        yield content
        content = _content(content[0])


def _content(estimator):
    """Return `inner` and `before` of a wrapper, or None if the estimator is no wrapper."""
    # FrozenEstimator comes first because it has all attributes of its estimator.
    if isinstance(estimator, FrozenEstimator):
        return estimator.estimator, None
    if hasattr(estimator, "best_estimator_"):
        return estimator.best_estimator_, None
    if isinstance(estimator, _TRANSPARENT):
        return getattr(estimator, "estimator_", estimator.estimator), None
    if hasattr(estimator, "steps"):
        before = estimator[:-1] if len(estimator.steps) > 1 else None
        return estimator.steps[-1][1], before
    return None


def ranked_by(estimator: Any, X: Any, k: int) -> Any:
    """Return the first k labels of each row, or all scores if the estimator has no `rank`.

    The metrics accept both.
    """
    estimator, X = unwrapped(estimator, X)
    if hasattr(estimator, "rank"):
        return estimator.rank(X, k=k)
    return _score_matrix(estimator, X)


def best_scores(estimator: Any, X: Any, k: int, n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k best labels of each row and their scores, as `rank` does, for any ranker."""
    estimator, X = unwrapped(estimator, X)
    if hasattr(estimator, "rank"):
        return estimator.rank(X, k)
    scores = reached_scores(estimator, X, n_labels)
    return csr_top_k(canonical_csr(scores, "scores", keep_zeros=True), k)


def reached_scores(
    estimator: Any, X: Any, n_labels: int, *, sparse_y: bool = True
) -> sparse.csr_matrix:
    """Return the scores of all labels that `rank` reaches, as canonical CSR.

    If the estimator was not fitted to a sparse y, its ``decision_function`` is dense and does not
    show which labels are reached. `rank` is then used instead.
    """
    estimator, X = unwrapped(estimator, X)
    if isinstance(estimator, RankingClassifierMixin):
        return estimator._scores_of(X)
    ranks = hasattr(estimator, "rank")
    scores = None
    if not ranks or (sparse_y and hasattr(estimator, "decision_function")):
        scores = _score_matrix(estimator, X)
    if sparse.issparse(scores):
        scores = sparse.csr_matrix(scores)
        scores.sort_indices()
        return scores
    return _reached_by_rank(estimator, X, n_labels) if ranks else dense_csr(scores)


def take_rows(X: Any, rows: Any) -> Any:
    """Return some rows of any X that an estimator accepts."""
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
    # The metrics take integers for a ranking, and scores of some ensembles are integers.
    scores = scores.astype(np.result_type(scores, np.float32), copy=False)
    # For two classes, scikit-learn only returns the score of the second one.
    return np.column_stack([-scores, scores]) if scores.ndim == 1 else scores


def _probabilities(estimator, X):
    """Return the result of `predict_proba` with one column per label."""
    probabilities = estimator.predict_proba(X)
    if isinstance(probabilities, list):  # of each label, the columns are the classes 0 and 1
        columns = zip(probabilities, estimator.classes_, strict=True)
        return np.column_stack([p[:, classes == 1].sum(axis=1) for p, classes in columns])
    return probabilities


def dense_csr(scores: np.ndarray) -> sparse.csr_matrix:
    """Convert a dense matrix to CSR with all entries stored, zeros as well."""
    n_rows, n_labels = scores.shape
    indices = np.tile(np.arange(n_labels, dtype=np.int32), n_rows)
    indptr = np.arange(n_rows + 1) * n_labels
    return sparse.csr_matrix((scores.ravel(), indices, indptr), shape=scores.shape)
