"""How votes count best, found on examples held out of training."""

from itertools import product

import numpy as np
import scipy.sparse as sp

from .._core import CSRView
from .._ranking.ensemble import LOOKED_UP, Forest, Mixture, Votes
from .._ranking.neighbors import make_voters
from ..metrics._ranking import ndcg_at_k

#: Every tenth example is held out, and no more than this many; with fewer, nothing can be said.
_HELD_OUT, _FEWEST = 3000, 30

_NUMBERS, _POWERS, _SHARES = (10, 20, 40), (1.0, 2.0, 3.0, 5.0), (0.1, 0.2, 0.3, 0.4, 0.5)


def choose_mixture(examples, n_rows, train, search, otherwise):
    """Choose how votes count, by nDCG@5 of examples that neither trained nor vote.

    Parameters
    ----------
    examples : Examples
    n_rows : int
        Examples of later rows are not held out: they stand for labels.
    train : callable
        Makes a Model of examples.
    search : dict
        Keywords of the model's `rank`.
    otherwise : Mixture
        What is chosen where there are too few examples to hold any out.

    Returns
    -------
    mixture : Mixture or None
        None where votes do not help.
    """
    held, kept = _parted(examples, n_rows)
    if len(held) < _FEWEST:
        return otherwise
    voting = _taken(examples, kept)
    model, voters = train(voting), make_voters(voting)
    n, view, Y = len(held), CSRView(examples.X[examples.source[held]]), examples.Y[held]
    labels, scores = model.rank(view, 0, n, k=LOOKED_UP, **search)
    mixtures = [Mixture(*values) for values in product(_NUMBERS, _POWERS, _SHARES)]
    widest = max(mixtures)
    found = Forest([model], Votes(voters, widest)).voters_for(labels, view, 0, n)

    def quality(mixture):
        nearest = [np.ascontiguousarray(array[:, : mixture.n_neighbors]) for array in found]
        forest = Forest([model], Votes(voters, mixture))
        weighted = scores * np.float32(forest.tree_weight)
        ranking = forest.mixed(labels, weighted, nearest, 5, logarithms=False)
        return ndcg_at_k(Y, ranking[0], k=5)

    qualities = [quality(mixture) for mixture in mixtures]
    if max(qualities) <= ndcg_at_k(Y, labels[:, :5], k=5):
        return None
    return mixtures[int(np.argmax(qualities))]


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
