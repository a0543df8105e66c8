"""What features, levels, trees and voters contributed to a label's score."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._core import CSRView, Frontier, Layer, Model, compile_chunk
from .ensemble import LISTED, Forest, is_logarithmic
from .explanation import TreeExplanation, VoteExplanation


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


def explain_label(model, trees, X, label, *, beam_width, post_processor):
    """Take a label's scores apart, row by row.

    Parameters
    ----------
    model : Model or Forest
    trees : sequence of LabelTree
    X : csr_matrix of float32, shape (n_rows, n_features)
        Canonical.
    label : int
    beam_width : int
    post_processor : str

    Returns
    -------
    scores : ndarray of float32, shape (n_rows,)
    summed : ndarray of bool, shape (n_rows,)
        Whether the scores are sums of what trees and votes say.
    trees : tuple of TreeExplanation
    votes : VoteExplanation or None
    """
    forest = model if isinstance(model, Forest) else Forest([model])
    search = {"beam_width": beam_width, "post_processor": post_processor}
    explained = []
    parts = []
    for single, tree in zip(forest.trees, trees, strict=True):
        paths = [_read_path(single, nodes) for nodes in tree.path(label)]
        explained.append(_explain_tree(single, paths, X, weight=forest.tree_weight, **search))
        parts.append(_weighted_scores(paths, X, forest.tree_weight, post_processor))
    scores, summed, found = _join(forest, X, label, parts, search)
    votes = None if found is None else _explain_votes(forest.votes, found, label)
    return scores, summed, tuple(explained), votes


def _join(forest, X, label, parts, search):
    """Join what each tree says of a label as the forest joins rankings.

    Returns
    -------
    scores : ndarray of float32, shape (n_rows,)
    summed : ndarray of bool, shape (n_rows,)
    found : tuple
        The rows that vote, and their similarities; None if nobody votes.
    """
    view, n_rows = CSRView(X), X.shape[0]
    logarithms = is_logarithmic(search["post_processor"])
    summed = np.ones(n_rows, dtype=bool)
    scores = parts[0]
    if len(parts) > 1:
        options = {**search, "weight": forest.tree_weight}
        lists = []
        for single, part in zip(forest.trees, parts, strict=True):
            ranking = single.rank(view, 0, n_rows, k=forest.n_listed(1), **options)
            first = _ranks_among(ranking, label, part, LISTED)
            summed &= first
            lists.append(_listed(label, part, first))
        averaged = forest.averaged(lists, 1, logarithms=logarithms, n_head=1)
        scores = averaged[1][:, 0]
    if forest.votes is None:
        return scores, summed, None
    ranking = forest.averaged_ranking(view, 0, n_rows, forest.n_listed(1), **search)
    first = _ranks_among(ranking, label, scores, forest.n_head)
    found = forest.voters_for(ranking[0], view, 0, n_rows)
    listed = _listed(label, scores, first)
    # The votes speak for other labels, too.
    lengths = np.diff(forest.votes.voters.arrays["label_ptr"])
    k = 1 + forest.votes.mixture.n_neighbors * int(lengths.max(initial=0))
    how = {"logarithms": logarithms, "n_head": 1}
    labels, mixed = forest.mixed(*listed, found, min(k, forest.n_labels), **how)
    return np.where(labels == label, mixed, -np.inf).max(axis=1), summed & first, found


def _ranks_among(ranking, label, scores, n):
    """Whether a label with these scores is among the first n of a ranking, or would be."""
    labels, others = ranking
    scores = scores[:, np.newaxis]
    before = (others > scores) | ((others == scores) & (labels < label))
    return (before & (labels >= 0) & (labels != label)).sum(axis=1) < n


def _listed(label, scores, first):
    """A list of two places per row: the first one for what is added up, else the second one."""
    places = np.array([0, 1])
    there = places == np.where(first, 0, 1)[:, np.newaxis]
    labels = np.where(there, label, -1).astype(np.int32)
    return labels, np.where(there, scores[:, np.newaxis], -np.inf).astype(np.float32)


# ---- one tree ----


def _explain_tree(model, paths, X, *, weight, beam_width, post_processor):
    """Explain the score that a tree gives to a label: that of the best of its slots."""
    followed = np.array([_follow(path, X, post_processor) for path in paths])
    best = np.argmax(followed[:, 2, :, -1], axis=0)
    margins, factors, scores = np.moveaxis(followed[best, :, np.arange(len(best))], 1, 0)
    nodes = np.array([path.nodes for path in paths], dtype=np.int32)[best]
    levels = range(len(model.layers))
    met = [_features_met(X, [path.columns[level] for path in paths], best) for level in levels]
    weights, contributions = zip(*met, strict=True)
    return TreeExplanation(
        weight=weight,
        nodes=nodes,
        bias=np.array([[c.bias[0] for c in path.columns] for path in paths])[best],
        margins=margins,
        factors=factors,
        scores=scores,
        places=_places(model, nodes, X, beam_width, post_processor),
        weights=weights,
        contributions=contributions,
    )


def _read_path(model, nodes):
    levels = zip(model.layers, nodes, strict=True)
    return _Path(nodes, [layer.child(node, model.n_features) for layer, node in levels])


def _follow(path, X, post_processor):
    """Margins, what they are processed to, and scores, as the search computes them bit by bit.

    Returns
    -------
    margins, factors, scores : ndarray of float32, shape (n_rows, n_levels)
    """
    margins, factors = [], []
    for columns in path.columns:
        model = _single(columns, X.shape[1])
        margins.append(_score(model, X, "noop"))
        factors.append(_score(model, X, post_processor))
    scores = _path_scores(path, X, 1.0, post_processor)
    return [np.stack(part, axis=1) for part in (margins, factors, scores)]


def _path_scores(path, X, weight, post_processor):
    """The scores of a path's nodes, level by level, with that of the root weighted."""
    scores = []
    for columns in path.columns:
        start = {"parent": scores[-1]} if scores else {"weight": weight}
        scores.append(_score(_single(columns, X.shape[1]), X, post_processor, **start))
    return scores


