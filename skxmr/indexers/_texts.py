"""Label texts as code points, and as embeddings."""

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import FunctionTransformer

from ..text import NGramTfidfVectorizer


def code_points(texts):
    """Put the code points of strings one after the other.

    Returns
    -------
    pointers : ndarray of int64, shape (n + 1,)
        String i has the code points from ``pointers[i]`` up to ``pointers[i + 1]``.
    points : ndarray of uint32
        Surrogates that stand alone are code points like others.
    """
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return np.concatenate(([0], np.cumsum(lengths))), points.astype(np.uint32, copy=False)


def default_vectorizer(texts):
    """What embeds label texts unless told otherwise: a transformer of strings.

    Where no text has any character, it gives every text a column of zeros.
    """
    if not any(texts):
        return FunctionTransformer(_zeros)
    return NGramTfidfVectorizer("char", (1, 3), lowercase=False, position_weighted=True)


def _zeros(texts):
    return sp.csr_matrix((len(texts), 1), dtype=np.float32)
