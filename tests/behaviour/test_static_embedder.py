"""StaticEmbedder, and what the module of encoders does without its extra."""

import json
import pickle
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

import skxmr
from skxmr.transformers import StaticEmbedder, TransformerEmbedder

WORDS = {"cat": 0, "dog": 1, "sea": 2}
VECTORS = np.array([[3, 4, 0], [0, 0, 2], [1, 0, 1]], dtype=np.float32)
TEXTS = ["Cat", "cat dog, cat", "a zebra", "", "sea dog sea"]
MEANS = np.array([VECTORS[0], VECTORS[[0, 1, 0]].mean(0), [0] * 3, [0] * 3, [2 / 3, 0, 4 / 3]])


def test_embeddings_are_means_of_vectors():
    embedder = StaticEmbedder(VECTORS, WORDS, normalize=False).fit()
    assert_allclose(embedder.transform(TEXTS), MEANS, rtol=1e-6)
    norms = np.linalg.norm(MEANS, axis=1, keepdims=True)
    expected = MEANS / np.where(norms > 0, norms, 1)
    embedder = StaticEmbedder(VECTORS, WORDS)
    assert_allclose(embedder.fit_transform(TEXTS), expected, rtol=1e-6)


@pytest.mark.parametrize("normalize", [True, False])
def test_single_texts_equal_many(normalize):
    embedder = StaticEmbedder(VECTORS, WORDS, normalize=normalize).fit()
    together = embedder.transform(TEXTS)
    for text, row in zip(TEXTS, together, strict=True):
        assert_allclose(embedder.transform([text]), [row], rtol=1e-6)
        assert_allclose(embedder.transform_one(text), row, rtol=1e-6)


def test_case_can_matter():
    embedder = StaticEmbedder(VECTORS, WORDS, lowercase=False, normalize=False).fit()
    assert_array_equal(embedder.transform(["Cat", "cat"]), [[0, 0, 0], VECTORS[0]])


def test_files_of_vectors(tmp_path):
    np.save(tmp_path / "vectors.npy", VECTORS.astype(np.float16))
    lines = [f"{word} {' '.join(map(str, VECTORS[row]))}" for word, row in WORDS.items()]
    (tmp_path / "glove.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "fasttext.vec").write_text("\n".join(["3 3", *lines]) + "\n")
    for embedder in (
        StaticEmbedder(tmp_path / "vectors.npy", WORDS, normalize=False),
        StaticEmbedder(tmp_path / "glove.txt", normalize=False),
        StaticEmbedder(str(tmp_path / "fasttext.vec"), normalize=False),
    ):
        assert_allclose(embedder.fit_transform(TEXTS), MEANS, rtol=1e-6)


def test_pickle_and_clone():
    embedder = StaticEmbedder(VECTORS, WORDS).fit()
    expected = embedder.transform(TEXTS)
    assert_array_equal(pickle.loads(pickle.dumps(embedder)).transform(TEXTS), expected)
    assert_array_equal(clone(embedder).fit_transform(TEXTS), expected)


def test_columns_have_names():
    names = StaticEmbedder(VECTORS, WORDS).fit().get_feature_names_out()
    assert names.tolist() == ["staticembedder0", "staticembedder1", "staticembedder2"]


@pytest.mark.parametrize(
    ("vectors", "tokenizer", "message"),
    [
        (VECTORS, None, "tokenizer must be given if vectors is not a folder or a text file"),
        (VECTORS[0], WORDS, r"vectors must be a matrix that is not empty, got shape \(3,\)"),
        (VECTORS * np.nan, WORDS, "vectors must be finite"),
        (VECTORS[:2], WORDS, "tokenizer must fit vectors, but it has 3 tokens and there are 2"),
        (VECTORS, {"cat": -1}, "tokenizer must map words to rows of vectors, got 'cat': -1"),
        ("missing.npy", WORDS, "vectors must be a file or a folder with a model, got 'missing.npy"),
    ],
)
def test_invalid_parameters(vectors, tokenizer, message):
    with pytest.raises(ValueError, match=message):
        StaticEmbedder(vectors, tokenizer).fit()


def test_invalid_files(tmp_path):
    (tmp_path / "glove.txt").write_text("cat 1 2\ndog 1\n")
    with pytest.raises(ValueError, match="vectors must have 2 numbers in each line, but line 2"):
        StaticEmbedder(tmp_path / "glove.txt").fit()
    (tmp_path / "vectors.bin").write_text("")
    with pytest.raises(ValueError, match=r"vectors must be a folder or a file \.safetensors"):
        StaticEmbedder(tmp_path / "vectors.bin", WORDS).fit()


def test_invalid_texts():
    embedder = StaticEmbedder(VECTORS, WORDS)
    with pytest.raises(NotFittedError):
        embedder.transform(["cat"])
    embedder.fit()
    for texts in ([None], ["cat", None]):
        with pytest.raises(TypeError, match=r"raw_documents\[\d\] must be a str, got NoneType"):
            embedder.transform(texts)


@pytest.mark.parametrize(
    "check",
    [
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_estimators_unfitted",
        "check_get_params_invariance",
        "check_no_attributes_set_in_init",
        "check_set_params",
        "check_valid_tag_types",
    ],
)
def test_scikit_learn_check_passes(check):
    getattr(estimator_checks, check)("StaticEmbedder", StaticEmbedder([[1.0]], {"a": 0}))


def test_without_the_extra(monkeypatch, tmp_path):
    for name in ("torch", "transformers", "tokenizers", "safetensors"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_text("")
    message = r'pip install "skxmr\[transformer\]"'
    for fit in (
        lambda: TransformerEmbedder(tmp_path).fit(["cat"]),
        lambda: StaticEmbedder(tmp_path).fit(),
        lambda: StaticEmbedder(VECTORS, tmp_path / "config.json").fit(),
    ):
        with pytest.raises(ImportError, match=message):
            fit()
    assert skxmr.transformers.StaticEmbedder(VECTORS, WORDS).fit().transform(["cat"]).any()


def test_a_tokenizer_and_safetensors(tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="the extra transformer is not installed")
    numpy_files = pytest.importorskip("safetensors.numpy", reason="see above")
    vocabulary = {"[UNK]": 0, "cat": 1, "dog": 2}
    model = tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    vectors = np.array([[9, 9], [1, 0], [0, 1]], dtype=np.float16)
    numpy_files.save_file({"embedding.weight": vectors}, tmp_path / "model.safetensors")
    expected = [[1, 0], [0.5, 0.5], [0, 0]]
    texts = ["cat", "cat zebra dog", "zebra"]
    for embedder in (
        StaticEmbedder(tmp_path, normalize=False),
        StaticEmbedder(tmp_path / "model.safetensors", tokenizer, normalize=False),
    ):
        assert_allclose(embedder.fit_transform(texts), expected)
        assert_allclose(embedder.transform(texts[1:2]), expected[1:2])
    extras = {"mapping": np.array([0, 2, 1]), "weights": np.array([1, 2, 4], dtype=np.float32)}
    numpy_files.save_file({"embeddings": vectors, **extras}, tmp_path / "model.safetensors")
    found = StaticEmbedder(tmp_path, normalize=False).fit_transform(texts)
    assert_allclose(found, [[0, 2], [2, 1], [0, 0]])
    numpy_files.save_file({"a": vectors, "b": vectors}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="vectors must be a file with one matrix"):
        StaticEmbedder(tmp_path).fit()
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["model"]["vocab"]["bird"] = 3
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    numpy_files.save_file({"a": vectors}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="it has 4 tokens and there are 3 vectors"):
        StaticEmbedder(tmp_path).fit()
