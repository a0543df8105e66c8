"""StaticEmbedder: embeddings of texts as means of token vectors."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.preprocessing import normalize as normalized
from sklearn.utils.validation import check_is_fitted

from .._core import indptr_of
from .._utils.estimators import fitted_in_one_step
from .._utils.params import check_boolean
from .._utils.text_batches import check_documents
from ._torch import import_extra

#: Number of texts whose tokens are in memory at a time.
_BLOCK = 1 << 14

_WORD = re.compile(r"\w+")

#: Tensors of a model2vec file besides the vectors: a row for each token, and its weight.
_EXTRAS = ("mapping", "weights")


class StaticEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Convert texts to embeddings: the mean of the vectors of their tokens.

    There is no transformer, so that an embedding takes microseconds. The vectors come from a local
    file, for example of WordLlama, model2vec, GloVe or fastText. Tokens that have no vector are
    ignored.

    Parameters
    ----------
    vectors : str, path or array-like of shape (n_tokens, n_features)
        The vector of each token:

        - a folder of model2vec, with ``model.safetensors`` and ``tokenizer.json``;
        - a file ``.safetensors`` with one matrix, such as that of WordLlama, or ``.npy``;
        - a text file ``.txt`` or ``.vec`` with a word and its numbers in each line, as those of
          GloVe and fastText;
        - a matrix.

    tokenizer : str, path, tokenizers.Tokenizer, dict or None, default=None
        Turns a text into row numbers of `vectors`: a file ``tokenizer.json``, such a tokenizer, or
        a dict of words and their rows. With a dict, and with a text file of vectors, words are runs
        of letters, digits and underscores. None is valid for folders and text files.
    lowercase : bool, default=True
        Whether texts are converted to lower case before words are looked up. Ignored with a
        tokenizer of the package tokenizers.
    normalize : bool, default=True
        Whether rows have unit norm.

    Attributes
    ----------
    vectors_ : ndarray of float32, shape (n_tokens, n_features)
        The vectors in use.

    See Also
    --------
    TransformerEmbedder : Embeddings of a transformer, which are slower and more accurate.

    Notes
    -----
    Files of safetensors and tokenizers need the extra ``skxmr[transformer]``. Texts without known
    tokens become zero vectors.

    Examples
    --------
    >>> from skxmr.transformers import StaticEmbedder
    >>> vectors = [[1.0, 0.0], [0.0, 1.0]]
    >>> embedder = StaticEmbedder(vectors, {"cat": 0, "dog": 1}).fit()
    >>> embedder.transform(["Cat", "cat, dog", ""])
    array([[1.        , 0.        ],
           [0.707..., 0.707...],
           [0.        , 0.        ]], dtype=float32)
    """

    def __init__(self, vectors, tokenizer=None, *, lowercase=True, normalize=True):
        self.vectors = vectors
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.normalize = normalize

    def fit(self, raw_documents=None, y=None):
        """Read the vectors and the tokenizer. The texts are not used.

        Parameters
        ----------
        raw_documents : ignored
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If safetensors or tokenizers are required and not installed.
        TypeError, ValueError
            If a parameter is not as documented, or the tokenizer does not fit the vectors.
        """
        check_boolean(self.lowercase, "lowercase")
        check_boolean(self.normalize, "normalize")
        with fitted_in_one_step(self) as fresh:
            vectors, words = _read_vectors(self.vectors)
            fresh._tokens_of = _make_tokenizer(self.tokenizer, self.vectors, words, self.lowercase)
            fresh.vectors_ = vectors
            fresh._n_features_out = vectors.shape[1]
            if fresh._tokens_of.n_tokens > len(vectors):
                raise ValueError(
                    f"tokenizer must fit vectors, but it has {fresh._tokens_of.n_tokens} tokens "
                    f"and there are {len(vectors)} vectors"
                )
        return self

    def transform(self, raw_documents):
        """Return the embeddings of texts.

        Parameters
        ----------
        raw_documents : iterable of str

        Returns
        -------
        embeddings : ndarray of float32, shape (n_texts, n_features)

        Raises
        ------
        TypeError
            If a text is not a str.
        """
        if type(raw_documents) is list and len(raw_documents) == 1:
            return self.transform_one(raw_documents[0])[np.newaxis]
        check_is_fitted(self)
        texts = check_documents(raw_documents)
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"raw_documents[{i}] must be a str, got {type(text).__name__}")
        embeddings = np.zeros((len(texts), self.vectors_.shape[1]), dtype=np.float32)
        for begin in range(0, len(texts), _BLOCK):
            tokens = self._tokens_of.many(texts[begin : begin + _BLOCK])
            embeddings[begin : begin + len(tokens)] = self._means(tokens)
        return embeddings

    def transform_one(self, text):
        """Return the embedding of one text.

        Parameters
        ----------
        text : str

        Returns
        -------
        embedding : ndarray of float32, shape (n_features,)
        """
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)  # takes several microseconds
        if not isinstance(text, str):
            raise TypeError(f"raw_documents[0] must be a str, got {type(text).__name__}")
        tokens = self._tokens_of.one(text)
        if not tokens:
            return np.zeros(self.vectors_.shape[1], dtype=np.float32)
        total = np.add.reduce(self.vectors_.take(tokens, axis=0), axis=0)
        if self.normalize:
            norm = np.sqrt(total @ total)
            return total / norm if norm > 0 else total
        return total / np.float32(len(tokens))

    def _means(self, tokens):
        """Return the embedding of each list of tokens."""
        indptr = indptr_of([len(t) for t in tokens])
        indices = np.array([token for t in tokens for token in t], dtype=np.int64)
        ones = np.ones(len(indices), dtype=np.float32)
        counts = sp.csr_matrix((ones, indices, indptr), shape=(len(tokens), len(self.vectors_)))
        totals = counts @ self.vectors_
        if self.normalize:
            return normalized(totals, copy=False)
        return totals / np.maximum(np.diff(indptr), 1)[:, np.newaxis].astype(np.float32)

    def __sklearn_is_fitted__(self):
        return "vectors_" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


