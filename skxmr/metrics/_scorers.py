"""Scorers for model selection."""

import inspect

from .._ranking.wrapped import last_ranker, ranked_by
from .._utils.targets import truth_for
from ._inputs import _checked_k
from ._ranking import hit_rate_at_k, mean_reciprocal_rank, ndcg_at_k, precision_at_k, recall_at_k
from ._routing import ScoreRequests


def make_ranking_scorer(metric, **kwargs):
    """Make a scorer ``scorer(estimator, X, Y)`` from a ranking metric.

    Pass it as ``scoring=`` of :class:`~sklearn.model_selection.GridSearchCV` and the like.
    It asks the estimator for the first k labels with ``estimator.rank(X, k=k)``, or for its
    ``decision_function`` if it has no ``rank``; also at the end of a pipeline, inside a fitted
    search and inside :class:`~sklearn.frozen.FrozenEstimator`, however they are nested. `Y` is an
    indicator matrix with a column for each label of the estimator, or the class labels that the
    estimator was trained on, 1-D or as a column, where a class that it never saw is a miss.

    A metric with a parameter `sample_weight` is given it if the scorer is. Where scikit-learn
    routes metadata, ``scorer.set_score_request(sample_weight=True)`` returns a scorer that asks.

    Parameters
    ----------
    metric : callable
        A function ``metric(Y_true, Y_ranked, k=...)`` where more is better, such as those of this
        module. For the scorer to be pickled, the metric must be.
    **kwargs
        Passed to the metric: `k`, if its default is not wanted, and `propensities` for
        :func:`psp_at_k`.

    Returns
    -------
    callable
        The scorer, ``scorer(estimator, X, Y, sample_weight=None)``. It pickles, and its `repr` is
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
    k = _checked_k(arguments.arguments["k"])
    return _RankingScorer(metric, {**kwargs, "k": k})


class _RankingScorer(ScoreRequests):
    """Scores the ranking of a fitted estimator; made by `make_ranking_scorer`."""

    def __init__(self, metric, kwargs):
        self.metric = metric
        self.kwargs = kwargs

    def __call__(self, estimator, X, Y, *, sample_weight=None):
        """Rank `X` with the estimator and return the metric against `Y`."""
        truth = truth_for(last_ranker(estimator), Y)
        return self.compare(truth, ranked_by(estimator, X, self.kwargs["k"]), sample_weight)

    def compare(self, Y, ranked, sample_weight):
        """Return the metric of a ranking."""
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.metric(Y, ranked, **self.kwargs, **weight)

    def __repr__(self):
        name = getattr(self.metric, "__name__", repr(self.metric))
        kwargs = "".join(f", {key}={value!r}" for key, value in self.kwargs.items())
        return f"make_ranking_scorer({name}{kwargs})"


def join_ranking_scorers(scorers):
    """Make one scorer of several, which ranks once for all of them.

    Given as ``scoring={...}``, each scorer ranks for itself, which takes longer than all else in a
    search whose fits come from a memory.

    Parameters
    ----------
    scorers : dict of str to callable
        Scorers that :func:`make_ranking_scorer` made, such as ``precision_at_1_scorer``, by name.

    Returns
    -------
    callable
        ``scorer(estimator, X, Y)`` that returns a dict of floats, as ``scoring=`` of
        :class:`~sklearn.model_selection.GridSearchCV` takes it: results are called
        ``mean_test_{name}``, and `refit` needs a name. The ranking is that of the largest k.

    Raises
    ------
    TypeError, ValueError
        If `scorers` is no dict, empty, or holds anything else.

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
        if not isinstance(scorer, _RankingScorer):
            raise TypeError(f"scorers must be made by make_ranking_scorer, got {name}={scorer!r}")
    return _JoinedScorer(scorers)


class _JoinedScorer(ScoreRequests):
    """Scores one ranking in several ways; made by `join_ranking_scorers`."""

    def __init__(self, scorers):
        self.scorers = dict(scorers)

    def __call__(self, estimator, X, Y, *, sample_weight=None):
        """Rank `X` with the estimator and return every metric against `Y`."""
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


ndcg_at_5_scorer = make_ranking_scorer(ndcg_at_k, k=5)


mrr_at_10_scorer = make_ranking_scorer(mean_reciprocal_rank, k=10)


hit_rate_at_10_scorer = make_ranking_scorer(hit_rate_at_k, k=10)
