"""Explanations of the scores of a label."""

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._utils.pairs import row_of_entries
from .._utils.params import check_integer
from .._utils.texts import check_texts


@dataclass(frozen=True, eq=False, repr=False)
class TreeExplanation:
    """Contributions of one tree to the scores of a label.

    Column l - 1 of the arrays is level l of the tree. Level 1 has the children of the root, and
    level n_levels has the slots.

    Attributes
    ----------
    weight : float
        Weight of the tree in the score of the label.
    nodes : ndarray of int32, shape (n_rows, n_levels)
        Nodes on the path to the label, as in `LabelTree.path`. If the label has several slots, the
        path leads to the slot with the highest score in the row.
    bias : ndarray of float32, shape (n_rows, n_levels)
        Bias of the ranker of each node.
    margins : ndarray of float32, shape (n_rows, n_levels)
        Sum of the contributions of all features and the bias.
    factors : ndarray of float32, shape (n_rows, n_levels)
        Each margin after the post-processor.
    scores : ndarray of float32, shape (n_rows, n_levels)
        Factors combined with the scores of the parents. The last column is the score that the tree
        gives the label.
    ranks : ndarray of int32, shape (n_rows, n_levels - 1)
        Rank of the node in the beam, starting at 0. It is -1 if the node is not in the beam.
    weights : tuple of csr_matrix of float32, shape (n_rows, n_features)
        Weights of the features of the rows, one matrix per level. A feature without a weight has no
        entry. Its weight may have been pruned.
    contributions : tuple of csr_matrix of float32, shape (n_rows, n_features)
        Products of `weights` and the features, one matrix per level.
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
    def n_levels(self) -> int:
        """Number of levels below the root."""
        return self.nodes.shape[1]

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if "places" in state:  # the name of `ranks` in 0.1
            state["ranks"] = state.pop("places")
        vars(self).update(state)

    def __getitem__(self, rows: Any) -> "TreeExplanation":
        """Return the explanation of some rows, given by a slice or by numbers."""
        return replace(
            self,
            nodes=self.nodes[rows],
            bias=self.bias[rows],
            margins=self.margins[rows],
            factors=self.factors[rows],
            scores=self.scores[rows],
            ranks=self.ranks[rows],
            weights=tuple(matrix[rows] for matrix in self.weights),
            contributions=tuple(matrix[rows] for matrix in self.contributions),
        )

    def __repr__(self) -> str:
        return f"TreeExplanation(weight={self.weight:.4g}, n_levels={self.n_levels})"


@dataclass(frozen=True, eq=False, repr=False)
class NeighborExplanation:
    """Contributions of the nearest neighbors to the scores of a label.

    Attributes
    ----------
    weight : float
        Weight of all neighbors together in the score of the label.
    rows : ndarray of int32, shape (n_rows, n_neighbors)
        Row numbers of the neighbors in the X of fit, most similar first, padded with -1. If
        several rows are equal, it is the number of the first one. Rows of `add_neighbors` are
        numbered after those of fit. All numbers are -1 if the model was saved by an old release
        without row numbers.
    similarities : ndarray of float32, shape (n_rows, n_neighbors)
        Cosine similarities, padded with 0.
    parts : ndarray of float64, shape (n_rows, n_neighbors)
        Weight of each neighbor, divided by the sum over the neighbors.
    carries : ndarray of bool, shape (n_rows, n_neighbors)
        Whether each neighbor has the label.
    scores : ndarray of float64, shape (n_rows,)
        Sum of the parts of the neighbors with the label.
    """

    weight: float
    rows: np.ndarray
    similarities: np.ndarray
    parts: np.ndarray
    carries: np.ndarray
    scores: np.ndarray

    def __getitem__(self, rows: Any) -> "NeighborExplanation":
        """Return the explanation of some rows."""
        return replace(
            self,
            rows=self.rows[rows],
            similarities=self.similarities[rows],
            parts=self.parts[rows],
            carries=self.carries[rows],
            scores=self.scores[rows],
        )

    def __repr__(self) -> str:
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
        The label, as in `classes_`.
    label_name : str
        Name of the label in texts.
    column : int
        Position of the label in `classes_`.
    X : csr_matrix of float32, shape (n_rows, n_features)
        The explained rows.
    scores : ndarray of float32, shape (n_rows,)
        Scores of the label, whether or not the beam reaches it.
    summed : ndarray of bool, shape (n_rows,)
        Whether the contributions of trees and neighbors are summed. Always true for one tree
        without neighbors.
    trees : tuple of TreeExplanation
        Contributions of each tree.
    neighbors : NeighborExplanation or None
        Contributions of the nearest neighbors. None for a model without neighbors.
    feature_names : ndarray of str or None
        Names of the features, if known.
    post_processor : str
        Post-processor of the scores.
    dense_neighbors : NeighborExplanation or None
        Contributions of the nearest neighbors by dense columns. None for a model without them.

    Notes
    -----
    In a tree, the margin v of a node is the sum of its bias and of the product of value and weight
    for each feature. The post-processor f converts the margin to f(v) and combines it with the
    score p of the parent. At the first level there is no p, and the score is f(v):

    ==============  ==============================  ===============
    post_processor  f(v)                            score
    ==============  ==============================  ===============
    noop            v                               f(v) without p
    sigmoid         1 / (1 + exp(-v))               p f(v)
    log-sigmoid     -log(1 + exp(-v))               p + f(v)
    l{q}-hinge      exp(-max(0, 1 - v)^q)           p f(v)
    log-l{q}-hinge  -max(0, 1 - v)^q                p + f(v)
    ==============  ==============================  ===============

    With several trees, or with neighbors, the score is the sum of `weight` times score over the
    trees and the neighbors. The post-processors with logarithms return the logarithm of this sum. A
    tree contributes to the sum if it ranks the label among its first 50. The neighbors are added if
    the trees together rank the label among their first 50 (a single tree: 20, or 30 with neighbors
    by dense columns). A contribution from a lower rank replaces the sum if it is larger. `summed`
    is true for the rows in which all contributions are summed. Margins and scores are bitwise equal
    to those of the search.
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
    dense_neighbors: NeighborExplanation | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "votes" in state:  # an earlier release, which summed all contributions
            state = dict(state)
            state["neighbors"] = state.pop("votes")
            state["summed"] = np.ones(len(state["scores"]), bool)
        vars(self).update({"dense_neighbors": None, **state})

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: Any) -> "Explanation":
        """Return the Explanation of some rows, or of one row if `rows` is an integer."""
        if isinstance(rows, numbers.Integral):
            rows = [range(len(self))[rows]]
        return replace(
            self,
            X=self.X[rows],
            scores=self.scores[rows],
            summed=self.summed[rows],
            trees=tuple(tree[rows] for tree in self.trees),
            neighbors=None if self.neighbors is None else self.neighbors[rows],
            dense_neighbors=None if self.dense_neighbors is None else self.dense_neighbors[rows],
        )

    @property
    def reached(self) -> np.ndarray:
        """Whether the beams of all trees reach the label; ndarray of bool, shape (n_rows,)."""
        return np.all([(tree.ranks >= 0).all(axis=1) for tree in self.trees], axis=0)

    def name(self, feature: int) -> int | str:
        """Return the name of a feature, or its number if there are no names."""
        return int(feature) if self.feature_names is None else str(self.feature_names[feature])

    def top(self, k: int = 10, *, row: int = 0, tree: int = 0) -> list[list[tuple]]:
        """Return the features with the largest contributions at each level, by absolute value.

        Parameters
        ----------
        k : int, default=10
            Number of features per level.
        row : int, default=0
            Number of the explained row.
        tree : int, default=0
            Number of the tree.

        Returns
        -------
        levels : list of list of tuple (name, contribution)
            Ties are broken by the lower feature. Without feature names, a name is the number of
            the feature. The bias is not included.
        """
        check_integer(k, "k", 1)
        check_integer(row, "row", 0, len(self) - 1)
        check_integer(tree, "tree", 0, len(self.trees) - 1)
        return [self._largest(level, row, k) for level in self.trees[tree].contributions]

    def _largest(self, contributions, row, k):
        part = slice(*contributions.indptr[row : row + 2])
        features = contributions.indices[part]
        values = contributions.data[part]
        order = np.argsort(-np.abs(values), kind="stable")[:k]
        return [(self.name(features[i]), float(values[i])) for i in order]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all contributions to margins, including biases, as the columns of a table.

        Returns
        -------
        columns : dict of str to ndarray
            Arrays of equal lengths: `row`; `tree`, starting at 0; `level`, starting at 1; `node`;
            `feature`, the number of the feature or -1 for the bias; `name`, if there are feature
            names; `value` of the feature, which is 1 for the bias; `weight`; `contribution`.
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

    def to_frame(self) -> Any:
        """Return `to_arrays` as a pandas DataFrame.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame needs pandas; to_arrays returns the same without it"
            ) from error
        return pd.DataFrame(self.to_arrays())

    def to_text(self, k: int = 8, *, row: int = 0) -> str:
        """Describe the score of a row as text.

        Parameters
        ----------
        k : int, default=8
            Number of contributions shown per level, and of neighbors.
        row : int, default=0
            Number of the explained row.

        Returns
        -------
        text : str
        """
        self.top(k, row=row)
        missed = "" if self.reached[row] else ", which the beam does not reach,"
        lines = [f"{self.label_name}{missed} scores {self.scores[row]:.4f} in row {row}"]
        if not self.summed[row]:
            lines[0] += "; it ranks too low for a sum, so its score is the largest part"
        for t, tree in enumerate(self.trees):
            lines.append(f"tree {t}: {tree.scores[row, -1]:.4f}, times {tree.weight:.4g}")
            for level, largest in enumerate(self.top(k, row=row, tree=t)):
                lines += _level_lines(tree, level, row, largest)
        if self.neighbors is not None:
            lines += _neighbor_lines(self.neighbors, "nearest neighbors", row, k)
        if self.dense_neighbors is not None:
            lines += _neighbor_lines(self.dense_neighbors, "neighbors by embeddings", row, k)
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        what = f"Explanation(label={self.label_name!r}, n_rows={len(self)}"
        score = "" if len(self) != 1 else f", score={self.scores[0]:.4f}"
        return f"{what}{score}, n_trees={len(self.trees)})"


