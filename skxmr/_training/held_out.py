"""Examples held out of training, and a tree trained on the others."""

from functools import cached_property

import numpy as np
import scipy.sparse as sp

from .._core import CSRView
from .._ranking.neighbors import make_neighbor_rows

#: Every tenth example is held out, or fewer if there would be more than about this many.
_HELD_OUT = 3000

#: Minimum number of held-out examples for a reliable choice.
_FEWEST = 30


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
        Number of training rows. Examples from later rows are label examples, which are not held
        out.
    train : callable
        Returns a TreeRanker trained on examples.

    Returns
    -------
    held_out : HeldOut or None
        None if there are too few examples to hold any out.
    """
    held, kept = _split(examples, n_rows)
    if len(held) < _FEWEST:
        return None
    others = _take_examples(examples, kept)
    view = CSRView(examples.X[examples.source[held]])
    return HeldOut(view, examples.Y[held], others, train(others))


def _split(examples, n_rows):
    """Return the numbers of the held-out examples, and of the others."""
    real = np.flatnonzero(examples.source < n_rows)
    held = real[:: max(10, len(real) // _HELD_OUT)]
    return held, np.setdiff1d(np.arange(len(examples.source)), held)


def _take_examples(examples, rows):
    """Return the examples with the given numbers."""

    def part(values):
        selected = None if values is None else values[rows]
        return sp.csr_matrix(selected) if sp.issparse(selected) else selected

    return examples._replace(
        Y=part(examples.Y),
        source=part(examples.source),
        weight=part(examples.weight),
        relevance=part(examples.relevance),
        negatives=part(examples.negatives),
    )
