"""Relevance: the weights of positives."""

import numpy as np
import scipy.sparse as sp

from .._core import FOR_ALL, FOR_OTHERS, FOR_POSITIVES, NodeExamples
from .._utils.matrices import check_matrix
from .._utils.pairs import row_of_entries
from .._utils.sparse import group_pointers


def check_relevance(relevance, indicator, weight, C):
    """Validate the relevance of each positive and return it as CSR.

    Parameters
    ----------
    relevance : {array-like, sparse matrix} of shape (n, n_labels)
    indicator : csr_matrix of shape (n, n_labels)
        The checked y.
    weight : ndarray of float32, shape (n,) or None
        Weights of the rows.
    C : float

    Returns
    -------
    relevance : csr_matrix of float32, shape (n, n_labels)

    Raises
    ------
    ValueError
        If the relevance is not positive exactly where the indicator is 1, and 0 elsewhere. Also if
        the sum of the relevances of a row, times C and the weight of the row, does not fit into
        single precision.
    """
    relevance = check_matrix(relevance, "relevance", indicator.shape[0])
    same_shape = relevance.shape == indicator.shape
    same_indptr = np.array_equal(relevance.indptr, indicator.indptr)
    same_indices = np.array_equal(relevance.indices, indicator.indices)
    if not (same_shape and same_indptr and same_indices) or (relevance.data < 0).any():
        raise ValueError(
            f"relevance must have shape {indicator.shape}, entries above 0 where y is 1, and 0 "
            f"elsewhere, got shape {relevance.shape}, {(relevance.data > 0).sum()} entries above 0 "
            f"and {(relevance.data < 0).sum()} below, for {indicator.nnz} ones of y"
        )
    row_weight = np.ones(indicator.shape[0], np.float32) if weight is None else weight
    scale = (row_weight * np.float32(C)).astype(np.float64)
    rows = row_of_entries(indicator)
    smallest = (scale[rows] * relevance.data)[scale[rows] > 0]
    largest = np.asarray(relevance.astype(np.float64).sum(axis=1)).ravel() * scale
    limits = np.finfo(np.float32)
    if smallest.min(initial=1) < limits.tiny or largest.max(initial=0) > limits.max:
        raise ValueError(
            f"relevance times {C!r} and sample_weight must neither overflow nor vanish in single "
            "precision"
        )
    return sp.csr_matrix((relevance.data, indicator.indices, indicator.indptr), indicator.shape)


def as_weights(node, cost, source, weight):
    """Convert the costs of positives to weights of rows, which the solvers support.

    An example with positives becomes several rows: one row per distinct cost of its positives,
    which trains only these positives, and one row that trains all other children.

    Parameters
    ----------
    node : NodeExamples
    cost : ndarray of float32
        Factor of C for each positive of the node, above 0.
    source : ndarray of int32
        One value per example, as for `train_columns`.
    weight : ndarray of float32 or None
        One value per example, as for `train_columns`.

    Returns
    -------
    node : NodeExamples
        The node with these rows as examples, numbered from 0.
    source : ndarray of int32
        One value per row.
    weight : ndarray of float32
        One value per row.
    """
    example = np.searchsorted(node.examples, node.positive)
    role = node.role
    if role is None:
        role = np.full(len(node.examples), FOR_ALL, dtype=np.uint8)
    shared = np.flatnonzero(role == FOR_ALL)
    # One row per distinct pair of an example and a cost.
    costs, which_cost = np.unique(cost.astype(np.float32, copy=False), return_inverse=True)
    pairs, row = np.unique(example * len(costs) + which_cost, return_inverse=True)
    row_example, row_cost = np.divmod(pairs, len(costs))
    child = np.repeat(np.arange(len(node.positive_ptr) - 1), np.diff(node.positive_ptr))
    in_shared = role[example] == FOR_ALL
    number = np.concatenate((np.searchsorted(shared, example[in_shared]), len(shared) + row))
    child = np.concatenate((child[in_shared], child))
    order = np.lexsort((number, child))
    row_role = np.full(len(shared) + len(row_example), FOR_POSITIVES, dtype=np.uint8)
    row_role[: len(shared)] = np.where(np.isin(shared, example), FOR_OTHERS, FOR_ALL)
    row_node = NodeExamples(
        np.arange(len(row_role), dtype=np.int32),
        group_pointers(child, len(node.positive_ptr) - 1),
        number[order].astype(np.int32),
        row_role,
    )
    of_row = node.examples[np.concatenate((shared, row_example))]
    row_weight = np.ones(len(row_role), dtype=np.float32) if weight is None else weight[of_row]
    row_weight[len(shared) :] *= costs[row_cost]
    return row_node, source[of_row], row_weight
