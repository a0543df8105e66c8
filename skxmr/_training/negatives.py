"""Which examples the rankers below a node learn from."""

from itertools import groupby
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._core import FOR_ALL, FOR_POSITIVES
from .._utils.matrices import canonical_csr, check_matrix

SCHEMES = ("tfn", "man", "tfn+man")


class Sampling(NamedTuple):
    """Schemes, one for all levels or one per level, and the width of the matcher's beam."""

    schemes: str | tuple
    width: int | None


class LevelExamples(NamedTuple):
    """The examples that the rankers below each node of a level learn from.

    Those of node p are ``examples[pointers[p]:pointers[p + 1]]``, rising. `role` says which of its
    rankers learn from each; all where it is None. `cost` is what multiplies C where the example is
    a positive of the node itself; 1 where it is None.
    """

    pointers: np.ndarray
    examples: np.ndarray
    role: np.ndarray | None = None
    cost: np.ndarray | None = None


def check_negative_sampling(value):
    """Refuse anything but a scheme or a list or tuple of schemes."""
    schemes = value if isinstance(value, (list, tuple)) and len(value) else [value]
    if not all(isinstance(scheme, str) and scheme in SCHEMES for scheme in schemes):
        allowed = ", ".join(map(repr, SCHEMES))
        raise ValueError(
            f"negative_sampling must be one of {allowed}, or a list of them with one per level, "
            f"got {value!r}"
        )


def check_negatives(negatives, indicator):
    """Validate given negatives: CSR of ones, without the indicator's, or None if there are none."""
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
    """Canonical form of a negative_sampling that was checked: what training depends on, no more."""
    schemes = value if isinstance(value, str) else tuple(map(str, value))
    return Sampling(schemes, int(width) if needs_matcher(value) else None)


def needs_matcher(value):
    """Whether any level's examples depend on a search."""
    return any(scheme != "tfn" for scheme in ([value] if isinstance(value, str) else value))


def scheme_of_leaves(schemes):
    """The scheme of the leaf clusters' children, where the root is no leaf."""
    return schemes if isinstance(schemes, str) else schemes[-1]


def stages(schemes, n_levels):
    """Divide the levels into groups that can be trained at once, and say who needs a search.

    Returns
    -------
    stages : list of (scheme of the first level, list of levels)
        All levels of a stage but the first take what has a label below.

    Raises
    ------
    ValueError
        If there is another number of schemes than of levels.
    """
    schemes = [schemes] * n_levels if isinstance(schemes, str) else list(schemes)
    if len(schemes) != n_levels:
        raise ValueError(
            f"negative_sampling must have one entry per level of the tree, that is {n_levels}, "
            f"got {len(schemes)}"
        )
    schemes[0] = "tfn"  # every beam holds the root
    first = np.cumsum([scheme != "tfn" for scheme in schemes])
    groups = [list(group) for _, group in groupby(range(n_levels), key=lambda i: first[i])]
    return [(schemes[group[0]], group) for group in groups]


def with_given(levels, given, n):
    """Add the examples that were given as negatives to those that have a label below each node.

    Parameters
    ----------
    levels, given : list of LevelExamples
        Root first; the root has all examples anyway.
    n : int
        Number of examples.

    Returns
    -------
    seen : list of LevelExamples
    """
    pairs = zip(levels[1:], given[1:], strict=True)
    return [levels[0], *(union(members, others, n) for members, others in pairs)]


def with_matched(members, led, scheme, n):
    """Add the examples that are led to a node to those that have a label below it.

    Parameters
    ----------
    members, led : LevelExamples
        The examples with a label below each node, and those that a search or the user leads there.
    scheme : {"man", "tfn+man"}
        With "man", examples that were not led to the node are nobody's negatives.
    n : int
        Number of examples.

    Returns
    -------
    seen : LevelExamples
    """
    seen = union(members, led, n)
    if scheme != "man":
        return seen
    role = np.full(len(seen.examples), FOR_POSITIVES, dtype=np.uint8)
    role[np.searchsorted(_numbers(seen, n), _numbers(led, n))] = FOR_ALL
    return seen._replace(role=role)


def union(first, second, n):
    """The examples that are either's, node by node."""
    both = np.union1d(_numbers(first, n), _numbers(second, n))
    nodes, examples = np.divmod(both, n)
    pointers = np.searchsorted(nodes, np.arange(len(first.pointers))).astype(np.int64)
    return LevelExamples(pointers, examples.astype(np.int32))


def _numbers(seen, n):
    """Pairs of a node and an example as one rising number each."""
    nodes = np.repeat(np.arange(len(seen.pointers) - 1, dtype=np.int64), np.diff(seen.pointers))
    return nodes * n + seen.examples
