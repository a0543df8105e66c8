"""Ranking with a fitted XRLinearClassifier."""

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._ranking.base import SearchOptions
from .._ranking.batch import rank_all
from .._ranking.classifier import RankingClassifierMixin
from .._ranking.ensemble import WeightedNeighbors
from .._ranking.post_processors import POST_PROCESSORS
from .._ranking.ranking import Ranking, library_of
from .._ranking.restriction import Restriction
from .._ranking.selection import N_COMPARED, exponentials
from .._utils.estimators import consistent
from .._utils.matrices import check_features, pair_to_csr, single_row
from .._utils.pairs import ranking_csr
from .._utils.params import check_integer
from ._fitted import FittedAttribute, check_loss_of_fit, loss_of_fit
from ._inputs import check_frontier, check_limits, check_restriction
from ._params import (
    check_search_params,
    check_weighting,
    given_dense_weighting,
    given_weighting,
    is_auto,
)

#: Scores of this many labels at most are held at once while all reached labels are collected.
_RESULT_BLOCK = 1 << 22


class FittedRanking(RankingClassifierMixin, BaseEstimator):
    """The part of XRLinearClassifier that ranks with what fit has learned.

    Its parameters for ranking may change after fit, and are checked whenever they are used.
    """

    _container = FittedAttribute(lambda fitted: fitted.container)

    def __sklearn_is_fitted__(self):
        return "_fitted" in vars(self)

    @property
    def _ranker(self):
        """The Ranker of the current parameters: a tree, or an ensemble of trees and neighbors."""
        fitted = self._fitted
        without_neighbors = (
            fitted.neighbors is None or self.n_neighbors is None or self.post_processor == "noop"
        )
        columns = fitted.columns
        if columns is not None and not columns.are_embeddings:
            columns = None
        if without_neighbors and columns is None and len(fitted.rankers) == 1:
            return fitted.rankers[0]
        asked = None
        if not without_neighbors:
            asked = self.n_neighbors, self.neighbor_power, self.neighbor_weight
        if columns is not None:
            asked = asked, self._asked_of_embeddings(fitted)
        ensemble = fitted.ensembles.known(asked)
        if ensemble is not None:
            return ensemble
        check_weighting(self)
        neighbors = None
        if not without_neighbors:
            weighting = fitted.weighting if is_auto(self.n_neighbors) else given_weighting(self)
            neighbors = WeightedNeighbors.of(fitted.neighbors, weighting)
        if columns is None:
            return fitted.ensembles.make(asked, fitted.rankers, neighbors)
        embeddings = None
        if asked[1] is not None:
            is_chosen = is_auto(self.n_dense_neighbors)
            weighting = fitted.dense_weighting if is_chosen else given_dense_weighting(self)
            among_all = self.dense_candidates == "all"
            embeddings = WeightedNeighbors.of(fitted.embeddings, weighting, among_all=among_all)
        return fitted.ensembles.make(asked, fitted.rankers, neighbors, embeddings, columns)

    def _asked_of_embeddings(self, fitted):
        """Return the parameters of the neighbors by embeddings, or None without these."""
        are_there = fitted.embeddings is not None and self.n_dense_neighbors is not None
        if not are_there or self.post_processor == "noop":
            return None
        return (
            self.n_dense_neighbors,
            self.dense_neighbor_power,
            self.dense_neighbor_weight,
            self.dense_candidates,
        )

    def _search_options(self, **options):
        return SearchOptions(int(self.beam_width), POST_PROCESSORS[self.post_processor], **options)

    def _rank_one(self, X, k, restriction, limits):
        """Rank a single row if it needs no more checks than C makes. Otherwise return None."""
        plain = type(k) is int and type(self.beam_width) is int
        fitted = vars(self).get("_fitted")
        if fitted is None or not plain or k < 1 or fitted.feature_names is not None:
            return None
        whole_ranker = self._ranker
        ranker = whole_ranker.cached_row_ranker(k, self.beam_width, self.post_processor)
        row = None if ranker is None else single_row(X, ranker.n_features)
        if row is None:
            return None
        if whole_ranker.trees[0] is not fitted.rankers[0]:  # another thread has changed the model
            return None
        if limits is not None:
            ranking = _rank_limited_row(ranker, row, fitted, restriction, limits)
            return None if ranking is None else Ranking(*ranking, fitted.classes)
        if restriction is not None and not _restricts_one_row(restriction, len(fitted.trees)):
            return None
        if isinstance(row, tuple):
            ranking = ranker.sparse(*row, restriction)
        else:
            ranking = ranker.dense(row, restriction)
        return None if ranking is None else Ranking(*ranking, fitted.classes)

    @consistent
    def _rank_checked(self, X, k, frontier, restriction, limits):
        """Rank after all checks."""
        check_is_fitted(self)
        library = library_of(X)
        X = self._check_rows(pair_to_csr(X, self.n_features_in_) if isinstance(X, tuple) else X)
        check_integer(k, "k", 1, np.iinfo(np.int32).max)
        trees = self._fitted.trees
        starts = check_frontier(frontier, trees, X)
        check_restriction(restriction, trees, X.shape[0])
        constraint, floor = check_limits(
            limits, self._fitted.rankers, X.shape[0], self._fitted.classes
        )
        if X.shape[0] == 1 and starts is None:
            # The next row can then do without these checks.
            row = self._ranker.row_ranker(int(k), int(self.beam_width), self.post_processor)
            indices = np.ascontiguousarray(X.indices)
            ranking = row.sparse(indices, np.ascontiguousarray(X.data), restriction, constraint)
            ranking = _at_least(ranking, floor)
        else:
            ranking = self._rank(
                X, k, floor=floor, frontier=starts, restriction=restriction, constraint=constraint
            )
        return Ranking(*ranking, self._fitted.classes, library)

    def _rank(self, X, k, *, beam_width=None, **options):
        """Rank for checked rows."""
        options = self._search_options(**options)
        if beam_width is not None:
            options = options._replace(beam_width=beam_width)
        return rank_all(self._ranker, X, int(k), options, n_jobs=self.n_jobs)

    def _check_rows(self, X):
        check_is_fitted(self)
        check_search_params(self)
        return check_features(self, X, reset=False)

    def _best_labels(self, X):
        """Return the best label of each row. If the beam ends in empty nodes, search all nodes."""
        best = self._rank(X, 1)[0][:, 0]
        lost = np.flatnonzero(best < 0)
        if len(lost):
            best[lost] = self._rank(X[lost], 1, beam_width=self._ranker.max_level_width)[0][:, 0]
        return best

    def _reached_scores(self, X, floor=-np.inf):
        k = self._ranker.max_results(int(self.beam_width))
        step = max(1, _RESULT_BLOCK // k)
        blocks = [
            ranking_csr(*self._rank(X[begin : begin + step], k, floor=floor), self.n_labels_)
            for begin in range(0, X.shape[0], step)
        ]
        return sp.vstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]

    @property
    def _threshold(self):
        return self._fitted.threshold if is_auto(self.threshold) else self.threshold

    def _scores_above(self, X, threshold):
        # Scores above the largest number are infinite.
        with np.errstate(over="ignore"):
            above = float(np.nextafter(np.float32(threshold), np.float32(np.inf)))
        return self._reached_scores(X, floor=above)

    def _compared_ranking(self, X):
        return self._rank(X, N_COMPARED)

    @property
    def _even_score(self):
        post_processor = POST_PROCESSORS[self.post_processor]
        if post_processor.in_unit_interval:
            return 0.5
        return float(np.log(0.5)) if post_processor.is_log else 0.0

    def _compared_values(self, scores):
        post_processor = POST_PROCESSORS[self.post_processor]
        if post_processor.in_unit_interval:
            return scores.astype(np.float64)
        if post_processor.is_log:
            return exponentials(scores)
        margins = scores.astype(np.float64)
        if loss_of_fit(self) == "log_loss":
            return expit(margins)
        return np.exp(-(np.maximum(0, 1 - margins) ** 3))

    def _reached_probabilities(self, X):
        probabilities = self._reached_scores(X)
        # Sums of contributions may exceed 1 by their rounding.
        np.minimum(probabilities.data, 1, out=probabilities.data)
        return probabilities

    @property
    def _unreached_score(self):
        return POST_PROCESSORS[self.post_processor].unreached_score

    def _check_gives_probabilities(self):
        if self.loss != "log_loss" or self.post_processor != "sigmoid":
            raise AttributeError(
                "predict_proba needs loss='log_loss' and post_processor='sigmoid', got "
                f"{self.loss!r} and {self.post_processor!r}"
            )
        if self.__sklearn_is_fitted__():
            try:
                check_loss_of_fit(self)
            except ValueError as error:
                raise AttributeError(f"predict_proba is not available: {error}") from error
        return True


