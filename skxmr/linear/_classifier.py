"""XR-Linear: recursive linear ranking over a label tree."""

import numbers
from collections.abc import Iterator
from functools import cache, partial
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .._core import LOSSES, POST_PROCESSORS, PRODUCTS, WEIGHT_DTYPES, Frontier, Model, TrainParams
from .._data.examples import distinct_examples
from .._data.label_embeddings import (
    EMBEDDING_COST,
    EMBEDDING_PHASE,
    embed_examples,
    split_kind,
)
from .._data.label_examples import check_label_examples, with_label_examples
from .._ranking.ensemble import EnsembleCache, NeighborWeighting, without_logarithm
from .._ranking.explain import explain_label
from .._ranking.explanation import Explanation, check_feature_names, find_label
from .._ranking.neighbors import join_neighbor_rows, make_neighbor_rows, update_neighbor_rows
from .._ranking.wrapped import ranking_csr
from .._training import matching, trainer
from .._training.disentangle import MOST_CLUSTERS, disentangle, estimated_rounds, round_name
from .._training.negatives import (
    Sampling,
    check_negative_sampling,
    check_negatives,
    needs_matcher,
    sampling_of,
)
from .._training.new_labels import (
    PLACEMENTS,
    check_indexer_places,
    extended_classes,
    extended_columns,
    extended_model,
    extended_tree,
    place_by_indexer,
    place_by_search,
    rows_with,
    warn_of_absent,
)
from .._training.relevance import check_relevance
from .._training.trainer import train_layers
from .._training.tune_neighbors import choose_weighting
from .._utils import caching, parallel, progress
from .._utils.cloning import clone_with, draw_seed
from .._utils.estimators import (
    RenamedAttribute,
    change_lock,
    consistent,
    snapshot,
    warn_of_old_name,
)
from .._utils.folder import write_folder
from .._utils.matrices import bare_row, canonical_csr, check_features, check_matrix, pair_to_csr
from .._utils.pairs import is_true, row_of_entries
from .._utils.params import check_boolean, check_integer, check_n_jobs, check_option, check_real
from .._utils.targets import (
    check_classes,
    check_features_and_targets,
    encode_targets,
    known_truth,
    target_array,
)
from .._utils.texts import check_texts
from .._utils.weights import check_sample_weight, check_weight_ratios
from ..indexers import KMeansIndexer
from ..indexers._base import (
    CLUSTERING_COST,
    CLUSTERING_PHASE,
    check_indexer,
    takes_text,
    tree_depth,
)
from ..tree import LabelTree
from ._fitted import FittedAttribute, FittedState, Names, converted_state, names_of_features
from ._saving import classifier_state

#: With a memory, weights down to this size are cached (all of them, if a smaller threshold is
#: asked for), so that a search over thresholds trains once.
_CACHED_THRESHOLD = 0.01

#: Ranks better than a balanced tree, for a third more training time. Leaves of 400 labels would
#: rank hardly better, for another third.
_DEFAULT_INDEXER = KMeansIndexer(max_leaf_size=200, balanced=False)

#: Scores of this many labels at most are held at once while all survivors are collected.
_RESULT_BLOCK = 1 << 22

#: Rows times beam width of what is ranked at a time: an interruption waits for its end.
_BRIEF_RANKING = 1 << 16

#: Parameters that training does not depend on.
_ONLY_FOR_RANKING = {
    *("beam_width", "post_processor", "threshold"),
    *("n_neighbors", "neighbor_weight", "neighbor_power"),
    *("memory", "n_jobs", "verbose"),
}


def _scores_are_probabilities(estimator):
    if estimator.loss != "log_loss" or estimator.post_processor != "sigmoid":
        raise AttributeError(
            "predict_proba needs loss='log_loss' and post_processor='sigmoid', got "
            f"{estimator.loss!r} and {estimator.post_processor!r}"
        )
    return True