class _Words:
    """Words of a vocabulary, as runs of letters, digits and underscores."""

    def __init__(self, vocabulary, lowercase):
        self.vocabulary = vocabulary
        self.lowercase = lowercase
        self.n_tokens = max(vocabulary.values(), default=-1) + 1

    def one(self, text):
        words = _WORD.findall(text.lower() if self.lowercase else text)
        rows = map(self.vocabulary.get, words)
        return [row for row in rows if row is not None]

    def many(self, texts):
        return [self.one(text) for text in texts]


class _Subwords:
    """Tokens of a tokenizer of the package tokenizers, without the unknown token."""

    def __init__(self, tokenizer):
        tokenizers = import_extra("tokenizers")
        content = tokenizer.to_str()
        self.tokenizer = tokenizers.Tokenizer.from_str(content)
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.n_tokens = max(self.tokenizer.get_vocab().values(), default=-1) + 1
        unknown = json.loads(content)["model"].get("unk_token")
        self.unknown = None if unknown is None else self.tokenizer.token_to_id(unknown)

    def one(self, text):
        return self._known(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def many(self, texts):
        found = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [self._known(tokens.ids) for tokens in found]

    def _known(self, tokens):
        if self.unknown in tokens:
            return [token for token in tokens if token != self.unknown]
        return tokens


def _make_tokenizer(tokenizer, vectors, words, lowercase):
    """Return the object that turns texts into rows, for the parameter `tokenizer`."""
    if tokenizer is None and words is not None:
        return _Words(words, lowercase)
    if tokenizer is None:
        is_folder = isinstance(vectors, (str, os.PathLike)) and Path(vectors).is_dir()
        if not is_folder:
            raise ValueError("tokenizer must be given if vectors is not a folder or a text file")
        tokenizer = Path(vectors) / "tokenizer.json"
    if isinstance(tokenizer, Mapping):
        return _Words(_checked_vocabulary(tokenizer), lowercase)
    tokenizers = import_extra("tokenizers")
    if isinstance(tokenizer, (str, os.PathLike)):
        if not Path(tokenizer).is_file():
            raise ValueError(f"tokenizer must be a file, got {str(tokenizer)!r}")
        try:
            return _Subwords(tokenizers.Tokenizer.from_file(os.fspath(tokenizer)))
        except Exception as error:  # damaged files raise errors of type Exception
            raise ValueError(
                f"tokenizer must be a file of the package tokenizers, but {str(tokenizer)!r} "
                f"cannot be read: {error}"
            ) from error
    if not isinstance(tokenizer, tokenizers.Tokenizer):
        raise TypeError(
            "tokenizer must be a file, a tokenizers.Tokenizer, a dict or None, got "
            f"{type(tokenizer).__name__}"
        )
    return _Subwords(tokenizer)


def _checked_vocabulary(vocabulary):
    for word, row in vocabulary.items():
        if not isinstance(word, str) or not isinstance(row, (int, np.integer)) or row < 0:
            raise ValueError(
                f"tokenizer must map words to rows of vectors, got {word!r:.40}: {row!r:.40}"
            )
    return dict(vocabulary)


def _read_vectors(vectors):
    """Return the vectors, and the row of each word if the file has words."""
    if not isinstance(vectors, (str, os.PathLike)):
        return _checked_vectors(vectors), None
    path = Path(vectors)
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f"vectors must be a file or a folder with a model, got {str(path)!r}")
    if path.suffix == ".safetensors":
        return _checked_vectors(_read_safetensors(path)), None
    if path.suffix == ".npy":
        return _checked_vectors(np.load(path, allow_pickle=False)), None
    if path.suffix in (".txt", ".vec"):
        rows, words = _read_text(path)
        return _checked_vectors(rows), words
    raise ValueError(
        f"vectors must be a folder or a file .safetensors, .npy, .txt or .vec, got {str(path)!r}"
    )


def _checked_vectors(vectors):
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise ValueError(f"vectors must be a matrix that is not empty, got shape {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors must be finite, got NaN or infinite values")
    return vectors


def _read_safetensors(path):
    """Return the only matrix of a file, with the rows and weights of tokens of model2vec."""
    with import_extra("safetensors").safe_open(path, "numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    matrices = [name for name, tensor in tensors.items() if tensor.ndim == 2]
    others = [name for name in tensors if name not in matrices and name not in _EXTRAS]
    if len(matrices) != 1 or others:
        raise ValueError(
            "vectors must be a file with one matrix, got one with the tensors "
            f"{', '.join(tensors) or 'none'}"
        )
    vectors = np.asarray(tensors[matrices[0]], dtype=np.float32)
    if "mapping" in tensors:
        vectors = vectors[tensors["mapping"]]
    if "weights" in tensors:
        vectors = vectors * np.asarray(tensors["weights"], dtype=np.float32)[:, np.newaxis]
    return vectors


def _read_text(path):
    """Read a word and its numbers from each line. A first line with two numbers is skipped."""
    words = {}
    rows = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            word, *values = line.rstrip().split(" ")
            if number == 1 and len(values) == 1:
                continue
            if rows and len(values) != len(rows[0]):
                raise ValueError(
                    f"vectors must have {len(rows[0])} numbers in each line, but line {number} of "
                    f"{str(path)!r} has {len(values)}"
                )
            words.setdefault(word, len(rows))
            rows.append(np.array(values, dtype=np.float32))
    return np.array(rows), words
