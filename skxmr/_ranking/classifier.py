"""What all classifiers that rank labels have in common."""

from abc import abstractmethod

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _num_samples

from .._utils.estimators import consistent
from .._utils.named_targets import SPARSE_CONTAINERS, frame_of, lists_of_names
from .._utils.pairs import is_true, row_of_entries, select
from .._utils.targets import known_truth, target_array
from .._utils.texts import objects
from .._utils.weights import check_weight_ratios
from .selection import FEWEST_COMPARED, N_COMPARED, largest_shares


def _gives_probabilities(classifier):
    return classifier._check_gives_probabilities()


class RankingClassifierMixin(ClassifierMixin):
    """Predictions and scores of a classifier that ranks labels.

    A subclass has the attributes `classes_`, `n_labels_`, `multilabel_`, `threshold` and
    `_container`, and the method `rank`. It implements the abstract methods.

    Attributes
    ----------
    _container : {"classes", "dense", "spmatrix", "sparray", "lists", "arrays", "frame"}
        Kind of y in fit, which predictions have as well. "lists" is a list of lists of labels,
        "arrays" an array of them.
    """

    @abstractmethod
    def _check_rows(self, X):
        """Check X, and that the classifier is fitted. Return X as the other methods take it."""

    @abstractmethod
    def _reached_scores(self, X) -> sparse.csr_matrix:
        """Return the scores that `rank` shows, of all labels that the search reaches.

        Returns
        -------
        scores : csr_matrix of shape (n_samples, n_labels)
            Canonical. Labels that are not stored are not reached.
        """

    @abstractmethod
    def _best_labels(self, X) -> np.ndarray:
        """Return the highest ranked label of each row, or -1 if there is none.

        For one-dimensional y, every row has a label.

        Returns
        -------
        labels : ndarray of int, shape (n_samples,)
        """

    @property
    @abstractmethod
    def _unreached_score(self) -> float:
        """Score of labels that are not reached, in dense output."""

    def _check_gives_probabilities(self) -> bool:
        """Return True if scores are probabilities.

        Raises
        ------
        AttributeError
            If they are not.
        """
        raise AttributeError(f"the scores of {type(self).__name__} are not probabilities")

    def _predicted_scores(self, X) -> sparse.csr_matrix:
        """Return the scores of the labels that `predict` returns, as CSR."""
        threshold = self._threshold
        if threshold is None and self.n_labels_ < FEWEST_COMPARED:
            threshold = self._even_score
        if threshold is not None:
            return self._scores_above(X, threshold)
        labels, scores = self._compared_ranking(X)
        return largest_shares(labels, scores, self._compared_values(scores), self.n_labels_)

    @property
    def _threshold(self):
        """Threshold of `predict`, or None."""
        return self.threshold

    def _scores_above(self, X, threshold):
        """Return the scores above a threshold, as CSR."""
        scores = self._reached_scores(X)
        return select(scores, scores.data > threshold)

    def _compared_ranking(self, X):
        """Return the labels that are compared without a threshold, as `rank` does."""
        return self.rank(X, N_COMPARED)

    @property
    def _even_score(self):
        """Score that corresponds to a probability of one half."""
        return 0.5

    def _compared_values(self, scores):
        """Return values of at least 0 for the scores of a ranking, whose ratios are compared."""
        return scores

    def _reached_probabilities(self, X) -> sparse.csr_matrix:
        """Return the probabilities of the labels that the search reaches, as CSR."""
        return self._reached_scores(X)

    @consistent
    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Or whatever the wrapped estimator takes.

        Returns
        -------
        y : {ndarray, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            For a multilabel y, the 0/1 indicator of the labels that score above `threshold`, in the
            container of y. If `threshold` is None and there are at least 10 labels, the best label
            of each row, and all others with a tenth of the sum of the row's 20 highest scores. For
            one-dimensional y, the highest ranked class of each row.
        """
        X = self._check_rows(X)
        if not self.multilabel_:
            return self.classes_[self._best_labels(X)]
        return self._labels_in_container(self._predicted_scores(X))

    @consistent
    def decision_function(self, X):
        """Return the scores of the labels, as `rank` shows them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Or whatever the wrapped estimator takes.

        Returns
        -------
        scores : {ndarray, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            In the container of y. If y was sparse, only the labels that the search reaches are
            stored. In dense output, labels that are not reached score 0 if scores are products
            (sigmoid and hinges), and the lowest float32 otherwise. For two classes, the score of
            the second class minus that of the first.
        """
        reached = self._reached_scores(self._check_rows(X))
        if self._container in SPARSE_CONTAINERS:
            return self._to_container(reached)
        scores = np.full(reached.shape, self._unreached_score, dtype=reached.dtype)
        values = np.maximum(reached.data, scores.dtype.type(self._unreached_score))
        scores[row_of_entries(reached), reached.indices] = values
        if not self.multilabel_ and self.n_labels_ == 2:
            return scores[:, 1] - scores[:, 0]
        return scores

    @available_if(_gives_probabilities)
    @consistent
    def predict_proba(self, X):
        """Estimate the probabilities of the labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Or whatever the wrapped estimator takes.

        Returns
        -------
        probabilities : {ndarray, sparse matrix} of shape (n_samples, n_labels)
            In the container of y. Labels that are not reached have probability 0. For
            one-dimensional y, the rows are scaled to sum to one. If all probabilities of a row
            underflow, the predicted class has probability 1.
        """
        X = self._check_rows(X)
        reached = self._reached_probabilities(X)
        if self._container in SPARSE_CONTAINERS:
            return self._to_container(reached)
        probabilities = reached.toarray()
        if self.multilabel_:
            return probabilities
        lost = np.flatnonzero(probabilities.sum(axis=1) == 0)
        if len(lost):
            probabilities[lost, self._best_labels(self._take_rows(X, lost))] = 1
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    @consistent
    def score(self, X, y, sample_weight=None) -> float:
        """Return the precision at 1. For one-dimensional y this is the accuracy.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Or whatever the wrapped estimator takes.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        score : float
            Fraction of rows whose highest ranked label is one of their true labels.
        """
        checked = self._check_rows(X)
        n_rows = _num_samples(checked)
        weight = check_weight_ratios(sample_weight, n_rows)
        if not self.multilabel_:
            return super().score(checked, target_array(y, "y"), weight)
        truth = known_truth(self, y, n_rows)
        best = self._best_labels(checked)
        hits = is_true(truth, np.arange(n_rows), best) & (best >= 0)
        return float(np.average(hits, weights=weight))

    @consistent
    def _scores_of(self, X) -> sparse.csr_matrix:
        """Return `_reached_scores` of rows that are not checked yet."""
        return self._reached_scores(self._check_rows(X))

    def _take_rows(self, X, rows):
        return X[rows]

    def _labels_in_container(self, predicted):
        """Return predicted labels, given as CSR of their scores, in the container of y."""
        if self._container in ("lists", "arrays"):
            names = lists_of_names(predicted, predicted.data, self.classes_)
            return names if self._container == "lists" else objects(names)
        predicted.data = np.ones(predicted.nnz, dtype=np.int64)
        if self._container == "dense":
            return predicted.toarray()
        if self._container == "frame":
            return frame_of(predicted, self.classes_)
        return self._to_container(predicted)

    def _to_container(self, matrix):
        return sparse.csr_array(matrix) if self._container == "sparray" else matrix
