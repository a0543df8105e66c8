"""Ranking of the queries that match a prefix, by the classifier and by popularity."""

from functools import partial
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from .._core import indptr_of
from .._utils.matrices import canonical_csr
from ._matches import PREFIX, TYPING_ERROR, WORD
from ._query_features import composed

#: Number of the classifier's best labels whose scores are added to their popularity.
_N_MIXED = 100

#: Number of the most popular queries of a kind of match, besides prefixes, that are ranked.
_N_CANDIDATES = 50

#: The ranking of no labels.
_NOTHING = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)


class Matches(NamedTuple):
    """Ranked labels.

    Attributes
    ----------
    labels : ndarray of int32, shape (n,)
    scores : ndarray of float, shape (n,)
    kinds : list of str, length n
    """

    labels: np.ndarray
    scores: np.ndarray
    kinds: list


class RankedMatches:
    """The part of SessionQueryCompleter that ranks with what fit has learned."""

    def _rank(self, previous, prefixes, k, constrained, excluded=None):
        """Rank queries for rows.

        Parameters
        ----------
        previous, prefixes : list of str
        k : int
        constrained : bool
            Whether only queries are ranked that match the prefix of the row.
        excluded : ndarray of int32, optional
            Labels that are left out, in increasing order.

        Returns
        -------
        labels : ndarray of int32, shape (n, k)
            Padded with -1.
        scores : ndarray of float32, shape (n, k)
            Padded with -inf.
        """
        previous = list(map(composed, previous))
        prefixes = list(map(self._normalizer.prefix, prefixes))
        X = canonical_csr(self._features.rows(previous, prefixes), "X")
        labels = np.full((len(prefixes), k), -1, dtype=np.int32)
        scores = np.full((len(prefixes), k), -np.inf, dtype=np.float32)
        rank = self._ranked_matches if constrained else self._ranked_queries
        for i, matches in enumerate(rank(X, prefixes, k, excluded)):
            n = len(matches.labels)
            labels[i, :n] = matches.labels
            scores[i, :n] = matches.scores
        return labels, scores

    def _rank_one(self, previous, prefix, k, excluded):
        """Rank queries for one row. This is faster than `_rank`.

        Returns
        -------
        matches : Matches
        """
        prefix = self._normalizer.prefix(prefix)
        row = self._features.row(composed(previous), prefix)
        if not self.constrained:
            if not self._is_guided(row[0], prefix, 0):
                return self._most_popular(self._prefixes.everything, k, excluded)
            ranking = self.classifier_.rank(row, k, exclude=excluded)
            return _matches(ranking.labels[0], ranking.scores[0])
        weight = self._weight
        ranges = self._prefixes.ranges(self._beginnings(prefix))
        finished = self._take_finished(prefix, ranges[0])
        ranking = None
        if self._is_guided(row[0], prefix, weight):
            ranking = self._search_one(row, ranges, _n_searched(k, weight), excluded)
        return self._matches_of_row(row, prefix, ranges, finished, k, excluded, ranking)

    def _ranked_queries(self, X, prefixes, k, excluded):
        """Yield the ranking of all queries for each row."""
        ranking = self.classifier_.rank(X, k, exclude=excluded)
        for i, prefix in enumerate(prefixes):
            if self._is_guided(X.indices[X.indptr[i] : X.indptr[i + 1]], prefix, 0):
                yield _matches(ranking.labels[i], ranking.scores[i])
            else:
                yield self._most_popular(self._prefixes.everything, k, excluded)

    def _ranked_matches(self, X, prefixes, k, excluded):
        """Yield the ranking of the matches for each row."""
        weight = self._weight
        spans = pairwise(X.indptr.tolist())
        rows = [(X.indices[begin:end], X.data[begin:end]) for begin, end in spans]
        guided = [
            self._is_guided(row[0], prefix, weight)
            for row, prefix in zip(rows, prefixes, strict=True)
        ]
        beginnings = list(map(self._beginnings, prefixes))
        edges = indptr_of(list(map(len, beginnings)))
        ranges = self._prefixes.ranges([text for row in beginnings for text in row])
        finished = [
            self._take_finished(prefix, ranges[edge])
            for prefix, edge in zip(prefixes, edges[:-1].tolist(), strict=True)
        ]
        searched = self._search(X, guided, ranges, edges, _n_searched(k, weight), excluded)
        for i, (begin, end) in enumerate(pairwise(edges.tolist())):
            ranking = next(searched) if guided[i] else None
            yield self._matches_of_row(
                rows[i], prefixes[i], ranges[begin:end], finished[i], k, excluded, ranking
            )

    def _search(self, X, guided, ranges, edges, k, excluded):
        """Yield the classifier's ranking of the completions of each guided row.

        The completions of row i are in the ranges from ``edges[i]`` up to ``edges[i + 1]``.
        """
        repeated = np.repeat(np.arange(len(guided)), np.diff(edges))
        kept = np.array(guided)[repeated]
        if not kept.any():
            return
        restriction = self._prefixes.restricted_to(ranges[kept])
        labels, scores = self.classifier_.rank(
            X[repeated[kept]], k, exclude=excluded, restriction=restriction
        )
        for begin, end in pairwise(indptr_of(np.diff(edges)[guided]).tolist()):
            yield _merged(labels[begin:end], scores[begin:end], k)

    def _search_one(self, row, ranges, k, excluded):
        """Return the classifier's ranking of the completions of one row."""
        ranges = ranges[ranges[:, 0] < ranges[:, 1]]
        if len(ranges) == 0:
            return _NOTHING
        rankings = [
            self.classifier_.rank(
                row,
                k,
                exclude=excluded,
                restriction=self._prefixes.restricted_to(ranges[i : i + 1]),
            )
            for i in range(len(ranges))
        ]
        if len(rankings) == 1:
            return rankings[0].labels[0], rankings[0].scores[0]
        labels, scores = (np.concatenate(part) for part in zip(*rankings, strict=True))
        return _merged(labels, scores, k)

    def _beginnings(self, prefix):
        """Return what the completions of a prefix begin with: mostly the prefix alone."""
        return (prefix, *self._partial_letters.get(prefix, ()))

    def _is_guided(self, indices, prefix, weight):
        """Return whether the classifier ranks the queries of a row, and not popularity alone.

        Without a previous query, the frequency of a completion is its probability. The classifier
        would only approximate it.

        Parameters
        ----------
        indices : ndarray of int32
            Columns of the features of the row, in increasing order.
        prefix : str
        weight : float
            The weight of popularity.
        """
        if len(indices) == 0 or (prefix == "" and not self._knows_empty):
            return False
        return weight == 0 or self._features.has_previous(indices)

    @property
    def _weight(self):
        """The weight of popularity in force."""
        if self.popularity_weight == "auto":
            return self.popularity_weight_
        return self.popularity_weight

    def _take_finished(self, prefix, span):
        """Take the query out of a range that a blank at the end of the prefix finishes.

        The blank is a sign of another word. Longer queries are more likely, and come first.

        Parameters
        ----------
        prefix : str
        span : ndarray of int64, shape (2,)
            The queries that begin with the prefix. It is changed.

        Returns
        -------
        finished : ndarray of int32, shape (0,) or (1,)
            The label of the query, if there is one and popularity has a weight.
        """
        begin, end = span.tolist()
        if not prefix.endswith(" ") or begin == end or self._weight == 0:
            return self._prefixes.order[:0]
        if self._prefixes.length(begin) > len(prefix.encode("utf-8", "surrogatepass")):
            return self._prefixes.order[:0]
        span[0] += 1
        return self._prefixes.order[begin : begin + 1]

    def _matches_of_row(self, row, prefix, ranges, finished, k, excluded, ranking):
        """Rank the matches of one row.

        Parameters
        ----------
        row : tuple (indices, values)
            Its features.
        prefix : str
        ranges : ndarray of int64, shape (n_ranges, 2)
            The queries that begin with the prefix.
        finished : ndarray of int32, shape (0,) or (1,)
            The query that is taken out of the ranges.
        k : int
        excluded : ndarray of int32 or None
        ranking : tuple (labels, scores) or None
            The classifier's ranking of the queries that begin with the prefix. None if popularity
            alone ranks.
        """
        parts = [self._completions(ranges, k, excluded, ranking)]
        missing = k - len(parts[0].labels)
        if len(finished):
            if excluded is not None:
                finished = np.setdiff1d(finished, excluded)
            finished = finished[:missing]
            scores = self.popularity_[finished]
            parts.append(Matches(finished, scores, [PREFIX] * len(finished)))
            missing -= len(finished)
        for kind, find, of_previous in self._searches_besides_prefix(prefix):
            if missing == 0:
                break
            skipped = [self._matches.positions(part.labels) for part in parts]
            skipped.append(self._matches.positions(excluded))
            n = missing if ranking is None else max(missing, _N_CANDIDATES)
            labels = find(prefix, n, tuple(ranges[0].tolist()), np.concatenate(skipped))
            if len(labels) == 0:
                continue
            if ranking is not None:
                features = self._features.of_previous(*row) if of_previous else row
                best = self._ranked_candidates(features, labels[:_N_CANDIDATES], missing)
                parts.append(Matches(*best, [kind] * len(best[0])))
                labels = labels[_N_CANDIDATES:]
                missing -= len(best[0])
            parts.append(Matches(labels, self.popularity_[labels], [kind] * len(labels)))
            missing -= len(labels)
        if len(parts) == 1:
            return parts[0]
        labels, scores, kinds = zip(*parts, strict=True)
        return Matches(np.concatenate(labels), _falling(scores), list(chain(*kinds)))

    def _searches_besides_prefix(self, prefix):
        """Return the other kinds of matches that are permitted, in their order.

        Returns
        -------
        searches : list of tuple (kind, find, of_previous)
            The kind of match, a function that finds the labels, and whether the features of the
            prefix are left out because the queries do not begin with it.
        """
        with_words = self.match == "words" and prefix != ""
        searches = [(WORD, self._matches.with_word, True)] if with_words else []
        if self.max_typing_errors and len(prefix.rstrip()) >= self.min_typing_length:
            exact = {"n_exact": self.exact_prefix_length}
            find = partial(self._matches.with_typing_error, **exact)
            searches.append((TYPING_ERROR, find, False))
            if with_words:
                find = partial(self._matches.with_word, max_errors=1, **exact)
                searches.append((TYPING_ERROR, find, True))
        return searches

    def _completions(self, ranges, k, excluded, ranking):
        """Rank the queries that begin with the prefix."""
        if ranking is None:
            return self._most_popular(ranges, k, excluded)
        if self._weight == 0 or len(ranking[0]) == 0:
            return _matches(*ranking)
        skipped = self._matches.positions(excluded)
        popular = self._matches.most_popular(ranges, k, skipped)
        mass = self._matches.popularity_in(ranges, skipped)
        return _matches(*self._mixed(*ranking, popular, mass, k))

    def _most_popular(self, ranges, k, excluded):
        """Return the most popular queries in ranges, with their popularity."""
        labels = self._matches.most_popular(ranges, k, self._matches.positions(excluded))
        return _matches(labels, self.popularity_[labels])

    def _ranked_candidates(self, row, candidates, k):
        """Rank the most popular matches of a kind by the classifier and by popularity.

        Returns
        -------
        labels, scores : ndarray of shape (min(k, n_candidates),)
        """
        if len(candidates) == 1:
            return candidates, np.ones(1, dtype=np.float32)
        # With the same number each time, the classifier need not prepare another search.
        n = max(len(candidates), _N_CANDIDATES)
        labels, scores = self.classifier_.rank(row, n, among=candidates)
        mass = float(self.popularity_[candidates].sum(dtype=np.float64))
        return self._mixed(labels[0], scores[0], candidates, mass, k)

    def _mixed(self, labels, scores, popular, mass, k):
        """Mix the ranking of the classifier with the most popular queries.

        The score of a query is the weighted mean of its share of the classifier's first
        `_N_MIXED` scores, and of its share of the popularity. Further down in the classifier's
        ranking, it is the larger one of both weighted shares. The ranking is therefore the same
        for every k.

        Parameters
        ----------
        labels, scores : ndarray of shape (n,)
            The classifier's ranking, padded with -1.
        popular : ndarray of int32
            The k most popular of these queries.
        mass : float
            Popularity of all these queries.
        k : int

        Returns
        -------
        labels, scores : ndarray of shape (n_mixed,)
        """
        weight = self._weight
        n = np.count_nonzero(labels >= 0)
        labels = labels[:n]
        known = set(labels.tolist())
        others = [label for label in popular.tolist() if label not in known]
        labels = np.concatenate((labels, np.array(others, dtype=np.int32)))
        total = (weight / mass if mass > 0 else 0.0) * self.popularity_[labels].astype(np.float64)
        (values,) = self.classifier_._compared_values(scores[np.newaxis, :n]).astype(np.float64)
        whole = values[:_N_MIXED].sum()
        if whole > 0:
            values *= (1 - weight) / whole
            n_added = min(n, _N_MIXED)
            total[:n_added] += values[:n_added]
            np.maximum(total[n_added:n], values[n_added:], out=total[n_added:n])
        best = np.lexsort((labels, -total))[:k]
        return labels[best], total[best].astype(np.float32)


