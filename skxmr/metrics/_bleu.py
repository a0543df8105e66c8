"""BLEU of single sentences against one reference, smoothed."""

import math
from collections import Counter

#: N-grams of this many words at most are compared.
_MAX_N = 4

#: What the number of matches counts as where there is none.
_SMOOTHING = 0.1


def bleu_scores(truth, sentences):
    """Score sentences against one reference.

    Parameters
    ----------
    truth : str
    sentences : sequence of str

    Returns
    -------
    list of float
        One score in [0, 1] for each sentence: the geometric mean of the precisions of its n-grams
        of words, n = 1 to 4, times exp(1 - r / h) if its h words are fewer than the r of the
        reference. Where no n-gram matches, the matches count as 0.1; n-grams that a short
        sentence does not have count as one without a match. Without a word in common it is 0.
    """
    reference = truth.split()
    known = [Counter(_ngrams(reference, n)) for n in range(1, _MAX_N + 1)]
    return [_bleu(sentence.split(), len(reference), known) for sentence in sentences]


def _bleu(words, n_reference, known):
    n_matches = _count_matches(words, known[0])
    if n_matches == 0:
        return 0.0
    product = n_matches / len(words)
    for n in range(2, _MAX_N + 1):
        # Where no n-gram matches, no longer one does.
        n_matches = n_matches and _count_matches(_ngrams(words, n), known[n - 1])
        product *= (n_matches or _SMOOTHING) / max(len(words) - n + 1, 1)
    return product ** (1 / _MAX_N) * math.exp(min(1 - n_reference / len(words), 0))


def _ngrams(words, n):
    return words if n == 1 else zip(*(words[i:] for i in range(n)), strict=False)


def _count_matches(ngrams, counts):
    """Count the n-grams that the reference has, each at most as often as there."""
    shared = [ngram for ngram in ngrams if ngram in counts]
    if len(set(shared)) == len(shared):
        return len(shared)
    return sum(min(count, counts[ngram]) for ngram, count in Counter(shared).items())
