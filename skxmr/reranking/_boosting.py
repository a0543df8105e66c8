"""Gradient-boosted trees as arrays."""

import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils import gen_batches
from threadpoolctl import threadpool_limits

#: Most leaves of a tree: the bits of a mask.
N_LEAVES = 32

#: Number of rows whose leaves are found at once.
_BLOCK = 1024


class BoostedTrees:
    """Gradient-boosted trees for two classes, fitted by scikit-learn and evaluated with NumPy.

    The leaves of a tree are the bits of an integer. A node whose threshold a row exceeds excludes
    the leaves of its left subtree. The lowest leaf that remains is that of the row, as in
    QuickScorer [1]_. All rows whose value of a feature is between the same two thresholds exclude
    the same leaves by this feature. A table of these masks per feature replaces the nodes. The
    result is that of :class:`~sklearn.ensemble.HistGradientBoostingClassifier`, up to rounding.

    Parameters
    ----------
    baseline : float
        Log-odds before the first tree.
    values : ndarray of float64, shape (n_trees, N_LEAVES)
        Value of each leaf, from left to right. Unused leaves have any value.
    tree, feature : ndarray of int32, shape (n_nodes,)
        Tree of each inner node, and the feature that it compares.
    threshold : ndarray of float64, shape (n_nodes,)
        Rows with larger values go to the right.
    mask : ndarray of uint32, shape (n_nodes,)
        Leaves of the tree that remain for these rows.

    References
    ----------
    .. [1] C. Lucchese et al., "QuickScorer: a fast algorithm to rank documents with additive
       ensembles of regression trees", SIGIR 2015.
    """

    def __init__(self, baseline, values, tree, feature, threshold, mask):
        self.baseline = baseline
        self.values = values
        self.tree = tree
        self.feature = feature
        self.threshold = threshold
        self.mask = mask
        self._tables = [self._table(f) for f in np.unique(feature)]

    def __reduce__(self):
        arrays = self.tree, self.feature, self.threshold, self.mask
        return BoostedTrees, (self.baseline, self.values, *arrays)

    @classmethod
    def fit(cls, features, hits, **params):
        """Fit 100 trees. The settings were chosen on held-out rows of two data sets.

        Parameters
        ----------
        features : ndarray of float64, shape (n_rows, n_features)
            Finite.
        hits : ndarray of bool, shape (n_rows,)
            Both values must occur.
        **params
            Parameters of the classifier of scikit-learn.
        """
        classifier = HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=100,
            max_leaf_nodes=N_LEAVES - 1,
            early_stopping=False,
            **params,
        )
        # The last bits of sums depend on the number of threads.
        with threadpool_limits(1, user_api="openmp"):
            classifier.fit(features, hits)
        return cls.of(classifier)

    @classmethod
    def of(cls, classifier):
        """Take the trees of a fitted classifier of scikit-learn with numerical features."""
        values = np.zeros((len(classifier._predictors), N_LEAVES))
        nodes = []
        for number, (predictor,) in enumerate(classifier._predictors):
            leaves = []
            nodes += _take_nodes(predictor.nodes, 0, number, leaves)
            values[number, : len(leaves)] = leaves
        tree, feature, threshold, mask = zip(*nodes, strict=True) if nodes else ((),) * 4
        return cls(
            float(np.ravel(classifier._baseline_prediction)[0]),
            values,
            np.array(tree, dtype=np.int32),
            np.array(feature, dtype=np.int32),
            np.array(threshold, dtype=np.float64),
            np.array(mask, dtype=np.uint32),
        )

    def predict(self, features):
        """Return the probability of the second class for each row.

        Parameters
        ----------
        features : ndarray of float64, shape (n_rows, n_features)

        Returns
        -------
        probabilities : ndarray of float64, shape (n_rows,)
        """
        odds = np.empty(len(features))
        for rows in gen_batches(len(features), _BLOCK):
            odds[rows] = self._odds(features[rows])
        return expit(odds)

    def _odds(self, features):
        remaining = np.full((len(features), len(self.values)), ~np.uint32(0))
        for feature, thresholds, masks in self._tables:
            remaining &= masks[np.searchsorted(thresholds, features[:, feature])]
        lowest = remaining & (~remaining + np.uint32(1))
        leaves = np.frexp(lowest.astype(np.float32))[1] - 1
        trees = np.arange(len(self.values))
        return self.baseline + self.values[trees, leaves].sum(axis=1)

    def _table(self, feature):
        """Return a feature, its thresholds, and what remains of all trees between these.

        Row i of the masks is for values above i thresholds.
        """
        nodes = np.flatnonzero(self.feature == feature)
        thresholds, place = np.unique(self.threshold[nodes], return_inverse=True)
        masks = np.full((len(thresholds) + 1, len(self.values)), ~np.uint32(0))
        np.bitwise_and.at(masks, (place + 1, self.tree[nodes]), self.mask[nodes])
        return feature, thresholds, np.bitwise_and.accumulate(masks, axis=0)


def _take_nodes(nodes, index, number, leaves):
    """Take the nodes below a node of a tree.

    Parameters
    ----------
    nodes : structured ndarray
        Nodes of scikit-learn.
    index : int
        Number of the node.
    number : int
        Number of the tree.
    leaves : list of float
        Values of the leaves before those below the node, which are appended.

    Returns
    -------
    inner : list of tuple (int, int, float, int)
        Tree, feature, threshold and mask of each inner node.
    """
    node = nodes[index]
    if node["is_leaf"]:
        leaves.append(node["value"])
        return []
    first = len(leaves)
    inner = _take_nodes(nodes, node["left"], number, leaves)
    left_leaves = (1 << len(leaves)) - (1 << first)
    mask = ~left_leaves & (1 << N_LEAVES) - 1
    inner.append((number, node["feature_idx"], node["num_threshold"], mask))
    return inner + _take_nodes(nodes, node["right"], number, leaves)
