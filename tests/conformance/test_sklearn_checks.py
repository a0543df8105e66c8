"""scikit-learn's own checks of estimators, without exemptions."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skxmr import KMeansIndexer, XRLinearClassifier

# The checks of clusterers look for as many clusters as their data has on 50 rows, which the default
# indexer keeps in one leaf; and their clusters differ in more than direction.
ESTIMATORS = [
    XRLinearClassifier(),
    XRLinearClassifier(loss="log_loss", post_processor="sigmoid"),
    KMeansIndexer(max_leaf_size=17, spherical=False),
    KMeansIndexer(max_leaf_size=17, branching=3, spherical=False, balanced=False),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_check_passes(estimator, check):
    check(estimator)
