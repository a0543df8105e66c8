"""Rankers of labels for texts, with settings that suit most texts."""

from copy import deepcopy
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples

from ._data.label_examples import LabeledRows
from ._data.label_texts import labels_of
from ._ranking.wrapped import take_rows
from ._utils.named_targets import named_targets
from ._utils.targets import encode_targets, target_array
from ._utils.texts import check_texts
from .linear import XRLinearClassifier
from .metrics import precision_at_k
from .pipeline import Pipeline
from .text import NGramTfidfVectorizer

__all__ = ["LabelTextChoice", "TextRanker", "make_text_ranker"]

#: Most training rows of the two models that are compared, and most held-out rows.
_N_TRAINING = 20_000
_N_HELD_OUT = 3_000

#: Fewest held-out rows for a comparison.
_FEWEST = 30

#: Parameters of fit with one row per training row.
_PER_ROW = ("sample_weight", "relevance", "negatives")


class LabelTextChoice(NamedTuple):
    """Whether the texts of labels are used as training data, and the figures that decided it.

    Attributes
    ----------
    used : bool
        Whether they are used.
    with_texts, without_texts : tuple (float, float, float), or None
        Precision at 1, 3 and 5 on held-out rows, of a model with and of one without them. None if
        nothing was measured.
    n_held_out : int
        Number of held-out rows.
    """

    used: bool
    with_texts: tuple | None = None
    without_texts: tuple | None = None
    n_held_out: int = 0


class TextRanker(Pipeline):
    """A pipeline for texts that uses the names of labels as training data if that ranks better.

    :func:`make_text_ranker` makes the steps. The methods are those of
    :class:`~skxmr.pipeline.Pipeline`.

    Parameters
    ----------
    steps : list of tuple (str, estimator)
        As of :class:`~skxmr.pipeline.Pipeline`. The last step ranks.
    use_label_texts : {"auto", True, False}, default="auto"
        Whether the texts of labels are additional training rows of their labels: the
        `label_examples` of `fit`, or else the names of the labels if they have names. With "auto",
        `fit` compares a model with and one without them on held-out rows. They are used if the sum
        of the precisions at 1, 3 and 5 is higher. Each of the two models is trained on half of the
        rows, or on 20,000 if there are more, so that the time of `fit` doubles at most. With fewer
        than 300 rows, nothing is measured and the texts are used.
    transform_input, memory, verbose
        As of :class:`~skxmr.pipeline.Pipeline`.

    Attributes
    ----------
    label_texts_ : LabelTextChoice
        Whether the texts of labels are used, and the precisions that were measured.

    See Also
    --------
    make_text_ranker : Makes a TextRanker with recommended settings.

    Examples
    --------
    >>> from skxmr import TextRanker, XRLinearClassifier
    >>> from skxmr.text import NGramTfidfVectorizer
    >>> steps = [("words", NGramTfidfVectorizer()), ("rank", XRLinearClassifier(random_state=0))]
    >>> ranker = TextRanker(steps, use_label_texts=True)
    >>> synonyms = {"cats": ["cats", "felines"]}
    >>> texts, subjects = ["Cats and felines purr", "Dogs bark"], [["cats"], ["dogs"]]
    >>> ranker.fit(texts, subjects, label_examples=synonyms).rank(["Felines"], k=1).names
    [['cats']]
    """

    def __init__(
        self, steps, *, use_label_texts="auto", transform_input=None, memory=None, verbose=False
    ):
        super().__init__(steps, transform_input=transform_input, memory=memory, verbose=verbose)
        self.use_label_texts = use_label_texts

    def fit(self, X, y, *, label_examples=None, label_names=None, **params):
        """Fit the vectorizer and the classifier.

        Parameters
        ----------
        X : sequence of str
            Training texts. A text may be empty.
        y : {array-like, sparse matrix} of shape (n_texts, n_labels) or (n_texts,)
            The labels of each text; see :meth:`skxmr.XRLinearClassifier.fit`. A text may have no
            label.
        label_examples : sequence or mapping, default=None
            Texts of labels to use instead of their names, such as names with synonyms or
            descriptions; see :meth:`skxmr.pipeline.Pipeline.fit`.
        label_names : sequence of str, length n_labels, default=None
            Names of the columns of an indicator matrix y. They become `classes_`.
        **params
            Other parameters of the steps, such as ``classifier__sample_weight``.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If a text is not a str.
        ValueError
            If X and y do not have the same length, no text has a word, no text has a label, or
            texts of labels are given that `use_label_texts` forbids.
        """
        use = self.use_label_texts
        if not isinstance(use, (bool, np.bool_)) and use != "auto":
            raise ValueError(f"use_label_texts must be 'auto', True or False, got {use!r}")
        if not use and label_examples is not None:
            raise ValueError("label_examples must be None if use_label_texts is False")
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but y is None")
        X = check_texts(X, "X")
        if _num_samples(y) != len(X):
            raise ValueError(f"y must have {len(X)} rows, one per text, got {_num_samples(y)}")
        if use and label_examples is None:
            label_examples = _names(y, label_names)
        super().fit(X, y, label_examples=label_examples, label_names=label_names, **params)
        if label_examples is None:
            self.label_texts_ = LabelTextChoice(False)
        return self

    def _chosen_examples(self, estimator, X, y, label_examples, params):
        if not _has_features(label_examples):
            self.label_texts_ = LabelTextChoice(False)
        elif self.use_label_texts == "auto":
            self.label_texts_ = _compare(estimator, X, y, label_examples, params)
        else:
            self.label_texts_ = LabelTextChoice(True)
        return label_examples if self.label_texts_.used else None


