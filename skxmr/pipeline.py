"""Pipelines of scikit-learn with the methods of rankers."""

import inspect

from sklearn import get_config
from sklearn import pipeline as sklearn_pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.metaestimators import available_if

from ._data.label_examples import LabeledRows, is_rows_and_labels
from ._data.label_texts import LabelTexts, check_label_rows
from ._ranking.wrapped import last_ranker, ranking_of, unwrapped
from ._saving.writing import save_model
from ._utils.estimators import snapshot
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
    with such an estimator. `fit` takes the names and texts of labels.

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

    def fit(self, X, y=None, *, label_examples=None, label_names=None, **params):
        """Fit the steps, as in scikit-learn, with names and texts of labels for the last step.

        Parameters
        ----------
        X : input of the first step
            Training rows, for example texts.
        y : input of the last step
            Labels of the rows; see :meth:`skxmr.XRLinearClassifier.fit`.
        label_examples : sequence, mapping or matrix, default=None
            Texts that describe labels, such as names. Each text is an additional training row of
            its label. The other steps transform them, but are not fitted to them. In a sequence,
            there is one text per label, in the order of `classes_` (the columns of a matrix y). A
            mapping goes from labels to texts; labels that y does not have are ignored. A label may
            have several texts, as a list, tuple or set. Other rows that the first step takes, such
            as a matrix, are also accepted, one per label.
        label_names : sequence of str, length n_labels, default=None
            Names of the columns of an indicator matrix y. They become `classes_`.
        **params
            Other parameters of the steps, such as ``xrlinearclassifier__sample_weight``, or those
            that the steps request if metadata routing is enabled. See
            :meth:`sklearn.pipeline.Pipeline.fit`.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the last step does not take `label_examples` or `label_names`, or an example is not a
            text.
        ValueError
            If a parameter is also given with the name of the last step, `label_examples` does not
            have one entry per label, or a mapping has none of the labels.

        Notes
        -----
        Metadata routing need not be enabled. If it is, parameters that the last step requests are
        routed by scikit-learn, and `transform_input` determines whether they are transformed.

        Examples
        --------
        >>> from sklearn.feature_extraction.text import TfidfVectorizer
        >>> from skxmr import XRLinearClassifier
        >>> from skxmr.pipeline import make_pipeline
        >>> model = make_pipeline(TfidfVectorizer(), XRLinearClassifier(random_state=0))
        >>> texts, labels = ["cats and dogs purr", "dogs and eels bark"], [["cat"], ["dog"]]
        >>> _ = model.fit(texts, labels, label_examples={"cat": "cats", "dog": "dogs"})
        >>> model.rank(["cats or eels?"], k=1).names
        [['cat']]
        """
        labels = {"label_examples": label_examples, "label_names": label_names}
        labels = {name: value for name, value in labels.items() if value is not None}
        if get_config()["enable_metadata_routing"] and self.steps[-1][1] is not None:
            routing = get_routing_for_object(self.steps[-1][1])
            params |= {name: labels.pop(name) for name in routing.consumes("fit", list(labels))}
        if not labels:
            return super().fit(X, y, **params)
        last_name, last = self.steps[-1]
        _check_takes(last_name, last, labels, params)
        if "label_examples" in labels:
            labels["label_examples"] = check_label_rows(label_examples, y, label_names)
        fitting = snapshot(self)
        step = _LastStep(last, fitting, labels)
        fitting.steps = [*self.steps[:-1], (last_name, step)]
        super(Pipeline, fitting).fit(X, y, **params)
        fitting.steps = [*fitting.steps[:-1], (last_name, last)]
        vars(self).update(vars(fitting))
        return self

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
        estimator, rows = unwrapped(self.steps[-1][1], self._before_last(X))
        return ranking_of(estimator, rows, k, params, X)

    def _before_last(self, X):
        """Transform X with all steps but the last."""
        for _, _, transformer in self._iter(with_final=False):
            X = transformer.transform(X)
        return X

    def _transformed(self, label_examples):
        """Return label examples as features of the last step."""
        if isinstance(label_examples, LabelTexts):
            rows = self._before_last(label_examples.texts)
            labels = label_examples.labels
            return rows if labels is None else LabeledRows(rows, labels)
        if is_rows_and_labels(label_examples):
            rows, labels = label_examples
            return LabeledRows(self._before_last(rows), labels)
        return self._before_last(label_examples)

    def _chosen_examples(self, estimator, X, y, label_examples, params):
        """Return the label examples that the last step is fitted to, or None.

        Parameters
        ----------
        estimator : estimator
            The last step, not fitted.
        X, y, label_examples
            As its fit takes them.
        params : dict
            Other parameters of its fit.
        """
        return label_examples

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


def _check_takes(name, estimator, labels, params):
    """Check that the fit of the last step takes names and texts of labels."""
    if estimator is None or estimator == "passthrough":
        raise TypeError(f"the last step must take {' and '.join(labels)}, got {estimator!r}")
    accepted = inspect.signature(estimator.fit).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    for label_param in labels:
        if f"{name}__{label_param}" in params:
            raise ValueError(
                f"{label_param} and {name}__{label_param} are the same parameter, got both"
            )
        if label_param not in accepted and not takes_any:
            raise TypeError(
                f"the fit of the last step must take {label_param}, which "
                f"{type(estimator).__name__} does not"
            )


class _LastStep:
    """The last step of a pipeline while it is fitted with names and texts of labels.

    Parameters
    ----------
    estimator : estimator
    pipeline : Pipeline
        That is fitted. Its other steps are fitted when `fit` is called.
    labels : dict
        `label_examples`, not transformed, and `label_names`, or one of them.
    """

    def __init__(self, estimator, pipeline, labels):
        self._estimator = estimator
        self._pipeline = pipeline
        self._labels = labels

    def __getattr__(self, name):
        if "_estimator" not in vars(self):  # a copy that has no attributes yet
            raise AttributeError(name)
        return getattr(self._estimator, name)

    def fit(self, X, y, **params):
        params |= self._labels
        given = params.pop("label_examples", None)
        if "label_examples" in self._labels:
            given = self._pipeline._transformed(given)
            given = self._pipeline._chosen_examples(self._estimator, X, y, given, params)
        if given is not None:
            params["label_examples"] = given
        self._estimator.fit(X, y, **params)
        return self


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
