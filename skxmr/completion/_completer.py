"""SessionQueryCompleter: completion of queries from a prefix and the previous query."""

import re
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from .._core import indptr_of
from .._ranking.ranking import Ranking, library_of
from .._utils.cloning import clone_with
from .._utils.estimators import consistent, fitted_in_one_step
from .._utils.matrices import canonical_csr
from .._utils.params import check_boolean, check_integer, check_option, check_real, check_seed
from .._utils.texts import objects
from .._utils.weights import check_sample_weight
from ..indexers import TrieHybridIndexer
from ..linear import XRLinearClassifier
from ..text import NGramTfidfVectorizer
from ._prefixes import PrefixIndex
from ._query_features import QueryFeatures, QueryNormalizer, composed, without_blanks
from ._query_pairs import check_pairs, check_queries
from ._spellings import completions_within_letters, known_queries

_DEFAULT_CLASSIFIER = XRLinearClassifier(TrieHybridIndexer())

#: Words of the previous query of any length, and pairs of words.
_PREVIOUS = NGramTfidfVectorizer("word", (1, 2), min_token_length=1)

#: Character n-grams of the prefix. Those near its beginning have the largest weights.
_PREFIX = NGramTfidfVectorizer("char", (1, 3), lowercase=False, position_weighted=True)

_WORD_CHARACTER = re.compile(r"\w")


