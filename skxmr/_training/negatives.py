"""Negative sampling: the examples that train the rankers of the children of a node."""

from itertools import groupby
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._core import FOR_ALL, FOR_POSITIVES
from .._utils.matrices import canonical_csr, check_matrix

SCHEMES = ("tfn", "man", "tfn+man")


class Sampling(NamedTuple):
    """The negative sampling of a training.

    Attributes
    ----------
    schemes : str or tuple of str
        One scheme for all levels, or one per level.
    width : int or None
        Beam width of the matcher. None without a matcher.
    """

    schemes: str | tuple
    width: int | None


class LevelExamples(NamedTuple):
    """The node examples of a level: the examples that train the children of each node.

    Attributes
    ----------
    pointers : ndarray of int64, shape (n_nodes + 1,)
        Node p has the examples ``examples[pointers[p]:pointers[p + 1]]``.
    examples : ndarray of int32
        Increasing within a node.
    role : ndarray of uint8 or None
        For each node example, the children that it trains, as in NodeExamples. None for all.
    cost : ndarray of float32 or None
        For each node example, the factor of C if the example is a positive of the node. None if
        all are 1.
    """

    pointers: np.ndarray
    examples: np.ndarray
    role: np.ndarray | None = None
    cost: np.ndarray | None = None


def check_negative_sampling(value):
    """Raise ValueError unless a value is a scheme, or a list or tuple of schemes."""
    schemes = value if isinstance(value, (list, tuple)) and len(value) else [value]
    if not all(isinstance(scheme, str) and scheme in SCHEMES for scheme in schemes):
        allowed = ", ".join(map(repr, SCHEMES))
        raise ValueError(
            f"negative_sampling must be one of {allowed}, or a list of them with one per level, "
            f"got {value!r}"
        )


def check_negatives(negatives, indicator):
    """Validate the parameter `negatives` of fit.

    Returns
    -------
    negatives : csr_matrix of float32, shape (n, n_labels), or None
        Ones at the negatives, without the entries of the indicator. None if there are none.
    """
    negatives = check_matrix(negatives, "negatives", indicator.shape[0])
    if negatives.shape != indicator.shape:
        raise ValueError(
            f"negatives must have shape {indicator.shape}, as y has, got {negatives.shape}"
        )
    marks = negatives.astype(bool).astype(np.float32)
    marks = sp.csr_matrix(marks - marks.multiply(indicator))
    marks.eliminate_zeros()
    return canonical_csr(marks, "negatives") if marks.nnz else None


def sampling_of(value, width):
    """Return a validated negative_sampling as a Sampling.

    The width is None if no scheme uses it, so that training does not depend on it.

    Parameters
    ----------
    value : str, list or tuple
    width : int
        Beam width of the matcher. Ignored without a matcher.

    Returns
    -------
    sampling : Sampling
    """
    schemes = value if isinstance(value, str) else tuple(map(str, value))
    return Sampling(schemes, int(width) if needs_matcher(value) else None)


def needs_matcher(value):
    """Return whether the examples of any level depend on a search."""
    schemes = [value] if isinstance(value, str) else value
    return any(scheme != "tfn" for scheme in schemes)


def scheme_of_leaves(schemes):
    """Return the scheme of the children of leaf clusters, for trees with several levels."""
    return schemes if isinstance(schemes, str) else schemes[-1]


def stages(schemes, n_levels):
    """Divide the levels into groups that can be trained at once.

    Parameters
    ----------
    schemes : str or sequence of str
        As in Sampling.
    n_levels : int

    Returns
    -------
    stages : list of (scheme, levels)
        Consecutive levels, and the scheme of the first of them. The scheme of the other levels is
        "tfn", which needs no search.

    Raises
    ------
    ValueError
        If the number of schemes is not the number of levels.
    """
    schemes = [schemes] * n_levels if isinstance(schemes, str) else list(schemes)
    if len(schemes) != n_levels:
        raise ValueError(
            f"negative_sampling must have one entry per level of the tree, that is {n_levels}, "
            f"got {len(schemes)}"
        )
    schemes[0] = "tfn"  # every beam contains the root
    first = np.cumsum([scheme != "tfn" for scheme in schemes])
    groups = [list(group) for _, group in groupby(range(n_levels), key=lambda i: first[i])]
    return [(schemes[group[0]], group) for group in groups]


def with_given(levels, given, n):
    """Add the given negatives to the examples that have a label below each node.

    Parameters
    ----------
    levels : list of LevelExamples
        The examples with a label below each node, root first.
    given : list of LevelExamples
        The examples with a given negative below each node, root first.
    n : int
        Number of examples.

    Returns
    -------
    node_examples : list of LevelExamples
        The root has all examples.
    """
    pairs = zip(levels[1:], given[1:], strict=True)
    return [levels[0], *(union(members, others, n) for members, others in pairs)]


def with_matched(members, matched, scheme, n):
    """Add the matched examples of each node to those that have a label below it.

    Parameters
    ----------
    members : LevelExamples
        The examples with a label below each node.
    matched : LevelExamples
        The examples for which a search reaches each node, and those with a given negative below it.
    scheme : {"man", "tfn+man"}
        With "man", an example that is not matched is not a negative of any child.
    n : int
        Number of examples.

    Returns
    -------
    node_examples : LevelExamples
    """
    node_examples = union(members, matched, n)
    if scheme != "man":
        return node_examples
    role = np.full(len(node_examples.examples), FOR_POSITIVES, dtype=np.uint8)
    role[np.searchsorted(_keys(node_examples, n), _keys(matched, n))] = FOR_ALL
    return node_examples._replace(role=role)


def union(first, second, n):
    """Return the union of two LevelExamples, node by node."""
    both = np.union1d(_keys(first, n), _keys(second, n))
    nodes, examples = np.divmod(both, n)
    pointers = np.searchsorted(nodes, np.arange(len(first.pointers))).astype(np.int64)
    return LevelExamples(pointers, examples.astype(np.int32))


def _keys(level, n):
    """Return one integer per pair of a node and an example, in increasing order."""
    nodes = np.repeat(np.arange(len(level.pointers) - 1, dtype=np.int64), np.diff(level.pointers))
    return nodes * n + level.examples
