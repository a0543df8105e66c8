"""Label embeddings: what an indexer sees of the labels.

A label's embedding is a sparse row, scaled to unit norm. There are four kinds, which can be joined:

``"pifa"``
    Positive instance feature aggregation [1]_: the sum of the feature vectors of the label's rows.
``"pii"``
    Positive instance indices: the label's column of y.
``"features"``
    Features of the labels, given by the user.
``"text"``
    tf-idf of the character n-grams of the labels' texts.

References
----------
.. [1] H.-F. Yu, K. Zhong, J. Zhang, W.-C. Chang and I. S. Dhillon, "PECOS: Prediction for enormous
   and correlated output spaces", Journal of Machine Learning Research 23 (2022).
"""

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from ._core import csr_transpose
from ._data.examples import distinct_examples
from ._utils.matrices import canonical_csr, check_indicator, check_matrix
from ._utils.sparse import group_sums
from ._utils.weights import check_sample_weight

#: The phase of a fit, and its seconds per nonzero summed, roughly: to estimate the time left.
PHASE = "embedding labels"
COST = 40e-9

KINDS = ("pifa", "pii", "features", "text")


def pifa(X, Y, *, sample_weight=None, n_jobs=None):
    """Embed labels by the features of their rows.

    Label l's embedding is v_l / ||v_l|| with ``v_l = sum_i w_i Y_il x_i / ||Y_i||``, so that a row
    with many labels counts less for each of them.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n, m)
    Y : {array-like, sparse matrix} of shape (n, n_labels)
        0/1 indicator of the labels.
    sample_weight : array-like of shape (n,), optional
        w above.
    n_jobs : int, optional
        As in joblib.

    Returns
    -------
    Z : csr_matrix of float32, shape (n_labels, m)
        Rows of unit norm; a label without rows has an empty one.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from skxmr.embeddings import pifa
    >>> X = sp.csr_matrix(np.eye(2, dtype="float32"))
    >>> Y = sp.csr_matrix(np.array([[1, 0], [1, 1]], dtype="float32"))
    >>> pifa(X, Y).toarray().round(2)
    array([[0.82, 0.58],
           [0.  , 1.  ]], dtype=float32)
    """
    X = check_matrix(X, "X")
    Y = check_indicator(Y, "Y", X.shape[0])
    weight = check_sample_weight(sample_weight, X.shape[0])
    return _pifa_of_examples(distinct_examples(X, Y, weight), n_jobs)


def _pifa_of_examples(examples, n_jobs):
    X, Y, source, weight, *_ = examples
    group_ptr, member = csr_transpose(Y)
    row_weight = _row_weight(Y, weight)[member]
    member = source[member]
    return group_sums(X, group_ptr, member, row_weight, normalize=True, n_jobs=n_jobs, what=PHASE)


def _row_weight(Y, sample_weight):
    counts = np.maximum(np.diff(Y.indptr), 1)
    weight = 1 / np.sqrt(counts)
    if sample_weight is not None:
        weight *= sample_weight / np.max(sample_weight)  # the scale is lost in the norm anyway
    return weight.astype(np.float32)


def pii(Y, *, sample_weight=None):
    """Embed labels by the rows that carry them.

    Parameters
    ----------
    Y : {array-like, sparse matrix} of shape (n, n_labels)
        0/1 indicator of the labels.
    sample_weight : array-like of shape (n,), optional
        Weighs the rows.

    Returns
    -------
    Z : csr_matrix of float32, shape (n_labels, n)
        Rows of unit norm.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from skxmr.embeddings import pii
    >>> pii(sp.csr_matrix(np.array([[1, 0], [1, 1]], dtype="float32"))).toarray().round(2)
    array([[0.71, 0.71],
           [0.  , 1.  ]], dtype=float32)
    """
    Y = check_indicator(Y, "Y")
    weight = check_sample_weight(sample_weight, Y.shape[0])
    return _weighted_pii(Y, np.ones(Y.shape[0]) if weight is None else weight)


def _pii_of_examples(examples):
    weight = examples.weight if examples.weight is not None else np.ones(examples.Y.shape[0])
    return _weighted_pii(examples.Y, weight)


def _weighted_pii(Y, weight):
    # By the root, so that a row of weight 2 adds to products as the row given twice would.
    Z = sp.csr_matrix(Y.T @ sp.diags_array(np.sqrt(weight / np.max(weight))))
    Z.eliminate_zeros()
    return normalize(canonical_csr(Z, "y"))


def label_text_features(label_text):
    """Embed labels by their texts: tf-idf of character n-grams (1 to 3) within words.

    Parameters
    ----------
    label_text : sequence of str, length n_labels

    Returns
    -------
    Z : csr_matrix of float32, shape (n_labels, n_ngrams)
        Rows of unit norm.

    Examples
    --------
    >>> from skxmr.embeddings import label_text_features
    >>> label_text_features(["cat", "cats"]).shape[0]
    2
    """
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), dtype=np.float32)
    return canonical_csr(vectorizer.fit_transform(label_text), "label_text")


def embed_labels(kind, examples, *, label_features=None, label_text=None, n_jobs=None):
    """Embed labels by one kind, or by several joined with ``+``, such as ``"pifa+features"``.

    Each kind's rows have unit norm, and so have those of the result.

    Parameters
    ----------
    kind : str
    examples : Examples
        The distinct training examples.
    label_features : csr_matrix of float32, shape (n_labels, d), optional
        For the kind "features".
    label_text : sequence of str, optional
        For the kind "text".
    n_jobs : int, optional

    Returns
    -------
    Z : csr_matrix of float32, shape (n_labels, ...)

    Raises
    ------
    ValueError
        If a kind is unknown.
    """
    makers = {
        "pifa": lambda: _pifa_of_examples(examples, n_jobs),
        "pii": lambda: _pii_of_examples(examples),
        "features": lambda: normalize(label_features),
        "text": lambda: label_text_features(label_text),
    }
    blocks = [makers[part]() for part in split_kind(kind)]
    return blocks[0] if len(blocks) == 1 else normalize(sp.hstack(blocks, format="csr"))


def split_kind(kind):
    """Split and check the name of a label embedding."""
    parts = kind.split("+") if isinstance(kind, str) else [kind]
    if any(part not in KINDS for part in parts) or len(set(parts)) < len(parts):
        expected = ", ".join(map(repr, KINDS))
        raise ValueError(
            f"label_embedding must be one of {expected}, or several of them joined by '+', "
            f"got {kind!r}"
        )
    return parts
