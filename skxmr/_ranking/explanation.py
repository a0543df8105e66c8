"""The result of explaining a label's scores."""

import numbers
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from .._utils.params import check_integer
from .._utils.texts import check_texts


@dataclass(frozen=True, eq=False, repr=False)
class TreeExplanation:
    """What one tree says of a label.

    Level l of the tree, from 1 for the root's children to n_levels for the slots, is column l - 1
    of the arrays.

    Attributes
    ----------
    weight : float
        Weight of the tree in the label's score.
    nodes : ndarray of int32, shape (n_rows, n_levels)
        Nodes on the path to the label, as in `LabelTree.path`. If the label has several slots, the
        path leads to the slot with the highest score in the row.
    bias : ndarray of float32, shape (n_rows, n_levels)
        Bias of each node's ranker.
    margins : ndarray of float32, shape (n_rows, n_levels)
        Sum of the contributions of all features and the bias.
    factors : ndarray of float32, shape (n_rows, n_levels)
        Each margin after the post-processor.
    scores : ndarray of float32, shape (n_rows, n_levels)
        Factors joined with the scores of the parents. The last column is the tree's score of the
        label.
    ranks : ndarray of int32, shape (n_rows, n_levels - 1)
        Rank of the node in the beam, from 0. It is -1 if the beam does not hold the node.
    weights, contributions : tuple of csr_matrix of float32, shape (n_rows, n_features)
        Weights of the row's features at each level, and their products with the features. Features
        without a weight have no entry. Their weights may have been pruned.
    """

    weight: float
    nodes: np.ndarray
    bias: np.ndarray
    margins: np.ndarray
    factors: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray
    weights: tuple
    contributions: tuple

    @property
    def n_levels(self):
        """Levels below the root."""
        return self.nodes.shape[1]

    def __setstate__(self, state):
        state = dict(state)
        if "places" in state:  # its name in 0.1
            state["ranks"] = state.pop("places")
        vars(self).update(state)

    def __getitem__(self, rows):
        """Return the explanation of the rows of a slice."""
        levels = {name: [m[rows] for m in getattr(self, name)] for name in _LEVELS}
        arrays = {name: getattr(self, name)[rows] for name in _ARRAYS}
        return replace(self, **arrays, **{name: tuple(level) for name, level in levels.items()})

    def __repr__(self):
        return f"TreeExplanation(weight={self.weight:.4g}, n_levels={self.n_levels})"


_LEVELS = "weights", "contributions"
_ARRAYS = "nodes", "bias", "margins", "factors", "scores", "ranks"


