"""Explanations behind vectorizers."""

import numpy as np

from .._ranking.wrapped import unwrapped, wrappers


def explain(estimator, X, label, *, feature_names=None, label_name=None):
    """Explain a label's score by a classifier at the end of a pipeline, or inside a search.

    Parameters
    ----------
    estimator : Pipeline, fitted search or XRLinearClassifier
        Ends in an estimator that has `explain`.
    X : what the estimator takes
        Texts, say.
    label : int or str
        As XRLinearClassifier.explain takes it.
    feature_names : sequence of str, optional
        By default what the steps before the last call their output, if they can say.
    label_name : str, optional
        What to call the label where the explanation is shown.

    Returns
    -------
    explanation : Explanation

    Raises
    ------
    TypeError
        If the last step cannot explain.

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
    """What the steps before the last call their output, or None where they do not say."""
    names = None
    for _, before in wrappers(estimator):
        if before is not None:
            try:
                names = before.get_feature_names_out(names)
            except (AttributeError, ValueError):  # a step without names, or in want of its input's
                names = None
    return None if names is None else [str(name) for name in np.asarray(names)]
