"""Which examples the rankers below a node learn from."""

from itertools import groupby
from typing import NamedTuple

import numpy as np

from ._core import FOR_ALL, FOR_POSITIVES, csr_transpose

SCHEMES = ("tfn", "man", "tfn+man")


class Sampling(NamedTuple):
    """Schemes, one for all levels or one per level, and the width of the matcher's beam."""

    schemes: str | tuple
    width: int | None


class Seen(NamedTuple):
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


def sampling_of(value, width):
    """Canonical form of a negative_sampling that was checked: what training depends on, no more."""
    schemes = value if isinstance(value, str) else tuple(map(str, value))
    return Sampling(schemes, int(width) if needs_matcher(value) else None)


def needs_matcher(value):
    """Whether any level's examples depend on a search."""
    return any(scheme != "tfn" for scheme in ([value] if isinstance(value, str) else value))


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


def with_matched(members, beams, scheme):
    """Add the examples that the matcher leads to a node to those that have a label below it.

    Parameters
    ----------
    members : Seen
        The examples with a label below each node.
    beams : csr_matrix, shape (n_examples, n_nodes)
        The nodes in each example's beam.
    scheme : {"man", "tfn+man"}
        With "man", examples that were not led to the node are nobody's negatives.

    Returns
    -------
    seen : Seen
    """
    n = np.int64(beams.shape[0])
    led = _numbers(*csr_transpose(beams), n)
    both = np.union1d(_numbers(members.pointers, members.examples, n), led)
    nodes, examples = np.divmod(both, n)
    pointers = np.searchsorted(nodes, np.arange(beams.shape[1] + 1)).astype(np.int64)
    role = None
    if scheme == "man":
        role = np.full(len(both), FOR_POSITIVES, dtype=np.uint8)
        role[np.searchsorted(both, led)] = FOR_ALL
    return Seen(pointers, examples.astype(np.int32), role)


def _numbers(pointers, examples, n):
    """Pairs of a node and an example as one rising number each."""
    nodes = np.repeat(np.arange(len(pointers) - 1, dtype=np.int64), np.diff(pointers))
    return nodes * n + examples