@dataclass(frozen=True, eq=False, repr=False)
class NeighborExplanation:
    """Contributions of the nearest training rows to a label's score.

    Attributes
    ----------
    weight : float
        Weight of all neighbors in the label's score.
    rows : ndarray of int32, shape (n_rows, n_neighbors)
        Row numbers of the neighbors in the X of fit, most similar first. The first one of several
        equal rows. The numbers of the rows of `add_neighbors` follow those of fit. The padding is
        -1, and so are all numbers if an old release saved the model without them.
    similarities : ndarray of float32, shape (n_rows, n_neighbors)
        Cosine similarities, padded with 0.
    parts : ndarray of float64, shape (n_rows, n_neighbors)
        Weight of each neighbor, divided by the sum over the neighbors.
    carries : ndarray of bool, shape (n_rows, n_neighbors)
        Whether the row has the label.
    scores : ndarray of float64, shape (n_rows,)
        Sum of the parts of the rows that have the label.
    """

    weight: float
    rows: np.ndarray
    similarities: np.ndarray
    parts: np.ndarray
    carries: np.ndarray
    scores: np.ndarray

    def __getitem__(self, rows):
        """Return the explanation of some rows."""
        names = "rows", "similarities", "parts", "carries", "scores"
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def __repr__(self):
        return f"NeighborExplanation(weight={self.weight:.4g}, n_neighbors={self.rows.shape[1]})"


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Contributions to the scores of one label, in one or several rows.

    `XRLinearClassifier.explain` and `skxmr.inspection.explain` return it. ``print(explanation)``
    shows the largest contributions in the first row. ``explanation[i]`` is the explanation of row
    i.

    Attributes
    ----------
    label : int or str
        As in `classes_`.
    label_name : str
    column : int
        Its position there.
    X : csr_matrix of float32, shape (n_rows, n_features)
        The rows explained.
    scores : ndarray of float32, shape (n_rows,)
        The label's scores, whether or not the beam reaches it.
    summed : ndarray of bool, shape (n_rows,)
        Whether the contributions of trees and neighbors are added up. Always true for one tree
        without neighbors.
    trees : tuple of TreeExplanation
    neighbors : NeighborExplanation or None
    feature_names : ndarray of str or None
    post_processor : str

    Notes
    -----
    In a tree, a product of x and weight for each feature, and the bias, are added up to the margin
    v of a node. It becomes f(v) and joins the score p of the node above, of which there is none
    at the first level:

    ==============  ==============================  ===============
    post_processor  f(v)                            score
    ==============  ==============================  ===============
    noop            v                               f(v), p is lost
    sigmoid         1 / (1 + exp(-v))               p f(v)
    log-sigmoid     -log(1 + exp(-v))               p + f(v)
    l{q}-hinge      exp(-max(0, 1 - v)^q)           p f(v)
    log-l{q}-hinge  -max(0, 1 - v)^q                p + f(v)
    ==============  ==============================  ===============

    With several trees, or with neighbors, the score is the sum of `weight` times score over the
    trees and the neighbors. The post-processors with logarithms return the logarithm of this sum. A
    tree contributes to the sum if it ranks the label among its first 50. The neighbors are added if
    the trees together rank the label among their first 50 (a single tree: 20). A contribution from
    a lower rank replaces the sum if it is larger. `summed` is true for the rows in which all
    contributions are added up. Margins and scores are bitwise those of the search.
    """

    label: object
    label_name: str
    column: int
    X: sp.csr_matrix
    scores: np.ndarray
    summed: np.ndarray
    trees: tuple
    neighbors: NeighborExplanation | None
    feature_names: np.ndarray | None
    post_processor: str

    def __setstate__(self, state):
        if "votes" in state:  # of an earlier release, where all contributions were added up
            state = {
                **state,
                "neighbors": state["votes"],
                "summed": np.ones(len(state["scores"]), bool),
            }
            del state["votes"]
        vars(self).update(state)

    def __len__(self):
        return len(self.scores)

    def __getitem__(self, rows):
        """Take some rows: an Explanation of these, of one for an integer."""
        if isinstance(rows, numbers.Integral):
            rows = [range(len(self))[rows]]
        return replace(
            self,
            X=self.X[rows],
            scores=self.scores[rows],
            summed=self.summed[rows],
            trees=tuple(tree[rows] for tree in self.trees),
            neighbors=None if self.neighbors is None else self.neighbors[rows],
        )

    @property
    def reached(self):
        """Whether the beams of all trees lead to the label; ndarray of bool, shape (n_rows,)."""
        return np.all([(tree.ranks >= 0).all(axis=1) for tree in self.trees], axis=0)

    def name(self, feature):
        """Name a feature; without names, its number."""
        return int(feature) if self.feature_names is None else str(self.feature_names[feature])

    def top(self, k=10, *, row=0, tree=0):
        """List the largest contributions of each level in a row, by absolute value.

        Parameters
        ----------
        k : int, default=10
        row : int, default=0
        tree : int, default=0

        Returns
        -------
        levels : list of list of tuple (name, contribution)
            Ties by lower feature. Without feature names, numbers. The bias is not among them.
        """
        check_integer(k, "k", 1)
        check_integer(row, "row", 0, len(self) - 1)
        check_integer(tree, "tree", 0, len(self.trees) - 1)
        return [self._largest(level, row, k) for level in self.trees[tree].contributions]

    def _largest(self, contributions, row, k):
        part = slice(*contributions.indptr[row : row + 2])
        features, values = contributions.indices[part], contributions.data[part]
        order = np.argsort(-np.abs(values), kind="stable")[:k]
        return [(self.name(features[i]), float(values[i])) for i in order]

    def to_arrays(self):
        """List all contributions to margins, biases among them.

        Returns
        -------
        columns : dict of str to ndarray
            Of equal lengths: `row`; `tree`, from 0; `level`, from 1; `node`; `feature`, its number
            or -1 for the bias; `name`, if there are names; `value` of the feature; `weight`;
            `contribution`. For the bias, `value` is 1.
        """
        tables = [
            table
            for t, tree in enumerate(self.trees)
            for level in range(tree.n_levels)
            for table in (_features_of(self.X, t, tree, level), _biases_of(t, tree, level))
        ]
        columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
        order = np.lexsort((columns["level"], columns["tree"], columns["row"]))
        columns = {name: column[order] for name, column in columns.items()}
        if self.feature_names is not None:
            names = np.append(np.asarray(self.feature_names, dtype=object), "(bias)")
            columns["name"] = names[columns["feature"]]
        return columns

    def to_frame(self):
        """Return `to_arrays` as a pandas DataFrame.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_frame needs pandas; to_arrays has the same without") from error
        return pd.DataFrame(self.to_arrays())

    def to_text(self, k=8, *, row=0):
        """Say in words what made the score in a row.

        Parameters
        ----------
        k : int, default=8
            Contributions shown of each level, and neighbors.
        row : int, default=0

        Returns
        -------
        text : str
        """
        self.top(k, row=row)
        missed = "" if self.reached[row] else ", which the beam does not reach,"
        lines = [f"{self.label_name}{missed} scores {self.scores[row]:.4f} in row {row}"]
        if not self.summed[row]:
            lines[0] += "; it ranks too low for all parts to be added up, and the largest counts"
        for t, tree in enumerate(self.trees):
            lines.append(f"tree {t}: {tree.scores[row, -1]:.4f}, times {tree.weight:.4g}")
            for level, largest in enumerate(self.top(k, row=row, tree=t)):
                lines += _level_lines(tree, level, row, largest)
        return "\n".join(
            lines if self.neighbors is None else lines + _neighbor_lines(self.neighbors, row, k)
        )

    def __str__(self):
        return self.to_text()

    def __repr__(self):
        what = f"Explanation(label={self.label_name!r}, n_rows={len(self)}"
        score = "" if len(self) != 1 else f", score={self.scores[0]:.4f}"
        return f"{what}{score}, n_trees={len(self.trees)})"


def _features_of(X, t, tree, level):
    """The table of features that contributed at a level."""
    weights = tree.weights[level]
    contributions = tree.contributions[level]
    row = np.repeat(np.arange(X.shape[0]), np.diff(weights.indptr))
    of_entry = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    n_features = np.int64(X.shape[1])
    entries = of_entry * n_features + X.indices
    weighted = row * n_features + weights.indices
    return {
        **_heads(t, tree, level, row),
        "feature": weights.indices.astype(np.int64),
        "value": X.data[np.searchsorted(entries, weighted)],
        "weight": weights.data,
        "contribution": contributions.data,
    }


def _biases_of(t, tree, level):
    """The table of biases of a level, one for each row."""
    bias = tree.bias[:, level]
    return {
        **_heads(t, tree, level, np.arange(len(bias))),
        "feature": np.full(len(bias), -1, dtype=np.int64),
        "value": np.ones_like(bias),
        "weight": bias,
        "contribution": bias,
    }


def _heads(t, tree, level, row):
    node = tree.nodes[row, level]
    return {
        "row": row,
        "tree": np.full(len(row), t),
        "level": np.full(len(row), level + 1),
        "node": node,
    }


def _level_lines(tree, level, row, largest):
    """Lines about a level: the node, its largest contributions, and what is left."""
    margin = tree.margins[row, level]
    factor = tree.factors[row, level]
    bias = tree.bias[row, level]
    node = f"node {tree.nodes[row, level]}{_rank_in_beam(tree, level, row)}"
    lines = [f"  level {level + 1}, {node}: margin {margin:.4f} gives {factor:.4f}"]
    lines += [f"    {value:+9.4f}  {name}" for name, value in largest]
    others = tree.contributions[level][row].nnz - len(largest)
    if others:
        rest = tree.contributions[level][row].sum(dtype=np.float64) - sum(v for _, v in largest)
        lines.append(f"    {rest:+9.4f}  {others} other feature{'s' if others > 1 else ''}")
    return [*lines, f"    {bias:+9.4f}  (bias)"]


def _rank_in_beam(tree, level, row):
    """Describe the node's rank in the beam. There is none at the last level."""
    if level == tree.n_levels - 1:
        return ""
    rank = tree.ranks[row, level]
    return ", lost by the beam" if rank < 0 else f", rank {rank + 1} in the beam"


def _neighbor_lines(neighbors, row, k):
    """Lines about the neighbors that have the label, the most similar first."""
    carries = np.flatnonzero(neighbors.carries[row])
    n_neighbors = int((neighbors.similarities[row] > 0).sum())
    lines = [f"nearest neighbors: {neighbors.scores[row]:.4f}, times {neighbors.weight:.4g}; "]
    lines[0] += f"{len(carries)} of {n_neighbors} similar rows have the label"
    for j in carries[:k]:
        number, similarity = neighbors.rows[row, j], neighbors.similarities[row, j]
        name = f"row {number} of training" if number >= 0 else "a row of training"
        lines.append(f"    {neighbors.parts[row, j]:+9.4f}  {name}, similarity {similarity:.3f}")
    return lines


def find_label(label, classes):
    """Return the position of a label in the classes.

    If the classes are strings, a label may be given by its position as well.

    Raises
    ------
    ValueError
        If there is no such label.
    """
    strings = classes.dtype.kind in "UO"
    truth = isinstance(label, (bool, np.bool_))
    number = isinstance(label, numbers.Real) and not truth
    if strings and isinstance(label, numbers.Integral) and number and 0 <= label < len(classes):
        return int(label)
    if strings:
        fits = isinstance(label, str)
    elif classes.dtype.kind == "b":
        fits = truth
    else:
        fits = number
    found = np.flatnonzero(classes == label) if fits else []
    if len(found) == 0:
        raise ValueError(f"label must be one of the {len(classes)} classes, got {label!r:.80}")
    return int(found[0])


def check_feature_names(names, estimator):
    """Return feature names as an array, by default those the estimator was fitted with, if any."""
    if names is None:
        return getattr(estimator, "feature_names_in_", None)
    names = np.array(check_texts(names, "feature_names"), dtype=object)
    if len(names) != estimator.n_features_in_:
        raise ValueError(
            f"feature_names must be {estimator.n_features_in_} strings, one per feature, "
            f"got {len(names)}"
        )
    return names