def _features_of(X, t, tree, level):
    """Return the table of the contributions of features at a level."""
    weights = tree.weights[level]
    contributions = tree.contributions[level]
    row = row_of_entries(weights)
    of_entry = row_of_entries(X)
    n_features = np.int64(X.shape[1])
    entries = of_entry * n_features + X.indices
    weighted = row * n_features + weights.indices
    return {
        **_position(t, tree, level, row),
        "feature": weights.indices.astype(np.int64),
        "value": X.data[np.searchsorted(entries, weighted)],
        "weight": weights.data,
        "contribution": contributions.data,
    }


def _biases_of(t, tree, level):
    """Return the table of the biases at a level, with one entry per row."""
    bias = tree.bias[:, level]
    return {
        **_position(t, tree, level, np.arange(len(bias))),
        "feature": np.full(len(bias), -1, dtype=np.int64),
        "value": np.ones_like(bias),
        "weight": bias,
        "contribution": bias,
    }


def _position(t, tree, level, row):
    return {
        "row": row,
        "tree": np.full(len(row), t),
        "level": np.full(len(row), level + 1),
        "node": tree.nodes[row, level],
    }


def _level_lines(tree, level, row, largest):
    """Return lines about a level: the node, its largest contributions, and the rest."""
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
    """Describe the rank of the node in the beam. The last level has no beam."""
    if level == tree.n_levels - 1:
        return ""
    rank = tree.ranks[row, level]
    return ", not in the beam" if rank < 0 else f", rank {rank + 1} in the beam"


