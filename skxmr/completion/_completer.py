"""Completion of queries from what was typed and what was asked before."""

import re
from itertools import pairwise

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from .._utils.cloning import clone_with
from .._utils.estimators import consistent, fitted_in_one_step
from .._utils.matrices import canonical_csr
from .._utils.params import check_boolean, check_integer, check_option, check_real, check_seed
from .._utils.weights import check_sample_weight
from ..indexers import TrieHybridIndexer
from ..linear import XRLinearClassifier
from ..text import NGramTfidfVectorizer
from ._prefixes import PrefixIndex
from ._query_features import QueryFeatures, QueryNormalizer, composed, without_blanks
from ._query_pairs import check_pairs, check_queries, objects

_DEFAULT_CLASSIFIER = XRLinearClassifier(TrieHybridIndexer())

#: Words of the query before, however short, and pairs of them.
_PREVIOUS = NGramTfidfVectorizer("word", (1, 2), min_token_length=1)

#: What is typed, whose beginning counts most.
_PREFIX = NGramTfidfVectorizer("char", (1, 3), lowercase=False, position_weighted=True)


_WORD_CHARACTER = re.compile(r"\w")


class SessionQueryCompleter(ClassifierMixin, BaseEstimator):
    """Complete what is typed into a query, knowing the query before it.

    Every known query is a label. Its features are the words of the query before, and n-grams of the
    characters typed so far, those near the beginning counting more [1]_. An XRLinearClassifier
    ranks the labels. Unless told otherwise its search enters only tree nodes that lead to queries
    which begin with what was typed. So all suggestions do, however few they are, and no room in the
    beam is lost to others.

    Parameters
    ----------
    classifier : XRLinearClassifier, default=None
        Ranks the queries. By default one with a TrieHybridIndexer. Where its indexer or its label
        embedding takes features of labels, these are the queries' texts as seen by
        `prefix_vectorizer`; where they take texts, these are the queries' as compared with
        prefixes. Its `n_neighbors` is ignored: no neighbors are used.
    previous_vectorizer : transformer, default=None
        Turns the previous query into features. By default tf-idf of words and pairs of words.
        A query that is empty has none.
    prefix_vectorizer : transformer, default=None
        Turns what is typed into features; it is fitted to the known queries. By default tf-idf of
        character n-grams (1 to 3), in which an occurrence at position p, counted among the n-grams
        of its length, counts 1 / (1 + p).
    previous_weight : float, default=2.0
        What the features of the previous query are multiplied by, before both kinds together are
        scaled to unit norm. Where the search is constrained, what was typed matters less for the
        ranking.
    constrained : bool, default=True
        Whether only queries that begin with the prefix are suggested.
    lowercase : bool, default=True
        Whether upper and lower case are the same when queries are compared with prefixes and with
        each other.
    strip_accents : {"ascii", "unicode"} or None, default=None
        Whether accents are ignored in these comparisons, as in NGramTfidfVectorizer. Queries of
        which nothing is left count as blank.
    n_jobs : int, default=None
        As in joblib; handed on to the classifier, if it has none of its own.
    random_state : int, RandomState instance or None, default=None
        Handed on likewise.

    Attributes
    ----------
    classes_ : ndarray of str objects, shape (n_queries,)
        The known queries, sorted, each once: in the spelling that is the most frequent in y. Of
        equally frequent spellings it is the last one in the order of code points, in which lower
        case comes after upper case.
    popularity_ : ndarray of float32, shape (n_queries,)
        The share of each in y, in all its spellings.
    classifier_ : XRLinearClassifier
    previous_vectorizer_ : transformer or None
        None where no previous query of fit had a word.
    prefix_vectorizer_ : transformer
    n_features_in_ : int
        Always 2.
    feature_names_in_ : ndarray of str
        Only where X has string column names.

    See Also
    --------
    training_pairs : Makes X and y from a log of queries.
    skxmr.metrics.bleu_rr, skxmr.metrics.mean_reciprocal_rank_by_prefix_length : What is reported.

    Notes
    -----
    Queries that are equal as compared are one query. Comparison passes over blanks around a query
    and before a prefix, and takes several blanks in a row as one. A blank is whatever Unicode
    calls white space. The way in which accents are composed of code points does not matter.
    Unless `lowercase` is False, case is folded as Unicode defines it: "STRASSE" and "straße" are
    equal. The dotted and the dotless i of Turkish are the same letter, as both are in one of the
    cases.

    A prefix is compared as a whole: one that ends in a blank wants a word to end there. What is
    typed may end within a letter that is written with several code points, such as an e and an
    accent. Then it is completed to queries that some row of y writes so.

    Blank rows of y are passed over.

    References
    ----------
    .. [1] N. Yadav, R. Sen, D. N. Hill, A. Mazumdar and I. S. Dhillon, "Session-aware query
       auto-completion using extreme multi-label ranking", KDD 2021.

    Examples
    --------
    >>> from skxmr.completion import SessionQueryCompleter
    >>> X = [("cat food", "cat"), ("dog food", "cat"), ("cat food", "c"), ("sailing", "c")]
    >>> y = ["cat toys", "cats and dogs", "cat toys", "catamarans"]
    >>> completer = SessionQueryCompleter(random_state=0).fit(X, y)
    >>> [query for query, score in completer.complete("cat", previous="sailing")]
    ['catamarans', 'cats and dogs', 'cat toys']
    >>> completer.complete("dog")
    []
    """

    def __init__(
        self,
        classifier=None,
        *,
        previous_vectorizer=None,
        prefix_vectorizer=None,
        previous_weight=2.0,
        constrained=True,
        lowercase=True,
        strip_accents=None,
        n_jobs=None,
        random_state=None,
    ):
        self.classifier = classifier
        self.previous_vectorizer = previous_vectorizer
        self.prefix_vectorizer = prefix_vectorizer
        self.previous_weight = previous_weight
        self.constrained = constrained
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        """Learn which query follows.

        Parameters
        ----------
        X : array-like of str, shape (n_samples, 2)
            The previous query ("" for none) and what was typed of the next one: a list of pairs, an
            array, or a data frame of pandas or polars.
        y : array-like of str, shape (n_samples,)
            The next query. Rows in which it is blank are passed over.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or an input is not as documented; the message names it.
        """
        self._check_params()
        with fitted_in_one_step(self) as fresh:
            fresh._fit(X, y, sample_weight)
        return self

    def _fit(self, X, y, sample_weight):
        previous, prefixes = check_pairs(self, X, reset=True)
        y = check_queries(y, "y", len(prefixes))
        sample_weight = check_sample_weight(sample_weight, len(prefixes))
        self._normalizer = QueryNormalizer(self.lowercase, self.strip_accents)
        spelt, which = np.unique(objects(map(without_blanks, y)), return_inverse=True)
        counts = np.bincount(which, sample_weight, minlength=len(spelt))
        shown, texts, codes = _known_queries(list(map(self._normalizer.query, spelt)), counts)
        self.classes_, codes = spelt[shown], codes[which]
        kept = np.flatnonzero(codes >= 0)
        codes = codes[kept]
        sample_weight = None if sample_weight is None else sample_weight[kept]
        previous = [composed(previous[i]) for i in kept]
        prefixes = [self._normalizer.prefix(prefixes[i]) for i in kept]
        embedded = self._fit_vectorizers(previous, texts)
        classifier = clone_with(
            _DEFAULT_CLASSIFIER if self.classifier is None else self.classifier,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
        )
        classifier.set_params(n_neighbors=None)
        self.classifier_ = classifier.fit(
            self._features.rows(previous, prefixes),
            codes,
            sample_weight,
            label_features=embedded if _takes_label_features(classifier) else None,
            label_text=texts,
        )
        self._index(texts, spelt)
        self._count(codes, sample_weight)
        self._knows_empty = "" in prefixes

    def _index(self, texts, spelt):
        """Prepare the search for queries that begin with a prefix, in one of their spellings."""
        # With a blank at its end a query begins with all that is typed of it, and one more blank.
        self._prefixes = PrefixIndex(self.classifier_.trees_, [f"{text} " for text in texts])
        self._partial_letters = _partial_letters(self._normalizer, spelt)

    def __setstate__(self, state):
        if "_spelling" in state:  # its name in an earlier release
            state = {**state, "_normalizer": state["_spelling"]}
            del state["_spelling"]
        super().__setstate__(state)
        if "_prefixes" in state and "_partial_letters" not in state:
            # Pickled by a version that compared queries in another way.
            self._index(list(map(self._normalizer.query, self.classes_)), self.classes_)

    def _fit_vectorizers(self, previous, texts):
        """Fit both vectorisers and return the embeddings of the known queries."""
        prefix = _PREFIX if self.prefix_vectorizer is None else self.prefix_vectorizer
        self.prefix_vectorizer_ = clone(prefix)
        embedded = self.prefix_vectorizer_.fit_transform(texts)
        self.previous_vectorizer_ = None
        if any(map(_WORD_CHARACTER.search, previous)):
            words = _PREVIOUS if self.previous_vectorizer is None else self.previous_vectorizer
            self.previous_vectorizer_ = clone(words).fit(previous)
        vectorizers = self.previous_vectorizer_, self.prefix_vectorizer_
        self._features = QueryFeatures(*vectorizers, embedded.shape[1], self.previous_weight)
        return embedded

    def _count(self, codes, sample_weight):
        counts = np.bincount(codes, sample_weight, minlength=len(self.classes_))
        self.popularity_ = (counts / max(counts.sum(), 1e-300)).astype(np.float32)
        self._by_popularity = np.argsort(-counts, kind="stable").astype(np.int32)

    @consistent
    def rank(self, X, k=10):
        """Rank the k best known queries of each row.

        Parameters
        ----------
        X : array-like of str, shape (n_samples, 2)
            The previous query ("" for none) and the prefix.
        k : int, default=10

        Returns
        -------
        queries : ndarray of int32, shape (n_samples, k)
            Positions in `classes_`, best first; padded with -1 where fewer queries begin with the
            prefix, or the beam reaches fewer.
        scores : ndarray of float32, shape (n_samples, k)
            Padded with -inf.
        """
        self._check_fitted()
        check_boolean(self.constrained, "constrained")
        check_integer(k, "k", 1, np.iinfo(np.int32).max)
        previous, prefixes = check_pairs(self, X, reset=False)
        return self._rank(previous, prefixes, k, self.constrained)

    @consistent
    def predict(self, X):
        """Predict the next query.

        Parameters
        ----------
        X : array-like of str, shape (n_samples, 2)
            The previous query ("" for none) and the prefix.

        Returns
        -------
        queries : ndarray of str objects, shape (n_samples,)
            The best completion; where no known query begins with the prefix, the query that ranks
            highest without regard to that.
        """
        self._check_fitted()
        check_boolean(self.constrained, "constrained")
        previous, prefixes = check_pairs(self, X, reset=False)
        best = self._rank(previous, prefixes, 1, self.constrained)[0][:, 0]
        lost = np.flatnonzero(best < 0)
        if len(lost):
            rows = [previous[i] for i in lost], [prefixes[i] for i in lost]
            best[lost] = self._rank(*rows, 1, False)[0][:, 0]
        return self.classes_[best]

    @consistent
    def score(self, X, y, sample_weight=None):
        """Mean reciprocal rank of the next query among the first 10 suggestions.

        Parameters
        ----------
        X : array-like of str, shape (n_samples, 2)
            The previous query ("" for none) and the prefix.
        y : array-like of str, shape (n_samples,)
            The next query, in any spelling; one that is not known, or not suggested, counts as 0.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        score : float
        """
        ranked, _ = self.rank(X, 10)
        truth = objects(map(self._normalizer.query, check_queries(y, "y", len(ranked))))
        weights = check_sample_weight(sample_weight, len(ranked))
        known = objects(map(self._normalizer.query, self.classes_))
        hits = (known[ranked] == truth[:, np.newaxis]) & (ranked >= 0)
        reciprocals = (hits / np.arange(1, 11)).max(axis=1)
        return float(np.average(reciprocals, weights=weights))

    @consistent
    def complete(self, prefix, *, previous="", k=10):
        """Suggest queries to somebody who is typing.

        Parameters
        ----------
        prefix : str
            What was typed so far; nothing, too, can be completed.
        previous : str, default=""
            The query before.
        k : int, default=10

        Returns
        -------
        suggestions : list of tuple (query, score)
            Best first; none where no known query begins with the prefix.
        """
        self._check_fitted()
        check_boolean(self.constrained, "constrained")
        check_integer(k, "k", 1)
        for name, value in (("prefix", prefix), ("previous", previous)):
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a str, got {value!r:.80}")
        labels, scores = self._rank_one(previous, prefix, min(int(k), len(self.classes_)))
        return list(zip(self.classes_[labels].tolist(), scores, strict=True))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _check_fitted(self):
        check_is_fitted(self)
        if self.classifier_.n_labels_ != len(self.classes_):
            raise NotFittedError(
                f"SessionQueryCompleter was fitted to {len(self.classes_)} queries, but its "
                f"classifier_ has learned others since, {self.classifier_.n_labels_} in all: fit "
                "again"
            )

    def _check_params(self):
        if not (self.classifier is None or isinstance(self.classifier, XRLinearClassifier)):
            raise TypeError(f"classifier must be an XRLinearClassifier, got {self.classifier!r}")
        for name in ("previous_vectorizer", "prefix_vectorizer"):
            value = getattr(self, name)
            if value is not None and not hasattr(value, "fit_transform"):
                raise TypeError(f"{name} must be a transformer or None, got {value!r}")
        check_real(self.previous_weight, "previous_weight", 0)
        check_seed(self.random_state, "random_state")
        check_boolean(self.constrained, "constrained")
        check_boolean(self.lowercase, "lowercase")
        if self.strip_accents is not None:
            check_option(self.strip_accents, "strip_accents", ("ascii", "unicode"))

    def _rank(self, previous, prefixes, k, constrained):
        previous = list(map(composed, previous))
        prefixes = list(map(self._normalizer.prefix, prefixes))
        X = canonical_csr(self._features.rows(previous, prefixes), "X")
        labels, scores = self._search(X, prefixes, k, constrained)
        for i, (n, prefix) in enumerate(zip(np.diff(X.indptr).tolist(), prefixes, strict=True)):
            if self._is_unguided(n, prefix):
                labels[i], scores[i] = self._most_popular(prefix if constrained else "", k)
        return labels, scores

    def _search(self, X, prefixes, k, constrained):
        """Rank the queries that begin with the prefix of each row, or all if not constrained."""
        if not constrained:
            return self.classifier_.rank(X, k)
        if self._partial_letters.keys().isdisjoint(prefixes):
            return self.classifier_.rank(X, k, restriction=self._prefixes.restriction(prefixes))
        beginnings = list(map(self._beginnings, prefixes))
        texts = [text for row in beginnings for text in row]
        sizes = list(map(len, beginnings))
        repeated = X[np.repeat(np.arange(len(sizes)), sizes)]
        restriction = self._prefixes.restriction(texts)
        ranking = self.classifier_.rank(repeated, k, restriction=restriction)
        return _merged(*ranking, sizes, k)

    def _beginnings(self, prefix):
        """What the queries that a prefix is completed to begin with: the prefix, mostly alone."""
        return (prefix, *self._partial_letters.get(prefix, ()))

    def _rank_one(self, previous, prefix, k):
        """Rank for one row, quickly: its labels and scores as lists, without padding."""
        typed, prefix = prefix, self._normalizer.prefix(prefix)
        if prefix in self._partial_letters:
            (labels,), (scores,) = self._rank([previous], [typed], k, self.constrained)
        else:
            labels, scores = self._rank_whole(composed(previous), prefix, k)
        found = labels >= 0
        return labels[found], scores[found].tolist()

    def _rank_whole(self, previous, prefix, k):
        """Rank for one row whose prefix ends where a letter ends in every known query."""
        indices, values = self._features.row(previous, prefix)
        if self._is_unguided(len(indices), prefix):
            return self._most_popular(prefix if self.constrained else "", k)
        restriction = self._prefixes.restriction([prefix]) if self.constrained else None
        (labels,), (scores,) = self.classifier_.rank((indices, values), k, restriction=restriction)
        return labels, scores

    def _is_unguided(self, n_features, prefix):
        """Whether nothing is known that the classifier has learned to rank by."""
        return n_features == 0 or (prefix == "" and not self._knows_empty)

    def _most_popular(self, prefix, k):
        """The most frequent of the queries that begin with a prefix, padded to k."""
        labels, scores = np.full(k, -1, dtype=np.int32), np.full(k, -np.inf, dtype=np.float32)
        best = self._by_popularity[:k]
        if prefix:
            beginnings = self._beginnings(prefix)
            candidates = np.sort(np.concatenate(list(map(self._prefixes.labels, beginnings))))
            best = candidates[np.argsort(-self.popularity_[candidates], kind="stable")[:k]]
        labels[: len(best)], scores[: len(best)] = best, self.popularity_[best]
        return labels, scores


