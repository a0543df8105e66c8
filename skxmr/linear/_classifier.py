"""XRLinearClassifier: parameters, attributes and public methods."""

from sklearn.utils.validation import check_is_fitted

from .._ranking.explain import explain_label
from .._ranking.explanation import Explanation, check_feature_names, find_label
from .._training.disentangle import MOST_CLUSTERS
from .._training.new_labels import PLACEMENTS
from .._utils.estimators import change_lock, consistent, snapshot
from .._utils.folder import write_folder
from .._utils.matrices import pair_to_csr
from .._utils.params import check_boolean, check_integer, check_option
from ._base import FittedRanking
from ._fit import fitted_state
from ._fitted import FittedAttribute, converted_state, names_of_features
from ._inputs import FitInput
from ._new_labels import Placement, with_more_labels, with_more_rows
from ._params import check_params
from ._saving import classifier_state


class XRLinearClassifier(FittedRanking):
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

    classes_ = FittedAttribute(lambda fitted: fitted.classes.values)
    feature_names_in_ = FittedAttribute(names_of_features)
    indexer_ = FittedAttribute(lambda fitted: fitted.indexer)
    multilabel_ = FittedAttribute(lambda fitted: fitted.multilabel)
    n_features_in_ = FittedAttribute(lambda fitted: fitted.n_features)
    n_iter_ = FittedAttribute(lambda fitted: fitted.n_iter)
    n_labels_ = FittedAttribute(lambda fitted: fitted.n_labels)
    n_levels_ = FittedAttribute(lambda fitted: fitted.trees[0].n_levels)
    neighbors_ = FittedAttribute(lambda fitted: fitted.weighting)
    tree_ = FittedAttribute(lambda fitted: fitted.trees[0])
    trees_ = FittedAttribute(lambda fitted: list(fitted.trees))

    def __setstate__(self, state):
        super().__setstate__(converted_state(state))
        if "_fitted" in vars(self):
            self._fitted.check()

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
        check_params(self)
        given = FitInput(
            sample_weight, label_features, label_text, label_examples, relevance, negatives
        )
        with change_lock(self):
            fresh = snapshot(self)
            vars(fresh).pop("_fitted", None)
            self._fitted = fitted_state(fresh, X, y, given)
        return self

    def rank(self, X, k=10, *, frontier=None, restriction=None):
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
        if frontier is None:
            ranking = self._rank_one(X, k, restriction)
            if ranking is not None:
                return ranking
        return self._rank_checked(X, k, frontier, restriction)

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
        check_is_fitted(self)
        with change_lock(self):
            self._fitted = with_more_rows(snapshot(self), X, y, sample_weight)
        return self

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
        check_is_fitted(self)
        check_params(self)
        check_option(placement, "placement", PLACEMENTS)
        check_integer(clusters_per_label, "clusters_per_label", 1, MOST_CLUSTERS)
        check_boolean(retrain_siblings, "retrain_siblings")
        how = Placement(
            placement == "indexer",
            int(clusters_per_label),
            retrain_siblings,
            label_features,
            label_text,
        )
        with change_lock(self):
            self._fitted = with_more_labels(snapshot(self), X, y, sample_weight, how)
        return self

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
        check_is_fitted(self)
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
        check_is_fitted(self)
        names = check_feature_names(feature_names, self)
        X = pair_to_csr(X, self.n_features_in_) if isinstance(X, tuple) else X
        X = self._check_rows(X)
        column = find_label(label, self.classes_)
        options = self._search_options()
        parts = explain_label(self._ranker, self.trees_, X, column, options)
        label = self.classes_[column : column + 1].tolist()[0]
        name = str(label) if label_name is None else str(label_name)
        return Explanation(label, name, column, X, *parts, names, self.post_processor)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags
