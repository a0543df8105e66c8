"""SessionQueryCompleter: completion of queries from a prefix and the previous query."""

import re
from collections.abc import Iterable

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from .._ranking.ranking import Ranking, library_of
from .._saving.writing import save_model
from .._utils.cloning import clone_with
from .._utils.estimators import consistent, fitted_in_one_step
from .._utils.params import check_boolean, check_integer, check_option, check_real, check_seed
from .._utils.texts import objects
from .._utils.weights import check_sample_weight
from ..indexers import TrieHybridIndexer
from ..linear import XRLinearClassifier
from ..linear._params import is_auto
from ..text import NGramTfidfVectorizer
from ._matches import Completion, MatchIndex
from ._prefixes import PrefixIndex
from ._query_features import QueryFeatures, QueryNormalizer, composed, without_blanks
from ._query_pairs import check_pairs, check_queries
from ._ranking import RankedMatches
from ._spellings import completions_within_letters, known_queries
from ._tuning import tuned_popularity_weight

_DEFAULT_CLASSIFIER = XRLinearClassifier(TrieHybridIndexer())

#: Words of the previous query of any length, and pairs of words.
_PREVIOUS = NGramTfidfVectorizer("word", (1, 2), min_token_length=1)

#: Character n-grams of the prefix. Those near its beginning have the largest weights.
_PREFIX = NGramTfidfVectorizer("char", (1, 3), lowercase=False, position_weighted=True)

_WORD_CHARACTER = re.compile(r"\w")

#: Attributes that pickles of version 0.1 lack, with values for the same suggestions.
_BEFORE_MATCHES = {
    "popularity_weight": 0,
    "popularity_weight_": None,
    "match": "prefix",
    "max_typing_errors": 0,
    "min_typing_length": 3,
    "exact_prefix_length": 1,
}