def _rank_limited_row(ranker, row, fitted, restriction, limits):
    """Rank a single row within limits if it needs no more checks. Otherwise return None.

    Parameters
    ----------
    ranker : RowRanker
    row : tuple (indices, values), or ndarray
    fitted : FittedState
    restriction : Restriction or None
    limits : LabelLimits
    """
    if restriction is not None and not _restricts_one_row(restriction, len(fitted.trees)):
        return None
    constraint, floor = check_limits(limits, fitted.rankers, 1, fitted.classes)
    if isinstance(row, tuple):
        ranking = ranker.sparse(*row, restriction, constraint)
    else:
        ranking = ranker.dense(row, restriction, constraint)
    return None if ranking is None else _at_least(ranking, floor)


def _at_least(ranking, floor):
    """Remove the labels with lower scores from a ranking, in place."""
    labels, scores = ranking
    if floor > -np.inf:
        lower = scores < floor
        labels[lower] = -1
        scores[lower] = -np.inf
    return ranking


def _restricts_one_row(restriction, n_trees):
    """Return whether a restriction needs no more checks than C makes."""
    return (
        type(restriction) is Restriction
        and len(restriction.order.by_tree) == n_trees
        and restriction.ranges.shape == (1, 2)
        and restriction.ranges.dtype == np.int64
        and restriction.ranges.flags.c_contiguous
    )