class XRLinearClassifier(ClassifierMixin, BaseEstimator):
    """Rank labels out of thousands to millions with linear rankers in a label tree.

    Labels are grouped into a tree by their embeddings. Every tree node has a linear ranker, trained
    against its siblings. To rank labels for a row, a beam of the best nodes is followed from the
    root to the leaves, so that the time grows with the depth of the tree and not with the number of
    labels.

    Parameters
    ----------
    indexer : estimator, default=None
        Builds the label tree: anything whose `fit` takes one row per label and sets `tree_`, a
        LabelTree. By default ``KMeansIndexer(max_leaf_size=200, balanced=False)``. A LabelTree can
        be given as well. An indexer whose scikit-learn tags say that it takes strings, such as
        TrieIndexer, is fitted to the labels' texts.
    label_embedding : str, default="pifa"
        What the indexer sees of the labels: "pifa", "pii", "features" (`label_features` of fit),
        "text" (`label_text` of fit), or several of them joined by "+". See skxmr.embeddings.
        Means nothing to an indexer that takes strings.
    C : float, default=1.0
        Weight of the loss against the regulariser, as in LinearSVC. The log loss wants a larger
        one: 10 ranks better on the sample that is bundled.
    loss : {"squared_hinge", "log_loss"}, default="squared_hinge"
    negative_sampling : {"tfn", "man", "tfn+man"} or list of these, default="tfn"
        Which rows a ranker learns from. "tfn", teacher-forcing negatives: those that have a label
        below its parent; the rankers of the root's children learn from all rows, also from those
        without any label. "man", matcher-aware negatives: those that a search leads to its parent,
        and its own positives. "tfn+man": either; slower to train, and often ranks better. A list
        has one entry per level, from the root's children down.
    bias : float, default=1.0
        Value of a constant feature, whose weight is regularised like any other; 0 for none.
    tol : float, default=0.1
        Tolerance of the solver: the largest difference of projected gradients (squared hinge), or
        the largest error in the margin where the loss bends most (log loss).
    max_iter : int, default=100
        Passes over a node's rows, at most.
    prune_threshold : float, default=0.1
        Weights smaller than this are dropped after training. Takes effect in fit; with `memory`,
        fitting again for another threshold costs next to nothing.
    weight_dtype : {"float32", "float16"}, default="float32"
        How the weights are stored. Half precision takes a third less memory and ranks as well, but
        for labels whose scores nearly tie. Takes effect in fit, as `prune_threshold` does.
    beam_width : int, default=10
        Nodes kept per level.
    post_processor : str, default="l3-hinge"
        How a margin becomes a score and joins its parent's: "noop", "sigmoid", "log-sigmoid",
        "l{p}-hinge" or "log-l{p}-hinge" for p = 1 to 4. The variants with "log-" add logarithms
        instead of multiplying, so that no score is too small to be told from others. The scores of
        "noop" are margins, which cannot be combined with neighbors: none are used then.
    threshold : float, default=0.5
        `predict` returns the labels that score higher (multilabel y only).
    n_trees : int, default=1
        How many trees are trained, from different seeds. Their scores are averaged. A tree's score
        takes part in the average of the labels that it ranks among its first 50. The score of a
        label that it ranks lower counts only if it is larger than the others' sum.
    n_neighbors : int, "auto" or None, default=20
        Number of nearest training rows whose labels contribute to the score. Candidates are the
        rows that have one of the labels ranked highest. The model then holds the training rows, in
        four bytes per nonzero; `add_neighbors` adds rows later. With "auto", this number, the power
        and the weight are those that rank best on held-out rows; this doubles the time of a fit
        with one tree. With None, no neighbors are used: the model is smaller and ranks several
        times as fast. Takes effect in fit, as `prune_threshold` does.
    neighbor_weight : float in [0, 1], default=0.2
        Weight of the neighbors in the scores; that of the trees is one minus it. The neighbors are
        added to the score of labels that the trees rank among their first 20 (50 with several
        trees). For a label of a lower rank, the larger of the two counts. With 1, the trees only
        order the labels that no neighbor has.
    neighbor_power : float, default=3.0
        A neighbor counts by its cosine similarity to this power.
    max_clusters_per_label : int, default=1
        Above 1, and up to 6, labels are disentangled [2]_: once a tree is trained, every label
        moves into those leaf clusters, this many at most, that the search reaches for most of its
        rows, and all is trained again. A label that means several things is then found among
        either kind of company, at the price of a larger model.
    n_reassignments : int, default=1
        How often labels move and all is trained again, if they may have several clusters.
    training_beam_width : int, default=10
        Nodes kept per level where training itself searches, for matcher-aware negatives and to
        disentangle labels: `beam_width` is for ranking only.
    memory : str, path or joblib.Memory, default=None
        Caches training by everything but what only matters for ranking, so that a grid over
        `prune_threshold`, `weight_dtype`, `beam_width`, `post_processor` and `threshold` trains
        each fold once.
    n_jobs : int, default=None
        As in joblib; results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Draws the first centres of the indexer, if it has no random_state of its own, and the
        order of rows in the solver.
    verbose : int, default=0
        Whether to report the progress of training.

    Attributes
    ----------
    classes_ : ndarray of shape (n_labels,)
        The classes of a one-dimensional y; else the column numbers.
    tree_ : LabelTree
        The first tree.
    trees_ : list of LabelTree
    indexer_ : estimator
        The fitted indexer, or None if a LabelTree was given.
    n_iter_ : int
        The largest number of passes the solver made for any node; `max_iter` where one was cut
        short.
    neighbors_ : named tuple (n_neighbors, power, weight) or None
        Settings of the nearest neighbors when the model was fitted. None without neighbors.
    n_labels_ : int
    n_levels_ : int
        Ranking steps from the root to a label.
    multilabel_ : bool
        Whether y was an indicator matrix.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has string column names.

    See Also
    --------
    skxmr.indexers.KMeansIndexer : The default indexer.
    skxmr.indexers.TrieIndexer, skxmr.indexers.TrieHybridIndexer : Indexers of label texts.
    skxmr.metrics : Precision at k and its relatives, and scorers for GridSearchCV.

    Notes
    -----
    `y` may be a sparse or dense 0/1 indicator matrix or one-dimensional class labels; predictions
    come in the same kind of container. The model does not depend on the order of the rows, and a
    row of weight 2 counts exactly as the row given twice. A label without rows stays rankable, if
    low; a row without any feature is ranked by the biases.

    References
    ----------
    .. [1] H.-F. Yu, K. Zhong, J. Zhang, W.-C. Chang and I. S. Dhillon, "PECOS: Prediction for
       enormous and correlated output spaces", Journal of Machine Learning Research 23 (2022).
    .. [2] X. Liu, W.-C. Chang, H.-F. Yu, C.-J. Hsieh and I. S. Dhillon, "Label disentanglement in
       partition-based extreme multilabel classification", NeurIPS 34 (2021).

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skxmr import XRLinearClassifier
    >>> titles = ["cats and dogs", "dogs at sea", "sea birds", "birds and cats"]
    >>> pets = ["mammals", "mammals", "birds", "birds"]
    >>> model = make_pipeline(TfidfVectorizer(), XRLinearClassifier(random_state=0))
    >>> model.fit(titles, pets).predict(["dogs", "sea birds"]).tolist()
    ['mammals', 'birds']
    """

    def __init__(
        self,
        indexer=None,
        *,
        label_embedding="pifa",
        C=1.0,
        loss="squared_hinge",
        negative_sampling="tfn",
        bias=1.0,
        tol=0.1,
        max_iter=100,
        prune_threshold=0.1,
        weight_dtype="float32",
        beam_width=10,
        post_processor="l3-hinge",
        threshold=0.5,
        n_trees=1,
        n_neighbors=20,
        neighbor_weight=0.2,
        neighbor_power=3.0,
        max_clusters_per_label=1,
        n_reassignments=1,
        training_beam_width=10,
        memory=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.indexer = indexer
        self.label_embedding = label_embedding
        self.C = C
        self.loss = loss
        self.negative_sampling = negative_sampling
        self.bias = bias
        self.tol = tol
        self.max_iter = max_iter
        self.prune_threshold = prune_threshold
        self.weight_dtype = weight_dtype
        self.beam_width = beam_width
        self.post_processor = post_processor
        self.threshold = threshold
        self.n_trees = n_trees
        self.n_neighbors = n_neighbors
        self.neighbor_weight = neighbor_weight
        self.neighbor_power = neighbor_power
        self.max_clusters_per_label = max_clusters_per_label
        self.n_reassignments = n_reassignments
        self.training_beam_width = training_beam_width
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    trees_ = FittedAttribute(lambda fitted: list(fitted.trees))
    tree_ = FittedAttribute(lambda fitted: fitted.trees[0])
    indexer_ = FittedAttribute(lambda fitted: fitted.indexer)
    n_iter_ = FittedAttribute(lambda fitted: fitted.n_iter)
    neighbors_ = FittedAttribute(lambda fitted: fitted.weighting)
    votes_ = RenamedAttribute("neighbors_")
    n_labels_ = FittedAttribute(lambda fitted: fitted.n_labels)
    n_levels_ = FittedAttribute(lambda fitted: fitted.trees[0].n_levels)
    multilabel_ = FittedAttribute(lambda fitted: fitted.multilabel)
    classes_ = FittedAttribute(lambda fitted: fitted.classes.values)
    n_features_in_ = FittedAttribute(lambda fitted: fitted.n_features)
    feature_names_in_ = FittedAttribute(names_of_features)

    def __sklearn_is_fitted__(self):
        return "_fitted" in vars(self)

    def __setstate__(self, state):
        super().__setstate__(converted_state(state))
        if "_fitted" in vars(self):
            self._fitted.check()

    # ---- fit ----

    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        label_features=None,
        label_text=None,
        label_examples=None,
        relevance=None,
        negatives=None,
    ):
        """Build the label tree and train its rankers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            0/1 indicator matrix, or one class per row.
        sample_weight : array-like of shape (n_samples,), optional
            Multiplies C, row by row.
        label_features : {array-like, sparse matrix} of shape (n_labels, d), optional
            For the label embedding "features", and for a TrieHybridIndexer without a vectorizer.
        label_text : sequence of str, length n_labels, optional
            For the label embedding "text" and for indexers that take strings; by default the
            classes, where they are strings.
        label_examples : {array-like, sparse matrix} of shape (n_labels, n_features), optional
            What a label says of itself, in the features of X: its name or description, say. Each
            row that has any features is a further training row, of weight 1, of its label alone.
            ``Pipeline(transform_input=["label_examples"])`` makes features of texts.
        relevance : {array-like, sparse matrix} of shape (n_samples, n_labels), optional
            Multiplies C, positive by positive: above 0 where y is 1, and 0 elsewhere. Of a cluster
            it is the sum of those of its labels.
        negatives : {array-like, sparse matrix} of shape (n_samples, n_labels), optional
            Where it is not 0, the rankers of the label and of all around it on its path learn from
            the row as well, whatever `negative_sampling` says. Changes nothing where y is 1.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter or an input is not as documented; the message names it.
        """
        self._check_params()
        of_labels = label_features, label_text, label_examples
        with change_lock(self):
            fresh = snapshot(self)
            vars(fresh).pop("_fitted", None)
            self._fitted = fresh._fit(X, y, sample_weight, of_labels, relevance, negatives)
        return self

    def _fit(self, X, y, sample_weight, of_labels, relevance, negatives):
        """Return what fitting to X and y yields, on an estimator that is used for nothing else."""
        X, y = check_features_and_targets(self, X, y)
        label_features, label_text, label_examples = of_labels
        if isinstance(label_text, Iterator):
            label_text = list(label_text)
        of_labels = label_features, label_text, label_examples
        keys = self._keys([X, y, sample_weight, *of_labels, relevance, negatives])
        targets = cache(partial(encode_targets, y))
        given = sample_weight, of_labels, relevance, negatives
        problem = TrainingData(lambda: self._prepare(X, targets(), *given), keys.data)
        recall = partial(caching.recall, self._memory())
        learned = recall(
            keys.fit, keys.training, lambda: self._learn(problem, X.shape[0], targets())
        )
        weighting = self._weighting(learned.weighting)
        neighbors = None
        if weighting is not None:  # the same ones for every threshold and type of weights
            neighbors = recall(keys.data, keys.data, lambda: make_neighbor_rows(problem.examples))
        names = getattr(self, "feature_names_in_", None)
        return FittedState(
            trees=tuple(learned.trees),
            models=tuple(learned.models),
            indexer=learned.indexer,
            neighbors=neighbors,
            weighting=weighting,
            classes=Names(values=learned.classes),
            container=learned.container,
            n_iter=learned.n_iter,
            n_features=self.n_features_in_,
            feature_names=None if names is None else Names(values=names),
            ensembles=EnsembleCache(),
        )

    def _prepare(self, X, targets, sample_weight, of_labels, relevance, negatives):
        """Check what a fit is given, and merge equal rows."""
        X, n_labels = canonical_csr(X, "X"), targets.indicator.shape[1]
        weight = check_sample_weight(sample_weight, X.shape[0], self.C)
        label_features, label_text, label_examples = of_labels
        label_features = _check_label_features(label_features, self.label_embedding, n_labels)
        label_text = _check_label_text(label_text, n_labels, targets.classes)
        _check_texts_suffice(label_text, self.label_embedding, self.indexer)
        if relevance is not None:
            relevance = check_relevance(relevance, targets.indicator, weight, self.C)
        if negatives is not None:
            negatives = check_negatives(negatives, targets.indicator)
        labels, rows = (targets.indicator, weight, relevance, negatives), _without_flags(X)
        if label_examples is not None:
            label_examples = check_label_examples(label_examples, n_labels, X.shape[1])
            rows, labels = with_label_examples(rows, labels, label_examples)
        return distinct_examples(rows, *labels), label_features, label_text

    def _learn(self, problem, n_rows, targets):
        """Everything that a fit yields except the rows for nearest neighbors."""
        estimated = {}
        if self.verbose:
            estimated = _estimated_seconds(problem.examples, self.indexer, self._n_reassignments())
            estimated = _repeated(estimated, int(self.n_trees))
        with progress.reporting("fitting", estimated, self.verbose):
            weighting = self._choose_weighting(problem, n_rows)
            trained = self._train_all(problem)
        models = [_model_of(t, self.n_features_in_) for t in trained]
        n_iter = max(t.n_iter for t in trained)
        trees = [t.tree for t in trained]
        n_labels = targets.indicator.shape[1]
        classes = targets.classes if targets.classes is not None else np.arange(n_labels)
        container, indexer = targets.container, trained[0].indexer
        return FitResult(trees, models, weighting, classes, container, n_iter, indexer)

    def _memory(self):
        return caching.open_memory(self.memory)

    def _keys(self, given):
        """Name, for a memory, what is fitted to, what that yields and the training it needs."""
        if self.memory is None:
            return _Keys(None, None, None)
        unimportant = {"memory", "n_jobs", "verbose"}
        if not _is_auto(self.n_neighbors):  # else they are chosen by ranking
            unimportant |= _ONLY_FOR_RANKING
        after_training = _ONLY_FOR_RANKING | {"prune_threshold", "weight_dtype"}
        params, data = self.get_params(deep=False), caching.key_of(given, {})

        def name(without):
            held = {name: params[name] for name in params.keys() - without}
            return caching.key_of([], {"data": data, "library": version("skxmr"), **held})

        return _Keys(name(params.keys()), name(unimportant), name(after_training))

    def _choose_weighting(self, problem, n_rows):
        """Settings of nearest neighbors, tuned if `n_neighbors` is "auto"."""
        given = self._given_weighting()
        if given is not None or self.n_neighbors is None:
            return given

        def train(examples):
            part = TrainingData(lambda: (examples, problem.label_features, problem.label_text))
            return _model_of(self._train(part, self.random_state), self.n_features_in_)

        search = {"beam_width": int(self.beam_width)}
        search["post_processor"] = without_logarithm(self.post_processor)
        if self.post_processor == "noop":  # may be changed after fit
            search["post_processor"] = "l3-hinge"
        otherwise = NeighborWeighting(20, float(self.neighbor_power), float(self.neighbor_weight))
        with progress.part("to tune nearest neighbors"):
            return choose_weighting(problem.examples, n_rows, train, search, otherwise)

    def _weighting(self, chosen):
        """Settings of nearest neighbors: those that fit has tuned, or the parameters."""
        return chosen if _is_auto(self.n_neighbors) else self._given_weighting()

    def _given_weighting(self):
        """Settings of nearest neighbors by the parameters; None if they do not say."""
        if not isinstance(self.n_neighbors, numbers.Integral):
            return None
        numbers_given = self.neighbor_power, self.neighbor_weight
        return NeighborWeighting(int(self.n_neighbors), *map(float, numbers_given))

    def _seeds(self, n_trees):
        """The random state of each of several trees; the first one's is that of a single tree."""
        if n_trees == 1:
            return [self.random_state]
        seed = self.random_state
        if not isinstance(seed, numbers.Integral):
            seed = draw_seed(check_random_state(seed))
        others = np.random.SeedSequence(int(seed)).generate_state(n_trees - 1)
        return [seed, *map(int, others)]

    def _train_all(self, problem):
        """Train every tree."""
        if self.n_trees == 1:
            return [self._train(problem, self.random_state)]
        trained = []
        for t, seed in enumerate(self._seeds(self.n_trees)):
            with progress.part(_member_name(t, int(self.n_trees))):
                trained.append(self._train(problem, seed))
        return trained

    def _train(self, problem, random_state):
        """Index and train, through the memory if there is one, then prune."""
        floor = self._trained_threshold()
        shared = self.memory is not None or needs_matcher(self.negative_sampling)
        stored = "float32" if shared else self.weight_dtype
        params = self._train_params(floor)
        sampling = sampling_of(self.negative_sampling, self.training_beam_width)
        options = _Options(self.label_embedding, params, sampling, stored, random_state)
        indexer = _DEFAULT_INDEXER if self.indexer is None else self.indexer
        memory = self._memory()
        train = caching.cache(memory, _index_and_train, ["n_jobs"])
        n_rounds = self._n_reassignments()
        if n_rounds:
            fitted, indexer = self._disentangle(train, problem, indexer, options, memory)
        with progress.part(round_name(n_rounds, n_rounds)):
            trained = train(problem, indexer, *options, n_jobs=self.n_jobs)
        if n_rounds:
            trained = trained._replace(indexer=fitted)
        if (floor, stored) == (self.prune_threshold, self.weight_dtype):
            return trained
        how = self.n_features_in_, self.prune_threshold, self.bias, self.weight_dtype
        return trained._replace(layers=[layer.prune(*how) for layer in trained.layers])

    def _train_params(self, threshold):
        # One type per number: a memory tells 1 from 1.0. And bare matrices: it sees scipy's flags.
        numbers = map(float, (self.C, self.bias, self.tol))
        return TrainParams(self.loss, *numbers, int(self.max_iter), float(threshold))

    def _disentangle(self, train, problem, indexer, options, memory):
        """Index, and move labels into the clusters that their rows reach."""
        shared = self.memory is not None and options.params.threshold < matching.THRESHOLD
        if not shared:  # no training for other parameters can profit
            params = options.params._replace(threshold=matching.THRESHOLD)
            options = options._replace(params=params, weight_dtype="float32")
        return disentangle(
            partial(train, n_jobs=self.n_jobs),
            problem,
            indexer,
            options,
            n_most=int(self.max_clusters_per_label),
            n_rounds=self._n_reassignments(),
            width=int(self.training_beam_width),
            memory=memory,
            n_jobs=self.n_jobs,
        )

    def _n_reassignments(self):
        return int(self.n_reassignments) if self.max_clusters_per_label > 1 else 0

    def _trained_threshold(self):
        """Threshold to train with: with a memory, one that serves many to prune with later."""
        if self.memory is None:
            matched = needs_matcher(self.negative_sampling)
            most = matching.THRESHOLD if matched else np.inf
            return float(min(self.prune_threshold, most))
        return _CACHED_THRESHOLD if self.prune_threshold >= _CACHED_THRESHOLD else 0.0

    @property
    def _model(self):
        """What ranks: a tree, or an ensemble of trees, perhaps with nearest neighbors."""
        fitted = self._fitted
        nobody = (
            fitted.neighbors is None or self.n_neighbors is None or self.post_processor == "noop"
        )
        if nobody and len(fitted.models) == 1:
            return fitted.models[0]
        # Parameters may have changed since the model was fitted.
        asked = None if nobody else (self.n_neighbors, self.neighbor_power, self.neighbor_weight)
        ensemble = fitted.ensembles.known(asked)
        if ensemble is None:
            self._check_weighting()
            weighting = None if nobody else self._weighting(fitted.weighting)
            ensemble = fitted.ensembles.make(fitted.models, fitted.neighbors, asked, weighting)
        return ensemble

    def _check_fitted(self):
        check_is_fitted(self)

    def _check_params(self):
        split_kind(self.label_embedding)
        check_real(self.C, "C", 0, above=True)
        check_option(self.loss, "loss", tuple(LOSSES))
        check_negative_sampling(self.negative_sampling)
        check_real(self.bias, "bias", 0)
        check_real(self.tol, "tol", 0, above=True)
        check_integer(self.max_iter, "max_iter", 1)
        check_real(self.prune_threshold, "prune_threshold", 0)
        check_option(self.weight_dtype, "weight_dtype", tuple(WEIGHT_DTYPES))
        check_indexer(self.indexer)
        check_integer(self.n_trees, "n_trees", 1)
        check_integer(self.max_clusters_per_label, "max_clusters_per_label", 1, MOST_CLUSTERS)
        check_integer(self.n_reassignments, "n_reassignments", 1)
        check_integer(self.training_beam_width, "training_beam_width", 1)
        self._check_search_params()

    def _check_search_params(self):
        check_integer(self.beam_width, "beam_width", 1)
        check_option(self.post_processor, "post_processor", tuple(POST_PROCESSORS))
        check_real(self.threshold, "threshold", -np.inf)
        self._check_weighting()
        check_n_jobs(self.n_jobs)

    def _check_weighting(self):
        """Check what is mixed into scores, and that these can be mixed."""
        if self.n_neighbors is not None and not _is_auto(self.n_neighbors):
            check_integer(self.n_neighbors, "n_neighbors", 1)
        check_real(self.neighbor_weight, "neighbor_weight", 0)
        if self.neighbor_weight > 1:
            raise ValueError(f"neighbor_weight must be at most 1, got {self.neighbor_weight!r}")
        check_real(self.neighbor_power, "neighbor_power", 0)
        if self.n_trees > 1 and self.post_processor == "noop":
            raise ValueError(
                "n_trees above 1 needs a post_processor whose scores can be averaged, unlike "
                "margins, got 'noop'"
            )

    # ---- ranking ----

    def rank(self, X, k=10, *, frontier=None):
        """Rank the k best labels of each row.

        A single row takes a short way that costs little more than its search: float32, as CSR with
        int32 indices, dense, or as a pair. Any number of threads may rank with one model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or tuple
            A tuple is one row's nonzeros, a pair (indices, values) of one-dimensional arrays.
        k : int, default=10
            At least 1. Where it exceeds what the beam reaches, rows are padded. A ranking of fewer
            labels is the beginning of a longer one.
        frontier : tuple (level, nodes), optional
            Where the search begins instead of the root: `nodes` is a sparse matrix of shape
            (n_samples, n_nodes of that tree level) whose stored entries are the nodes' scores.

        Returns
        -------
        labels : ndarray of int32, shape (n_samples, k)
            Columns of y, or positions in `classes_`, best first, ties by lower label; padded
            with -1.
        scores : ndarray of float32, shape (n_samples, k)
            Their scores; padded with -inf.
        """
        ranking = self._rank_one(X, k) if frontier is None else None
        return self._rank_checked(X, k, frontier) if ranking is None else ranking

    @consistent
    def _rank_checked(self, X, k, frontier):
        """Rank after all checks."""
        self._check_fitted()
        if isinstance(X, tuple):
            X = pair_to_csr(X, self.n_features_in_)
        X = self._check_rank_input(X)
        check_integer(k, "k", 1, np.iinfo(np.int32).max)
        n_trees = len(self._fitted.trees)
        if frontier is not None and n_trees > 1:
            raise ValueError(f"frontier needs n_trees=1, got a model of {n_trees} trees")
        if frontier is not None:
            frontier = _check_frontier(frontier, self.tree_, X.shape[0])
        self._model.row_ranker(int(k), int(self.beam_width), self.post_processor)
        return self._rank(X, k, frontier=frontier)

    def _rank_one(self, X, k):
        """Rank a single row if it and the options need no more checks than C makes, else None."""
        plain = type(k) is int and type(self.beam_width) is int
        fitted = vars(self).get("_fitted")
        if fitted is None or not plain or k < 1 or fitted.feature_names is not None:
            return None
        ranker = self._model.cached_row_ranker(k, self.beam_width, self.post_processor)
        row = None if ranker is None else bare_row(X, ranker.n_features)
        if row is None:
            return None
        return ranker.sparse(*row) if isinstance(row, tuple) else ranker.dense(row)

    def _rank_row(self, indices, values, k, within):
        """Rank for a row's nonzeros, which must be valid, perhaps within a Restriction."""
        ranker = self._model.cached_row_ranker(k, self.beam_width, self.post_processor)
        if ranker is None:
            self._check_search_params()
            ranker = self._model.row_ranker(int(k), int(self.beam_width), self.post_processor)
        return ranker.sparse(indices, values, within)

    def _check_rank_input(self, X):
        self._check_fitted()
        self._check_search_params()
        return check_features(self, X, reset=False)

    def _rank(self, X, k, *, beam_width=None, floor=-np.inf, frontier=None, within=None):
        beam_width = int(beam_width or self.beam_width)
        n_parts = parallel.n_workers(self.n_jobs)
        model = self._model
        n_brief = X.shape[0] * min(beam_width, model.max_level_width) // _BRIEF_RANKING + 1
        parts = parallel.ranges(X.shape[0], max(n_brief, 1 if n_parts == 1 else 8 * n_parts))
        options = {
            "k": int(k),
            "beam_width": beam_width,
            "post_processor": self.post_processor,
            "floor": floor,
            "frontier": frontier,
        }
        if within is not None:
            options["within"] = within
        results = parallel.run(
            matching.rank_rows,
            [(model, X, lo, hi, options) for lo, hi in parts],
            [hi - lo for lo, hi in parts],
            n_jobs=self.n_jobs,
            what="ranking",
            brief=True,
        )
        labels, scores = zip(*results, strict=True)
        return np.concatenate(labels), np.concatenate(scores)

    @consistent
    def decision_function(self, X):
        """Score the labels that the beam reaches, as `rank` does.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : {ndarray, sparse matrix} of float32, shape (n_samples, n_labels)
            In the container of y: CSR of the reached labels' scores if y was sparse. In dense
            output, labels not reached score 0 where scores are products (sigmoid and hinges), and
            the lowest float32 else. For two classes, shape (n_samples,): the second class's score
            minus the first's.
        """
        scores = self._scores(self._check_rank_input(X))
        if not self.multilabel_ and self.n_labels_ == 2:
            return scores[:, 1] - scores[:, 0]
        return scores

    @consistent
    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : {ndarray, sparse matrix}
            0/1 indicator of the labels that score above `threshold`, in the container of y; or,
            for one-dimensional y, the highest ranked class of each row.
        """
        X = self._check_rank_input(X)
        if not self.multilabel_:
            return self.classes_[self._best(X)]
        with np.errstate(over="ignore"):  # above the largest number there is infinity
            above = float(np.nextafter(np.float32(self.threshold), np.float32(np.inf)))
        predicted = self._survivors(X, floor=above)
        predicted.data = np.ones(predicted.nnz, dtype=np.int64)
        return (
            predicted.toarray()
            if self._fitted.container == "dense"
            else self._to_container(predicted)
        )

    @available_if(_scores_are_probabilities)
    @consistent
    def predict_proba(self, X):
        """Estimate probabilities of labels.

        A label's is the product of the logistic models' along its path, averaged over the trees and
        combined with the neighbors, if there are any. Available with ``loss="log_loss"`` and
        ``post_processor="sigmoid"``; CalibratedRanker makes probabilities of any scores.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        probabilities : {ndarray, sparse matrix} of float32, shape (n_samples, n_labels)
            In the container of y, 0 for labels not reached. For one-dimensional y, rows are scaled
            to sum to one; where all underflow, the predicted class has it all.
        """
        X = self._check_rank_input(X)
        scores = self._scores(X)
        if self.multilabel_:
            values = scores.data if sp.issparse(scores) else scores
            np.minimum(values, 1, out=values)  # sums of parts may be above by their rounding
            return scores
        lost = np.flatnonzero(scores.sum(axis=1) == 0)
        if len(lost):
            scores[lost, self._best(X[lost])] = 1
        return scores / scores.sum(axis=1, keepdims=True)

    @consistent
    def score(self, X, y, sample_weight=None):
        """Precision at 1, which for one-dimensional y is the accuracy.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        score : float
            Share of rows whose highest ranked label is one of theirs.
        """
        X = self._check_rank_input(X)
        weight = check_weight_ratios(sample_weight, X.shape[0])
        if not self.multilabel_:
            return super().score(X, target_array(y, "y"), weight)
        truth = known_truth(self, y, X.shape[0])
        best = self._best(X)
        hits = is_true(truth, np.arange(len(best)), best)
        return float(np.average(hits, weights=weight))

    def add_neighbors(self, X, y, sample_weight=None):
        """Add rows among which nearest neighbors are found, without training on them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            Of labels that fit has seen.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the model was fitted without `n_neighbors`, or y has other labels.
        """
        with change_lock(self):
            self._fitted = snapshot(self)._add_neighbors(X, y, sample_weight)
        return self

    def _add_neighbors(self, X, y, sample_weight):
        """Return the state with more rows for nearest neighbors."""
        self._check_fitted()
        fitted = self._fitted
        if fitted.neighbors is None:
            raise ValueError("add_neighbors needs a model fitted with n_neighbors, got None")
        X = check_features(self, X, reset=False)
        Y = self._indicator_of(y, X.shape[0])
        weight = check_sample_weight(sample_weight, X.shape[0])
        neighbors = join_neighbor_rows(
            fitted.neighbors, distinct_examples(_without_flags(X), Y, weight)
        )
        return fitted._replace(neighbors=neighbors, ensembles=EnsembleCache())

    def add_voters(self, X, y, sample_weight=None):
        """Do what `add_neighbors` does, under the name of 0.1.

        .. deprecated:: 0.2
            Use `add_neighbors`.

        Parameters
        ----------
        X, y, sample_weight
            As `add_neighbors` takes them.

        Returns
        -------
        self
        """
        warn_of_old_name("add_voters", "add_neighbors")
        return self.add_neighbors(X, y, sample_weight)

    def add_labels(
        self,
        X,
        y,
        sample_weight=None,
        *,
        placement="search",
        clusters_per_label=3,
        retrain_siblings=False,
        label_features=None,
        label_text=None,
    ):
        """Learn labels that fit has not seen, without fitting again.

        Each new label joins the leaf clusters that suit it, and gets a ranker there. Nothing above
        the leaf clusters changes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows that carry the new labels, and rows that do not: a new ranker learns to tell its
            label from the others of its cluster by the rows given here that carry any of them. All
            rows of fit and the new ones are best.
        y : {array-like, sparse matrix} of shape (n_samples, n_known + n_new) or (n_samples,)
            All labels of the rows: 0/1 indicator of the known labels, then of the new ones; or one
            class per row, some of which are new.
        sample_weight : array-like of shape (n_samples,), optional
            Multiplies C, row by row.
        placement : {"search", "indexer"}, default="search"
            Who finds the clusters of a new label: the search, those that it leads most of the
            label's rows to; or the `predict` of the indexer, one, by the label's embedding or
            text.
        clusters_per_label : int, default=3
            How many clusters a new label joins at most, up to 6, where the search finds them.
            Nothing above the clusters learns where the label's rows should go, and they scatter
            more than those of labels that fit knew.
        retrain_siblings : bool, default=False
            Whether all rankers of the clusters that get a new label are trained again, so that
            they learn from its rows, too. They then know no other rows than those given here,
            which should include all rows of fit.
        label_features : {array-like, sparse matrix} of shape (n_new, d), optional
            Of the new labels, in the order of their columns or in rising order of the classes; for
            an indexer that was fitted to some.
        label_text : sequence of str, length n_new, optional
            Of the new labels, for an indexer that takes strings; by default the new classes, where
            they are strings.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If an input is not as documented or no label is new; the message names it. The model is
            then what it was.

        Warns
        -----
        UserWarning
            If `X` lacks rows of known labels that the new ones must be told apart from.

        Notes
        -----
        One-dimensional y: `classes_` stay in order, so that classes may change their positions.
        The rows given here are added to those among which neighbors are found, if there are
        any. Rows that the model holds already get their new labels.
        Where a search chooses the negatives of the leaf clusters, it is made again, for the rows
        given. The indexer remains what it was.

        Examples
        --------
        >>> from sklearn.feature_extraction.text import TfidfVectorizer
        >>> from skxmr import XRLinearClassifier
        >>> titles = ["cats", "dogs and cats", "sea birds", "birds", "sharks at sea", "sharks"]
        >>> pets = ["mammals", "mammals", "birds", "birds", "fish", "fish"]
        >>> X = TfidfVectorizer().fit_transform(titles)
        >>> clf = XRLinearClassifier(random_state=0).fit(X[:4], pets[:4])
        >>> clf.add_labels(X, pets).predict(X).tolist()
        ['mammals', 'mammals', 'birds', 'birds', 'fish', 'fish']
        """
        self._check_fitted()
        self._check_params()
        check_option(placement, "placement", PLACEMENTS)
        check_integer(clusters_per_label, "clusters_per_label", 1, MOST_CLUSTERS)
        check_boolean(retrain_siblings, "retrain_siblings")
        how = {"n_clusters": int(clusters_per_label), "retrain_siblings": retrain_siblings}
        by = None if placement == "search" else (label_features, label_text)
        with change_lock(self):
            self._fitted = snapshot(self)._add_labels(X, y, sample_weight, by, how)
        return self

    def _add_labels(self, X, y, sample_weight, by, how):
        """Return the state with more labels."""
        fitted = self._fitted
        X = check_features(self, X, reset=False)
        weight = check_sample_weight(sample_weight, X.shape[0], self.C)
        if self.multilabel_:
            targets = extended_columns(y, X.shape[0], self.n_labels_)
        else:
            targets = extended_classes(y, X.shape[0], self.classes_)
        examples = distinct_examples(_without_flags(X), targets.indicator, weight)
        carriers = rows_with(examples, targets.new)
        place = None if by is None else self._place_by_indexer(carriers, targets, *by)
        estimated = _repeated({matching.PHASE: 1.0, trainer.PHASE: 3.0}, len(fitted.models))
        with progress.reporting("adding labels", estimated, self.verbose):
            extended = self._extend_all(examples, carriers, targets, place, **how)
        trees, models, n_iters = zip(*extended, strict=True)
        retrained = how["retrain_siblings"]
        warn_of_absent(examples, trees[0], targets.new, retrain_siblings=retrained)
        neighbors = fitted.neighbors
        if neighbors is not None:
            neighbors = update_neighbor_rows(neighbors, examples, targets.renumbered)
        return fitted._replace(
            trees=trees,
            models=models,
            neighbors=neighbors,
            classes=Names(values=targets.classes),
            n_iter=max(fitted.n_iter, *n_iters),
            ensembles=EnsembleCache(),
        )

    def _place_by_indexer(self, examples, targets, label_features, label_text):
        """Validate what an indexer goes by, and ask it."""
        kind, new = self.label_embedding, targets.new
        check_indexer_places(self.indexer_, kind, len(self._fitted.models))
        text_wanted = takes_text(self.indexer_)
        kind = "pifa" if text_wanted else kind
        label_features = _check_label_features(label_features, kind, len(new))
        classes = None if self.multilabel_ else targets.classes[new]
        label_text = _check_label_text(label_text, len(new), classes)
        _check_texts_suffice(label_text, kind, self.indexer_)
        given = {"label_features": label_features, "label_text": label_text}
        return place_by_indexer(examples, new, self.indexer_, kind, **given, n_jobs=self.n_jobs)

    def _extend_all(self, examples, carriers, targets, place, *, n_clusters, retrain_siblings):
        """Give every tree the new labels; returns trees, models and numbers of passes."""
        params, n_trees = self._train_params(self.prune_threshold), len(self._fitted.models)
        sampling = sampling_of(self.negative_sampling, self.training_beam_width)
        how = {"sampling": sampling, "n_jobs": self.n_jobs, "retrain_siblings": retrain_siblings}
        search = {"n_clusters": n_clusters, "n_jobs": self.n_jobs}
        extended = []
        for t, seed in enumerate(self._seeds(n_trees)):
            rankers = self._fitted.models[t], self.trees_[t]
            with progress.part(_member_name(t, n_trees)):
                found = place or place_by_search(carriers, targets.new, *rankers, params, **search)
                tree = extended_tree(self.trees_[t], targets.renumbered, found)
                # The seed that fitting this very tree would draw.
                how["seed"] = draw_seed(check_random_state(seed))
                extended.append(
                    (tree, *extended_model(self._fitted.models[t], tree, examples, params, **how))
                )
        return extended

    def _indicator_of(self, y, n_rows):
        """New targets as a matrix with a column per known label."""
        Y = known_truth(self, y if self.multilabel_ else check_classes(y), n_rows)
        if not self.multilabel_ and not np.diff(Y.indptr).all():
            raise ValueError("y must hold classes that fit has seen, got others")
        return Y

    @consistent
    def save(self, folder):
        """Save as a folder of ``.npy`` arrays and one JSON file, without pickles.

        A model that lies there already is replaced in one step: whoever loads meanwhile gets the
        old model or the new one, and an interruption leaves the old one. The fitted indexer and a
        memory or random state that is an object are not saved.

        Parameters
        ----------
        folder : str or path
            Made if absent. Other files in it are left as they are: a model is the file
            ``skxmr.json`` and the folder ``arrays-...`` that this names.

        Raises
        ------
        FileExistsError
            If `folder` is a file.
        TypeError, ValueError
            If `classes_` are neither numbers nor strings, if `load` would refuse a parameter, or if
            the model is mapped and its files are damaged. Nothing is replaced then.

        See Also
        --------
        skxmr.load : The inverse.
        """
        self._check_fitted()
        write_folder(folder, *classifier_state(self))

    @consistent
    def explain(self, X, label, *, feature_names=None, label_name=None):
        """Say what each feature contributed to a label's score, level by level.

        The rankers are linear, so this is exact: the contributions of a level and its bias add up
        to the margin of the node that leads to the label, and the margins make the score. It is
        the score of the label itself, whether or not the beam reaches it; `reached` of the result
        says so. Where it does, it is what `decision_function` gives.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or tuple
            As `rank` takes it. Behind a vectorizer, skxmr.inspection.explain takes the texts.
        label : int or str
            One of `classes_`, which are the column numbers for an indicator y. Where they are
            strings, the position that `rank` returns does as well.
        feature_names : sequence of str, length n_features, optional
            What to call the features; by default `feature_names_in_`, if there are any.
        label_name : str, optional
            What to call the label where the explanation is shown.

        Returns
        -------
        explanation : skxmr.inspection.Explanation
            Print it to see the largest contributions.

        Raises
        ------
        ValueError
            If there is no such label, or a chunk of a mapped model is damaged.

        Examples
        --------
        >>> import numpy as np
        >>> from skxmr import XRLinearClassifier
        >>> X = np.eye(3, dtype=np.float32)
        >>> clf = XRLinearClassifier(random_state=0).fit(X, ["cat", "dog", "eel"])
        >>> explanation = clf.explain(X[:1], "cat", feature_names=["purrs", "barks", "slips"])
        >>> explanation.scores == clf.rank(X[:1], 1)[1][:, 0]
        array([ True])
        >>> explanation.top(1)
        [[('purrs', 0.79...)]]
        """
        self._check_fitted()
        column = find_label(label, self.classes_)
        names = check_feature_names(feature_names, self)
        X = pair_to_csr(X, self.n_features_in_) if isinstance(X, tuple) else X
        X = self._check_rank_input(X)
        search = {"beam_width": int(self.beam_width), "post_processor": self.post_processor}
        parts = explain_label(self._model, self.trees_, X, column, **search)
        label = self.classes_[column : column + 1].tolist()[0]
        name = str(label) if label_name is None else str(label_name)
        return Explanation(label, name, column, X, *parts, names, self.post_processor)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags

    def _best(self, X):
        """Rank one label per row; where the beam ends in empty nodes, search the whole tree."""
        best = self._rank(X, 1)[0][:, 0]
        lost = np.flatnonzero(best < 0)
        if len(lost):
            best[lost] = self._rank(X[lost], 1, beam_width=self._model.max_level_width)[0][:, 0]
        return best

    def _scores(self, X):
        """Scores of the labels the beam reaches, in the container of y."""
        if self._fitted.container in ("spmatrix", "sparray"):
            return self._to_container(self._survivors(X))
        return self._dense_scores(X)

    def _survivors(self, X, floor=-np.inf):
        """Scores of all labels the beam reaches, as CSR."""
        k = self._model.max_results(self.beam_width)
        step = max(1, _RESULT_BLOCK // k)
        blocks = [
            ranking_csr(*self._rank(X[lo : lo + step], k, floor=floor), self.n_labels_)
            for lo in range(0, X.shape[0], step)
        ]
        return sp.vstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]

    def _dense_scores(self, X):
        reached = self._survivors(X)
        lowest = 0 if self.post_processor in PRODUCTS else np.finfo(np.float32).min
        scores = np.full(reached.shape, lowest, dtype=np.float32)
        scores[row_of_entries(reached), reached.indices] = np.maximum(reached.data, lowest)
        return scores

    def _to_container(self, matrix):
        return sp.csr_array(matrix) if self._fitted.container == "sparray" else matrix


def _without_flags(matrix):
    """The same matrix, with none of the flags that scipy notes on an object as it learns them."""
    return sp.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)


class TrainingData:
    """Everything training depends on besides parameters, made once it is looked at.

    Parameters
    ----------
    make : callable
        Takes nothing; returns the examples, the features of labels, and their texts.
    name : str, optional
        What a memory knows it by, instead of its content.
    """

    def __init__(self, make, name=None):
        self._parts, self._name = cache(make), name

    @property
    def examples(self):
        return self._parts()[0]

    @property
    def label_features(self):
        return self._parts()[1]

    @property
    def label_text(self):
        return self._parts()[2]

    def __getstate__(self):
        # joblib tells arguments apart by what would be pickled of them.
        return self._parts() if self._name is None else self._name


class _Keys(NamedTuple):
    """Names of what a memory holds; None without one, or where something has no name."""

    data: str | None
    fit: str | None
    training: str | None


class FitResult(NamedTuple):
    """Everything that a fit yields except the rows for nearest neighbors."""

    trees: list
    models: list
    weighting: NeighborWeighting | None
    classes: np.ndarray
    container: str
    n_iter: int
    indexer: BaseEstimator | None


class _Options(NamedTuple):
    """The parameters of training.

    The library's version is one of them so that another version does not find this one's results
    in a memory.
    """

    label_embedding: str
    params: TrainParams
    sampling: Sampling
    weight_dtype: str
    random_state: object
    library: str = version("skxmr")


class TrainedTree(NamedTuple):
    """Everything training yields."""

    indexer: BaseEstimator | None
    tree: LabelTree
    layers: list
    n_iter: int


def _model_of(trained, n_features):
    """Make what ranks of what was trained."""
    return Model(trained.layers, trained.tree.slot_label, trained.tree.n_labels, n_features)


def _is_auto(value):
    return isinstance(value, str) and value == "auto"


def _estimated_seconds(examples, indexer, n_rounds):
    """Seconds that the phases of a fit may take, as far as can be said before they begin."""
    lengths = np.diff(examples.X.indptr)[examples.source] + 1
    n_entries = int(lengths.sum())
    n_summed = int((lengths * np.diff(examples.Y.indptr)).sum())
    default = _DEFAULT_INDEXER
    n_levels = tree_depth(examples.Y.shape[1], default.branching, default.max_leaf_size)
    training = trainer.COST * (100 * n_levels * n_entries + 90 * n_summed)
    phases = {}
    if not isinstance(indexer, LabelTree):
        embedding = {} if takes_text(indexer) else {EMBEDDING_PHASE: EMBEDDING_COST * n_summed}
        phases = {**embedding, CLUSTERING_PHASE: CLUSTERING_COST * n_summed * n_levels}
    if not n_rounds:
        return {**phases, trainer.PHASE: training}
    seconds_matching = matching.COST * n_entries * n_levels
    return {**phases, **estimated_rounds(n_rounds, training, seconds_matching)}


def _member_name(t, n_trees):
    """Name the part of a fit that trains one of several trees."""
    return f"member {t + 1} of {n_trees}"


def _repeated(estimated, n_trees):
    """The same phases for each of several trees."""
    if n_trees == 1:
        return estimated
    names = [_member_name(t, n_trees) for t in range(n_trees)]
    return {f"{phase}, {name}": s for name in names for phase, s in estimated.items()}


def _index_and_train(
    problem,
    indexer,
    label_embedding,
    params,
    sampling,
    weight_dtype,
    random_state,
    library,
    *,
    n_jobs,
):
    """Build the tree and train its layers: everything that a memory caches.

    Seeds are drawn in here, so that a random_state of None, too, is found in the cache again.
    """
    random_state = check_random_state(random_state)
    if isinstance(indexer, LabelTree):
        indexer, tree = None, indexer
    else:
        indexer = clone_with(indexer, random_state=draw_seed(random_state), n_jobs=n_jobs)
        tree = _index(problem, indexer, label_embedding, n_jobs)
    _check_tree(tree, problem.examples.Y.shape[1])
    seed = draw_seed(random_state)
    options = {"sampling": sampling, "weight_dtype": weight_dtype, "seed": seed}
    layers, n_iter = train_layers(problem.examples, tree, params, **options, n_jobs=n_jobs)
    return TrainedTree(indexer, tree, layers, n_iter)


def _index(problem, indexer, label_embedding, n_jobs):
    """Fit an indexer to the labels' texts, or to embeddings that nobody needs any longer."""
    if takes_text(indexer):
        given = problem.label_features is not None and has_fit_parameter(indexer, "label_features")
        features = {"label_features": problem.label_features} if given else {}
        indexer.fit(problem.label_text, **features)
        return getattr(indexer, "tree_", None)
    Z = embed_examples(
        label_embedding,
        problem.examples,
        label_features=problem.label_features,
        label_text=problem.label_text,
        n_jobs=n_jobs,
    )
    indexer.fit(Z)
    return getattr(indexer, "tree_", None)