def _neighbor_lines(neighbors, name, row, k):
    """Return lines about the neighbors with the label, most similar first."""
    with_label = np.flatnonzero(neighbors.carries[row])
    n_neighbors = int((neighbors.similarities[row] > 0).sum())
    lines = [f"{name}: {neighbors.scores[row]:.4f}, times {neighbors.weight:.4g}; "]
    lines[0] += f"{len(with_label)} of {n_neighbors} similar rows have the label"
    for j in with_label[:k]:
        number = neighbors.rows[row, j]
        similarity = neighbors.similarities[row, j]
        name = f"row {number} of training" if number >= 0 else "a row of training"
        lines.append(f"    {neighbors.parts[row, j]:+9.4f}  {name}, similarity {similarity:.3f}")
    return lines


def find_label(label: Any, classes: np.ndarray) -> int:
    """Return the position of a label in the classes.

    If the classes are strings, a label may also be given by its position.

    Raises
    ------
    ValueError
        If there is no such label.
    """
    is_bool = isinstance(label, (bool, np.bool_))
    if classes.dtype.kind in "UO":
        is_integer = isinstance(label, numbers.Integral) and not is_bool
        if is_integer and 0 <= label < len(classes):
            return int(label)
        fits = isinstance(label, str)
    elif classes.dtype.kind == "b":
        fits = is_bool
    else:
        fits = isinstance(label, numbers.Real) and not is_bool
    found = np.flatnonzero(classes == label) if fits else []
    if len(found) > 1:
        raise ValueError(
            f"label must be a position, because {len(found)} labels are named {label!r:.80}: "
            f"{found[:5].tolist()}"
        )
    if len(found) == 0:
        raise ValueError(f"label must be one of the {len(classes)} classes, got {label!r:.80}")
    return int(found[0])


def check_feature_names(names: Sequence[str] | None, estimator: Any) -> np.ndarray | None:
    """Validate feature names; return them as an array.

    By default, these are the names that the estimator was fitted with, or None if it has none.
    """
    if names is None:
        return getattr(estimator, "feature_names_in_", None)
    names = np.array(check_texts(names, "feature_names"), dtype=object)
    if len(names) != estimator.n_features_in_:
        raise ValueError(
            f"feature_names must be {estimator.n_features_in_} strings, one per feature, "
            f"got {len(names)}"
        )
    return names
