"""XRLinearClassifier as a recommender."""

from sklearn.decomposition import TruncatedSVD
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import Normalizer

from .._utils.params import check_integer
from ..linear import XRLinearClassifier
from ..pipeline import make_pipeline
from ._prior_shift import PriorShift
from ._recency import Recency


def make_next_item_recommender(
    *,
    half_life="365D",
    n_components=None,
    window_half_life=None,
    prior_shift=0.0,
    prior_window="7D",
    repeat=False,
    n_jobs=None,
    **params,
):
    """Make a recommender that predicts the next items by extreme multi-label classification.

    It is a :class:`PriorShift` of a pipeline of :class:`Recency`,
    :class:`~sklearn.preprocessing.Normalizer` and :class:`skxmr.XRLinearClassifier` with the
    logistic loss. Seen items are excluded within the search.

    Parameters
    ----------
    half_life : str, number or timedelta, default="365D"
        Half-life of the weights of the history.
    n_components : int, default=None
        Number of components of :class:`~sklearn.decomposition.TruncatedSVD` of the histories, which
        are further features. They have unit norm, as the weights of the history have. Saving such a
        recommender needs the package skops. None: no such features.
    window_half_life : str, number or timedelta, default=None
        Rows whose targets are older by this have half of the weight. It needs `target_times` in
        fit.
    prior_shift : float, default=0
        `strength` of :class:`PriorShift`. Above 0, fit needs `target_times`.
    prior_window : str, number or timedelta, default="7D"
        `window` of :class:`PriorShift`.
    repeat : bool, default=False
        Whether items of the history may be recommended.
    n_jobs : int, default=None
        Number of threads.
    **params
        Parameters of the classifier.

    Returns
    -------
    recommender : PriorShift

    Examples
    --------
    >>> from skxmr.recommenders import make_next_item_recommender
    >>> X = [[1.0, 0, 0], [0, 1.0, 0]] * 5
    >>> y = [[0, 1, 0], [0, 0, 1]] * 5
    >>> recommender = make_next_item_recommender(random_state=0).fit(X, y)
    >>> recommender.rank(X[:2], k=1).labels
    array([[1],
           [2]], dtype=int32)
    """
    defaults = {"loss": "log_loss", "post_processor": "sigmoid", "C": 1.0}
    steps = [Recency(half_life), Normalizer()]
    if n_components is not None:
        check_integer(n_components, "n_components", 1)
        steps.append(_with_components(int(n_components), params.get("random_state")))
        # Columns of unit norm would otherwise be used for neighbors alone.
        defaults["dense_columns"] = 0
    classifier = XRLinearClassifier(**{**defaults, "n_jobs": n_jobs, **params})
    pipeline = make_pipeline(*steps, classifier)
    return PriorShift(
        pipeline,
        strength=prior_shift,
        window=prior_window,
        window_half_life=window_half_life,
        repeat=repeat,
        n_jobs=n_jobs,
    )


def _with_components(n_components, random_state):
    """Return a transformer that appends components of unit norm to its input."""
    svd = TruncatedSVD(n_components, random_state=random_state)
    return FeatureUnion(
        [("weights", "passthrough"), ("components", make_pipeline(svd, Normalizer()))]
    )
