"""N-gram tf-idf vectorizers, with counting in C."""

import numbers

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from sklearn.utils.validation import check_is_fitted

from ._core import ANALYZERS, NORMS, Learner, NGramBlock, NGramModel, NGramWeights, joined_rows
from ._utils import parallel
from ._utils.estimators import consistent, fitted_in_one_step
from ._utils.params import check_boolean, check_integer, check_n_jobs, check_option, check_real
from ._utils.text_batches import (
    BATCH_CHARACTERS,
    BATCH_TEXTS,
    batches,
    caller,
    check_documents,
    encode,
    make_batch,
    transform_batch,
)

__all__ = ["NGramTfidfVectorizer"]


_BOOLEANS = ("lowercase", "binary", "position_weighted", "sublinear_tf", "use_idf", "smooth_idf")


# As scikit-learn's vectorizers, without set_output: the result is sparse.
class NGramTfidfVectorizer(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Convert texts to tf-idf weights of word n-grams, character n-grams, or both.

    With the analyzers "word", "char" and "char_wb" the result equals that of scikit-learn's
    TfidfVectorizer with the same parameters, in single precision; with several analyzers, that of a
    FeatureUnion of such vectorizers. This vectorizer is many times faster. The analyzer "char_end"
    and `position_weighted` are for query completion, where only the beginning of a text is known
    [1]_.

    Parameters
    ----------
    analyzer : {"word", "char", "char_wb", "char_end"} or list of these, default="word"
        Tokens of the n-grams.

        - "word": words, which are runs of letters, digits and underscores, of all scripts.
        - "char": the characters of the text; several consecutive spaces count as one.
        - "char_wb": the characters of each word, between two blanks. Words are separated by spaces.
        - "char_end": the characters of each such word, with `end_mark` at its end: "to be" has the
          bigrams ``to``, ``o#``, ``be`` and ``e#``.

        With the last two, a word with less than ``min_n`` characters, added ones included, is one
        n-gram. With a list, without repetitions, each analyzer makes a block of columns, in this
        order. The names of the columns then have a prefix, such as ``word__`` or ``char_end__``.
    ngram_range : tuple (min_n, max_n) or list of tuples, default=(1, 1)
        The smallest and the largest n; a list has one pair for each analyzer.
    lowercase : bool, default=True
        Whether texts are converted to lower case.
    strip_accents : {"ascii", "unicode"} or None, default=None
        How accents are removed, after decomposition: "unicode" removes combining characters,
        "ascii" all characters that are not ASCII.
    min_token_length : int, default=2
        Smallest number of characters of a word, for the analyzer "word". Shorter words are ignored.
        2 and 1 correspond to scikit-learn's `token_pattern` ``\b\w\w+\b`` and ``\b\w+\b``.
    stop_words : {"english"}, list of str or None, default=None
        Words that are ignored, for the analyzer "word". They are compared with the words after
        conversion to lower case and removal of accents. "english" is scikit-learn's list.
    end_mark : str, default="#"
        The character that "char_end" puts at the end of words.
    min_df : int or float in [0, 1], default=1
        Ignore n-grams in fewer texts: a number of texts, or a proportion of them. `min_df`,
        `max_df` and `max_features` apply to each block separately.
    max_df : int or float in [0, 1], default=1.0
        Ignore n-grams in more texts.
    max_features : int or None, default=None
        Number of n-grams to keep, those with the largest sums of counts over all texts.
    binary : bool, default=False
        Whether an n-gram counts 1 however often it occurs in a text.
    position_weighted : bool, default=False
        Whether an occurrence counts 1 / (1 + position) instead of 1. Positions start at 0, among
        the n-grams of the text with the same n, so the first one counts most. Must not be combined
        with `binary`.
    lead_weight : float, default=1.0
        Weight of the beginning of a text, such as the title of a record or the summary line of a
        description: each of the first `lead_length` n-grams counts `lead_weight` times. At least 1.
        The positions of the n-grams of each n are counted separately. Normalized texts that are
        not longer than `lead_length` hardly change.
    lead_length : int, default=12
        Number of n-grams of the beginning.
    sublinear_tf : bool, default=False
        Whether counts are replaced by 1 + log(count). Must not be combined with
        `position_weighted`, whose counts can be below 1.
    use_idf : bool, default=True
        Whether counts are multiplied by the inverse document frequency.
    smooth_idf : bool, default=True
        Whether document frequencies are computed as if one more text had every n-gram.
    block_norm : {"l1", "l2"} or None, default=None
        Norm by which the weights of each block are divided, in every row. A FeatureUnion of
        vectorizers with a norm corresponds to ``block_norm="l2", norm=None``.
    norm : {"l1", "l2"} or None, default="l2"
        Norm by which the rows are then divided.
    n_jobs : int or None, default=None
        Number of jobs of `transform`, as in joblib. The result does not depend on it.

    Attributes
    ----------
    idf_ : ndarray of float64, shape (n_features,)
        Inverse document frequency of each column; only with `use_idf`.
    vocabulary_ : dict of str to int
        The column of each n-gram.
    output_indices_ : dict of str to slice
        The columns of each analyzer.

    See Also
    --------
    sklearn.feature_extraction.text.TfidfVectorizer : With any tokenizer or token pattern.

    Notes
    -----
    `transform` uses the values that the parameters had when `fit` was called, except for `n_jobs`.

    References
    ----------
    .. [1] N. Yadav, R. Sen, D. Hill, A. Mazumdar and I. Dhillon, "Session-aware query
       auto-completion using extreme multi-label ranking", KDD 2021.

    Examples
    --------
    >>> from skxmr.text import NGramTfidfVectorizer
    >>> texts = ["Echo with screen", "Echo dot"]
    >>> vectorizer = NGramTfidfVectorizer("char_end", (3, 3), lowercase=False).fit(texts)
    >>> vectorizer.get_feature_names_out()[:6].tolist()
    ['Ech', 'cho', 'cre', 'dot', 'een', 'en#']
    >>> vectorizer.transform(["Echo"]).indices.tolist()
    [0, 1, 6]

    Word and character n-grams together:

    >>> both = NGramTfidfVectorizer(["word", "char_end"], [(1, 1), (3, 3)]).fit(texts)
    >>> both.output_indices_
    {'word': slice(0, 4, None), 'char_end': slice(4, 17, None)}
    >>> both.get_feature_names_out()[:5].tolist()
    ['word__dot', 'word__echo', 'word__screen', 'word__with', 'char_end__cho']
    """

    def __init__(
        self,
        analyzer="word",
        ngram_range=(1, 1),
        *,
        lowercase=True,
        strip_accents=None,
        min_token_length=2,
        stop_words=None,
        end_mark="#",
        min_df=1,
        max_df=1.0,
        max_features=None,
        binary=False,
        position_weighted=False,
        lead_weight=1.0,
        lead_length=12,
        sublinear_tf=False,
        use_idf=True,
        smooth_idf=True,
        block_norm=None,
        norm="l2",
        n_jobs=None,
    ):
        self.analyzer = analyzer
        self.ngram_range = ngram_range
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.min_token_length = min_token_length
        self.stop_words = stop_words
        self.end_mark = end_mark
        self.min_df = min_df
        self.max_df = max_df
        self.max_features = max_features
        self.binary = binary
        self.position_weighted = position_weighted
        self.lead_weight = lead_weight
        self.lead_length = lead_length
        self.sublinear_tf = sublinear_tf
        self.use_idf = use_idf
        self.smooth_idf = smooth_idf
        self.block_norm = block_norm
        self.norm = norm
        self.n_jobs = n_jobs

    def fit(self, raw_documents, y=None):
        """Learn the n-grams and their document frequencies.

        Parameters
        ----------
        raw_documents : iterable of str
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If a text is not a str. The message contains its position.
        ValueError
            If there are no n-grams, or `min_df` and `max_df` exclude all of them.
        """
        with fitted_in_one_step(self) as fresh:
            fresh._fit(raw_documents)
        return self

    def fit_transform(self, raw_documents, y=None):
        """Learn the n-grams and return the weights of the texts.

        Equivalent to `fit` followed by `transform`, but faster.

        Parameters
        ----------
        raw_documents : iterable of str
        y : ignored

        Returns
        -------
        X : csr_matrix of float32, shape (n_texts, n_features)
        """
        with fitted_in_one_step(self) as fresh:
            learner, chosen, call = fresh._fit(raw_documents)
            X = fresh._matrix(call(learner.weigh, chosen, fresh._model.weights))
        return X

    @consistent
    def transform(self, raw_documents):
        """Return the weights of the known n-grams.

        Parameters
        ----------
        raw_documents : iterable of str

        Returns
        -------
        X : csr_matrix of float32, shape (n_texts, n_features)
        """
        check_is_fitted(self)
        texts = check_documents(raw_documents)
        if len(texts) <= BATCH_TEXTS:
            batch = make_batch(texts, 0)
            call = caller(int(batch.lengths.sum()))
            return self._matrix(call(transform_batch, self._model, batch, self._encoding))
        check_n_jobs(self.n_jobs)
        tasks = [(self._model, batch, self._encoding) for batch in batches(texts)]
        costs = [len(batch.texts) for _, batch, _ in tasks]
        brief = all(batch.lengths.sum() <= BATCH_CHARACTERS for _, batch, _ in tasks)
        rows = parallel.run(
            transform_batch,
            tasks,
            costs,
            n_jobs=self.n_jobs,
            what="vectorizing texts",
            brief=brief,
        )
        return self._matrix(joined_rows(rows))

    def transform_one(self, text):
        """Return the weights of one text, as input of `XRLinearClassifier.rank`.

        Parameters
        ----------
        text : str

        Returns
        -------
        indices : ndarray of int32, shape (n,)
            The columns of the n-grams of the text, in increasing order.
        values : ndarray of float32, shape (n,)
            Their weights.
        """
        check_is_fitted(self)
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, got {type(text).__name__}")
        state = dict(vars(self))  # of a single fit, even if another thread fits meanwhile
        batch = make_batch([text], 0)
        _, indices, values = transform_batch(state["_model"], batch, state["_encoding"])
        return indices, values

    @consistent
    def get_feature_names_out(self, input_features=None):
        """Return the n-gram of each column.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str objects, shape (n_features,)
        """
        check_is_fitted(self)
        return np.array(self._model.names(), dtype=object)

    @property
    def vocabulary_(self):  # noqa: D102 (see Attributes)
        return self._fitted_model("vocabulary_").vocabulary

    @property
    def idf_(self):  # noqa: D102
        idf = self._fitted_model("idf_").weights.idf
        if idf is None:
            raise AttributeError("idf_ is not available: use_idf was False when fit was called")
        return idf

    @property
    def output_indices_(self):  # noqa: D102
        model = self._fitted_model("output_indices_")
        names = [block.analyzer for block in model.blocks]
        edges = [0, *model.block_ends]
        return {name: slice(edges[b], edges[b + 1]) for b, name in enumerate(names)}

    def _fitted_model(self, name):
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"{name} is only available after fit")
        return self._model

    def __sklearn_is_fitted__(self):
        return "_model" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _fit(self, raw_documents):
        """Return the learner, the n-grams of each block to keep, and the caller of C functions."""
        blocks = self._check_params()
        encoding = bool(self.lowercase), self.strip_accents
        texts = check_documents(raw_documents)
        learner = Learner(blocks, len(texts))
        n_bytes = 0
        for batch in batches(texts):
            blob, ptr = encode(batch, encoding)
            n_bytes += len(blob)
            caller(len(blob))(learner.learn, blob, ptr)
        call = caller(n_bytes)
        chosen, df, terms = call(self._choose, learner, blocks, len(texts))
        self._encoding = encoding
        self._model = NGramModel(blocks, terms, self._weights(df, len(texts)))
        return learner, chosen, call

    def _choose(self, learner, blocks, n_texts):
        """Choose the n-grams to keep.

        Returns
        -------
        chosen : list of ndarray of int32
            The numbers of the n-grams of each block.
        df : ndarray
            The document frequencies of all of them.
        terms : list of Terms
        """
        n_blocks = len(blocks)
        df = learner.n_texts
        sums = None if self.max_features is None else learner.sums()
        chosen = []
        for b, block in enumerate(blocks):
            terms = learner.sorted(b, self._choose_terms(block, df[b::n_blocks], n_texts))
            if self.max_features is not None:
                terms = _largest(terms, sums[b::n_blocks], self.max_features)
            chosen.append(terms)
        df = np.concatenate([df[b::n_blocks][t] for b, t in enumerate(chosen)])
        return chosen, df, [learner.chosen(b, numbers) for b, numbers in enumerate(chosen)]

    def _choose_terms(self, block, df, n_texts):
        if not df.any():
            raise ValueError(
                f"empty vocabulary: raw_documents have no n-grams of {block.analyzer!r}"
            )
        least = _number(self.min_df, n_texts)
        most = _number(self.max_df, n_texts)
        if most < least:
            raise ValueError(
                f"max_df={self.max_df!r} corresponds to fewer texts than min_df={self.min_df!r}"
            )
        terms = np.flatnonzero((df >= max(least, 1)) & (df <= most)).astype(np.int32)
        if len(terms) == 0:
            raise ValueError(
                f"no n-gram of {block.analyzer!r} occurs in {least:g} to {most:g} texts; lower "
                "min_df or raise max_df"
            )
        return terms

    def _weights(self, df, n_texts):
        idf = None
        if self.use_idf:
            smooth = int(self.smooth_idf)
            idf = np.log((n_texts + smooth) / (df + float(smooth))) + 1.0
        return NGramWeights(bool(self.sublinear_tf), idf, self.block_norm, self.norm)

    def _matrix(self, rows):
        indptr, indices, data = rows
        shape = len(indptr) - 1, self._model.n_features
        if indptr[-1] <= np.iinfo(np.int32).max:
            indptr = indptr.astype(np.int32)
        matrix = sp.csr_matrix((data, indices, indptr), shape=shape)
        matrix.has_canonical_format = True
        return matrix

    def _check_params(self):
        """Check all parameters; return the blocks."""
        analyzers, ranges = _check_blocks(self.analyzer, self.ngram_range)
        if self.strip_accents is not None:
            check_option(self.strip_accents, "strip_accents", ("ascii", "unicode"))
        check_integer(self.min_token_length, "min_token_length", 1)
        if not isinstance(self.end_mark, str) or len(self.end_mark) != 1:
            raise ValueError(f"end_mark must be a str of one character, got {self.end_mark!r}")
        _check_share(self.min_df, "min_df")
        _check_share(self.max_df, "max_df")
        if self.max_features is not None:
            check_integer(self.max_features, "max_features", 1)
        check_real(self.lead_weight, "lead_weight", 1)
        check_integer(self.lead_length, "lead_length", 1)
        for name in _BOOLEANS:
            check_boolean(getattr(self, name), name)
        for name in ("binary", "sublinear_tf"):
            if self.position_weighted and getattr(self, name):
                raise ValueError(f"position_weighted and {name} must not both be True")
        for name in ("block_norm", "norm"):
            if getattr(self, name) is not None:
                check_option(getattr(self, name), name, [key for key in NORMS if key])
        check_n_jobs(self.n_jobs)
        stop_words = _check_stop_words(self.stop_words, analyzers)
        occurrence = "first" if self.binary else "each"
        if self.position_weighted:
            occurrence = "by position"
        return [
            NGramBlock(
                analyzer,
                min_n,
                max_n,
                int(self.min_token_length),
                self.end_mark,
                occurrence,
                stop_words,
                int(self.lead_length) if self.lead_weight > 1 else 0,
                float(self.lead_weight),
            )
            for analyzer, (min_n, max_n) in zip(analyzers, ranges, strict=True)
        ]


def _check_blocks(analyzer, ngram_range):
    """Check both parameters; return the names of the analyzers, and the range of each."""
    analyzers = [analyzer] if isinstance(analyzer, str) else analyzer
    if not isinstance(analyzers, (list, tuple)) or not analyzers:
        raise TypeError(f"analyzer must be a str or a list of str, got {analyzer!r}")
    for name in analyzers:
        check_option(name, "analyzer", ANALYZERS)
    if len(set(analyzers)) < len(analyzers):
        raise ValueError(f"analyzer must not name the same one twice, got {analyzer!r}")
    ranges = ngram_range
    if not isinstance(ngram_range, (list, tuple)) or not any(map(_is_pair, ngram_range)):
        ranges = [ngram_range] * len(analyzers)
    if len(ranges) != len(analyzers):
        raise ValueError(
            f"ngram_range must be one pair, or one for each of {len(analyzers)} analyzers, "
            f"got {ngram_range!r}"
        )
    return analyzers, [_check_range(limits) for limits in ranges]


def _check_stop_words(words, analyzers):
    """Check the stop words; return them as a tuple."""
    if words is None:
        return ()
    if "word" not in analyzers:
        raise ValueError(f'stop_words need the analyzer "word", got analyzer={analyzers!r}')
    if isinstance(words, str):
        check_option(words, "stop_words", ("english",))
        words = ENGLISH_STOP_WORDS
    if not isinstance(words, (list, tuple, set, frozenset)):
        raise TypeError(f'stop_words must be a list of str, "english" or None, got {words!r}')
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"stop_words must hold str only, got {word!r}")
    return tuple(sorted(set(words) - {""}))


def _is_pair(value):
    return isinstance(value, (list, tuple))


def _check_range(limits):
    if not _is_pair(limits) or len(limits) != 2:
        raise TypeError(f"ngram_range must be a pair (min_n, max_n), got {limits!r}")
    check_integer(limits[0], "min_n in ngram_range", 1)
    check_integer(limits[1], "max_n in ngram_range", int(limits[0]))
    return int(limits[0]), int(limits[1])


def _check_share(value, name):
    """Check a number or a proportion of texts."""
    if isinstance(value, numbers.Integral):
        check_integer(value, name, 1)
    elif not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise ValueError(
            f"{name} must be a positive number of texts or a proportion of them in [0.0, 1.0], "
            f"got {value!r}"
        )


def _number(share, n_texts):
    """Return the number of texts of a number or a proportion."""
    return share if isinstance(share, numbers.Integral) else share * n_texts


def _largest(terms, sums, n):
    """Return the terms with the n largest sums, in their order, as scikit-learn chooses them."""
    if len(terms) <= n:
        return terms
    # Its sort is not stable: ties are only broken in the same way by the same call.
    return terms[np.sort((-sums[terms]).argsort()[:n])]
