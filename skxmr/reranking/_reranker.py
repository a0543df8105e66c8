"""The reranker of texts."""

import inspect

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state, gen_batches

from .._core import indptr_of
from .._meta.base import RankerWrapper
from .._meta.held_out import fitted_to
from .._ranking.wrapped import last_ranker, take_rows
from .._utils.cloning import draw_seed
from .._utils.estimators import consistent, fitted_in_one_step
from .._utils.named_targets import named_targets, names_in
from .._utils.pairs import is_true, top_k
from .._utils.params import check_boolean, check_integer, check_real, check_seed
from .._utils.targets import known_truth
from .._utils.texts import check_texts
from ._boosting import BoostedTrees
from ._candidates import Candidates, LabelCounts, has_neighbors
from ._name_matches import NameMatches

#: Most rows that are held out.
_MOST_HELD_OUT = 10_000

#: Fewest rows that are held out.
_FEWEST = 30

#: Number of rows that are ranked at once.
_BLOCK = 1000


class TextReranker(RankerWrapper):
    """Rerank the labels of texts by a model of their scores and of their names in the text.

    The candidates of a text are the labels that a ranker ranks first, and up to 15 labels whose
    names occur in the text with all their words. Gradient-boosted trees estimate the probability of
    each candidate from

    - its score and its rank, and those by the trees alone and by the nearest neighbors alone if the
      ranker is an :class:`~skxmr.XRLinearClassifier` with neighbors,
    - the number of training texts with the label, the number of those in which its name occurs, and
      how many of these have the label,
    - the share of its name that occurs in the text, of its words, of its pairs of consecutive words
      and of its n-grams of five characters, which find inflected words and parts of compounds; each
      also weighted by the position in the text. Rare words count more. Explanations in parentheses
      are ignored.

    The model is fitted to texts that the ranker was not fitted to, as in stacking [1]_, with
    features of pairs of a text and a label, as in learning to rank. Automatic indexing with
    vocabularies uses such features of names [2]_.

    Parameters
    ----------
    estimator : estimator
        A ranker of texts, such as :func:`~skxmr.make_text_ranker`, or a pipeline that ends in a
        ranker. To use a fitted ranker, pass it as :class:`sklearn.frozen.FrozenEstimator`; it must
        not have been fitted to the texts that are passed to `fit`.
    n_candidates : int, default=50
        Number of labels that the ranker ranks first which are candidates.
    held_out : float in (0, 0.5], default=0.1
        Share of the texts that the model is fitted to, at most 10,000 texts.
    refit : bool, default=True
        Whether the ranker is fitted to all texts afterwards, which doubles the time of `fit`. If
        False, it does not learn from the texts that were held out.
    threshold : float or None, default=None
        `predict` returns the labels with a larger probability. None as for
        :class:`~skxmr.XRLinearClassifier`.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice of the held-out texts and of the model. It also seeds the estimator and
        the estimators inside of it whose `random_state` is None, such as the steps of a pipeline.

    Attributes
    ----------
    estimator_ : estimator
        The fitted ranker.
    classes_ : ndarray of shape (n_labels,)
        Names of the labels.
    n_labels_ : int
        Number of labels.
    multilabel_ : bool
        Always True.

    See Also
    --------
    make_text_ranker : The ranker that is usually reranked.
    CalibratedRanker : Probabilities without a change of the ranking.

    Notes
    -----
    Labels that are not candidates are not ranked. The number of labels per text is thus at most
    ``n_candidates + 15``.

    References
    ----------
    .. [1] D. H. Wolpert, "Stacked generalization", Neural Networks 5 (1992).
    .. [2] O. Medelyan, "Human-competitive automatic topic indexing", PhD thesis, University of
       Waikato (2009).

    Examples
    --------
    >>> from skxmr import TextReranker, make_text_ranker
    >>> from skxmr.datasets import load_catalogue_subjects
    >>> data = load_catalogue_subjects()
    >>> texts, Y = data.text_train[::40], data.Y_train[::40]
    >>> model = TextReranker(make_text_ranker(use_label_texts=True), refit=False, random_state=0)
    >>> model = model.fit(texts, Y, label_names=data.label_names)
    >>> test = data.text_test[::5], data.Y_test[::5]
    >>> model.score(*test) > model.estimator_.score(*test) + 0.02
    True
    """

    def __init__(
        self,
        estimator,
        *,
        n_candidates=50,
        held_out=0.1,
        refit=True,
        threshold=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.n_candidates = n_candidates
        self.held_out = held_out
        self.refit = refit
        self.threshold = threshold
        self.random_state = random_state

    def fit(self, X, y, *, label_names=None, **fit_params):
        """Fit the ranker and the model.

        Parameters
        ----------
        X : sequence of str
            Training texts, at least 30 / `held_out`.
        y : {array-like, sparse matrix} of shape (n_texts, n_labels), or sequence of lists
            The labels of each text; see :meth:`skxmr.XRLinearClassifier.fit`. One class per text
            is not supported.
        label_names : sequence of str, length n_labels, default=None
            Names of the columns of an indicator matrix y. They become `classes_`. Not needed if y
            has names.
        **fit_params
            Passed to all fits of the estimator, such as `label_examples`. They must not have one
            value per text.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If a text is not a str.
        ValueError
            If the labels have no names, there are too few texts, or the ranker ranks no true label
            of the texts that are held out.
        """
        self._check_params()
        X = check_texts(X, "X")
        with fitted_in_one_step(self) as fresh:
            fresh._fit(X, y, label_names, fit_params)
        return self

    def _fit(self, X, y, label_names, fit_params):
        y = self._take_targets(X, y)
        if not self.multilabel_:
            raise ValueError(
                "y must be lists of labels or an indicator matrix, got one class per text; use "
                "lists of one label each"
            )
        self._take_names(y, label_names)
        if _takes_names(self.estimator):
            fit_params = {"label_names": self.classes_, **fit_params}
        rng = check_random_state(self.random_state)
        seed = draw_seed(rng)
        held, others = self._split(len(X), rng)
        estimator = _seeded(self.estimator, seed)
        self._take_estimator(fitted_to(estimator, X, y, others, fit_params, seed))
        truth = known_truth(self, y)
        matches = NameMatches(self.classes_.tolist())
        counts = LabelCounts.of(matches, take_rows(X, others), truth[others])
        parts = has_neighbors(self.estimator_)
        self._candidates = Candidates(matches, counts, int(self.n_candidates), parts)
        self._model = self._fit_model(take_rows(X, held), truth[held], seed)
        if self.refit:
            rows = np.arange(len(X))
            self._take_estimator(fitted_to(estimator, X, y, rows, fit_params, seed))

    def _take_names(self, y, label_names):
        """Set `classes_` to the names of the labels, which must be there."""
        if label_names is not None:
            if self.classes_.dtype.kind in "UO":
                raise ValueError("label_names must be None if y has names of labels")
            self.classes_ = named_targets(y, label_names).names
            self._check_order(self.classes_.tolist())
        if not all(isinstance(name, str) for name in self.classes_.tolist()):
            raise ValueError(
                "y must have names of labels that are strings, as lists of names have, or "
                "label_names must be given"
            )

    def _check_order(self, names):
        """Refuse the names of a fitted estimator in another order than that of its columns."""
        if not isinstance(self.estimator, FrozenEstimator):
            return
        fitted = names_in(last_ranker(self.estimator))
        if fitted is not None and set(fitted.tolist()) == set(names) and fitted.tolist() != names:
            raise ValueError(
                "label_names must be in the order of the labels of the fitted estimator, got the "
                "same names in another order"
            )

    def _split(self, n_rows, rng):
        """Return the numbers of the rows that are held out, and of the others."""
        n_held_out = min(int(self.held_out * n_rows), _MOST_HELD_OUT)
        if n_held_out < _FEWEST:
            raise ValueError(
                f"X must have at least {int(np.ceil(_FEWEST / self.held_out))} texts, so that "
                f"{_FEWEST} of them are held out, got {n_rows}; held_out={self.held_out}"
            )
        rows = rng.permutation(n_rows)
        return np.sort(rows[:n_held_out]), np.sort(rows[n_held_out:])

    def _fit_model(self, texts, truth, seed):
        parts = []
        for block in gen_batches(len(texts), _BLOCK):
            rows, labels, features = self._candidates.of(self.estimator_, texts[block])
            parts.append((features, is_true(truth[block], rows, labels)))
        features, hits = (np.concatenate(part) for part in zip(*parts, strict=True))
        if hits.all() or not hits.any():
            raise ValueError(
                "estimator must rank true and other labels of held-out texts first, got "
                f"{hits.sum()} true ones among {len(hits)} candidates"
            )
        return BoostedTrees.fit(features, hits, random_state=seed)

    def _check_params(self):
        check_integer(self.n_candidates, "n_candidates", 1)
        check_real(self.held_out, "held_out", 0, above=True, most=0.5)
        check_boolean(self.refit, "refit")
        if self.threshold is not None:
            check_real(self.threshold, "threshold", -np.inf)
        check_seed(self.random_state, "random_state")

    def _check_rows(self, X):
        self._check_fitted()
        return check_texts(X, "X")

    def _reached_scores(self, X):
        blocks = [self._block_scores(X[rows]) for rows in gen_batches(len(X), _BLOCK)]
        return sparse.vstack(blocks, format="csr")

    def _block_scores(self, texts):
        rows, labels, features = self._candidates.of(self.estimator_, texts)
        indptr = indptr_of(np.bincount(rows, minlength=len(texts)))
        entries = (self._model.predict(features), labels, indptr)
        return sparse.csr_matrix(entries, shape=(len(texts), self.n_labels_))

    @consistent
    def rank(self, X, k=10):
        """Rank the k best candidates of each text by their probabilities.

        Parameters
        ----------
        X : sequence of str
            Texts.
        k : int, default=10
            Number of labels per text.

        Returns
        -------
        ranking : Ranking
            A pair of arrays with the shape (n_texts, k). ``ranking.names`` lists the names.

            - `labels` (int32): best first, padded with -1. Ties are broken by the lower label.
            - `scores` (float64): the probabilities, padded with -inf.
        """
        check_integer(k, "k", 1, np.iinfo(np.int32).max)
        labels, scores = top_k(self._reached_scores(self._check_rows(X)), k)
        return self._ranking(X, labels.astype(np.int32), scores)

    def _check_gives_probabilities(self):
        return True

    @property
    def _unreached_score(self):
        return 0.0


def _seeded(estimator, seed):
    """Clone an estimator and seed it and all estimators inside of it that have no seed."""
    estimator = clone(estimator, safe=False)
    params = estimator.get_params() if hasattr(estimator, "get_params") else {}
    seeds = {name for name in params if name.rpartition("__")[2] == "random_state"}
    unset = [name for name in sorted(seeds) if params[name] is None]
    return estimator.set_params(**dict.fromkeys(unset, seed)) if unset else estimator


def _takes_names(estimator):
    """Return whether the fit of an estimator, or of the one in a search, takes `label_names`."""
    if isinstance(estimator, BaseSearchCV):
        return _takes_names(estimator.estimator)
    return "label_names" in inspect.signature(estimator.fit).parameters