class SessionQueryCompleter(RankedMatches, ClassifierMixin, BaseEstimator):
    """Complete a prefix to a query, given the previous query.

    Each known query is a label. The features of a row are the words of the previous query and the
    character n-grams of the prefix, with larger weights near its beginning [1]_. An
    XRLinearClassifier ranks the labels. By default, its search visits only tree nodes above queries
    that begin with the prefix, so that other queries take no part of the beam. If there are fewer
    than k such queries, queries with a word that begins with the prefix follow, and then queries
    that match after one typing error in the prefix is corrected.

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
    popularity_weight : float or "auto", default=0.2
        Weight of the popularity of a query in its score, from 0 to 1. The remaining weight is that
        of the classifier. Both are shares among the queries that match. Without a known word in
        the previous query, popularity alone ranks, unless `popularity_weight` is 0. "auto" chooses
        the weight on rows that are held out; `fit` then trains twice. Ignored if `constrained` is
        False. It may be changed after `fit`, but not to "auto".

        .. versionadded:: 0.2
    constrained : bool, default=True
        Whether only queries that match the prefix are suggested.
    match : {"words", "prefix"}, default="words"
        What may begin with the prefix: with "prefix", only the whole query. With "words", the
        whole query or its part from some word on. "therapy" and "music th" then match "music
        therapy". A prefix does not match inside of words. May be changed after `fit`.

        .. versionadded:: 0.2
    max_typing_errors : {0, 1}, default=1
        Number of typing errors in a prefix that are corrected. An error is a character that is
        missing, superfluous or wrong, or two adjacent characters that are exchanged. May be
        changed after `fit`.

        .. versionadded:: 0.2
    min_typing_length : int, default=3
        Minimum length of a prefix, without blanks around it, in which an error is corrected. May
        be changed after `fit`.

        .. versionadded:: 0.2
    exact_prefix_length : int, default=1
        Number of characters at the beginning of a prefix that must be without errors. May be
        changed after `fit`.

        .. versionadded:: 0.2
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
        Fraction of each query in y, in all its spellings. Rows count with their weights.
    popularity_weight_ : float or None
        The weight that ``popularity_weight="auto"`` has chosen. None for other values.
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

    A word must end where the prefix has a space at its end. The query that ends there follows the
    longer ones. A prefix may end within a letter that consists of several code
    points, such as an e and an accent. It is then completed to queries that some row of y spells
    with these code points.

    Rows with a blank y are ignored.

    Words begin after a space, and with a letter, a digit or an underscore after another character.
    An apostrophe between letters is a part of a word. Words are indexed in the first 1000
    characters of a query. Typing errors are measured by the Damerau-Levenshtein distance (optimal
    string alignment) in code points [2]_. The defaults of `min_typing_length` and
    `exact_prefix_length` are those of the fuzzy completion suggester of Elasticsearch.

    The index of words takes 24 bytes per word besides the first one of each query, and 24 bytes per
    query.

    References
    ----------
    .. [1] N. Yadav, R. Sen, D. N. Hill, A. Mazumdar and I. S. Dhillon, "Session-aware query
       auto-completion using extreme multi-label ranking", KDD 2021.
    .. [2] F. J. Damerau, "A technique for computer detection and correction of spelling errors",
       Communications of the ACM 7(3), 1964.

    Examples
    --------
    >>> from skxmr.completion import SessionQueryCompleter
    >>> X = [("cat food", "cat"), ("dog food", "cat"), ("cat food", "c"), ("sailing", "c")]
    >>> y = ["cat toys", "cats and dogs", "cat toys", "catamarans"]
    >>> completer = SessionQueryCompleter(random_state=0).fit(X, y)
    >>> [query for query, score in completer.complete("cat", previous="sailing")]
    ['catamarans', 'cat toys', 'cats and dogs']
    >>> [(each.query, each.match) for each in completer.complete("dog")]
    [('cats and dogs', 'word')]
    >>> [(each.query, each.match) for each in completer.complete("catmar")]
    [('catamarans', 'typing error')]
    """

    def __init__(
        self,
        classifier=None,
        *,
        previous_vectorizer=None,
        prefix_vectorizer=None,
        previous_weight=2.0,
        popularity_weight=0.2,
        constrained=True,
        match="words",
        max_typing_errors=1,
        min_typing_length=3,
        exact_prefix_length=1,
        lowercase=True,
        strip_accents=None,
        n_jobs=None,
        random_state=None,
    ):
        self.classifier = classifier
        self.previous_vectorizer = previous_vectorizer
        self.prefix_vectorizer = prefix_vectorizer
        self.previous_weight = previous_weight
        self.popularity_weight = popularity_weight
        self.constrained = constrained
        self.match = match
        self.max_typing_errors = max_typing_errors
        self.min_typing_length = min_typing_length
        self.exact_prefix_length = exact_prefix_length
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
            previous, prefixes = check_pairs(fresh, X, reset=True)
            y = check_queries(y, "y", len(prefixes))
            sample_weight = check_sample_weight(sample_weight, len(prefixes))
            fresh.popularity_weight_ = None
            if is_auto(self.popularity_weight):
                pairs = np.column_stack((objects(previous), objects(prefixes)))
                weight = tuned_popularity_weight(self, pairs, objects(y), sample_weight)
                fresh.popularity_weight_ = weight
            fresh._fit(previous, prefixes, y, sample_weight)
        return self

    def _fit(self, previous, prefixes, y, sample_weight):
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
        self._count(codes, sample_weight)
        self._index(texts)
        self._partial_letters = completions_within_letters(self._normalizer, spellings)
        self._knows_empty = "" in prefixes

    def _index(self, texts):
        """Prepare the search for queries that match a prefix in one of their spellings."""
        # With a space at its end, a query also begins with itself and one space typed after it.
        texts = [f"{text} " for text in texts]
        self._prefixes = PrefixIndex(self.classifier_.trees_, texts)
        self._matches = MatchIndex(self._prefixes, texts, self.popularity_)

    def __setstate__(self, state):
        if "_spelling" in state:  # its name in an earlier release
            state = {**state, "_normalizer": state["_spelling"]}
            del state["_spelling"]
        super().__setstate__(state)
        if "popularity_weight" not in state:  # version 0.1 ranked by the classifier alone
            vars(self).update(_BEFORE_MATCHES)
        if "_prefixes" in state and not {"_matches", "_partial_letters"} <= state.keys():
            vars(self).pop("_by_popularity", None)
            self._index(list(map(self._normalizer.query, self.classes_)))
            if "_partial_letters" not in state:  # another normalization
                self._partial_letters = completions_within_letters(self._normalizer, self.classes_)

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

            - `labels` (int32): indices of `classes_`, best first: the queries that begin with the
              prefix, then those with a matching word, then those with a typing error. Padded with
              -1 if fewer queries match, or if ``popularity_weight=0`` or ``constrained=False`` and
              the beam reaches fewer.
            - `scores` (float32): padded with -inf.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the completer is not fitted, or if `classifier_` has learned other labels since.
        TypeError, ValueError
            If a parameter or an input is invalid. The message names it.
        """
        self._check_fitted()
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
            The best suggestion. If no known query matches the prefix, the best query of all.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the completer is not fitted, or if `classifier_` has learned other labels since.
        TypeError, ValueError
            If a parameter or an input is invalid. The message names it.
        """
        self._check_fitted()
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
        suggestions : list of Completion
            Pairs ``(query, score)`` with the attribute `match`: "prefix" for queries that begin
            with the prefix, which come first, then "word", then "typing error". The best ones of
            each kind come first. Empty if no known query matches.

            The score is the weighted mean of the shares of the classifier and of the popularity.
            It is the fraction in `popularity_` where popularity alone ranks, and the score of the
            classifier if ``popularity_weight=0`` or ``constrained=False``. If necessary, the
            scores of later kinds are scaled to be below those of earlier kinds.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the completer is not fitted, or if `classifier_` has learned other labels since.
        TypeError, ValueError
            If a parameter or an input is invalid. The message names it.
        """
        self._check_fitted()
        check_integer(k, "k", 1)
        for name, value in (("prefix", prefix), ("previous", previous)):
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a str, got {value!r:.80}")
        excluded = None if exclude is None else self._known_labels(exclude, "exclude")
        k = min(int(k), len(self.classes_))
        labels, scores, kinds = self._rank_one(previous, prefix, k, excluded)
        return list(map(Completion, self.classes_[labels].tolist(), scores.tolist(), kinds))

    def save(self, folder):
        """Save the completer as one folder of arrays and one JSON file, without pickles.

        Parameters
        ----------
        folder : str or path
            Created if it does not exist. A model in it is replaced atomically. Other files in it
            are not changed.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the completer is not fitted.
        TypeError, ValueError
            If a part, such as a vectorizer, cannot be saved. The message names it.

        See Also
        --------
        skxmr.load : The inverse.
        """
        save_model(self, folder)

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
        self._check_ranking_params()
        if is_auto(self.popularity_weight) and self.popularity_weight_ is None:
            raise ValueError(
                "popularity_weight='auto' was set after fit: fit again, or set a number"
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
        self._check_ranking_params()
        check_boolean(self.lowercase, "lowercase")
        if self.strip_accents is not None:
            check_option(self.strip_accents, "strip_accents", ("ascii", "unicode"))

    def _check_ranking_params(self):
        check_boolean(self.constrained, "constrained")
        check_option(self.match, "match", ("prefix", "words"))
        check_integer(self.max_typing_errors, "max_typing_errors", 0, 1)
        check_integer(self.min_typing_length, "min_typing_length", 1)
        check_integer(self.exact_prefix_length, "exact_prefix_length", 0)
        weight = self.popularity_weight
        if type(weight) is float and 0 <= weight <= 1:  # a fast path with the same result
            return
        if isinstance(weight, str) and weight != "auto":
            raise ValueError(
                f"popularity_weight must be a number from 0 to 1, or 'auto', got {weight!r}"
            )
        if not is_auto(weight):
            check_real(weight, "popularity_weight", 0, most=1)

    def _known_labels(self, queries, name):
        """Return the labels of those queries that are known, in increasing order."""
        if isinstance(queries, str) or not isinstance(queries, Iterable):
            raise TypeError(f"{name} must be a sequence of queries, got {queries!r:.80}")
        queries = list(queries)
        for query in queries:
            if not isinstance(query, str):
                raise TypeError(f"{name} must hold queries as strings, got {query!r:.80}")
        return self._prefixes.find([f"{self._normalizer.query(query)} " for query in queries])


def _takes_label_features(classifier):
    """Return whether fit takes label features: not if the indexer has a vectorizer."""
    return getattr(classifier.indexer, "vectorizer", None) is None
