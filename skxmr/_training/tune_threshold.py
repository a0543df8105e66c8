"""Threshold of `predict` with the best F1 on examples held out of training."""

import numpy as np

from .._utils.pairs import ranking_csr
from ..metrics._f_curve import f_curve

#: Number of labels of each row that may be predicted.
_MOST_LABELS = 50


def choose_threshold(held_out, options, **neighbors):
    """Choose the threshold by micro-averaged F1 of held-out examples.

    Parameters
    ----------
    held_out : HeldOut
    options : SearchOptions
    **neighbors
        The nearest neighbors, as `HeldOut.ranker` takes them. Margins are not combined with them.

    Returns
    -------
    threshold : float or None
        None if no label that is found is true.
    """
    ranker = held_out.ranker()
    if options.post_processor.can_be_combined:
        ranker = held_out.ranker(**neighbors)
    n_labels = ranker.n_labels
    ranking = held_out.rank(ranker, min(_MOST_LABELS, n_labels), options)
    scores = ranking_csr(*ranking, n_labels)
    if scores.nnz == 0:
        return None
    curve = f_curve(held_out.Y, scores, "micro", 1.0)
    best = curve.f_score.max()
    if best == 0:
        return None
    highest = np.flatnonzero(curve.f_score == best)[-1]  # of equally good ones
    return float(curve.thresholds[highest])