def _names(y, label_names):
    """Return the names of the labels of y as texts, or None if they are numbered."""
    labels = labels_of(y, label_names)
    return labels if isinstance(labels[0], str) else None


def _has_features(examples):
    rows = examples.rows if isinstance(examples, LabeledRows) else examples
    return not sp.issparse(rows) or rows.nnz > 0


def _compare(classifier, X, y, examples, params):
    """Measure models with and without label examples on held-out rows.

    Parameters
    ----------
    classifier : estimator
        Not fitted.
    X, y : as its fit takes them
    examples : as its fit takes `label_examples`
    params : dict
        Its other parameters of fit.

    Returns
    -------
    choice : LabelTextChoice
    """
    named = named_targets(y, params.get("label_names"))
    Y = encode_targets(target_array(named.y, "y"), named.names, named.container).indicator
    rng = check_random_state(deepcopy(getattr(classifier, "random_state", None)))
    rows = rng.permutation(np.flatnonzero(np.diff(Y.indptr)))
    held_out = rows[: min(_N_HELD_OUT, len(rows) // 10)]
    if len(held_out) < _FEWEST:
        return LabelTextChoice(True)
    training = rows[len(held_out) :][: min(_N_TRAINING, len(rows) // 2)]
    params = {name: value for name, value in params.items() if name != "label_names"}
    for name in params.keys() & _PER_ROW:
        params[name] = take_rows(params[name], training)
    precisions = []
    for more in ({"label_examples": examples}, {}):
        model = _single_tree(classifier)
        model.fit(take_rows(X, training), Y[training], **params, **more)
        ranking = model.rank(take_rows(X, held_out), k=5)
        precisions.append(tuple(precision_at_k(Y[held_out], ranking, k) for k in (1, 3, 5)))
    used = sum(precisions[0]) > sum(precisions[1])
    return LabelTextChoice(used, *precisions, len(held_out))


def _single_tree(classifier):
    """Return a clone of a classifier that is trained once and with one tree."""
    model = clone(classifier)
    if isinstance(model, XRLinearClassifier):
        model.set_params(n_trees=1, max_clusters_per_label=1, threshold=None, verbose=0)
        if model.n_neighbors == "auto":
            model.set_params(n_neighbors=20)
    return model


def make_text_ranker(
    *, use_label_texts="auto", lead_weight=1.0, n_jobs=None, random_state=None, **params
):
    """Make a ranker of labels for texts, with settings that rank well on most texts.

    The features are tf-idf weights of all words, with logarithms of the counts. The names of labels
    are used as training data if that ranks better. The settings were chosen on held-out training
    rows of three data sets; see :doc:`/guide/text`.

    Parameters
    ----------
    use_label_texts : {"auto", True, False}, default="auto"
        Whether to learn from the names or texts of labels; see :class:`TextRanker`.
    lead_weight : float, default=1.0
        How many times each of the first 12 words of a text counts; see
        :class:`skxmr.text.NGramTfidfVectorizer`. Use 8 for texts that begin with a title, such as
        library records with abstracts.
    n_jobs : int, default=None
        Number of jobs, as in joblib. Results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds the classifier and the choice of the held-out rows.
    **params
        Other parameters of :class:`skxmr.XRLinearClassifier`.

    Returns
    -------
    ranker : TextRanker
        A pipeline with the steps "vectorizer", an
        :class:`~skxmr.text.NGramTfidfVectorizer`, and "classifier", an
        :class:`~skxmr.XRLinearClassifier`.

    Examples
    --------
    >>> from skxmr import make_text_ranker
    >>> texts = ["Cats purr", "Dogs bark and chase cats", "Eels slip"]
    >>> subjects = [["cats"], ["dogs", "cats"], ["eels"]]
    >>> ranker = make_text_ranker(random_state=0).fit(texts, subjects)
    >>> ranker.rank(["Why do dogs bark?"], k=2).names
    [['dogs', 'cats']]
    >>> ranker.label_texts_.used
    True
    """
    vectorizer = NGramTfidfVectorizer(sublinear_tf=True, lead_weight=lead_weight, n_jobs=n_jobs)
    classifier = XRLinearClassifier(n_jobs=n_jobs, random_state=random_state, **params)
    steps = [("vectorizer", vectorizer), ("classifier", classifier)]
    return TextRanker(steps, use_label_texts=use_label_texts)
