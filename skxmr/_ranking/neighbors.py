"""Training rows among which nearest neighbors are found."""

import numpy as np
import scipy.sparse as sp

from .._core import NeighborRows, csr_hash_rows, csr_rows_equal, csr_transpose, indptr_of, pack_rows
from .._utils.folder import check_unread


def make_neighbor_rows(examples):
    """Make NeighborRows of training examples.

    Rows of a label are compared with a query one after the other, and so lie side by side where
    they can: a fifth less time on a catalogue.
    """
    order = _by_label(examples.Y)
    source, Y = examples.source[order], examples.Y[order]
    weight = np.ones(len(order), dtype=np.float32)
    if examples.weight is not None:
        weight = examples.weight[order]
    packed = pack_rows(examples.X[source])
    return _neighbor_rows_of(examples.X.shape[1], *packed, Y, weight, source, examples.X.shape[0])


def _by_label(Y):
    """Order rows by the most frequent of their labels, those without any last."""
    n_rows, n_labels = Y.shape
    by_frequency = np.argsort(-np.bincount(Y.indices, minlength=n_labels), kind="stable")
    place = np.argsort(by_frequency)
    first, filled = np.full(n_rows, n_labels), np.diff(Y.indptr) > 0
    first[filled] = np.minimum.reduceat(place[Y.indices], Y.indptr[:-1][filled])
    return np.argsort(first, kind="stable")


def join_neighbor_rows(rows, examples):
    """Make NeighborRows of some that are there and of more examples, whose rows are numbered on."""
    _check_content(rows)
    everyone = np.ones(rows.n_rows, dtype=bool)
    return _joined(rows, everyone, _labels_of(rows), make_neighbor_rows(examples))


def update_neighbor_rows(rows, examples, renumbered):
    """Do the same where the examples' labels are more than the rows'.

    A row that is there already, with the same labels but for the new ones, is replaced.

    Parameters
    ----------
    rows : NeighborRows
    examples : Examples
    renumbered : ndarray of int32
        The number that each label of the rows has among the examples' labels.

    Returns
    -------
    rows : NeighborRows
    """
    _check_content(rows)
    more, Y = make_neighbor_rows(examples), _labels_of(rows)
    known = _labels_of(more)[:, renumbered]
    known.sort_indices()
    stays = ~_occur((Y, _words_of(rows)), (known, _words_of(more)))
    entries = Y.data, renumbered[Y.indices], Y.indptr
    Y = sp.csr_matrix(entries, shape=(rows.n_rows, more.n_labels))
    return _joined(rows, stays, Y, more)


def without_labels(rows, kept):
    """Make NeighborRows with fewer labels.

    Parameters
    ----------
    rows : NeighborRows
    kept : ndarray of int32
        The labels that stay, in increasing order. They are numbered in this order.

    Returns
    -------
    rows : NeighborRows or None
        Rows without labels are left out. None if all are.
    """
    _check_content(rows)
    Y = _labels_of(rows)[:, kept]
    Y.sort_indices()
    stays = np.diff(Y.indptr) > 0
    if not stays.any():
        return None
    arrays = rows.arrays
    lengths = np.diff(arrays["word_ptr"])
    return _neighbor_rows_of(
        rows.n_features,
        indptr_of(lengths[stays]),
        arrays["words"][np.repeat(stays, lengths)],
        Y[stays],
        arrays["weight"][stays],
        None if rows.source is None else rows.source[stays],
        rows.n_given,
    )


def _check_content(rows):
    """Refuse rows of a damaged model: only a search does not mind what arrays hold."""
    check_unread({**rows.arrays, "source": rows.source}, rows.checksums)
    try:
        rows.check()
    except ValueError as error:
        raise ValueError(f"the saved model is damaged: {error}") from error


def _occur(rows, others):
    """Whether each row of a pair of matrices is among the rows of another pair."""
    hashes, of_others = (csr_hash_rows(b, csr_hash_rows(a)) for a, b in (rows, others))
    distinct, first = np.unique(of_others, return_index=True)
    place = np.minimum(np.searchsorted(distinct, hashes), len(distinct) - 1)
    left = np.flatnonzero(distinct[place] == hashes)
    right = len(hashes) + first[place[left]]
    pairs = left.astype(np.int32), right.astype(np.int32)
    both = [_stacked(*pair) for pair in zip(rows, others, strict=True)]
    found = np.zeros(len(hashes), dtype=bool)
    found[left] = np.logical_and.reduce([csr_rows_equal(matrix, *pairs) for matrix in both])
    return found


def _stacked(above, below):
    """Rows of matrices that may differ in their numbers of columns."""
    arrays = [np.concatenate((above.data, below.data)), np.r_[above.indices, below.indices]]
    arrays.append(np.r_[above.indptr, below.indptr[1:] + above.indptr[-1]])
    shape = above.shape[0] + below.shape[0], max(above.shape[1], below.shape[1])
    return sp.csr_matrix(tuple(arrays), shape=shape)


def _words_of(rows):
    """What rows consist of, as a matrix: each half of a word is a number that float32 holds."""
    pointers = 2 * rows.arrays["word_ptr"]
    halves = rows.arrays["words"].view(np.uint16).astype(np.float32)
    columns = np.arange(len(halves)) - np.repeat(pointers[:-1], np.diff(pointers))
    shape = rows.n_rows, int(np.diff(pointers).max(initial=1))
    return sp.csr_matrix((halves, columns.astype(np.int32), pointers), shape=shape)


def _labels_of(rows):
    """The labels of the rows, as an indicator matrix."""
    pointers, labels = rows.arrays["label_ptr"], rows.arrays["labels"]
    ones = np.ones(len(labels), dtype=np.float32)
    return sp.csr_matrix((ones, labels, pointers), shape=(rows.n_rows, rows.n_labels))


def _joined(rows, stays, Y, more):
    """NeighborRows of those rows that stay, with the labels of Y, and of more."""
    a, b = rows.arrays, more.arrays
    n_words = np.diff(a["word_ptr"])
    words = a["words"] if stays.all() else a["words"][np.repeat(stays, n_words)]
    source = rows.source
    if source is not None:
        source = np.concatenate((source[stays], rows.n_given + more.source)).astype(np.int32)
    lengths = np.concatenate((n_words[stays], np.diff(b["word_ptr"])))
    return _neighbor_rows_of(
        rows.n_features,
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        np.concatenate((words, b["words"])),
        sp.vstack((Y[stays], _labels_of(more)), format="csr"),
        np.concatenate((a["weight"][stays], b["weight"])),
        source,
        rows.n_given + more.n_given,
    )


def _neighbor_rows_of(n_features, word_ptr, words, Y, weight, source, n_given):
    posting_ptr, postings = csr_transpose(Y)
    return NeighborRows(
        *(n_features, Y.shape[1]),
        source=source,
        n_given=n_given,
        word_ptr=word_ptr,
        words=words,
        label_ptr=Y.indptr.astype(np.int64),
        labels=Y.indices.astype(np.int32, copy=False),
        posting_ptr=posting_ptr,
        postings=postings,
        weight=weight,
    )
