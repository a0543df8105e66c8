"""Choice of the weight of popularity on held-out rows."""

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

#: Weights that are compared.
WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)

#: The weight that is used if there is nothing to compare.
DEFAULT_WEIGHT = 0.2

#: The rows are divided into this many blocks at most.
_N_BLOCKS = 200

#: Fraction of the blocks that are held out, and the largest number of rows that are ranked.
_HELD_OUT_FRACTION = 0.1
_MOST_RANKED = 3000


def held_out_rows(n_rows, random_state):
    """Draw blocks of consecutive rows, in which the prefixes of a query stay together.

    Returns
    -------
    held_out : ndarray of bool, shape (n_rows,)
        None of them if there are fewer than two blocks.
    """
    held_out = np.zeros(n_rows, dtype=bool)
    n_blocks = min(_N_BLOCKS, n_rows // 10)
    if n_blocks < 2:
        return held_out
    blocks = np.array_split(np.arange(n_rows), n_blocks)
    order = check_random_state(random_state).permutation(n_blocks)
    for i in order[: max(1, round(_HELD_OUT_FRACTION * n_blocks))]:
        held_out[blocks[i]] = True
    return held_out


def tuned_popularity_weight(completer, X, y, sample_weight):
    """Choose the weight with the largest mean reciprocal rank in rows that are held out.

    A completer is fitted to the other rows.

    Parameters
    ----------
    completer : SessionQueryCompleter
        It is not changed.
    X : ndarray of str objects, shape (n, 2)
    y : ndarray of str objects, shape (n,)
    sample_weight : ndarray of shape (n,) or None

    Returns
    -------
    weight : float
        `DEFAULT_WEIGHT` if no row can be held out, if the classifier ranks none of these, or if no
        row with a query and a weight is left to train on.
    """
    held_out = held_out_rows(len(y), completer.random_state)
    ranked = np.flatnonzero(held_out & [bool(previous.strip()) for previous in X[:, 0]])
    rng = check_random_state(completer.random_state)
    ranked = rng.permutation(ranked)[:_MOST_RANKED]
    is_trained = ~held_out & [bool(query.strip()) for query in y]
    is_ranked = len(ranked) > 0
    others, own = None, None
    if sample_weight is not None:
        others, own = sample_weight[~held_out], sample_weight[ranked]
        is_trained &= sample_weight > 0
        is_ranked = own.any()
    if not is_ranked or not is_trained.any():
        return DEFAULT_WEIGHT
    trial = clone(completer).set_params(popularity_weight=DEFAULT_WEIGHT, max_typing_errors=0)
    trial.fit(X[~held_out], y[~held_out], others)
    scores = [
        trial.set_params(popularity_weight=weight).score(X[ranked], y[ranked], own)
        for weight in WEIGHTS
    ]
    return WEIGHTS[int(np.argmax(scores))]
