"""Contributions of features, levels, trees and neighbors to a label's score."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._core import CSRView, Frontier, Layer, compile_chunk, indptr_of
from .._data.features import leading_columns
from ..tree import LabelTree
from .base import Ranker, SearchOptions
from .ensemble import N_SUMMED_LABELS, TreeEnsemble
from .explanation import NeighborExplanation, TreeExplanation
from .post_processors import POST_PROCESSORS
from .tree_ranker import TreeRanker


class _Path(NamedTuple):
    """The rankers of the nodes that lead to a slot, from the root's child on.

    Attributes
    ----------
    nodes : tuple of int
    columns : list of SiblingWeights
        The weights of each, and its bias.
    """

    nodes: tuple
    columns: list


def explain_label(
    ranker: Ranker, trees: Sequence[LabelTree], X: sp.csr_matrix, label: int, options: SearchOptions
) -> tuple:
    """Take a label's scores apart, row by row.

    Parameters
    ----------
    ranker : Ranker
    trees : sequence of LabelTree
    X : csr_matrix of float32, shape (n_rows, n_features)
        Canonical.
    label : int
    options : SearchOptions
        Without frontier and restriction.

    Returns
    -------
    scores : ndarray of float32, shape (n_rows,)
    summed : ndarray of bool, shape (n_rows,)
        Whether the contributions of trees and neighbors are added up.
    trees : tuple of TreeExplanation
    neighbors, dense_neighbors : NeighborExplanation or None
        Of the neighbors by embeddings, the second.
    """
    ensemble = ranker
    if not isinstance(ranker, TreeEnsemble):
        ensemble = TreeEnsemble(ranker.trees)
    weight = ensemble.tree_weight
    n_features = X.shape[1]
    in_trees = leading_columns(X, ensemble.trees[0].n_features)
    explained = []
    parts = []
    for single, tree in zip(ensemble.trees, trees, strict=True):
        paths = [_read_path(single, nodes) for nodes in tree.path(label)]
        explained.append(_explain_tree(single, paths, in_trees, weight, options, n_features))
        parts.append(_weighted_scores(paths, in_trees, weight, options.post_processor))
    scores, summed, found = _join(ensemble, X, label, parts, options)
    neighbors = {}
    for part, of_part in zip(ensemble.neighbor_kinds, found, strict=True):
        kind = "embeddings" if part is ensemble.embeddings else "neighbors"
        weight = ensemble.score_weight(part)
        neighbors[kind] = _explain_neighbors(part, of_part, label, weight)
    explanations = neighbors.get("neighbors"), neighbors.get("embeddings")
    return scores, summed, tuple(explained), *explanations


def _join(ensemble, X, label, parts, options):
    """Join the contributions of the trees to a label as the ensemble joins rankings.

    Returns
    -------
    scores : ndarray of float32, shape (n_rows,)
    summed : ndarray of bool, shape (n_rows,)
    found : list of tuple
        The nearest rows and their similarities, of each kind of neighbors.
    """
    view = CSRView(X)
    n_rows = X.shape[0]
    logarithms = options.post_processor.is_log
    summed = np.ones(n_rows, dtype=bool)
    scores = parts[0]
    if len(parts) > 1:
        lists = []
        for single, part in zip(ensemble.trees, parts, strict=True):
            n_listed = ensemble.n_listed(1)
            of_tree = ensemble.view_of_trees(view, 0, n_rows)
            ranking = single.rank(
                of_tree, 0, n_rows, n_listed, options, weight=ensemble.tree_weight
            )
            first = _ranks_among(ranking, label, part, N_SUMMED_LABELS)
            summed &= first
            lists.append(_listed(label, part, first))
        averaged = ensemble.averaged(lists, 1, logarithms=logarithms, n_head=1)
        scores = averaged[1][:, 0]
    if not ensemble.neighbor_kinds:
        return scores, summed, []
    ranking = ensemble.averaged_ranking(view, 0, n_rows, ensemble.n_listed(1), options)
    first = _ranks_among(ranking, label, scores, ensemble.n_head)
    found = ensemble.find_neighbors(ranking[0], view, 0, n_rows)
    listed = _listed(label, scores, first)
    # The neighbors have other labels as well.
    n_mixed = min(1 + ensemble.max_neighbor_labels, ensemble.n_labels)
    labels, mixed = ensemble.mixed(*listed, found, n_mixed, logarithms=logarithms, n_head=1)
    return np.where(labels == label, mixed, -np.inf).max(axis=1), summed & first, found


def _ranks_among(ranking, label, scores, n):
    """Whether a label with these scores is among the first n of a ranking, or would be."""
    labels, others = ranking
    scores = scores[:, np.newaxis]
    before = (others > scores) | ((others == scores) & (labels < label))
    return (before & (labels >= 0) & (labels != label)).sum(axis=1) < n


def _listed(label, scores, first):
    """Return a ranking of two labels per row: the label is the first one if it is to be added."""
    chosen = np.where(first, 0, 1)
    is_there = np.array([0, 1]) == chosen[:, np.newaxis]
    labels = np.where(is_there, label, -1).astype(np.int32)
    return labels, np.where(is_there, scores[:, np.newaxis], -np.inf).astype(np.float32)


# ---- one tree ----


def _explain_tree(model, paths, X, weight, options, n_features):
    """Explain the score that a tree gives to a label: that of the best of its slots.

    X has the columns of the tree. The weights and contributions have `n_features` columns.
    """
    followed = [_follow(path, X, options.post_processor) for path in paths]
    margins, factors, scores = (np.stack(part) for part in zip(*followed, strict=True))
    best = np.argmax(scores[:, :, -1], axis=0)
    rows = np.arange(len(best))
    nodes = np.array([path.nodes for path in paths], dtype=np.int32)[best]
    biases = np.array([[column.bias[0] for column in path.columns] for path in paths])
    met = [
        _features_met(X, [path.columns[level] for path in paths], best, n_features)
        for level in range(len(model.layers))
    ]
    weights, contributions = zip(*met, strict=True)
    return TreeExplanation(
        weight=weight,
        nodes=nodes,
        bias=biases[best],
        margins=margins[best, rows],
        factors=factors[best, rows],
        scores=scores[best, rows],
        ranks=_ranks_in_beam(model, nodes, X, options),
        weights=weights,
        contributions=contributions,
    )


def _read_path(model, nodes):
    levels = zip(model.layers, nodes, strict=True)
    return _Path(nodes, [layer.child(node, model.n_features) for layer, node in levels])


def _follow(path, X, post_processor):
    """Return margins, processed margins and scores, bit by bit as the search computes them.

    Returns
    -------
    margins, factors, scores : ndarray of float32, shape (n_rows, n_levels)
    """
    margins = []
    factors = []
    for columns in path.columns:
        model = _single(columns, X.shape[1])
        margins.append(_score(model, X, POST_PROCESSORS["noop"]))
        factors.append(_score(model, X, post_processor))
    scores = _path_scores(path, X, 1.0, post_processor)
    return [np.stack(part, axis=1) for part in (margins, factors, scores)]


def _path_scores(path, X, weight, post_processor):
    """Return the scores of a path's nodes, level by level, with that of the root weighted."""
    scores = []
    for columns in path.columns:
        model = _single(columns, X.shape[1])
        if scores:
            scores.append(_score(model, X, post_processor, parent=scores[-1]))
        else:
            scores.append(_score(model, X, post_processor, weight=weight))
    return scores


