"""Precision of the rankings that the runners wrote."""

import numpy as np
from matrices import load, sample

from skxmr.metrics import ndcg_at_k, precision_at_k, propensities, psp_at_k


def quality(work):
    """Evaluate all rankings. Rankings of fewer rows are for a sample of the test rows."""
    p, Y_test = propensities(load(work, "Y_train")), load(work, "Y_test")
    paths = sorted((work / "rankings").glob("*.npy"))
    return {path.stem: _evaluate(Y_test, np.load(path), p) for path in paths}


def _evaluate(Y_test, labels, p):
    Y = Y_test if len(labels) == Y_test.shape[0] else sample(Y_test, len(labels))
    return {
        "rows": len(labels),
        **{f"P@{k}": precision_at_k(Y, labels, k=k) for k in (1, 3, 5)},
        "nDCG@5": ndcg_at_k(Y, labels, k=5),
        "PSP@5": psp_at_k(Y, labels, k=5, propensities=p),
    }