def _n_searched(k, weight):
    """Return the number of labels to take from the classifier for k suggestions."""
    return k if weight == 0 else max(k, _N_MIXED)


def _matches(labels, scores):
    """Return a padded ranking of queries that begin with the prefix."""
    found = labels >= 0
    labels = labels[found]
    return Matches(labels, scores[found], [PREFIX] * len(labels))


def _falling(parts):
    """Join falling scores. Parts are scaled so that all scores are below those of earlier parts."""
    joined = []
    last = np.inf
    for scores in parts:
        if len(scores) == 0:
            continue
        if scores[0] >= last > 0:
            scores = scores * (np.float32(0.5) * last / scores[0])
        elif scores[0] >= last:  # logarithms or margins of the classifier
            scores = scores - (scores[0] - last + np.float32(1))
        last = scores[-1]
        joined.append(scores)
    return np.concatenate(joined) if joined else parts[0]


def _merged(labels, scores, k):
    """Merge rankings without common labels.

    Parameters
    ----------
    labels, scores : ndarray of shape (n_rankings, k)
    k : int

    Returns
    -------
    labels, scores : ndarray of shape (k,)
    """
    if len(labels) == 1:
        return labels[0], scores[0]
    best = np.argsort(-scores.ravel(), kind="stable")[:k]
    return labels.ravel()[best], scores.ravel()[best]
