"""Metrics that compare suggested texts with the correct one."""

import math
from collections import Counter
from collections.abc import Mapping
from itertools import islice

import numpy as np

from .._utils.params import check_integer
from .._utils.texts import check_texts

#: Largest number of words in the n-grams of BLEU.
_MAX_N = 4

#: Number of matches that stands for no match.
_SMOOTHING = 0.1


def bleu_rr(true_texts, ranked_texts, k=10):
    r"""Compute the BLEU scores of suggested texts, averaged with reciprocal ranks as weights.

    A suggestion that has only a part of the correct text counts in part:

    .. math:: \frac{\sum_{i=1}^{m} BLEU(t, s_i) / i}{\sum_{i=1}^{m} 1 / i}

    for the correct text t and the suggestions :math:`s_1, \dots, s_m` of a row, of which there are
    at most k.

    Parameters
    ----------
    true_texts : sequence of str, length n_samples
        Correct text of each row.
    ranked_texts : sequence of sequences of str, length n_samples
        Suggestions for each row, best first. Only the first k are used. With fewer than k, the
        average is over these. A row without suggestions scores 0.
    k : int, default=10
        Maximum number of suggestions per row that are used.

    Returns
    -------
    float
        Mean over the rows, in [0, 1].

    Raises
    ------
    TypeError
        If `k` is not an integer, `true_texts` is not a sequence of strings, or `ranked_texts` is
        not a sequence of sequences of strings.
    ValueError
        If `k` < 1, there are no rows, or the lengths do not agree.

    Notes
    -----
    BLEU compares n-grams of words, n = 1 to 4, with equal weights. If no n-gram of a length
    matches, the number of matches is set to 0.1. This is smoothing method 1 of Chen and Cherry
    [3]_, as in ``nltk.translate.bleu_score.sentence_bleu``. Words are separated by whitespace, and
    upper and lower case differ. A suggestion with fewer than four words has no long n-grams.
    Therefore even the correct text scores less than 1: 0.18, 0.32 and 0.56 with one, two and three
    words.

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
    check_integer(k, "k", 1)
    true_texts = check_texts(true_texts, "true_texts")
    ranked_texts = _checked_suggestions(ranked_texts, len(true_texts), k)
    pairs = zip(true_texts, ranked_texts, strict=True)
    return math.fsum(_bleu_rr_of_row(*pair) for pair in pairs) / len(true_texts)


def bleu_scores(reference, sentences):
    """Compute the smoothed BLEU of sentences against one reference.

    Parameters
    ----------
    reference : str
    sentences : sequence of str

    Returns
    -------
    list of float
        One score in [0, 1] for each sentence: the geometric mean of the precisions of its n-grams
        of words, n = 1 to 4. It is multiplied by exp(1 - r / h) if the sentence has h words and
        the reference has r > h words. If no n-gram of a length matches, 0.1 matches are counted;
        if the sentence is too short for that length, 0.1 of one n-gram. Without a common word, the
        score is 0.
    """
    words = reference.split()
    counts = [Counter(_ngrams(words, n)) for n in range(1, _MAX_N + 1)]
    return [_bleu(sentence.split(), len(words), counts) for sentence in sentences]


def _bleu(words, n_reference, counts):
    n_matches = _count_matches(words, counts[0])
    if n_matches == 0:
        return 0.0
    product = n_matches / len(words)
    for n in range(2, _MAX_N + 1):
        # If no n-gram matches, no longer one does.
        n_matches = n_matches and _count_matches(_ngrams(words, n), counts[n - 1])
        product *= (n_matches or _SMOOTHING) / max(len(words) - n + 1, 1)
    return product ** (1 / _MAX_N) * math.exp(min(1 - n_reference / len(words), 0))


def _ngrams(words, n):
    return words if n == 1 else zip(*(words[i:] for i in range(n)), strict=False)


def _count_matches(ngrams, counts):
    """Count the n-grams that the reference has, each at most as often as the reference has it."""
    shared = [ngram for ngram in ngrams if ngram in counts]
    if len(set(shared)) == len(shared):
        return len(shared)
    return sum(min(count, counts[ngram]) for ngram, count in Counter(shared).items())


def _bleu_rr_of_row(true_text, suggestions):
    """Return the weighted average of the BLEU scores of a row."""
    scores = bleu_scores(true_text, suggestions)
    if not scores:
        return 0.0
    weight = sum(1.0 / i for i in range(1, len(scores) + 1))
    return sum(score / i for i, score in enumerate(scores, start=1)) / weight


def _checked_suggestions(ranked_texts, n_samples, k):
    """Validate the suggestions and return the first k of each row as lists of strings."""
    if not _is_sequence(ranked_texts):
        raise TypeError(f"ranked_texts must be a sequence of sequences, got {ranked_texts!r:.80}")
    if len(ranked_texts) != n_samples:
        raise ValueError(
            f"ranked_texts must have {n_samples} rows as true_texts, got {len(ranked_texts)}"
        )
    if len(getattr(ranked_texts, "shape", ())) == 2:  # iterating over a frame gives columns
        ranked_texts = np.asarray(ranked_texts)
    return [_checked_row(row, i, k) for i, row in enumerate(ranked_texts)]


def _checked_row(row, i, k):
    """Validate the first k texts of row i and return them as a list."""
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
    """Whether a value has a length and an order, and is not a text."""
    ordered = hasattr(value, "__len__") and hasattr(value, "__getitem__")
    return ordered and not isinstance(value, (str, bytes, Mapping))
