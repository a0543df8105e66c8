"""Positives that count more or less than others."""

import numpy as np
import scipy.sparse as sp

from .._core import FOR_ALL, FOR_OTHERS, FOR_POSITIVES, NodeExamples
from .._utils.matrices import check_matrix
from .._utils.sparse import group_pointers


def check_relevance(relevance, indicator, weight, C):
    """Validate the relevance of each positive and return it as CSR.

    Raises
    ------
    ValueError
        If it is not positive at the indicator's ones and zero elsewhere, or if what an example's
        relevances add up to does not fit single precision, once C and its weight multiply it.
    """
    relevance = check_matrix(relevance, "relevance", indicator.shape[0])
    parts = ("indptr", "indices")
    same = all(np.array_equal(getattr(relevance, p), getattr(indicator, p)) for p in parts)
    if relevance.shape != indicator.shape or not same or (relevance.data < 0).any():
        raise ValueError(
            f"relevance must have shape {indicator.shape}, entries above 0 where y is 1, and 0 "
            f"elsewhere, got shape {relevance.shape}, {(relevance.data > 0).sum()} entries above 0 "
            f"and {(relevance.data < 0).sum()} below, for {indicator.nnz} ones of y"
        )
    row_weight = np.ones(indicator.shape[0], np.float32) if weight is None else weight
    scale = (row_weight * np.float32(C)).astype(np.float64)
    rows = np.repeat(np.arange(indicator.shape[0]), np.diff(indicator.indptr))
    smallest = (scale[rows] * relevance.data)[scale[rows] > 0]
    largest = np.asarray(relevance.astype(np.float64).sum(axis=1)).ravel() * scale
    limits = np.finfo(np.float32)
    if smallest.min(initial=1) < limits.tiny or largest.max(initial=0) > limits.max:
        raise ValueError(
            f"relevance times {C!r} and sample_weight must neither overflow nor vanish in single "
            "precision"
        )
    return sp.csr_matrix((relevance.data, indicator.indices, indicator.indptr), indicator.shape)


def as_weights(problem, cost, source, weight):
    """Turn the cost of each positive into weights of rows: a problem that the solvers know.

    An example with positives is taken apart: into one row for each different cost of its positives,
    from which only these learn, and one from which all other children learn.

    Parameters
    ----------
    problem : NodeExamples
    cost : ndarray of float32
        What multiplies C for each of the problem's positives.
    source, weight : ndarray, ndarray or None
        As for `train_columns`, by example.

    Returns
    -------
    problem : NodeExamples
        Of rows numbered from 0.
    source : ndarray of int32
    weight : ndarray of float32
        Those of the rows.
    """
    place = np.searchsorted(problem.examples, problem.positive)
    missed = np.zeros(len(problem.examples), np.uint8) if problem.role is None else problem.role
    rest = np.flatnonzero(missed == FOR_ALL)
    key = place.astype(np.int64) << 32 | cost.astype(np.float32).view(np.uint32)
    groups, group = np.unique(key, return_inverse=True)
    of_group = groups >> 32
    child = np.repeat(np.arange(len(problem.positive_ptr) - 1), np.diff(problem.positive_ptr))
    others = missed[place] == FOR_ALL
    number = np.concatenate((np.searchsorted(rest, place[others]), len(rest) + group))
    child = np.concatenate((child[others], child))
    order = np.lexsort((number, child))
    role = np.full(len(rest) + len(groups), FOR_POSITIVES, dtype=np.uint8)
    role[: len(rest)] = np.where(np.isin(rest, place), FOR_OTHERS, FOR_ALL)
    rows = NodeExamples(
        np.arange(len(role), dtype=np.int32),
        group_pointers(child, len(problem.positive_ptr) - 1),
        number[order].astype(np.int32),
        role,
    )
    example = problem.examples[np.concatenate((rest, of_group))]
    row_weight = np.ones(len(role), dtype=np.float32) if weight is None else weight[example]
    row_weight[len(rest) :] *= (groups & 0xFFFFFFFF).astype(np.uint32).view(np.float32)
    return rows, source[example], row_weight