def _known_queries(texts, counts):
    """Find the different queries among spellings.

    Parameters
    ----------
    texts : list of str
        The spellings, sorted, as they are compared.
    counts : ndarray
        How often each occurs.

    Returns
    -------
    shown : list of int
        The spelling of each query that is the most frequent, of equally frequent ones the last.
    texts : list of str
        The queries as they are compared.
    codes : ndarray of int
        Which query each spelling is of, -1 for none.
    """
    best = {}
    for i, text in enumerate(texts):
        if text and counts[i] >= counts[best.get(text, i)]:
            best[text] = i
    if not best:
        raise ValueError("y must hold queries, got nothing but blanks")
    shown = sorted(best.values())
    label = {texts[i]: code for code, i in enumerate(shown)}
    return shown, list(label), np.array([label.get(text, -1) for text in texts])


def _partial_letters(spelling, spelt):
    """Find out what begins with what was typed, if it ends within a letter.

    Returns
    -------
    ends : dict of str to tuple of str
        By what was typed, as compared: the beginnings that end where that letter of a known query
        does, none of which begins with another one.
    """
    ends = {}
    for query in spelt:
        for beginning, end in spelling.partial_letters(query):
            ends.setdefault(beginning, set()).add(end)
    return {beginning: _shortest(sorted(texts)) for beginning, texts in ends.items()}


def _shortest(texts):
    """Those of some sorted texts that begin with no other one."""
    kept = texts[:1]
    for text in texts[1:]:
        if not text.startswith(kept[-1]):
            kept.append(text)
    return tuple(kept)


def _merged(labels, scores, sizes, k):
    """Merge the rankings of several rows, which have no label in common, into one for each size."""
    merged = np.empty((len(sizes), k), labels.dtype), np.empty((len(sizes), k), scores.dtype)
    edges = np.concatenate(([0], np.cumsum(sizes))).tolist()
    for row, (lo, hi) in enumerate(pairwise(edges)):
        order = np.argsort(-scores[lo:hi].ravel(), kind="stable")[:k]
        merged[0][row] = labels[lo:hi].ravel()[order]
        merged[1][row] = scores[lo:hi].ravel()[order]
    return merged


def _takes_label_features(classifier):
    """Whether fit could use features of the labels: not beside a vectorizer of the indexer's."""
    return getattr(classifier.indexer, "vectorizer", None) is None
