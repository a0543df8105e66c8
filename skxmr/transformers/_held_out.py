"""The weight of the pretrained encoder, chosen on rows that are held out of fine-tuning."""

import numpy as np

from .._utils import progress
from .._utils.matrices import with_dense_columns
from ..metrics import ndcg_at_k

#: Weights to choose from. 1 is the encoder as it was.
WEIGHTS = (1.0, 0.8, 0.6, 0.4)

#: One row of this many is held out, up to the most.
_SHARE = 10
_MOST = 2_000

#: Number of other rows that the classifiers of the comparison are trained on, at most.
_MOST_FITTED = 8_000

#: The rank down to which rankings are compared.
_DEPTH = 5


def split(classifier, n_rows, seed):
    """Return the rows to fine-tune on, and those that are held out."""
    rows = np.arange(n_rows)
    if classifier.pretrained_weight != "auto":
        return rows, rows[:0]
    rng = np.random.default_rng(0 if seed is None else seed)
    held_out = np.sort(rng.permutation(n_rows)[: min(_MOST, n_rows // _SHARE)])
    return np.delete(rows, held_out), held_out


def chosen_weight(classifier, averaged, texts, X, Y, label_text, kept, held_out, seed):
    """Return the weight whose embeddings rank the held-out rows best.

    For each weight, the final classifier is trained on rows that the encoder was fine-tuned on, and
    the nDCG@5 of its ranking of the held-out rows is computed. Of equal weights, the largest wins.

    Parameters
    ----------
    classifier : XRTransformerClassifier
    averaged : callable
        ``averaged(weight)`` returns the embedder for a weight.
    texts : list of str
    X : csr_matrix of float32, shape (n_texts, n_features)
    Y : csr_matrix of float32, shape (n_texts, n_labels)
    label_text : list of str or None
    kept, held_out : ndarray of int
        As `split` returns them.
    seed : int or None

    Returns
    -------
    weight : float
        `pretrained_weight`, if it is a number.
    """
    if classifier.pretrained_weight != "auto":
        return float(classifier.pretrained_weight)
    if len(held_out) == 0:
        return WEIGHTS[0]
    # [seed, 0] and seed are the same stream, which fine-tuning draws its rows from.
    rng = np.random.default_rng([0 if seed is None else seed, 1 << 31])
    fitted = np.sort(rng.permutation(kept)[:_MOST_FITTED])
    best = -np.inf, None
    with progress.reporting("choosing pretrained_weight", {"weights": 1.0}, classifier.verbose):
        for weight in WEIGHTS:
            embedder = averaged(weight).set_params(verbose=0)
            model = classifier._final_classifier(
                embedder, [texts[i] for i in fitted], X[fitted], Y[fitted], label_text, None, seed
            )
            new = with_dense_columns(X[held_out], embedder.transform([texts[i] for i in held_out]))
            score = ndcg_at_k(Y[held_out], model.rank(new, _DEPTH)[0], _DEPTH)
            if score > best[0]:
                best = score, weight
            progress.advance("weights", 1 / len(WEIGHTS))
    return best[1]
