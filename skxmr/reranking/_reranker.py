"""Reranking of labels of texts by a model of several signals."""

import inspect

import numpy as np
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils import check_random_state, gen_batches

from .._core import indptr_of
from .._meta.base import RankerWrapper
from .._meta.held_out import fitted_to
from .._ranking.wrapped import names_of_labels
from .._utils.cloning import clone_with, draw_seed
from .._utils.estimators import consistent, fitted_in_one_step
from .._utils.pairs import is_true, top_k
from .._utils.params import check_boolean, check_integer, check_real, check_seed
from .._utils.targets import known_truth
from .._utils.texts import check_texts
from ._candidates import Candidates

#: Most rows that are held out.
_MOST_HELD_OUT = 10_000

#: Fewest rows that are held out, with fewest pairs of either kind.
_FEWEST = 30

#: Number of rows that are ranked at once.
_BLOCK = 2000


class TextReranker(RankerWrapper):
    """Rerank the labels of texts by a model of several signals.

    The candidates of a text are the labels that the estimator ranks first and labels whose names
    occur in the text. A classifier estimates the probability of each candidate from

    - the score and the rank of the label, and its scores by the trees alone and by the nearest
      neighbors alone if the estimator ends in an :class:`~skxmr.XRLinearClassifier`,
    - the number of training rows of the label,
    - how much of the name of the label occurs in the text and in its first 12 words: the share of
      its words, and of its n-grams of five characters, which find inflected words and parts of
      compounds. Explanations in parentheses are ignored.

    The classifier is fitted to rows that the estimator was not fitted to. It is a stacked model
    [1]_ with features of the pair of a text and a label, as in learning to rank.

    Parameters
    ----------
    estimator : estimator
        A ranker of texts, such as :func:`~skxmr.make_text_ranker`.
    final_estimator : estimator, default=None
        A classifier with ``predict_proba``. None means
        :class:`~sklearn.ensemble.HistGradientBoostingClassifier` with 100 trees.
    n_candidates : int, default=50
        Number of labels that the estimator ranks first which are candidates.
    held_out : float in (0, 0.5], default=0.1
        Share of the rows that the classifier is fitted to, at most 10,000 rows.
    refit : bool, default=True
        Whether the estimator is fitted to all rows afterwards, which doubles the time of `fit`.
        Otherwise, it does not learn from the rows that were held out.
    threshold : float or None, default=None
        `predict` returns the labels with a larger probability. None as for
        :class:`~skxmr.XRLinearClassifier`.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice of the rows, and of the estimators whose `random_state` is None.

    Attributes
    ----------
    estimator_ : estimator
        The fitted ranker.
    final_estimator_ : estimator
        The fitted classifier.
    classes_ : ndarray of shape (n_labels,)
        The labels.
    n_labels_ : int
        Number of labels.
    multilabel_ : bool
        Always True.

    See Also
    --------
    make_text_ranker : The ranker that is usually reranked.
    CalibratedRanker : Probabilities without another ranking.

    References
    ----------
    .. [1] D. H. Wolpert, "Stacked generalization", Neural Networks 5 (1992).

    Examples
    --------
    >>> from skxmr import TextReranker, make_text_ranker
    >>> from skxmr.datasets import load_catalogue_subjects
    >>> data = load_catalogue_subjects()
    >>> texts, Y = data.text_train[::40], data.Y_train[::40]
    >>> ranker = TextReranker(make_text_ranker(use_label_texts=True), refit=False, random_state=0)
    >>> _ = ranker.fit(texts, Y, label_names=data.label_names)
    >>> labels, probabilities = ranker.rank(["Organ music in northern Germany"], k=3)
    >>> "organ" in str(ranker.classes_[labels[0, 0]])
    True
    """

    def __init__(
        self,
        estimator,
        *,
        final_estimator=None,
        n_candidates=50,
        held_out=0.1,
        refit=True,
        threshold=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.final_estimator = final_estimator
        self.n_candidates = n_candidates
        self.held_out = held_out
        self.refit = refit
        self.threshold = threshold
        self.random_state = random_state

    def fit(self, X, y, **fit_params):
        """Fit the ranker and the classifier.

        Parameters
        ----------
        X : sequence of str
            Training texts.
        y : {array-like, sparse matrix} of shape (n_texts, n_labels), or sequence of lists
            The labels of each text; see :meth:`skxmr.XRLinearClassifier.fit`. One class per text
            is not supported.
        **fit_params
            Passed to all fits of the estimator, such as `label_names` or `label_examples` as a
            mapping. They must not have one value per row.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If a text is not a str.
        ValueError
            If the labels have no names, or fewer than 30 rows can be held out.
        """
        self._check_params()
        X = check_texts(X, "X")
        with fitted_in_one_step(self) as fresh:
            fresh._fit(X, y, fit_params)
        return self

    def _fit(self, X, y, fit_params):
        y = self._take_targets(X, y)
        if not self.multilabel_:
            raise ValueError(
                "y must be lists of labels or an indicator matrix, got one class per row"
            )
        fit_params = self._with_names(fit_params)
        rng = check_random_state(self.random_state)
        seed = draw_seed(rng)
        held, others = self._split(len(X), rng)
        self._take_estimator(fitted_to(self.estimator, X, y, others, fit_params, seed))
        truth = known_truth(self, y)
        n_rows = np.asarray(truth[others].sum(axis=0, dtype=np.float64)).ravel()
        self._candidates = Candidates(names_of_labels(self), n_rows, int(self.n_candidates))
        self._fit_final_estimator([X[i] for i in held], truth[held], seed)
        if self.refit:
            rows = np.arange(len(X))
            self._take_estimator(fitted_to(self.estimator, X, y, rows, fit_params, seed))

    def _with_names(self, fit_params):
        """Return the parameters of fit with the names in y, if the estimator takes these."""
        has_names = self.classes_.dtype.kind in "UO" and self.multilabel_
        takes_names = "label_names" in inspect.signature(self.estimator.fit).parameters
        if has_names and takes_names:
            return {"label_names": self.classes_, **fit_params}
        return fit_params

    def _split(self, n_rows, rng):
        """Return the numbers of the rows that are held out, and of the others."""
        n_held_out = min(int(self.held_out * n_rows), _MOST_HELD_OUT)
        if n_held_out < _FEWEST:
            raise ValueError(
                f"X must have at least {int(np.ceil(_FEWEST / self.held_out))} texts, so that "
                f"{_FEWEST} are held out, got {n_rows}"
            )
        rows = rng.permutation(n_rows)
        return np.sort(rows[:n_held_out]), np.sort(rows[n_held_out:])

    def _fit_final_estimator(self, texts, truth, seed):
        rows, labels, features = self._candidates.of(self.estimator_, texts)
        hits = is_true(truth, rows, labels)
        if hits.all() or not hits.any():
            raise ValueError("estimator must rank true and other labels of held-out rows")
        final = self.final_estimator
        if final is None:
            final = HistGradientBoostingClassifier(early_stopping=False)
        self.final_estimator_ = clone_with(final, random_state=seed).fit(features, hits)

    def _check_params(self):
        check_integer(self.n_candidates, "n_candidates", 1)
        check_real(self.held_out, "held_out", 0, above=True, most=0.5)
        check_boolean(self.refit, "refit")
        if self.final_estimator is not None and not hasattr(self.final_estimator, "fit"):
            raise TypeError(
                f"final_estimator must be a classifier or None, got {self.final_estimator!r:.80}"
            )
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
        probabilities = np.zeros(0)
        if len(rows):
            probabilities = self.final_estimator_.predict_proba(features)[:, 1]
        shape = len(texts), self.n_labels_
        return sparse.csr_matrix((probabilities, labels, indptr), shape=shape)

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