def _weighted_scores(paths, X, weight, post_processor):
    """The weighted score that a tree gives to a label, as the search computes it bit by bit."""
    return np.max([_path_scores(path, X, weight, post_processor)[-1] for path in paths], axis=0)


def _single(columns, n_features):
    """A model of a single label, ranked by these weights."""
    chunk = compile_chunk(columns, n_features)
    layer = Layer.from_chunks(np.array([0, 1], dtype=np.int64), [chunk])
    return Model([layer], np.zeros(1, dtype=np.int32), 1, n_features)


def _score(model, X, post_processor, *, parent=None, weight=1.0):
    n = X.shape[0]
    options = {"k": 1, "beam_width": 1, "post_processor": post_processor, "weight": weight}
    if parent is not None:
        begin = np.arange(n + 1, dtype=np.int64), np.zeros(n, dtype=np.int32)
        options["frontier"] = Frontier(0, *begin, np.ascontiguousarray(parent))
    return model.rank(CSRView(X), 0, n, **options)[1][:, 0]


def _features_met(X, columns, best):
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
    indptr = np.concatenate(([0], np.cumsum(met)))[X.indptr]
    with np.errstate(over="ignore", under="ignore"):
        products = X.data[met] * weights[met]
    parts = weights[met], products
    return [sp.csr_matrix((part, X.indices[met], indptr), shape=X.shape) for part in parts]


def _places(model, nodes, X, beam_width, post_processor):
    """Places of nodes in the beams of the levels above the last: from 0, and -1 where lost."""
    places = np.full((X.shape[0], len(model.layers) - 1), -1, dtype=np.int32)
    for level in range(places.shape[1]):
        layers = model.layers[: level + 1]
        n = len(layers[-1].bias)
        width = min(beam_width, n)
        beam = Model(layers, np.arange(n, dtype=np.int32), n, X.shape[1], max_copies=1)
        options = {"k": width, "beam_width": beam_width, "post_processor": post_processor}
        kept, _ = beam.rank(CSRView(X), 0, X.shape[0], **options)
        row, place = np.nonzero(kept == nodes[:, [level]])
        places[row, level] = place
    return places


# ---- votes ----


def _explain_votes(votes, found, label):
    neighbors, similarities = found
    voters, there = votes.voters, found[0] >= 0
    vote = _vote_weights(votes, neighbors, similarities)
    total = vote.sum(axis=1, keepdims=True)
    parts = np.divide(vote, total, out=np.zeros_like(vote), where=total > 0)
    a = voters.arrays
    postings = a["postings"][a["posting_ptr"][label] : a["posting_ptr"][label + 1]]
    carries = there & np.isin(neighbors, postings)
    rows = np.full(neighbors.shape, -1, dtype=np.int32)
    if voters.source is not None:
        rows[there] = voters.source[neighbors[there]]
    return VoteExplanation(
        weight=votes.mixture.share,
        rows=rows,
        similarities=similarities,
        parts=parts,
        carries=carries,
        scores=(parts * carries).sum(axis=1),
    )


def _vote_weights(votes, neighbors, similarities):
    """How much each vote counts: of a row of some weight, only what there is still room for."""
    weight = np.where(neighbors >= 0, votes.voters.arrays["weight"][neighbors], 0.0)
    room = votes.mixture.n_neighbors - (np.cumsum(weight, axis=1) - weight)
    # Relative to the most similar row, so that no power of all of them is too small to be seen.
    relative = similarities.astype(np.float64) / np.maximum(similarities[:, :1], 1e-38)
    return np.clip(room, 0, weight) * relative**votes.mixture.power