class SessionQueryCompleter(ClassifierMixin, BaseEstimator):
    """Complete a prefix to a query, given the previous query.

    Each known query is a label. The features of a row are the words of the previous query and the
    character n-grams of the prefix, with larger weights near its beginning [1]_. An
    XRLinearClassifier ranks the labels. By default, its search visits only tree nodes above queries
    that begin with the prefix. All suggestions then begin with the prefix, and other queries take
    no part of the beam.

    Parameters
    ----------
    classifier : XRLinearClassifier, default=None
        Ranks the queries. By default, its indexer is a TrieHybridIndexer. An indexer or a label
        embedding that takes label features gets the output of `prefix_vectorizer` for the queries.
        One that takes texts gets the normalized queries. `n_neighbors` of the classifier is
        ignored: nearest neighbors are not used.
    previous_vectorizer : transformer, default=None
        Makes features of the previous query. By default, tf-idf of words and pairs of words. An
        empty query has no features.
    prefix_vectorizer : transformer, default=None
        Makes features of the prefix. It is fitted to the known queries. By default, tf-idf of
        character n-grams (1 to 3). An occurrence at position p among the n-grams of its length
        has the weight 1 / (1 + p).
    previous_weight : float, default=2.0
        Factor of the features of the previous query, before the features of both are scaled to unit
        norm together. In a constrained search, the prefix is less important for the ranking.
    constrained : bool, default=True
        Whether only queries that begin with the prefix are suggested.
    lowercase : bool, default=True
        Whether case is ignored when queries are compared with prefixes and with each other.
    strip_accents : {"ascii", "unicode"} or None, default=None
        Whether accents are ignored in these comparisons, as in NGramTfidfVectorizer. Queries that
        become empty are treated as blank.
    n_jobs : int, default=None
        Number of jobs, as in joblib. Passed to the classifier if its own `n_jobs` is None.
    random_state : int, RandomState instance or None, default=None
        Passed to the classifier if its own `random_state` is None.

    Attributes
    ----------
    classes_ : ndarray of str objects, shape (n_queries,)
        The known queries, sorted and distinct, in their most frequent spelling in y. Of equally
        frequent spellings, it is the last one in the order of code points, in which lower case
        comes after upper case.
    popularity_ : ndarray of float32, shape (n_queries,)
        Fraction of each query in y, in all its spellings.
    classifier_ : XRLinearClassifier
        The fitted classifier. Its labels are the indices of `classes_`.
    previous_vectorizer_ : transformer or None
        The fitted vectorizer of previous queries. None if no previous query in `fit` has a word.
    prefix_vectorizer_ : transformer
        The fitted vectorizer of prefixes.
    n_features_in_ : int
        Always 2.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`. Only defined if all of them are strings.

    See Also
    --------
    training_pairs : Make X and y from a log of queries.
    skxmr.metrics.bleu_rr : A metric of suggestions.
    skxmr.metrics.mean_reciprocal_rank_by_prefix_length : A metric of suggestions.

    Notes
    -----
    Queries that are equal after normalization are one query. Normalization removes whitespace
    around a query and before a prefix, and replaces other whitespace by single spaces. Whitespace
    is defined by Unicode. The composition of accents does not matter. Unless `lowercase` is False,
    case is folded as Unicode defines it: "STRASSE" and "straße" are equal. The dotted and the
    dotless i of Turkish are equal, because they are equal in one of the cases.

    A prefix is compared as a whole: a word must end where the prefix has a space at its end. A
    prefix may end within a letter that consists of several code points, such as an e and an
    accent. It is then completed to queries that some row of y spells with these code points.

    Rows with a blank y are ignored.

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
        """Fit the vectorizers and the classifier.

        Parameters
        ----------
        X : array-like of str, shape (n_samples, 2)
            The previous query ("" for none) and a prefix of the next one: a list of pairs, an
            array, or a data frame of pandas or polars.
        y : array-like of str, shape (n_samples,)
            The next query. Rows with a blank one are ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. By default, all are 1.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or an input is invalid. The message names it.
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
        spellings, which = np.unique(objects(map(without_blanks, y)), return_inverse=True)
        counts = np.bincount(which, sample_weight, minlength=len(spellings))
        shown, texts, codes = known_queries(list(map(self._normalizer.query, spellings)), counts)
        self.classes_ = spellings[shown]
        codes = codes[which]
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
        self._index(texts, spellings)
        self._count(codes, sample_weight)
        self._knows_empty = "" in prefixes

    def _index(self, texts, spellings):
        """Prepare the search for queries that begin with a prefix in one of their spellings."""
        # With a space at its end, a query also begins with itself and one space typed after it.
        self._prefixes = PrefixIndex(self.classifier_.trees_, [f"{text} " for text in texts])
        self._partial_letters = completions_within_letters(self._normalizer, spellings)

    def __setstate__(self, state):
        if "_spelling" in state:  # its name in an earlier release
            state = {**state, "_normalizer": state["_spelling"]}
            del state["_spelling"]
        super().__setstate__(state)
        if "_prefixes" in state and "_partial_letters" not in state:
            # Pickled by a version with another normalization.
            self._index(list(map(self._normalizer.query, self.classes_)), self.classes_)

    def _fit_vectorizers(self, previous, texts):
        """Fit both vectorizers and return the prefix features of the known queries."""
        prefix = _PREFIX if self.prefix_vectorizer is None else self.prefix_vectorizer
        self.prefix_vectorizer_ = clone(prefix)
        embedded = self.prefix_vectorizer_.fit_transform(texts)
        self.previous_vectorizer_ = None
        if any(map(_WORD_CHARACTER.search, previous)):
            words = _PREVIOUS if self.previous_vectorizer is None else self.previous_vectorizer
            self.previous_vectorizer_ = clone(words).fit(previous)
        self._features = QueryFeatures(
            self.previous_vectorizer_,
            self.prefix_vectorizer_,
            embedded.shape[1],
            self.previous_weight,
        )
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
            Number of queries per row.

        Returns
        -------
        ranking : Ranking
            A pair of arrays with the shape (n_samples, k). ``ranking.names`` lists the queries.

            - `labels` (int32): indices of `classes_`, best first. Padded with -1 if fewer queries
              begin with the prefix, or if the beam reaches fewer.
            - `scores` (float32): padded with -inf.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the completer is not fitted, or if `classifier_` has learned other labels since.
        TypeError, ValueError
            If a parameter or an input is invalid. The message names it.
        """
        self._check_fitted()
        check_boolean(self.constrained, "constrained")
        check_integer(k, "k", 1, np.iinfo(np.int32).max)
        previous, prefixes = check_pairs(self, X, reset=False)
        ranking = self._rank(previous, prefixes, k, self.constrained)
        return Ranking(*ranking, self.classes_, library_of(X))

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
            The best completion. If no known query begins with the prefix, the best query of all.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the completer is not fitted, or if `classifier_` has learned other labels since.
        TypeError, ValueError
            If a parameter or an input is invalid. The message names it.
        """
        self._check_fitted()
        check_boolean(self.constrained, "constrained")
        previous, prefixes = check_pairs(self, X, reset=False)
        best = self._rank(previous, prefixes, 1, self.constrained)[0][:, 0]
        lost = np.flatnonzero(best < 0)
        if len(lost):
            labels, _ = self._rank(
                [previous[i] for i in lost], [prefixes[i] for i in lost], 1, constrained=False
            )
            best[lost] = labels[:, 0]
        return self.classes_[best]

    @consistent
    def score(self, X, y, sample_weight=None):
        """Return the mean reciprocal rank of the next query among the first 10 suggestions.

        Parameters
        ----------
        X : array-like of str, shape (n_samples, 2)
            The previous query ("" for none) and the prefix.
        y : array-like of str, shape (n_samples,)
            The next query, in any spelling. A query that is not known or not suggested counts as 0.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. By default, all are 1.

        Returns
        -------
        score : float
            In [0, 1]. Larger is better.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the completer is not fitted, or if `classifier_` has learned other labels since.
        TypeError, ValueError
            If a parameter or an input is invalid. The message names it.
        """
        ranked, _ = self.rank(X, 10)
        truth = objects(map(self._normalizer.query, check_queries(y, "y", len(ranked))))
        weights = check_sample_weight(sample_weight, len(ranked))
        known = objects(map(self._normalizer.query, self.classes_))
        hits = (known[ranked] == truth[:, np.newaxis]) & (ranked >= 0)
        reciprocals = (hits / np.arange(1, 11)).max(axis=1)
        return float(np.average(reciprocals, weights=weights))

    @consistent
    def complete(self, prefix, *, previous="", k=10, exclude=None):
        """Suggest queries for one prefix. This is faster than `rank` for a single row.

        Parameters
        ----------
        prefix : str
            The prefix, which may be empty.
        previous : str, default=""
            The previous query, "" for none.
        k : int, default=10
            Maximum number of suggestions.
        exclude : sequence of str or set, default=None
            Queries that are not suggested, in any spelling. Others take their place. Unknown
            queries are ignored.

        Returns
        -------
        suggestions : list of tuple (query, score)
            Best first. Empty if no known query begins with the prefix.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the completer is not fitted, or if `classifier_` has learned other labels since.
        TypeError, ValueError
            If a parameter or an input is invalid. The message names it.
        """
        self._check_fitted()
        check_boolean(self.constrained, "constrained")
        check_integer(k, "k", 1)
        for name, value in (("prefix", prefix), ("previous", previous)):
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a str, got {value!r:.80}")
        excluded = None if exclude is None else self._known_labels(exclude, "exclude")
        k = min(int(k), len(self.classes_))
        labels, scores = self._rank_one(previous, prefix, k, excluded)
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

    def _known_labels(self, queries, name):
        """Return the labels of those queries that are known, in increasing order."""
        if isinstance(queries, str) or not isinstance(queries, Iterable):
            raise TypeError(f"{name} must be a sequence of queries, got {queries!r:.80}")
        queries = list(queries)
        for query in queries:
            if not isinstance(query, str):
                raise TypeError(f"{name} must hold queries as strings, got {query!r:.80}")
        return self._prefixes.find([f"{self._normalizer.query(query)} " for query in queries])

    def _rank(self, previous, prefixes, k, constrained, excluded=None):
        previous = list(map(composed, previous))
        prefixes = list(map(self._normalizer.prefix, prefixes))
        X = canonical_csr(self._features.rows(previous, prefixes), "X")
        labels, scores = self._search(X, prefixes, k, constrained, excluded)
        for i, (n, prefix) in enumerate(zip(np.diff(X.indptr).tolist(), prefixes, strict=True)):
            if self._is_unguided(n, prefix):
                labels[i], scores[i] = self._most_popular(
                    prefix if constrained else "", k, excluded
                )
        return labels, scores

    def _search(self, X, prefixes, k, constrained, excluded):
        """Rank the queries that begin with the prefix of each row, or all queries."""
        if not constrained:
            return self.classifier_.rank(X, k, exclude=excluded)
        if self._partial_letters.keys().isdisjoint(prefixes):
            restriction = self._prefixes.restriction(prefixes)
            return self.classifier_.rank(X, k, exclude=excluded, restriction=restriction)
        beginnings = list(map(self._beginnings, prefixes))
        texts = [text for row in beginnings for text in row]
        sizes = list(map(len, beginnings))
        repeated = X[np.repeat(np.arange(len(sizes)), sizes)]
        restriction = self._prefixes.restriction(texts)
        ranking = self.classifier_.rank(repeated, k, exclude=excluded, restriction=restriction)
        return _merged(*ranking, sizes, k)

    def _beginnings(self, prefix):
        """Return what the completions of a prefix begin with: mostly the prefix alone."""
        return (prefix, *self._partial_letters.get(prefix, ()))

    def _rank_one(self, previous, prefix, k, excluded):
        """Rank one row, faster than `_rank`.

        Returns
        -------
        labels : ndarray of int32
            Without padding.
        scores : list of float
        """
        normalized = self._normalizer.prefix(prefix)
        if normalized in self._partial_letters:
            (labels,), (scores,) = self._rank([previous], [prefix], k, self.constrained, excluded)
        else:
            labels, scores = self._rank_whole(composed(previous), normalized, k, excluded)
        found = labels >= 0
        return labels[found], scores[found].tolist()

    def _rank_whole(self, previous, prefix, k, excluded):
        """Rank one row whose prefix ends at the end of a letter in every known query."""
        indices, values = self._features.row(previous, prefix)
        if self._is_unguided(len(indices), prefix):
            return self._most_popular(prefix if self.constrained else "", k, excluded)
        restriction = self._prefixes.restriction([prefix]) if self.constrained else None
        (labels,), (scores,) = self.classifier_.rank(
            (indices, values), k, exclude=excluded, restriction=restriction
        )
        return labels, scores

    def _is_unguided(self, n_features, prefix):
        """Return whether a row has no features with which the classifier was trained."""
        return n_features == 0 or (prefix == "" and not self._knows_empty)

    def _most_popular(self, prefix, k, excluded):
        """Return the most frequent queries that begin with a prefix, and their popularity.

        Both are padded to length k.
        """
        labels = np.full(k, -1, dtype=np.int32)
        scores = np.full(k, -np.inf, dtype=np.float32)
        n_excluded = 0 if excluded is None else len(excluded)
        best = self._by_popularity[: k + n_excluded]
        if prefix:
            beginnings = self._beginnings(prefix)
            candidates = np.sort(np.concatenate(list(map(self._prefixes.labels, beginnings))))
            by_popularity = np.argsort(-self.popularity_[candidates], kind="stable")
            best = candidates[by_popularity[: k + n_excluded]]
        if n_excluded:
            best = best[~np.isin(best, excluded)][:k]
        labels[: len(best)] = best
        scores[: len(best)] = self.popularity_[best]
        return labels, scores


def _merged(labels, scores, sizes, k):
    """Merge consecutive rankings without common labels.

    Parameters
    ----------
    labels, scores : ndarray of shape (sum(sizes), k)
    sizes : list of int
        Numbers of consecutive rows that are merged to one.
    k : int

    Returns
    -------
    labels, scores : ndarray of shape (len(sizes), k)
    """
    merged_labels = np.empty((len(sizes), k), labels.dtype)
    merged_scores = np.empty((len(sizes), k), scores.dtype)
    edges = indptr_of(sizes).tolist()
    for row, (lo, hi) in enumerate(pairwise(edges)):
        order = np.argsort(-scores[lo:hi].ravel(), kind="stable")[:k]
        merged_labels[row] = labels[lo:hi].ravel()[order]
        merged_scores[row] = scores[lo:hi].ravel()[order]
    return merged_labels, merged_scores


def _takes_label_features(classifier):
    """Return whether fit takes label features: not if the indexer has a vectorizer."""
    return getattr(classifier.indexer, "vectorizer", None) is None
