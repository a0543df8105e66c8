"""Labels that a fitted model forgets: their slots are removed from its trees."""

import numpy as np

from .._core import (
    Layer,
    SiblingWeights,
    compile_chunk,
    divide_into_chunks,
    indptr_of,
    read_chunk,
)
from .._ranking.tree_ranker import TreeRanker
from .._utils.folder import check_unread
from ..tree import LabelTree


def reduced_tree(tree, renumbered):
    """Remove the slots of labels from a tree. Its nodes stay, and clusters may become empty.

    Parameters
    ----------
    tree : LabelTree
    renumbered : ndarray of int32, shape (n_labels,)
        The new number of each label, or -1 to remove it.

    Returns
    -------
    tree : LabelTree
    """
    label = renumbered[tree.slot_label]
    n_kept_before = indptr_of(label >= 0)
    pointers = n_kept_before[tree.child_ptr[-1]]
    return LabelTree([*tree.child_ptr[:-1], pointers], label[label >= 0])


def reduced_ranker(ranker, tree, renumbered):
    """Remove the weights of labels from a ranker. The other weights stay as they are.

    Parameters
    ----------
    ranker : TreeRanker
    tree : LabelTree
        As of `reduced_tree`.
    renumbered : ndarray of int32
        As for `reduced_tree`.

    Returns
    -------
    ranker : TreeRanker
    """
    layer = ranker.layers[-1]
    check_unread(vars(layer), layer.checksums)
    stays = renumbered[ranker.slot_label] >= 0
    chunks = _reduced_chunks(layer, ranker.n_features, stays)
    layers = [*ranker.layers[:-1], Layer.from_chunks(tree.child_ptr[-1], chunks)]
    return TreeRanker(layers, tree.slot_label, tree.n_labels, ranker.n_features)


def _reduced_chunks(layer, n_features, stays):
    """Go through the chunks of a layer without some of the children."""
    for node in range(len(layer.child_ptr) - 1):
        begin, end = layer.child_ptr[node : node + 2].tolist()
        chunks = [layer.chunk(c) for c in range(*layer.chunk_ptr[node : node + 2].tolist())]
        if stays[begin:end].all():
            yield from chunks
        elif stays[begin:end].any():
            columns = [read_chunk(chunk, n_features) for chunk in chunks]
            ends = np.cumsum([len(part.bias) for part in columns])[:-1]
            kept = np.split(stays[begin:end], ends)
            parts = [_columns_of(part, which) for part, which in zip(columns, kept, strict=True)]
            for part in divide_into_chunks(parts):
                yield compile_chunk(part, n_features, layer.weight_dtype)


def _columns_of(weights, kept):
    """Return some columns of SiblingWeights, without features that none of them has."""
    lengths = np.diff(weights.col_ptr)
    which = np.repeat(kept, lengths)
    used, entries = np.unique(weights.entries[which], return_inverse=True)
    return SiblingWeights(
        weights.features[used],
        indptr_of(lengths[kept]),
        entries.astype(np.int32),
        weights.values[which],
        weights.bias[kept],
        None if weights.dense is None else weights.dense[kept],
    )
