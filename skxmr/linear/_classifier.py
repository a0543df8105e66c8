"""XRLinearClassifier: parameters, attributes and public methods."""

from sklearn.utils.validation import check_is_fitted

from .._ranking.explain import explain_label
from .._ranking.explanation import Explanation, check_feature_names, find_label
from .._saving.writing import save_model
from .._utils.estimators import change_lock, consistent, snapshot
from .._utils.matrices import pair_to_csr
from .._utils.suggestions import suggesting, suggestion
from ._extension import ExtensibleRanking
from ._fit import fitted_state
from ._fit_in_folder import fitted_in_folder
from ._fitted import FittedAttribute, converted_state, names_of_features
from ._inputs import FitInput, LabelLimits
from ._params import check_params
from ._shards import check_shards


class XRLinearClassifier(ExtensibleRanking):
    """Rank labels out of thousands to millions with linear rankers in a label tree.

    The labels are grouped into a tree by their embeddings. Every node of the tree has a linear
    ranker, which is trained against its siblings [1]_. To rank the labels of a row, a beam search
    follows the best nodes from the root to the leaves. Its time grows with the depth of the tree
    and not with the number of labels. The labels of the nearest training rows contribute to the
    scores.

    The parameters are listed in six groups: the tree (`indexer` to `n_reassignments`), the rankers
    (`C` to `weight_dtype`), the search (`beam_width` to `threshold`), the nearest neighbors
    (`n_neighbors` to `neighbor_power`), dense columns such as embeddings of texts (`dense_columns`
    to `label_example_weight`) and running (`memory` to `verbose`).

    Parameters
    ----------
    indexer : estimator or LabelTree, default=None
        Builds the label tree. Any estimator works whose `fit` takes one row per label and sets
        `tree_` to a LabelTree. None means ``KMeansIndexer(max_leaf_size=200, balanced=False)``. An
        indexer whose scikit-learn tags declare string input, such as TrieIndexer, is fitted to the
        texts of the labels. A LabelTree is used as it is.
    label_embedding : str, default="pifa"
        Embedding of the labels that the indexer is fitted to: "pifa", "pii", "features"
        (`label_features` of fit), "text" (`label_text` of fit), or several of them joined by "+".
        See :mod:`skxmr.embeddings`. Ignored if the indexer takes strings.
    n_trees : int, default=1
        Number of trees, which are trained from different seeds. Their scores are averaged. A tree
        contributes to the average of the labels that it ranks among its first 50. For a label of a
        lower rank, the score of the tree replaces the sum of the others if it is larger.
    max_clusters_per_label : int, default=1
        Maximum number of leaf clusters per label, up to 6. Above 1, labels are disentangled [2]_:
        after a tree is trained, every label moves to the leaf clusters that the search reaches for
        most of its rows, and the rankers are trained again. An ambiguous label can then be reached
        through several clusters; the model grows.
    n_reassignments : int, default=1
        How often labels move and the rankers are trained again. Ignored if
        ``max_clusters_per_label=1``.
    C : float, default=1.0
        Weight of the loss relative to the regularization, as in LinearSVC. Use a larger value with
        ``loss="log_loss"``; ``C=10`` ranks better on the bundled sample.
    loss : {"squared_hinge", "log_loss"}, default="squared_hinge"
        Loss of the rankers. The log loss makes `predict_proba` available.
    negative_sampling : {"tfn", "man", "tfn+man"} or list of these, default="tfn"
        Training rows of a ranker. With "tfn" (teacher-forcing negatives), a ranker is trained on
        the rows that have a label below its parent. The rankers of the root's children are trained
        on all rows, including those without labels. With "man" (matcher-aware negatives), a ranker
        is trained on the rows whose beam contains its parent, and on its own positives. "tfn+man"
        is the union of both; it is slower to train and often ranks better. A list has one entry per
        level, from the root's children down.
    training_beam_width : int, default=10
        Number of nodes kept per level when training searches the tree, for matcher-aware negatives
        and for disentangling.
    bias : float, default=1.0
        Value of a constant feature, whose weight is regularized like any other. 0 means no bias.
    tol : float, default=0.1
        Tolerance of the solver. For the squared hinge, it is the largest difference of projected
        gradients. For the log loss, it is the largest error of a margin where the curvature of the
        loss is largest.
    max_iter : int, default=100
        Maximum number of passes of the solver over the rows of a node.
    prune_threshold : float, default=0.1
        Weights with a smaller absolute value are removed after training, except those of dense
        columns. Takes effect in fit. With `memory`, a fit with another threshold does not train
        again.
    weight_dtype : {"float32", "float16"}, default="float32"
        Type of the stored weights. Half precision takes a fifth to a third less memory. The
        ranking differs only for labels whose scores are nearly equal. Takes effect in fit, as
        `prune_threshold` does.
    beam_width : int, default=10
        Number of nodes kept per level when ranking.
    post_processor : str, default="l3-hinge"
        Function that turns a margin into a score and combines it with the score of the parent:
        "noop", "sigmoid", "log-sigmoid", "l{p}-hinge" or "log-l{p}-hinge" for p = 1 to 4. The
        variants with "log-" add logarithms instead of multiplying, so that no score underflows. The
        scores of "noop" are margins. They cannot be combined with neighbors, which are not used
        then.
    threshold : float, "auto" or None, default=None
        Selects the labels that `predict` returns for a multilabel y. With None, `predict` returns
        the best label of each row, and all others whose score is at least a tenth of the sum of the
        row's 20 highest scores. For this comparison, the post-processors with "log-" count as those
        without, and the margins of "noop" are turned into scores by a sigmoid if the loss is the
        log loss, and by the l3-hinge otherwise. With fewer than 10 labels, None is a threshold of
        0.5, or of 0 for margins. With a number, `predict` returns the labels with
        higher scores. With "auto", fit chooses the number with the best micro-averaged F1 on
        held-out rows, for the parameters of the search in fit; see `n_neighbors`. With fewer than
        300 rows, "auto" is None.
    n_neighbors : int, "auto" or None, default=20
        Number of nearest training rows whose labels contribute to the scores. Candidates are the
        rows that have one of the labels ranked highest. The model then contains the training rows,
        in four bytes per nonzero; `add_neighbors` adds rows later. With "auto", fit chooses this
        number, the power and the weight that rank held-out rows best. With 20,000 rows or more, 2 %
        of the rows are held out, 2,000 at most. The model is trained on the others, and all rows
        are neighbors. No label loses its only row. With fewer rows, a tree is trained for the
        choice on nine tenths of the rows, which doubles the time of a fit with one tree. With None,
        the model is smaller and ranks several times as fast. Takes effect in fit, as
        `prune_threshold` does.
    neighbor_weight : float in [0, 1], default=0.2
        Weight of the neighbors in the scores. The weight of the trees is ``1 - neighbor_weight``,
        both multiplied by ``1 - dense_neighbor_weight`` if there are neighbors by dense columns.
        The neighbors are added to the scores of the labels that the trees rank among their first 20
        (30 with neighbors by dense columns, 50 with several trees). For a label of a lower rank,
        the larger of the two counts. With 1, the trees only order the labels that no neighbor has.
    neighbor_power : float, default=3.0
        The weight of a neighbor is its cosine similarity to this power.
    dense_columns : int or "auto", default="auto"
        Number of last columns of X that are dense, such as the embedding of a text after its
        tf-idf features. With "auto", dense columns are found in a sparse X: its last columns that
        have a value in over half of the rows, if there are at least 16 of them and other columns
        before, and if all rows have the same norm in these columns (within 1 %, apart from rows of
        zeros), as embeddings usually do. A dense array has none with "auto". 0 means that all
        columns are used alike. `n_dense_columns_` is the number in use.
    dense_use : {"neighbors", "features", "both"}, default="neighbors"
        What the dense columns are used for. With "neighbors", the training rows with the most
        similar dense columns contribute their labels to the scores, and the tree, the rankers and
        the other neighbors use only the other columns. With "features", the dense columns are used
        as all other columns are, and their weights are stored as a block, without pruning. With
        "both", they are features of the tree and the rankers, and neighbors are found by them.
        Ignored without dense columns.
    n_dense_neighbors : int, "auto" or None, default=50
        Number of nearest training rows by the cosine similarity of the dense columns. The model
        then contains the dense columns of all training rows, in one byte per value. With "auto",
        fit chooses this number, the power and the weight on held-out rows, as with
        ``n_neighbors="auto"``. With None, there are none. Ignored without dense columns.
    dense_neighbor_weight : float in [0, 1], default=0.4
        Weight of the neighbors by dense columns in the scores. All other contributions have the
        weight ``1 - dense_neighbor_weight``.
    dense_neighbor_power : float, default=8.0
        The weight of a neighbor by dense columns is its cosine similarity to this power.
    dense_candidates : {"ranked", "all"}, default="ranked"
        Rows that are compared with a query by their dense columns: those that have one of the
        labels ranked highest, or all. The time of "all" grows with the number of rows: about 5
        milliseconds per query for 82,000 rows of 384 columns.
    label_example_weight : float, default=3.0
        Weight of each row of `label_examples` among the neighbors by dense columns. A weight of 3
        is equivalent to three equal rows. With 0, these rows are not among them. Takes effect in
        fit.
    memory : str, path or joblib.Memory, default=None
        Caches the training. A grid search over `prune_threshold`, `weight_dtype` and the parameters
        of the search and of the neighbors then trains once per fold.
    n_jobs : int, default=None
        Number of jobs, as in joblib. Results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds the indexer, unless it has its own random_state, and the order of rows in the solver.
    verbose : int, default=0
        Whether to report the progress of fit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_labels,)
        The classes of a one-dimensional y. For a multilabel y, the names of the labels: those in
        the lists, the columns of the frame or `label_names`. Otherwise the column numbers.
    dense_neighbors_ : named tuple (n_neighbors, power, weight) or None
        Settings of the neighbors by embeddings when the model was fitted. None without them.
    feature_names_in_ : ndarray of str, shape (n_features,)
        Names of the columns of X. Defined only if all of them are strings.
    indexer_ : estimator or None
        The fitted indexer. None if a LabelTree was given or the model was loaded.
    multilabel_ : bool
        Whether y was an indicator matrix.
    n_dense_columns_ : int
        Number of last columns of X that are dense, given or found.
    n_features_in_ : int
        Number of features, the dense columns included.
    n_iter_ : int
        Largest number of passes of the solver over any node. It equals `max_iter` if the solver
        stopped early.
    n_labels_ : int
        Number of labels.
    n_levels_ : int
        Number of levels of the tree below the root.
    neighbors_ : named tuple (n_neighbors, power, weight) or None
        Settings of the nearest neighbors when the model was fitted. None without neighbors.
    threshold_ : float or None
        The `threshold` of fit; with "auto", the chosen number.
    tree_ : LabelTree
        The first tree.
    trees_ : list of LabelTree
        All trees.

    See Also
    --------
    skxmr.indexers.KMeansIndexer : The default indexer.
    skxmr.indexers.TrieIndexer, skxmr.indexers.TrieHybridIndexer : Indexers of label texts.
    skxmr.metrics : Precision at k and its relatives, and scorers for GridSearchCV.

    Notes
    -----
    Predictions have the kind of `y`: lists of labels (the best label first), a sparse or dense 0/1
    indicator matrix, a DataFrame, or one class per row. The model does not depend on the order of
    the rows. A row of weight 2 is equivalent to the same row given twice. Labels without training
    rows are still ranked, with low scores. A row without features is ranked by the biases.

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

    @suggesting
    def __init__(
        self,
        indexer=None,
        *,
        label_embedding="pifa",
        n_trees=1,
        max_clusters_per_label=1,
        n_reassignments=1,
        C=1.0,
        loss="squared_hinge",
        negative_sampling="tfn",
        training_beam_width=10,
        bias=1.0,
        tol=0.1,
        max_iter=100,
        prune_threshold=0.1,
        weight_dtype="float32",
        beam_width=10,
        post_processor="l3-hinge",
        threshold=None,
        n_neighbors=20,
        neighbor_weight=0.2,
        neighbor_power=3.0,
        dense_columns="auto",
        dense_use="neighbors",
        n_dense_neighbors=50,
        dense_neighbor_weight=0.4,
        dense_neighbor_power=8.0,
        dense_candidates="ranked",
        label_example_weight=3.0,
        memory=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.indexer = indexer
        self.label_embedding = label_embedding
        self.n_trees = n_trees
        self.max_clusters_per_label = max_clusters_per_label
        self.n_reassignments = n_reassignments
        self.C = C
        self.loss = loss
        self.negative_sampling = negative_sampling
        self.training_beam_width = training_beam_width
        self.bias = bias
        self.tol = tol
        self.max_iter = max_iter
        self.prune_threshold = prune_threshold
        self.weight_dtype = weight_dtype
        self.beam_width = beam_width
        self.post_processor = post_processor
        self.threshold = threshold
        self.n_neighbors = n_neighbors
        self.neighbor_weight = neighbor_weight
        self.neighbor_power = neighbor_power
        self.dense_columns = dense_columns
        self.dense_use = dense_use
        self.n_dense_neighbors = n_dense_neighbors
        self.dense_neighbor_weight = dense_neighbor_weight
        self.dense_neighbor_power = dense_neighbor_power
        self.dense_candidates = dense_candidates
        self.label_example_weight = label_example_weight
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    classes_ = FittedAttribute(lambda fitted: fitted.classes.values)
    dense_neighbors_ = FittedAttribute(lambda fitted: fitted.dense_weighting)
    feature_names_in_ = FittedAttribute(names_of_features)
    indexer_ = FittedAttribute(lambda fitted: fitted.indexer)
    multilabel_ = FittedAttribute(lambda fitted: fitted.multilabel)
    n_dense_columns_ = FittedAttribute(lambda fitted: fitted.n_dense_columns)
    n_features_in_ = FittedAttribute(lambda fitted: fitted.n_features)
    n_iter_ = FittedAttribute(lambda fitted: fitted.n_iter)
    n_labels_ = FittedAttribute(lambda fitted: fitted.n_labels)
    n_levels_ = FittedAttribute(lambda fitted: fitted.trees[0].n_levels)
    neighbors_ = FittedAttribute(lambda fitted: fitted.weighting)
    threshold_ = FittedAttribute(lambda fitted: fitted.threshold)
    tree_ = FittedAttribute(lambda fitted: fitted.trees[0])
    trees_ = FittedAttribute(lambda fitted: list(fitted.trees))

    def set_params(self, **params):
        """Set parameters, as in scikit-learn.

        Parameters
        ----------
        **params
            Parameters of the estimator, and ``indexer__...`` for those of the indexer.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is unknown. The message suggests a similar one.
        """
        own = self.get_params(deep=False)
        for name in params:
            hint = suggestion(name, list(own)) if "__" not in name and name not in own else ""
            if hint:
                raise ValueError(f"XRLinearClassifier has no parameter {name!r}; {hint}")
        return super().set_params(**params)

    def __setstate__(self, state):
        # Pickles of earlier releases lack the parameters that were added since.
        added = {name: default for name, default in _DEFAULTS.items() if name not in state}
        super().__setstate__(converted_state({**added, **state}))
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
        label_names=None,
        folder=None,
    ):
        """Build the label tree and train its rankers.

        Parameters
        ----------
        X : {array-like, sparse matrix, Shards} of shape (n_samples, n_features)
            Training rows. With :class:`skxmr.datasets.Shards`, they are never in memory as a whole.
            `folder` is then required, and there may be neither dense columns nor `label_examples`.
        y : {array-like, sparse matrix, Shards} of shape (n_samples, n_labels) or (n_samples,)
            The labels of each row: a list, array or Series of lists, tuples or sets of labels; a
            0/1 indicator matrix, or a DataFrame of indicator columns; or one class per row. Shards
            hold an indicator matrix. They must have the file names and numbers of rows of the
            shards of X.
        sample_weight : array-like of shape (n_samples,), optional
            Multiplies C for each row.
        label_features : {array-like, sparse matrix} of shape (n_labels, d), optional
            Features of the labels, for the label embedding "features" and for a TrieHybridIndexer
            without a vectorizer.
        label_text : sequence of str, length n_labels, optional
            Texts of the labels, for the label embedding "text" and for indexers that take strings.
            By default the classes, if they are strings.
        label_examples : {array-like, sparse matrix} of shape (n_labels, n_features), or tuple, \
                optional
            Feature vector of each label's name or description. Each row with features is an
            additional training row of its label, with weight 1. A tuple (rows, labels) holds any
            number of rows, and the column of y to which each row belongs.
            :class:`skxmr.pipeline.Pipeline` takes texts.
        relevance : {array-like, sparse matrix} of shape (n_samples, n_labels), optional
            Multiplies C for each positive. It must be above 0 where y is 1, and 0 elsewhere. The
            relevance of a cluster is the sum over its labels.
        negatives : {array-like, sparse matrix} of shape (n_samples, n_labels), optional
            Explicit negatives. Where it is not 0, the row is also used to train the rankers of the
            label and of all nodes on its path, with their siblings, for any `negative_sampling`.
            Entries where y is 1 have no effect.
        label_names : sequence of str, length n_labels, optional
            Names of the columns of an indicator matrix. They become `classes_`. Different labels
            may have the same name.
        folder : str or path, optional
            The model is saved in this folder, as by `save`. Its weights are written there while
            they are trained and never take memory as a whole. Afterwards, the arrays of the fitted
            model are mapped from the folder.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter or an input is not as documented. The message names it.
        FileExistsError
            If `folder` is a file.
        """
        check_params(self)
        given = FitInput(
            sample_weight,
            label_features,
            label_text,
            label_examples,
            relevance,
            negatives,
            label_names,
        )
        check_shards(X, y, given, folder)
        with change_lock(self):
            fresh = snapshot(self)
            vars(fresh).pop("_fitted", None)
            if folder is None:
                self._fitted = fitted_state(fresh, X, y, given)
            else:
                self._fitted = fitted_in_folder(fresh, X, y, given, folder, XRLinearClassifier)
        return self

    @suggesting
    def rank(
        self,
        X,
        k=10,
        *,
        exclude=None,
        among=None,
        min_score=None,
        frontier=None,
        restriction=None,
    ):
        """Rank the k best labels of each row.

        Single rows take a fast path if they are float32: a CSR matrix with int32 indices, a dense
        array, or a pair. Any number of threads may rank with the same model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or tuple
            A tuple is a single row, given by its nonzeros: a pair (indices, values) of
            one-dimensional arrays.
        k : int, default=10
            Number of labels, at least 1. The ranking of fewer labels is the beginning of the
            ranking of more.
        exclude : sequence of int or str, set, or sparse matrix, optional
            Labels that are not returned. A sequence holds labels that no row may have: columns of y
            or positions in `classes_`, or names from `classes_` if these are strings. A sparse
            matrix of shape (n_samples, n_labels) holds a set for each row, its nonzeros.
        among : sequence of int or str, set, or sparse matrix, optional
            The only labels that may be returned, in the same forms. If both are given, labels of
            `exclude` are not returned.
        min_score : float, optional
            Labels with lower scores are not returned.
        frontier : tuple (level, nodes), Matcher, or list of these, optional
            Nodes at which the search starts instead of the root. `nodes` is a sparse matrix of
            shape (n_samples, n_nodes of that level) whose stored entries are the scores of the
            nodes. A :class:`~skxmr.linear.Matcher` returns such a pair. With several trees, a list
            with one entry per tree.
        restriction : Restriction, optional
            Labels that each row may have, as
            :meth:`skxmr.linear.LabelOrder.restricted_to` returns them.

        Returns
        -------
        ranking : Ranking
            A pair of arrays with the shape (n_samples, k): ``labels, scores = clf.rank(X)``.
            ``ranking.names`` lists the names of the labels.

            - `labels` (int32): columns of y, or positions in `classes_`. The best label comes
              first; ties go to the lower label. Rows with fewer than k labels are padded with -1.
            - `scores` (float32): scores of the labels, padded with -inf.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an input is not as documented. The message names it.

        Notes
        -----
        `exclude` and `among` are part of the search. It does not enter nodes whose labels are all
        excluded, or that have none of the labels of `among`, so that they do not fill the beam.
        With one tree and no neighbors, the scores are those of a ranking without these limits. With
        several trees or with neighbors, the contributions to a score are added up for labels that
        rank high among the permitted ones, and the neighbors are rows of permitted labels. Scores
        may then differ.

        Examples
        --------
        >>> import numpy as np
        >>> from skxmr import XRLinearClassifier
        >>> X = np.eye(3, dtype=np.float32)
        >>> clf = XRLinearClassifier(random_state=0).fit(X, ["cat", "dog", "eel"])
        >>> clf.rank(X[:2], k=1).names
        [['cat'], ['dog']]
        >>> clf.rank(X[:2], k=1, exclude=["cat"]).names
        [['dog'], ['dog']]
        """
        limits = None
        if exclude is not None or among is not None or min_score is not None:
            limits = LabelLimits(exclude, among, min_score)
        if frontier is None:
            ranking = self._rank_one(X, k, restriction, limits)
            if ranking is not None:
                return ranking
        return self._rank_checked(X, k, frontier, restriction, limits)

    @consistent
    def save(self, folder):
        """Save as a folder of ``.npy`` arrays and one JSON file, without pickles.

        An existing model is replaced atomically. A process that loads it at the same time gets
        either the old or the new model, and an interruption leaves the old one. The fitted indexer
        is not saved, nor is a memory or random state that is an object.

        Parameters
        ----------
        folder : str or path
            Created if it does not exist. Other files in it are not changed. A model consists of the
            file ``skxmr.json`` and of the folder ``arrays-...`` that this file names.

        Raises
        ------
        FileExistsError
            If `folder` is a file.
        TypeError, ValueError
            If `classes_` are neither numbers nor strings, if `load` would refuse a parameter, or if
            the model is memory-mapped and its files are damaged. An existing model is kept.

        See Also
        --------
        skxmr.load : The inverse.
        """
        save_model(self, folder, XRLinearClassifier)

    @consistent
    def explain(self, X, label, *, feature_names=None, label_name=None):
        """Explain the score of a label by the contributions of the features.

        The rankers are linear, so the explanation is exact. At each level, the contributions of the
        features and the bias sum to the margin of the node on the path to the label, and the
        margins give the score. The score is that of `decision_function` if the beam reaches the
        label, as `reached` of the result tells. Otherwise it is the score that the label would have
        in a wider beam.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), or tuple
            Rows as for `rank`. For pipelines, use :func:`skxmr.inspection.explain`, which takes the
            texts.
        label : int or str
            One of `classes_`. These are the column numbers for an indicator matrix. If the classes
            are strings, the position that `rank` returns is also accepted.
        feature_names : sequence of str, length n_features, optional
            Names of the features. By default `feature_names_in_`, if defined.
        label_name : str, optional
            Name of the label in the explanation.

        Returns
        -------
        explanation : skxmr.inspection.Explanation
            ``print(explanation)`` shows the largest contributions.

        Raises
        ------
        ValueError
            If the label is unknown, or the model is memory-mapped and damaged.

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
        *parts, dense = explain_label(self._ranker, self.trees_, X, column, options)
        label = self.classes_[column : column + 1].tolist()[0]
        name = str(label) if label_name is None else str(label_name)
        return Explanation(label, name, column, X, *parts, names, self.post_processor, dense)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags


_DEFAULTS = XRLinearClassifier().get_params(deep=False)
