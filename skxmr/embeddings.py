"""Label embeddings: the features of labels from which an indexer builds a tree.

An embedding of a label is a sparse row of unit norm. There are four kinds, which can be joined:

``"pifa"``
    Positive instance feature aggregation [1]_: the sum of the feature vectors of the rows with the
    label.
``"pii"``
    Positive instance indices: the column of the label in Y.
``"features"``
    Features of the labels that the user provides.
``"text"``
    tf-idf of the character n-grams of the label texts.

References
----------
.. [1] H.-F. Yu, K. Zhong, J. Zhang, W.-C. Chang and I. S. Dhillon, "PECOS: Prediction for enormous
   and correlated output spaces", Journal of Machine Learning Research 23 (2022).
"""

from ._data.examples import distinct_examples
from ._data.label_embeddings import (
    embed_examples,
    embed_texts,
    pifa_of_examples,
    pii_of_rows,
    split_kind,
)
from ._utils.matrices import check_indicator, check_matrix
from ._utils.texts import check_texts
from ._utils.weights import check_sample_weight

__all__ = ["embed_labels", "label_text_features", "pifa", "pii"]


def pifa(X, Y, *, sample_weight=None, n_jobs=None):
    """Embed labels by the features of their rows.

    The embedding of label l is v_l / ||v_l|| with ``v_l = sum_i w_i Y_il x_i / ||Y_i||``. A row
    with many labels therefore contributes less to each of them.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n, m)
        Features of the rows.
    Y : {array-like, sparse matrix} of shape (n, n_labels)
        0/1 indicator of the labels.
    sample_weight : array-like of shape (n,), default=None
        Weights w of the rows. By default, all are 1.
    n_jobs : int, default=None
        Number of jobs, as in joblib.

    Returns
    -------
    Z : csr_matrix of float32, shape (n_labels, m)
        Rows of unit norm. The row of a label without rows is empty.

    Raises
    ------
    TypeError, ValueError
        If an input is invalid. The message names it.

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
    return pifa_of_examples(_checked_examples(X, Y, sample_weight), n_jobs)


def _checked_examples(X, Y, sample_weight):
    X = check_matrix(X, "X")
    Y = check_indicator(Y, "Y", X.shape[0])
    return distinct_examples(X, Y, check_sample_weight(sample_weight, X.shape[0]))


def pii(Y, *, sample_weight=None):
    """Embed labels by the indices of their rows.

    Parameters
    ----------
    Y : {array-like, sparse matrix} of shape (n, n_labels)
        0/1 indicator of the labels.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows. By default, all are 1.

    Returns
    -------
    Z : csr_matrix of float32, shape (n_labels, n)
        Rows of unit norm. The row of a label without rows is empty.

    Raises
    ------
    TypeError, ValueError
        If an input is invalid. The message names it.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from skxmr.embeddings import pii
    >>> pii(sp.csr_matrix(np.array([[1, 0], [1, 1]], dtype="float32"))).toarray().round(2)
    array([[0.71, 0.71],
           [0.  , 1.  ]], dtype=float32)
    """
    Y = check_indicator(Y, "Y")
    return pii_of_rows(Y, check_sample_weight(sample_weight, Y.shape[0]))


def label_text_features(label_text):
    """Embed labels by their texts: tf-idf of character n-grams (1 to 3) within words.

    Parameters
    ----------
    label_text : sequence of str, length n_labels
        Texts of the labels. At least one must not be blank.

    Returns
    -------
    Z : csr_matrix of float32, shape (n_labels, n_ngrams)
        Rows of unit norm. The row of a blank text is empty.

    Raises
    ------
    ValueError
        If all texts are blank.

    Examples
    --------
    >>> from skxmr.embeddings import label_text_features
    >>> label_text_features(["cat", "cats"]).shape[0]
    2
    """
    return embed_texts(label_text)


def embed_labels(
    kind, X, Y, *, sample_weight=None, label_features=None, label_text=None, n_jobs=None
):
    """Embed labels as XRLinearClassifier does for its parameter `label_embedding`.

    Parameters
    ----------
    kind : str
        "pifa", "pii", "features" or "text", or several of them joined by ``+``, such as
        ``"pifa+features"``. Each kind contributes equally.
    X : {array-like, sparse matrix} of shape (n, m)
        Features of the rows.
    Y : {array-like, sparse matrix} of shape (n, n_labels)
        0/1 indicator of the labels.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows. By default, all are 1.
    label_features : {array-like, sparse matrix} of shape (n_labels, d), default=None
        Features of the labels. Required for the kind "features".
    label_text : sequence of str, length n_labels, default=None
        Texts of the labels. Required for the kind "text".
    n_jobs : int, default=None
        Number of jobs, as in joblib.

    Returns
    -------
    Z : csr_matrix of float32, shape (n_labels, n_features)
        Rows of unit norm. The row of a label without rows, features or text is empty.

    Raises
    ------
    TypeError, ValueError
        If a kind is unknown, or if an input is missing or invalid. The message names it.

    Notes
    -----
    As in training, equal rows of X and Y are one row with the sum of their weights. The columns of
    the kind "pii" are these distinct rows, in an order that does not depend on the order of X.

    Examples
    --------
    >>> import numpy as np
    >>> from skxmr import KMeansIndexer
    >>> from skxmr.embeddings import embed_labels
    >>> X = np.eye(3, 4)
    >>> Y = np.array([[1, 0], [1, 1], [0, 1]])
    >>> Z = embed_labels("pifa+text", X, Y, label_text=["cat", "dog"])
    >>> Z.shape
    (2, 25)
    >>> KMeansIndexer(max_leaf_size=1, random_state=0).fit(Z).tree_
    LabelTree(1-2-2, n_labels=2)
    """
    parts = split_kind(kind)
    examples = _checked_examples(X, Y, sample_weight)
    n_labels = examples.Y.shape[1]
    if "features" in parts:
        if label_features is None:
            raise ValueError(f"kind={kind!r} needs label_features, got None")
        label_features = check_matrix(label_features, "label_features", n_labels)
    if "text" in parts:
        if label_text is None:
            raise ValueError(f"kind={kind!r} needs label_text, got None")
        label_text = check_texts(label_text, "label_text")
        if len(label_text) != n_labels:
            raise ValueError(
                f"label_text must be {n_labels} strings, one per label, got {len(label_text)}"
            )
    return embed_examples(
        kind, examples, label_features=label_features, label_text=label_text, n_jobs=n_jobs
    )