def _weighted_scores(paths, X, weight, post_processor):
    """Return the weighted scores of a label in a tree, bit by bit as the search computes them."""
    return np.max([_path_scores(path, X, weight, post_processor)[-1] for path in paths], axis=0)


def _single(columns, n_features):
    """Return a ranker of a single label with these weights."""
    chunk = compile_chunk(columns, n_features)
    layer = Layer.from_chunks(np.array([0, 1], dtype=np.int64), [chunk])
    return TreeRanker([layer], np.zeros(1, dtype=np.int32), 1, n_features)


def _score(model, X, post_processor, *, parent=None, weight=1.0):
    n_rows = X.shape[0]
    frontier = None
    if parent is not None:
        pointers = np.arange(n_rows + 1, dtype=np.int64)
        root = np.zeros(n_rows, dtype=np.int32)
        frontier = (Frontier(0, pointers, root, np.ascontiguousarray(parent)),)
    options = SearchOptions(1, post_processor, frontier=frontier)
    return model.rank(CSRView(X), 0, n_rows, 1, options, weight=weight)[1][:, 0]


def _features_met(X, columns, best, n_features):
    """Which features of each row have a weight in the column that is best for the row.

    Returns
    -------
    weights, contributions : csr_matrix of float32, shape (n_rows, n_features)
        The weights, and their products with the features, rounded as the search rounds them.
    """
    column_of_entry = np.repeat(best, np.diff(X.indptr))
    weights = np.zeros(X.nnz, dtype=np.float32)
    for i, column in enumerate(columns):
        entries = np.flatnonzero(column_of_entry == i)
        dense = np.zeros(X.shape[1], dtype=np.float32)
        dense[column.features] = column.values
        weights[entries] = dense[X.indices[entries]]
    met = weights != 0
    indptr = indptr_of(met)[X.indptr]
    with np.errstate(over="ignore", under="ignore"):
        products = X.data[met] * weights[met]
    parts = weights[met], products
    shape = (X.shape[0], n_features)
    return [sp.csr_matrix((part, X.indices[met], indptr), shape=shape) for part in parts]


