"""Metrics that compare suggested texts with the right one."""

import math
from collections.abc import Mapping
from itertools import islice

import numpy as np

from .._utils.texts import check_texts
from ._bleu import bleu_scores
from ._inputs import _checked_k


def bleu_rr(true_texts, ranked_texts, k=10):
    r"""Compute the reciprocal-rank weighted average of the BLEU scores of suggested texts.

    A suggestion that is not what was meant, but has much of it, counts in part:

    .. math:: \frac{\sum_{i=1}^{m} BLEU(t, s_i) / i}{\sum_{i=1}^{m} 1 / i}

    for the text t that was meant and the suggestions :math:`s_1, \dots, s_m` of a row, of which
    there are at most k.

    Parameters
    ----------
    true_texts : sequence of str, length n_samples
        What was meant in each row.
    ranked_texts : sequence of sequences of str, length n_samples
        The suggestions of each row, best first. Of more than k, the first k count; where there are
        fewer, the average is over these. A row without suggestions scores 0.
    k : int, default=10
        How many places count.

    Returns
    -------
    float
        The mean over the rows, in [0, 1].

    Raises
    ------
    TypeError
        If `k` is not an integer, `true_texts` is not a sequence of strings, or `ranked_texts` not
        one of sequences of strings.
    ValueError
        If `k` < 1, there is no row, or the lengths do not agree.

    Notes
    -----
    BLEU is that of n-grams of words, n = 1 to 4, with equal weights, where n-grams of a length of
    which none matches count as 0.1 matches: the smoothing method 1 of Chen and Cherry [3]_, as in
    ``nltk.translate.bleu_score.sentence_bleu``. Words are what lies between spaces, as they are
    spelt. A suggestion of less than four words is short of the longer n-grams: even the right one
    does not score 1, but 0.18, 0.32 and 0.56 with one, two and three words.

    References
    ----------
    .. [1] N. Yadav, R. Sen, D. Hill, A. Mazumdar and I. Dhillon, "Session-aware query
       auto-completion using extreme multi-label ranking", KDD 2021.
    .. [2] K. Papineni, S. Roukos, T. Ward and W.-J. Zhu, "BLEU: a method for automatic evaluation
       of machine translation", ACL 2002.
    .. [3] B. Chen and C. Cherry, "A systematic comparison of smoothing techniques for
       sentence-level BLEU", WMT 2014.

    Examples
    --------
    >>> from skxmr.metrics import bleu_rr
    >>> meant = ["red shoes for running fast", "garden chair"]
    >>> suggested = [["red shoes for running fast", "red shirt"], ["table"]]
    >>> round(bleu_rr(meant, suggested), 4)
    0.3389
    >>> bleu_rr(meant[:1], [row[:1] for row in suggested[:1]])
    1.0
    """
    k = _checked_k(k)
    true_texts = check_texts(true_texts, "true_texts")
    ranked_texts = _checked_suggestions(ranked_texts, len(true_texts), k)
    pairs = zip(true_texts, ranked_texts, strict=True)
    return math.fsum(_bleu_rr_of_row(*pair) for pair in pairs) / len(true_texts)


def _bleu_rr_of_row(true_text, suggestions):
    """Return the weighted average of one row's BLEU scores."""
    scores = bleu_scores(true_text, suggestions)
    weight = sum(1.0 / i for i in range(1, len(scores) + 1))
    return sum(score / i for i, score in enumerate(scores, start=1)) / weight if scores else 0.0


def _checked_suggestions(ranked_texts, n_samples, k):
    """Return the first k suggestions of each row as lists of strings."""
    if not _is_sequence(ranked_texts):
        raise TypeError(f"ranked_texts must be a sequence of sequences, got {ranked_texts!r:.80}")
    if len(ranked_texts) != n_samples:
        raise ValueError(
            f"ranked_texts must have {n_samples} rows as true_texts, got {len(ranked_texts)}"
        )
    if len(getattr(ranked_texts, "shape", ())) == 2:  # a data frame's elements are its columns
        ranked_texts = np.asarray(ranked_texts)
    return [_checked_row(row, i, k) for i, row in enumerate(ranked_texts)]


def _checked_row(row, i, k):
    """Return the first k texts of row i as a list, once they are strings."""
    if not _is_sequence(row):
        raise TypeError(
            f"ranked_texts must hold sequences of strings, but ranked_texts[{i}] is {row!r:.80}"
        )
    texts = list(islice(row, k))
    for j, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"ranked_texts must hold strings, but ranked_texts[{i}][{j}] is {text!r:.80}"
            )
    return texts


def _is_sequence(value):
    """Whether a value has a length and an order, and is not itself a text."""
    ordered = hasattr(value, "__len__") and hasattr(value, "__getitem__")
    return ordered and not isinstance(value, (str, bytes, Mapping))