def _check_tree(tree, n_labels):
    if not isinstance(tree, LabelTree):
        raise TypeError(f"indexer must yield a LabelTree as tree_, got {type(tree).__name__}")
    if tree.n_labels != n_labels:
        raise ValueError(
            f"indexer must yield a tree of y's {n_labels} labels, got one of {tree.n_labels}"
        )


def _check_label_features(label_features, kind, n_labels):
    if label_features is not None:
        return _without_flags(check_matrix(label_features, "label_features", n_labels))
    if "features" in split_kind(kind):
        raise ValueError(f"label_embedding={kind!r} needs label_features, got None")
    return None


def _check_label_text(label_text, n_labels, classes):
    if label_text is None and classes is not None and classes.dtype.kind in "UO":
        return [str(c) for c in classes]
    if label_text is None:
        return None
    label_text = check_texts(label_text, "label_text")
    if len(label_text) != n_labels:
        raise ValueError(f"label_text must be {n_labels} strings, one per label")
    return label_text


def _check_texts_suffice(label_text, kind, indexer):
    """Refuse a lack of texts where the labels' embedding or the indexer is made from them."""
    if takes_text(indexer):
        if label_text is None:
            raise ValueError(f"indexer={indexer!r} needs label_text or string classes, got neither")
    elif "text" in split_kind(kind):
        if label_text is None:
            raise ValueError(f"label_embedding={kind!r} needs label_text, got None")
        if not any(text.strip() for text in label_text):
            raise ValueError("label_text must hold some text, got blanks only")


def _check_frontier(frontier, tree, n_rows):
    if not isinstance(frontier, tuple) or len(frontier) != 2:
        raise TypeError(f"frontier must be a pair (level, nodes), got {frontier!r}")
    level, nodes = frontier
    check_integer(level, "frontier level", 0)
    if level >= tree.n_levels:
        raise ValueError(f"frontier level must lie in [0, {tree.n_levels}), got {level}")
    nodes = check_matrix(nodes, "frontier", n_rows, keep_zeros=True)
    if nodes.shape[1] != tree.n_nodes(level):
        raise ValueError(
            f"frontier must have {tree.n_nodes(level)} columns, the nodes of level {level}, "
            f"got {nodes.shape[1]}"
        )
    arrays = map(np.ascontiguousarray, (nodes.indptr.astype(np.int64), nodes.indices, nodes.data))
    return Frontier(int(level), *arrays)
