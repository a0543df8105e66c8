"""Examples held out of training, and a tree trained on the others."""

from functools import cached_property

import numpy as np
import scipy.sparse as sp

from .._core import CSRView
from .._ranking.neighbors import make_neighbor_rows

#: Every tenth example is held out, and no more than this many; with fewer, nothing can be said.
_HELD_OUT, _FEWEST = 3000, 30


class HeldOut:
    """Examples held out of training, and what is needed to rank their labels.

    Attributes
    ----------
    view : CSRView
        Features of the examples held out.
    Y : csr_matrix of float32, shape (n_held_out, n_labels)
        Their labels.
    others : Examples
    tree : TreeRanker
        Trained on the others.
    """

    def __init__(self, view, Y, others, tree):
        self.view = view
        self.Y = Y
        self.others = others
        self.tree = tree

    @cached_property
    def neighbor_rows(self):
        """The others as NeighborRows."""
        return make_neighbor_rows(self.others)

    def rank(self, ranker, k, options):
        """Rank labels of the examples held out; see Ranker."""
        return ranker.rank(self.view, 0, self.Y.shape[0], k, options)


def hold_out(examples, n_rows, train):
    """Hold out examples and train a tree on the others.

    Parameters
    ----------
    examples : Examples
    n_rows : int
        Examples of later rows are not held out: they stand for labels.
    train : callable
        Returns a TreeRanker trained on examples.

    Returns
    -------
    held_out : HeldOut or None
        None if there are too few examples to hold any out.
    """
    held, kept = _parted(examples, n_rows)
    if len(held) < _FEWEST:
        return None
    others = _taken(examples, kept)
    view = CSRView(examples.X[examples.source[held]])
    return HeldOut(view, examples.Y[held], others, train(others))


def _parted(examples, n_rows):
    """Numbers of the examples that are held out, and of the others."""
    real = np.flatnonzero(examples.source < n_rows)
    held = real[:: max(10, len(real) // _HELD_OUT)]
    return held, np.setdiff1d(np.arange(len(examples.source)), held)


def _taken(examples, rows):
    """Some of the examples."""

    def part(values):
        taken = None if values is None else values[rows]
        return sp.csr_matrix(taken) if sp.issparse(taken) else taken

    return examples._replace(
        Y=part(examples.Y),
        source=part(examples.source),
        weight=part(examples.weight),
        relevance=part(examples.relevance),
        negatives=part(examples.negatives),
    )
