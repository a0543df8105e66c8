"""Explanations of estimators inside pipelines and searches."""

import numpy as np

from .._ranking.wrapped import unwrapped, wrappers


def explain(estimator, X, label, *, feature_names=None, label_name=None):
    """Explain the score of a label, also at the end of a pipeline or inside a search.

    Parameters
    ----------
    estimator : Pipeline, fitted search or XRLinearClassifier
        Fitted estimator whose last step has `explain`.
    X : input of the estimator
        Rows, for example texts.
    label : int or str
        Label to explain; see :meth:`skxmr.XRLinearClassifier.explain`.
    feature_names : sequence of str, default=None
        Names of the features of the last step. None: the names of the previous steps, if they have
        ``get_feature_names_out``.
    label_name : str, default=None
        Name of the label in the explanation.

    Returns
    -------
    explanation : Explanation
        Contributions of the features to the score, for each row, tree and level.

    Raises
    ------
    TypeError
        If the last step has no `explain`.
    ValueError
        If the label does not exist, or `feature_names` has the wrong length.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skxmr import XRLinearClassifier
    >>> from skxmr.inspection import explain
    >>> model = make_pipeline(TfidfVectorizer(), XRLinearClassifier(random_state=0))
    >>> _ = model.fit(["cats purr", "dogs bark", "eels slip"], ["cat", "dog", "eel"])
    >>> explanation = explain(model, ["my cats purr"], "cat")
    >>> sorted(name for name, _ in explanation.top(3)[0])
    ['cats', 'purr']
    """
    ranker, features = unwrapped(estimator, X)
    if not hasattr(ranker, "explain"):
        raise TypeError(f"estimator must end in one that has explain, got {ranker!r:.200}")
    if feature_names is None:
        feature_names = _names_before_last(estimator)
    return ranker.explain(features, label, feature_names=feature_names, label_name=label_name)


def _names_before_last(estimator):
    """Return the names of the output of the steps before the last, or None without names."""
    names = None
    for _, before in wrappers(estimator):
        if before is not None:
            try:
                names = before.get_feature_names_out(names)
            except (AttributeError, ValueError):  # no names, or names of its input are needed
                names = None
    return None if names is None else [str(name) for name in np.asarray(names)]