def _ranks_in_beam(model, nodes, X, options):
    """Return the ranks of nodes in the beams of the levels above the last.

    Returns
    -------
    ranks : ndarray of int32, shape (n_rows, n_levels - 1)
        From 0; -1 if the beam does not hold the node.
    """
    ranks = np.full((X.shape[0], len(model.layers) - 1), -1, dtype=np.int32)
    for level in range(ranks.shape[1]):
        layers = model.layers[: level + 1]
        n_nodes = len(layers[-1].bias)
        every_node = np.arange(n_nodes, dtype=np.int32)
        beam = TreeRanker(layers, every_node, n_nodes, X.shape[1], max_copies=1)
        width = min(options.beam_width, n_nodes)
        kept, _ = beam.rank(CSRView(X), 0, X.shape[0], width, options)
        row, rank = np.nonzero(kept == nodes[:, [level]])
        ranks[row, level] = rank
    return ranks


# ---- nearest neighbors ----


def _explain_neighbors(weighted, found, label, weight):
    neighbors, similarities = found
    held, there = weighted.rows, neighbors >= 0
    weights = _neighbor_weights(weighted, neighbors, similarities)
    total = weights.sum(axis=1, keepdims=True)
    parts = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    pointers = held.arrays["posting_ptr"]
    postings = held.arrays["postings"][pointers[label] : pointers[label + 1]]
    carries = there & np.isin(neighbors, postings)
    rows = np.full(neighbors.shape, -1, dtype=np.int32)
    if held.source is not None:
        rows[there] = held.source[neighbors[there]]
    return NeighborExplanation(
        weight=weight,
        rows=rows,
        similarities=similarities,
        parts=parts,
        carries=carries,
        scores=(parts * carries).sum(axis=1),
    )


def _neighbor_weights(weighted, neighbors, similarities):
    """Weight of each neighbor. Row weights count until they add up to `n_neighbors`."""
    weight = np.where(neighbors >= 0, weighted.rows.arrays["weight"][neighbors], 0.0)
    left = weighted.weighting.n_neighbors - (np.cumsum(weight, axis=1) - weight)
    # Relative to the most similar row, so that no power of all of them is too small to be seen.
    relative = similarities.astype(np.float64) / np.maximum(similarities[:, :1], 1e-38)
    return np.clip(left, 0, weight) * relative**weighted.weighting.power
