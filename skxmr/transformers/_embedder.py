"""TransformerEmbedder: embeddings of texts by a transformer from a local folder."""

import os
import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import normalize as normalized

from .._utils import caching, progress
from .._utils.estimators import consistent, fitted_in_one_step
from .._utils.params import check_boolean, check_integer, check_n_jobs, check_option
from .._utils.text_batches import check_documents
from ._batches import PHASE, BatchEncoder
from ._encoder import POOLINGS, load_encoder
from ._store import LEAST, open_store
from ._torch import DTYPES, chosen_device, computes_in_bfloat16

#: Number of texts that are tokenized, sorted by length and stored at a time.
_BLOCK = 1 << 13

#: A share of truncated texts that is worth a warning.
_MANY = 0.01


class TransformerEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Convert texts to embeddings with a transformer, such as a sentence encoder.

    The encoder is used as it is, without training. Join its embeddings to tf-idf features with
    :class:`sklearn.pipeline.FeatureUnion` for :class:`skxmr.XRLinearClassifier`. It needs the extra
    ``skxmr[transformer]``. Models are read from local folders and never downloaded.

    Parameters
    ----------
    encoder : str, path, tuple (model, tokenizer) or object
        A local folder with a model of transformers and its tokenizer; such a pair; or any object
        with a method `transform`, or `encode`, that returns one row per text. An estimator with
        `fit` is cloned and fitted; use :class:`sklearn.frozen.FrozenEstimator` for a fitted one.
    pooling : {"auto", "mean", "cls", "last"}, default="auto"
        How the vectors of the tokens become one: their mean, the vector of the first token, or of
        the last one. "auto" means the pooling of a folder of sentence-transformers, and the mean
        otherwise.
    max_length : int, default=128
        Maximum number of tokens of a text, special ones included. Longer texts are truncated.
    prefix : str, default=""
        Put in front of every text. Some encoders require it, such as ``"query: "`` for those of the
        E5 family.
    normalize : bool, default=True
        Whether rows have unit norm.
    batch_tokens : int, default=2048
        Maximum number of tokens of a batch, with padding. Texts of similar length share a batch.
    device : {"auto", "cpu", "cuda"} or str such as "cuda:1", default="auto"
        Where the encoder computes. "auto" means CUDA if it is available.
    dtype : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the matrix products. "auto" means bfloat16 on devices with instructions for it,
        where it is twice as fast. Cosines of rows of both precisions exceed .999.
    memory : str, path or joblib.Memory, default=None
        Caches the embedding of each text. Texts that were encoded before, with the same encoder and
        settings, are read from the cache, also after an interruption and in other folds of a
        cross-validation. Calls with fewer than 32 texts do not use it.
    n_jobs : int, default=None
        Number of threads, as in joblib. Results do not depend on it.
    verbose : int, default=0
        Whether to report the progress.

    Attributes
    ----------
    encoder_ : object
        The fitted encoder, if `encoder` is an object.
    n_features_out_ : int
        Number of columns.
    truncated_share_ : float
        Fraction of the different texts of fit that were truncated. A warning reports shares above
        1 %. It is NaN if `encoder` is an object.

    See Also
    --------
    StaticEmbedder : The mean of token vectors, without a transformer; much faster.
    XRTransformerClassifier : Fine-tunes the encoder.

    Notes
    -----
    Blank texts, and texts without tokens, become zero vectors. Equal texts are encoded once. The
    embedding of a text depends on the other texts of a batch in the last digits only.

    Without a fit, `transform` works if `encoder` is a folder or a pair.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skxmr.transformers import TransformerEmbedder
    >>> lsa = make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0))
    >>> embedder = TransformerEmbedder(lsa)
    >>> embedder.fit_transform(["cats and dogs", "dogs", "sea birds", ""]).shape
    (4, 2)
    """

    def __init__(
        self,
        encoder,
        *,
        pooling="auto",
        max_length=128,
        prefix="",
        normalize=True,
        batch_tokens=2048,
        device="auto",
        dtype="auto",
        memory=None,
        n_jobs=None,
        verbose=0,
    ):
        self.encoder = encoder
        self.pooling = pooling
        self.max_length = max_length
        self.prefix = prefix
        self.normalize = normalize
        self.batch_tokens = batch_tokens
        self.device = device
        self.dtype = dtype
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, raw_documents, y=None):
        """Load the encoder and count the truncated texts; fit the encoder if it is an estimator.

        Parameters
        ----------
        raw_documents : iterable of str
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If PyTorch or transformers are not installed.
        TypeError, ValueError
            If a parameter is not as documented, a text is not a str, or the encoder cannot be read.
        """
        texts = checked_texts(raw_documents, least=1)
        with fitted_in_one_step(self) as fresh:
            fresh._prepare(texts)
            if not _is_object(self.encoder):
                fresh.truncated_share_ = fresh._share_of_truncated(texts)
        return self

    def fit_transform(self, raw_documents, y=None):
        """Equivalent to `fit` followed by `transform`.

        Parameters
        ----------
        raw_documents : iterable of str
        y : ignored

        Returns
        -------
        embeddings : ndarray of float32, shape (n_texts, n_features_out)
        """
        texts = checked_texts(raw_documents, least=1)
        with fitted_in_one_step(self) as fresh:
            fresh._prepare(texts)
            if _is_object(self.encoder):
                return fresh._transform_object(texts)
            embeddings, fresh.truncated_share_ = fresh._encode(texts)
        return embeddings

    def _prepare(self, texts):
        """Check the parameters and load the encoder, or fit it if it is an estimator."""
        self._check_params()
        for name in ("encoder_", "_n_features_out", "_loaded"):  # of an earlier fit
            vars(self).pop(name, None)
        if not _is_object(self.encoder):
            self._n_features_out = self._load().width
            return
        filled = [text for text in texts if not _is_blank(text)]
        if not filled:
            raise ValueError("raw_documents must hold a text that is not blank, got none")
        self.encoder_ = _fitted_object(self.encoder, _with_prefix(self.prefix, filled))
        self._n_features_out = self._transform_object(filled[:1]).shape[1]
        self.truncated_share_ = float("nan")

    def _share_of_truncated(self, texts):
        encoder = self._load()
        different = _different(texts)
        store = self._store(different, self._batches(encoder))
        truncated = 0
        for begin in range(0, len(different), _BLOCK):
            block = different[begin : begin + _BLOCK]
            if store is not None:
                known, _, cut = store.find(block, encoder.width)
                truncated += np.count_nonzero(cut[known])
                block = [text for text, is_known in zip(block, known, strict=True) if not is_known]
            if block:
                tokens = encoder.tokenize(_with_prefix(self.prefix, block), self.max_length)
                truncated += sum(t.truncated for t in tokens)
        return _reported_share(truncated, different, self.max_length)

    def transform(self, raw_documents):
        """Return the embeddings of texts.

        Parameters
        ----------
        raw_documents : iterable of str

        Returns
        -------
        embeddings : ndarray of float32, shape (n_texts, n_features_out)

        Raises
        ------
        TypeError
            If a text is not a str. The message contains its position.
        ValueError
            If an embedding is not finite, or embeddings do not have the width of fit.
        MemoryError
            If the memory of the device is exhausted, also with smaller batches.
        """
        self._check_params()
        if not _is_object(self.encoder):
            self._load()  # the snapshot of `_transform` cannot keep it
        return self._transform(raw_documents)

    @consistent
    def _transform(self, raw_documents):
        texts = checked_texts(raw_documents, least=0)
        if _is_object(self.encoder):
            embeddings = self._transform_object(texts)
        else:
            embeddings, _ = self._encode(texts)
        width = getattr(self, "_n_features_out", embeddings.shape[1])
        if embeddings.shape[1] != width:
            raise ValueError(
                f"encoder must give {width} columns as in fit, got {embeddings.shape[1]}"
            )
        return embeddings

    def _transform_object(self, texts):
        """Return the embeddings of an object with `transform` or `encode`."""
        encoder = vars(self).get("encoder_", self.encoder)
        if "encoder_" not in vars(self) and _is_trainable(encoder):
            raise NotFittedError(
                "this TransformerEmbedder is not fitted yet, and its encoder is to be fitted; call "
                "fit first"
            )
        filled = [i for i, text in enumerate(texts) if not _is_blank(text)]
        given = _with_prefix(self.prefix, [texts[i] for i in filled])
        if not given:
            width = getattr(self, "_n_features_out", None)
            if width is None:
                raise ValueError("raw_documents must hold a text that is not blank, got none")
            return np.zeros((len(texts), width), dtype=np.float32)
        transform = encoder.transform if hasattr(encoder, "transform") else encoder.encode
        rows = transform(given)
        rows = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
        if rows.ndim != 2 or len(rows) != len(given) or rows.dtype.kind not in "fiu":
            raise ValueError(
                "encoder must return a matrix of numbers with one row per text, got shape "
                f"{rows.shape} and {rows.dtype} for {len(given)} texts"
            )
        embeddings = np.zeros((len(texts), rows.shape[1]), dtype=np.float32)
        embeddings[filled] = rows
        _check_finite(embeddings)
        return normalized(embeddings, copy=False) if self.normalize else embeddings

    def _encode(self, texts):
        """Return the embeddings of a transformer, and the share of truncated texts."""
        encoder = self._load()
        batches = self._batches(encoder)
        different = _different(texts)
        store = self._store(different, batches)
        row_of = {text: i for i, text in enumerate(different)}
        rows = np.empty((len(different) + 1, encoder.width), dtype=np.float32)
        rows[-1] = 0  # of blank texts
        truncated = 0
        with progress.reporting("encoding texts", {PHASE: 1.0}, self.verbose):
            for begin in range(0, len(different), _BLOCK):
                block = different[begin : begin + _BLOCK]
                found, n = self._encode_block(block, batches, store, len(different))
                rows[begin : begin + len(block)] = found
                truncated += n
        share = _reported_share(truncated, different, self.max_length)
        return rows[np.array([row_of.get(text, -1) for text in texts], dtype=np.int64)], share

    def _encode_block(self, texts, batches, store, n_texts):
        """Return the embeddings of different texts, and how many of them are truncated."""
        known = np.zeros(len(texts), dtype=bool)
        if store is not None:
            known, embeddings, truncated = store.find(texts, batches.encoder.width)
            progress.advance(PHASE, np.count_nonzero(known) / n_texts)
        new = np.flatnonzero(~known)
        if len(new) == 0:
            return embeddings, np.count_nonzero(truncated)
        new_texts = [texts[i] for i in new]
        tokens = batches.encoder.tokenize(_with_prefix(self.prefix, new_texts), self.max_length)
        computed = batches.encode(tokens, n_texts)
        _check_finite(computed)
        cut = np.array([t.truncated for t in tokens], dtype=bool)
        if store is None:
            return computed, np.count_nonzero(cut)
        store.add(new_texts, computed, cut)
        embeddings[new] = computed
        truncated[new] = cut
        return embeddings, np.count_nonzero(truncated)

    def _batches(self, encoder):
        device = chosen_device(self.device)
        return BatchEncoder(
            encoder,
            pooling=encoder.pooling(self.pooling),
            normalize=self.normalize,
            batch_tokens=self.batch_tokens,
            device=device,
            bfloat16=computes_in_bfloat16(self.dtype, device),
            n_jobs=self.n_jobs,
        )

    def _store(self, different, batches):
        """Return the cache of embeddings, or None if it is not used for these different texts."""
        if len(different) < LEAST:
            return None
        return open_store(self.memory, lambda: self._key(batches))

    def _key(self, batches):
        """Return the key of the cache: everything that an embedding depends on."""
        settings = {
            "encoder": batches.encoder.fingerprint(),
            "pooling": batches.pooling,
            "max_length": int(self.max_length),
            "prefix": self.prefix,
            "normalize": bool(self.normalize),
            "bfloat16": batches.bfloat16,
        }
        return caching.key_of([], settings)

    def _check_params(self):
        check_option(self.pooling, "pooling", POOLINGS)
        check_integer(self.max_length, "max_length", 3)
        if not isinstance(self.prefix, str):
            raise TypeError(f"prefix must be a str, got {self.prefix!r:.80}")
        check_boolean(self.normalize, "normalize")
        check_integer(self.batch_tokens, "batch_tokens", 1)
        check_option(self.dtype, "dtype", DTYPES)
        check_n_jobs(self.n_jobs)
        check_integer(self.verbose, "verbose", 0)

    def _load(self):
        """Return the encoder, which is kept for the next call."""
        source, encoder = vars(self).get("_loaded", (None, None))
        if source is not self.encoder:
            encoder = load_encoder(self.encoder)
            self._loaded = self.encoder, encoder
        if encoder.max_length is not None and self.max_length > encoder.max_length:
            raise ValueError(
                f"max_length must be at most {encoder.max_length}, the number of positions of the "
                f"model, got {self.max_length}"
            )
        return encoder

    def __getstate__(self):
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_loaded"}

    @property
    def n_features_out_(self):
        try:
            return self._n_features_out
        except AttributeError:
            raise AttributeError("n_features_out_ is only available after fit") from None

    def __sklearn_is_fitted__(self):
        return "_n_features_out" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        return tags


def _is_object(encoder):
    """Return whether an encoder is an object with `transform` or `encode`."""
    if isinstance(encoder, (str, os.PathLike, tuple)):
        return False
    return hasattr(encoder, "transform") or hasattr(encoder, "encode")


def _is_trainable(encoder):
    """Return whether an encoder is an estimator, which fit clones and fits."""
    return hasattr(encoder, "fit") and hasattr(encoder, "get_params")


def _fitted_object(encoder, texts):
    return clone(encoder).fit(texts, None) if _is_trainable(encoder) else encoder


def _with_prefix(prefix, texts):
    return [prefix + text for text in texts] if prefix else texts


def _is_blank(text):
    return not text or text.isspace()


def checked_texts(raw_documents, *, least):
    """Check the texts; return them as a list."""
    texts = check_documents(raw_documents)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"raw_documents[{i}] must be a str, got {type(text).__name__}")
    if len(texts) < least:
        raise ValueError(f"raw_documents must hold at least {least} text, got {len(texts)}")
    return texts


def _check_finite(embeddings):
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        raise ValueError(
            "encoder must give finite embeddings, but those of "
            f"{np.count_nonzero(~finite)} texts have NaN or infinite values"
        )


def _different(texts):
    """Return the different texts that are not blank."""
    return [text for text in dict.fromkeys(texts) if not _is_blank(text)]


def _reported_share(n_truncated, texts, max_length):
    """Return the share of truncated texts, and warn if it is large."""
    share = n_truncated / max(len(texts), 1)
    if share > _MANY:
        warnings.warn(
            f"max_length={max_length} truncates {100 * share:.0f} % of the texts; a larger "
            "max_length keeps more of them and takes more time",
            stacklevel=4,
        )
    return share
