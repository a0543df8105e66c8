"""Changes of a fitted XRLinearClassifier: more rows, more labels, fewer labels."""

from sklearn.utils.validation import check_is_fitted

from .._training.disentangle import MOST_CLUSTERS
from .._training.new_labels import PLACEMENTS
from .._utils.estimators import change_lock, snapshot
from .._utils.params import check_boolean, check_integer, check_option
from ._base import FittedRanking
from ._new_labels import Placement, with_more_labels, with_more_rows
from ._params import check_params
from ._removed_labels import with_fewer_labels


class ExtensibleRanking(FittedRanking):
    """The part of XRLinearClassifier that changes what fit has learned, without fitting again.

    Every change takes effect in one step. If it fails, the model is not changed.
    """

    def add_neighbors(self, X, y, sample_weight=None):
        """Add rows that can be nearest neighbors, without training on them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            Labels of the rows. They must be known from fit.
        sample_weight : array-like of shape (n_samples,), optional
            A row of weight 2 is equivalent to the same row given twice.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the model was fitted with ``n_neighbors=None``, or y has unknown labels.
        """
        check_is_fitted(self)
        with change_lock(self):
            self._fitted = with_more_rows(snapshot(self), X, y, sample_weight)
        return self

    def add_labels(
        self,
        X,
        y,
        sample_weight=None,
        *,
        placement="search",
        clusters_per_label=3,
        retrain_siblings=False,
        label_features=None,
        label_text=None,
        label_names=None,
    ):
        """Add new labels to a fitted model, without fitting again.

        Each new label is added to the leaf clusters that suit it, and its rankers are trained
        there. Nothing above the leaf clusters changes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows with and without the new labels. The ranker of a new label learns from these rows
            to distinguish it from the other labels of its cluster. The best choice is all rows of
            fit together with the new ones.
        y : {array-like, sparse matrix} of shape (n_samples, n_known + n_new) or (n_samples,)
            All labels of the rows, in the form of fit. An indicator matrix has the columns of the
            known labels first, then those of the new labels.
        sample_weight : array-like of shape (n_samples,), optional
            Multiplies C for each row.
        placement : {"search", "indexer"}, default="search"
            How the clusters of a new label are found. "search" takes the clusters that the search
            reaches for most of the label's rows. "indexer" takes the one cluster that the indexer's
            `predict` returns for the label's embedding or text.
        clusters_per_label : int, default=3
            Maximum number of clusters per new label, up to 6, with ``placement="search"``. The
            nodes above the clusters are not trained on the rows of a new label. These rows are
            therefore spread over more clusters than those of a known label.
        retrain_siblings : bool, default=False
            Whether the rankers of all labels in the affected clusters are trained again, so that
            they learn from the new rows as well. They are trained on the given rows only, which
            should then include all rows of fit.
        label_features : {array-like, sparse matrix} of shape (n_new, d), optional
            Features of the new labels, in the order of their columns or in the sorted order of the
            classes. Required if the indexer was fitted to features of labels.
        label_text : sequence of str, length n_new, optional
            Texts of the new labels, for an indexer that takes strings. By default the new classes,
            if they are strings.
        label_names : sequence of str, length n_new, optional
            Names of the columns of the new labels. Required if fit was given `label_names`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If an input is not as documented, or no label is new. The message names the input. The
            model is not changed.

        Warns
        -----
        UserWarning
            If `X` has no rows of some known labels that are in the same clusters as new ones.

        Notes
        -----
        For one-dimensional y, `classes_` stay sorted, so positions of classes may change. The given
        rows are added to the neighbors, if there are any. Rows that are neighbors already get their
        new labels. If matcher-aware negatives are used, they are sampled from the given rows. The
        indexer is not changed.

        Examples
        --------
        >>> from sklearn.feature_extraction.text import TfidfVectorizer
        >>> from skxmr import XRLinearClassifier
        >>> titles = ["cats", "dogs and cats", "sea birds", "birds", "sharks at sea", "sharks"]
        >>> pets = ["mammals", "mammals", "birds", "birds", "fish", "fish"]
        >>> X = TfidfVectorizer().fit_transform(titles)
        >>> clf = XRLinearClassifier(random_state=0).fit(X[:4], pets[:4])
        >>> clf.add_labels(X, pets).predict(X).tolist()
        ['mammals', 'mammals', 'birds', 'birds', 'fish', 'fish']
        """
        check_is_fitted(self)
        check_params(self)
        check_option(placement, "placement", PLACEMENTS)
        check_integer(clusters_per_label, "clusters_per_label", 1, MOST_CLUSTERS)
        check_boolean(retrain_siblings, "retrain_siblings")
        how = Placement(
            placement == "indexer",
            int(clusters_per_label),
            retrain_siblings,
            label_features,
            label_text,
            label_names,
        )
        with change_lock(self):
            self._fitted = with_more_labels(snapshot(self), X, y, sample_weight, how)
        return self

    def remove_labels(self, labels):
        """Remove labels from a fitted model, without training.

        Parameters
        ----------
        labels : sequence of int or str, or set
            The labels: columns of y or positions in `classes_`, or names from `classes_` if these
            are strings.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a label is unknown, all labels are given, or the model is memory-mapped and its files
            are damaged. The model is not changed.

        Notes
        -----
        The remaining labels keep their rankers. For a multilabel y, the columns of the labels are
        deleted, and later columns move up. For one-dimensional y, the classes are removed from
        `classes_`. Neighbors lose the labels, and those that lose their last label are removed. If
        none with labels remain, the model has no neighbors. Clusters without labels stay in the
        tree. The indexer is not changed.

        Examples
        --------
        >>> import numpy as np
        >>> from skxmr import XRLinearClassifier
        >>> X = np.eye(3, dtype=np.float32)
        >>> clf = XRLinearClassifier(random_state=0).fit(X, ["cat", "dog", "eel"])
        >>> clf.remove_labels(["cat"]).classes_.tolist()
        ['dog', 'eel']
        """
        check_is_fitted(self)
        with change_lock(self):
            self._fitted = with_fewer_labels(snapshot(self), labels)
        return self
