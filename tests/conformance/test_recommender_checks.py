"""scikit-learn's own checks of the recommenders.

The checks pass one value per row as y. The y of a recommender is a matrix with a column per item,
so that they are fitted without it.
"""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skxmr.recommenders import (
    AutoencoderRecommender,
    ItemToItemRecommender,
    LinearAutoencoderRecommender,
    MatrixFactorizationRecommender,
    MostPopularRecommender,
    Recency,
    UserToUserRecommender,
)


class _WithoutTargets:
    def fit(self, X, y=None):
        return super().fit(X)

    def score(self, X, y=None):
        rows = self._check_rows(X)
        return super().score(X, rows > 0)


class ItemToItem(_WithoutTargets, ItemToItemRecommender):
    pass


class MostPopular(_WithoutTargets, MostPopularRecommender):
    pass


class UserToUser(_WithoutTargets, UserToUserRecommender):
    pass


class LinearAutoencoder(_WithoutTargets, LinearAutoencoderRecommender):
    pass


class MatrixFactorization(_WithoutTargets, MatrixFactorizationRecommender):
    pass


class Autoencoder(_WithoutTargets, AutoencoderRecommender):
    pass


ESTIMATORS = [
    Recency(),
    MostPopular(),
    ItemToItem(),
    UserToUser(),
    LinearAutoencoder(),
    MatrixFactorization(n_factors=4, n_iter=2),
    Autoencoder((4,), n_epochs=2),
]


REASON = "predict returns a matrix with a column per item"


def expected_failures(estimator):
    if isinstance(estimator, Recency):
        return {}
    return {f"check_estimator_sparse_{kind}": REASON for kind in ("array", "matrix")}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_scikit_learn_check_passes(estimator, check):
    check(estimator)
