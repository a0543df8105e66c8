"""Pipelines of scikit-learn with the methods of rankers."""

from sklearn import pipeline as sklearn_pipeline
from sklearn.utils.metaestimators import available_if

from ._ranking.wrapped import last_ranker, ranking_of, unwrapped
from ._saving.writing import save_model
from .inspection import explain

__all__ = ["Pipeline", "make_pipeline"]


def _last_step_has(method):
    def check(pipeline):
        # Raises the AttributeError of the last step if it does not have the method.
        getattr(last_ranker(pipeline._final_estimator), method)
        return True

    return check


class Pipeline(sklearn_pipeline.Pipeline):
    """A :class:`sklearn.pipeline.Pipeline` that ranks if its last step ranks.

    It has all methods of the pipeline of scikit-learn, and `rank` and `explain` of the last step.
    The last step may be an estimator that ranks, or another pipeline, search or frozen estimator
    with such an estimator.

    Parameters
    ----------
    steps : list of tuple (str, estimator)
        Names and estimators. All but the last are transformers.
    transform_input : list of str, default=None
        Parameters of `fit` that the transformers transform as well, if metadata routing is
        enabled. See :class:`sklearn.pipeline.Pipeline`.
    memory : str or joblib.Memory, default=None
        Cache of the fitted transformers.
    verbose : bool, default=False
        Whether to print the time of each step of `fit`.

    Attributes
    ----------
    named_steps : sklearn.utils.Bunch
        The steps by name.
    classes_ : ndarray of shape (n_classes,)
        The classes of the last step.
    n_features_in_ : int
        Of the first step, if it has it, as with `feature_names_in_`.

    See Also
    --------
    make_pipeline : Pipeline without names for the steps.
    skxmr.rank : Ranks with any model, such as the pipelines of scikit-learn.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from skxmr import XRLinearClassifier
    >>> from skxmr.pipeline import Pipeline
    >>> steps = [("text", TfidfVectorizer()), ("labels", XRLinearClassifier(random_state=0))]
    >>> model = Pipeline(steps).fit(["cats purr", "dogs bark"], ["cat", "dog"])
    >>> model.rank(["dogs and cats bark"], k=2).names
    [['dog', 'cat']]
    """

    @available_if(_last_step_has("rank"))
    def rank(self, X, k=10, **params):
        """Transform X, and rank the k best labels of each row with the last step.

        Parameters
        ----------
        X : input of the first step
            Rows, for example texts.
        k : int, default=10
            Number of labels, at least 1.
        **params
            Other parameters of `rank` of the last step. They are not routed to other steps, even
            if metadata routing is enabled.

        Returns
        -------
        ranking : Ranking
            As the last step returns it.
        """
        rows = X
        for _, _, transformer in self._iter(with_final=False):
            rows = transformer.transform(rows)
        estimator, rows = unwrapped(self.steps[-1][1], rows)
        return ranking_of(estimator, rows, k, params, X)

    @available_if(_last_step_has("explain"))
    def explain(self, X, label, *, feature_names=None, label_name=None):
        """Explain the score of a label.

        Parameters
        ----------
        X : input of the first step
            Rows, for example texts.
        label : int or str
            Label to explain; see :meth:`skxmr.XRLinearClassifier.explain`.
        feature_names : sequence of str, default=None
            Names of the features of the last step. None: the names of the previous steps, if they
            have ``get_feature_names_out``.
        label_name : str, default=None
            Name of the label in the explanation.

        Returns
        -------
        explanation : skxmr.inspection.Explanation
            As :func:`skxmr.inspection.explain` returns it.
        """
        return explain(self, X, label, feature_names=feature_names, label_name=label_name)

    def save(self, folder):
        """Save all steps as one folder of arrays and one JSON file, without pickles.

        Steps that are not of skxmr are saved with skops. See :func:`skxmr.save`.

        Parameters
        ----------
        folder : str or path
            Created if it does not exist. A model in it is replaced atomically. Other files in it
            are not changed.

        Raises
        ------
        ImportError
            If a step is not of skxmr, and skops is not installed.
        sklearn.exceptions.NotFittedError
            If the pipeline is not fitted.
        TypeError, ValueError
            If a step cannot be saved. The message names it.

        See Also
        --------
        skxmr.load : The inverse.
        """
        save_model(self, folder)


def make_pipeline(*steps, transform_input=None, memory=None, verbose=False):
    """Make a :class:`Pipeline` whose steps are named after their classes.

    Parameters
    ----------
    *steps : estimators
        All but the last are transformers.
    transform_input : list of str, default=None
        See :class:`Pipeline`.
    memory : str or joblib.Memory, default=None
        Cache of the fitted transformers.
    verbose : bool, default=False
        Whether to print the time of each step of `fit`.

    Returns
    -------
    pipeline : Pipeline

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from skxmr import XRLinearClassifier
    >>> from skxmr.pipeline import make_pipeline
    >>> model = make_pipeline(TfidfVectorizer(), XRLinearClassifier(random_state=0))
    >>> _ = model.fit(["cats purr", "dogs bark"], ["cat", "dog"])
    >>> model.rank(["dogs and cats bark"], k=2).names
    [['dog', 'cat']]
    """
    named = sklearn_pipeline.make_pipeline(*steps).steps
    return Pipeline(named, transform_input=transform_input, memory=memory, verbose=verbose)
