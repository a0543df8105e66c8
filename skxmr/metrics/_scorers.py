"""Scorers for model selection."""

import inspect

from .._ranking.wrapped import last_ranker, ranked_by
from .._utils.params import check_integer
from .._utils.targets import truth_for
from ._ranking import (
    f1_at_k,
    hit_rate_at_k,
    mean_reciprocal_rank,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)
from ._routing import ScoreRequests


def make_ranking_scorer(metric, **kwargs):
    """Make a scorer ``scorer(estimator, X, Y)`` from a ranking metric.

    Use it as ``scoring`` in :class:`~sklearn.model_selection.GridSearchCV` and similar classes. The
    scorer calls ``estimator.rank(X, k=k)``, or ``decision_function`` if the estimator has no
    ``rank``. The estimator may be the last step of a pipeline, or be inside a fitted search or a
    :class:`~sklearn.frozen.FrozenEstimator`, in any combination. `Y` is an indicator matrix with
    one column per label of the estimator, or the classes of the rows, 1-D or as a column. A class
    that was not in the training data is a miss.

    If the scorer is given `sample_weight`, it passes them to the metric. With metadata routing
    enabled in scikit-learn, ``scorer.set_score_request(sample_weight=True)`` returns a scorer that
    requests them.

    Parameters
    ----------
    metric : callable
        Function ``metric(Y_true, Y_ranked, k=...)``, such as those of this module. Higher values
        must be better. The scorer can be pickled if the metric can.
    **kwargs
        Passed to the metric: `k`, if its default is not suitable, and `propensities` for
        :func:`psp_at_k`.

    Returns
    -------
    callable
        Scorer ``scorer(estimator, X, Y, sample_weight=None)`` that returns a float. Its `repr` is
        the call that makes it.

    Raises
    ------
    TypeError
        If `metric` is not callable, has no parameter `k`, or does not take `kwargs`.
    ValueError
        If `k` < 1.

    Examples
    --------
    >>> from skxmr.metrics import make_ranking_scorer, ndcg_at_k
    >>> from sklearn.linear_model import LogisticRegression
    >>> scorer = make_ranking_scorer(ndcg_at_k, k=2)
    >>> scorer
    make_ranking_scorer(ndcg_at_k, k=2)
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]
    >>> scorer(LogisticRegression().fit(X, y), X, y)
    1.0
    """
    if not callable(metric):
        raise TypeError(f"metric must be callable, got {metric!r}")
    arguments = inspect.signature(metric).bind(None, None, **kwargs)
    arguments.apply_defaults()
    if "k" not in arguments.arguments:
        raise TypeError(f"metric must have a parameter k, got {metric!r}")
    k = arguments.arguments["k"]
    check_integer(k, "k", 1)
    return RankingScorer(metric, {**kwargs, "k": int(k)})


class RankingScorer(ScoreRequests):
    """Scorer of the ranking of a fitted estimator; made by `make_ranking_scorer`.

    Parameters
    ----------
    metric : callable
    kwargs : dict
        Arguments of the metric, among them k.
    """

    def __init__(self, metric, kwargs):
        self.metric = metric
        self.kwargs = kwargs

    def __call__(self, estimator, X, Y, *, sample_weight=None):
        """Rank the rows of `X` with the estimator and return the metric."""
        truth = truth_for(last_ranker(estimator), Y)
        return self.compare(truth, ranked_by(estimator, X, self.kwargs["k"]), sample_weight)

    def compare(self, Y, ranked, sample_weight):
        """Return the metric of a ranking; `sample_weight` may be None."""
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.metric(Y, ranked, **self.kwargs, **weight)

    def __repr__(self):
        name = getattr(self.metric, "__name__", repr(self.metric))
        kwargs = "".join(f", {key}={value!r}" for key, value in self.kwargs.items())
        return f"make_ranking_scorer({name}{kwargs})"


def join_ranking_scorers(scorers):
    """Combine several scorers into one that ranks only once.

    With ``scoring={...}``, every scorer ranks the rows again. If the fits of a search are cached,
    this takes most of the time.

    Parameters
    ----------
    scorers : dict of str to callable
        Scorers made by :func:`make_ranking_scorer`, such as ``precision_at_1_scorer``, by name.

    Returns
    -------
    callable
        Scorer ``scorer(estimator, X, Y, sample_weight=None)`` that returns a dict of floats, for
        ``scoring`` in :class:`~sklearn.model_selection.GridSearchCV`. The results are named
        ``mean_test_{name}``, and `refit` must be a name. The rows are ranked with the largest k.

    Raises
    ------
    TypeError
        If `scorers` is not a dict, or a scorer was not made by :func:`make_ranking_scorer`.
    ValueError
        If `scorers` is empty.

    Examples
    --------
    >>> from skxmr.metrics import join_ranking_scorers, ndcg_at_5_scorer, precision_at_1_scorer
    >>> from sklearn.linear_model import LogisticRegression
    >>> scorer = join_ranking_scorers({"p1": precision_at_1_scorer, "ndcg": ndcg_at_5_scorer})
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]
    >>> scorer(LogisticRegression().fit(X, y), X, y)
    {'p1': 1.0, 'ndcg': 1.0}
    """
    if not isinstance(scorers, dict):
        raise TypeError(f"scorers must be a dict, got {scorers!r}")
    if not scorers:
        raise ValueError("scorers must not be empty")
    for name, scorer in scorers.items():
        if not isinstance(scorer, RankingScorer):
            raise TypeError(f"scorers must be made by make_ranking_scorer, got {name}={scorer!r}")
    return JoinedScorer(scorers)


class JoinedScorer(ScoreRequests):
    """Several scorers of one ranking; made by `join_ranking_scorers`.

    Parameters
    ----------
    scorers : dict of str to RankingScorer
    """

    def __init__(self, scorers):
        self.scorers = dict(scorers)

    def __call__(self, estimator, X, Y, *, sample_weight=None):
        """Rank the rows of `X` with the estimator and return a dict of all metrics."""
        k = max(scorer.kwargs["k"] for scorer in self.scorers.values())
        truth = truth_for(last_ranker(estimator), Y)
        ranked = ranked_by(estimator, X, k)
        return {name: s.compare(truth, ranked, sample_weight) for name, s in self.scorers.items()}

    def __repr__(self):
        return f"join_ranking_scorers({self.scorers!r})"


precision_at_1_scorer = make_ranking_scorer(precision_at_k, k=1)
precision_at_3_scorer = make_ranking_scorer(precision_at_k, k=3)
precision_at_5_scorer = make_ranking_scorer(precision_at_k, k=5)
recall_at_10_scorer = make_ranking_scorer(recall_at_k, k=10)
f1_at_5_scorer = make_ranking_scorer(f1_at_k, k=5)
ndcg_at_5_scorer = make_ranking_scorer(ndcg_at_k, k=5)
mrr_at_10_scorer = make_ranking_scorer(mean_reciprocal_rank, k=10)
hit_rate_at_10_scorer = make_ranking_scorer(hit_rate_at_k, k=10)
hit_rate_at_6_scorer = make_ranking_scorer(hit_rate_at_k, k=6)
