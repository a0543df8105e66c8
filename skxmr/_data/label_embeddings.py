"""Label embeddings of checked examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from .._core import csr_transpose
from .._utils.mapped_csr import MappedCSR
from .._utils.matrices import canonical_csr
from .._utils.sparse import group_sums
from .examples import Examples

#: The name of the phase of a fit in which labels are embedded.
EMBEDDING_PHASE = "embedding labels"

#: Seconds per summed nonzero, to estimate the time left.
EMBEDDING_COST = 40e-9

KINDS = ("pifa", "pii", "features", "text")


def embed_examples(
    kind: str,
    examples: Examples,
    *,
    label_features: sp.csr_matrix | None = None,
    label_text: Sequence[str] | None = None,
    n_jobs: int | None = None,
) -> sp.csr_matrix:
    """Embed labels by one kind, or by several kinds that are joined with ``+``.

    Parameters
    ----------
    kind : str
        Such as ``"pifa"`` or ``"pifa+features"``.
    examples : Examples
        The distinct training examples.
    label_features : csr_matrix of float32, shape (n_labels, d), optional
        Required for the kind "features".
    label_text : sequence of str, length n_labels, optional
        Required for the kind "text".
    n_jobs : int, optional

    Returns
    -------
    Z : csr_matrix or MappedCSR of float32, shape (n_labels, n_features)
        Rows of unit norm. Each kind contributes equally. Mapped if the features of the examples
        are, and the kind is "pifa".

    Raises
    ------
    ValueError
        If a kind is unknown.
    """
    makers = {
        "pifa": lambda: pifa_of_examples(examples, n_jobs),
        "pii": lambda: pii_of_examples(examples),
        "features": lambda: normalize(label_features),
        "text": lambda: embed_texts(label_text),
    }
    blocks = [makers[part]() for part in split_kind(kind)]
    if len(blocks) == 1:
        return blocks[0]
    blocks = [block.matrix() if isinstance(block, MappedCSR) else block for block in blocks]
    return normalize(sp.hstack(blocks, format="csr"))


def split_kind(kind: str) -> list[str]:
    """Return the parts of the name of a label embedding.

    Raises
    ------
    ValueError
        If a part is not one of `KINDS`, or occurs twice.
    """
    parts = kind.split("+") if isinstance(kind, str) else [kind]
    if any(part not in KINDS for part in parts) or len(set(parts)) < len(parts):
        expected = ", ".join(map(repr, KINDS))
        raise ValueError(
            f"label_embedding must be one of {expected}, or several of them joined by '+', "
            f"got {kind!r}"
        )
    return parts


def pifa_of_examples(examples: Examples, n_jobs: int | None) -> sp.csr_matrix:
    """Return the PIFA embeddings of labels; see `skxmr.embeddings.pifa`."""
    group_ptr, member = csr_transpose(examples.Y)
    return group_sums(
        examples.X,
        group_ptr,
        examples.source[member],
        _row_weight(examples.Y, examples.weight)[member],
        normalize=True,
        n_jobs=n_jobs,
        what=EMBEDDING_PHASE,
    )


def _row_weight(Y, sample_weight):
    weight = 1 / np.sqrt(np.maximum(np.diff(Y.indptr), 1))
    if sample_weight is not None:
        # The result has unit norm, so that the scale of the weights does not matter.
        weight *= sample_weight / np.max(sample_weight)
    return weight.astype(np.float32)


def pii_of_examples(examples: Examples) -> sp.csr_matrix:
    """Return the PII embeddings of labels; see `skxmr.embeddings.pii`."""
    return pii_of_rows(examples.Y, examples.weight)


def pii_of_rows(Y: sp.csr_matrix, weight: np.ndarray | None) -> sp.csr_matrix:
    """Return the PII embeddings of labels from a checked indicator and the weights of its rows."""
    if weight is None:
        weight = np.ones(Y.shape[0])
    # With the square root, a row of weight 2 contributes to dot products like two equal rows.
    Z = sp.csr_matrix(Y.T @ sp.diags_array(np.sqrt(weight / np.max(weight))))
    Z.eliminate_zeros()
    return normalize(canonical_csr(Z, "y"))


def embed_texts(label_text: Sequence[str]) -> sp.csr_matrix:
    """Return the text embeddings of labels; see `skxmr.embeddings.label_text_features`."""
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), dtype=np.float32)
    return canonical_csr(vectorizer.fit_transform(label_text), "label_text")
