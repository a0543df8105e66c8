"""XRTransformerClassifier: parameters, attributes and public methods."""

import numbers

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._ranking.classifier import RankingClassifierMixin
from .._ranking.ranking import Ranking, library_of
from .._utils.cloning import draw_seed
from .._utils.estimators import consistent, fitted_in_one_step
from .._utils.matrices import with_dense_columns
from .._utils.pairs import ranking_csr
from .._utils.params import (
    check_boolean,
    check_integer,
    check_n_jobs,
    check_option,
    check_real,
    check_seed,
)
from .._utils.texts import check_texts
from ..linear import XRLinearClassifier
from ..text import NGramTfidfVectorizer
from ._embedder import checked_texts
from ._ensemble import average_ranks
from ._training import fine_tuned_embedders

OBJECTIVES = ("tree", "flat", "names", None)

#: Number of labels that each encoder ranks for an average of ranks, at least.
_DEPTH = 50

#: Parameters that may change after fit: a model trained on a GPU can rank on a CPU.
_RUNNING = ("device", "dtype", "batch_tokens", "n_jobs")


class XRTransformerClassifier(RankingClassifierMixin, BaseEstimator):
    """Rank labels of texts with a transformer that is fine-tuned from coarse to fine clusters.

    A fit has three parts [1]_. A classifier on tf-idf features builds a preliminary tree of the
    labels. The encoder is fine-tuned on one level of this tree after the other, together with a
    linear ranker of each cluster: at each level, a row learns from its own clusters and from those
    that the tf-idf classifier confuses with them. Finally, the embeddings are joined to the tf-idf
    features, and an :class:`~skxmr.XRLinearClassifier` is trained on both. It needs the extra
    ``skxmr[transformer]``. Models are read from local folders and never downloaded.

    The parameters are listed in four groups: the parts (`encoder` to `n_encoders`), fine-tuning
    (`indexer` to `pretrained_weight`), texts (`pooling` to `batch_tokens`) and running (`device` to
    `verbose`).

    Parameters
    ----------
    encoder : str, path, tuple (model, tokenizer), or list of these
        A local folder with a model of transformers and its tokenizer, or such a pair, which is
        copied. With a list, the encoders of an ensemble start from its elements in turn.
    vectorizer : estimator, default=None
        Converts texts to sparse features. None means ``NGramTfidfVectorizer()``.
    classifier : XRLinearClassifier, default=None
        The final classifier. None means ``XRLinearClassifier()``. Its `dense_use` determines how
        the embeddings are used: for neighbors, as features, or for both.
    objective : {"tree", "flat", "names"} or None, default="tree"
        What the encoder is fine-tuned on. "tree": the levels of the preliminary tree, coarse to
        fine (XR-Transformer). "flat": its finest clusters at once, with all other clusters as
        negatives (X-Transformer [2]_). "names": pairs of a text and the name of one of its labels,
        with the names of other rows as negatives (contrastive). None: nothing; the encoder is used
        as it is.
    n_encoders : int, default=1
        Number of encoders, which are fine-tuned with different seeds. Ranks are averaged.
    indexer : estimator, default=None
        Builds the preliminary tree. None means ``KMeansIndexer(branching=8, max_leaf_size=12)``.
    max_clusters : int, default=32768
        Levels with more nodes are left out of the fine-tuning. The finest level of "tree" consists
        of the labels themselves.
    training_beam_width : int, default=24
        Number of clusters per row and level that the tf-idf classifier reaches, as candidates for
        negatives.
    n_epochs : float or list of float, default=1.0
        Number of passes over the texts for each level. A list has one entry per level.
    learning_rate : float, default=5e-5
        Largest learning rate of the encoder. It rises and then decreases linearly within a level.
        That of the rankers is ten times as large.
    warmup : float in [0, 1], default=0.1
        Fraction of the steps in which the learning rate rises.
    weight_decay : float, default=0.01
        Decay of the weights of the encoder, without biases and normalizations.
    max_grad_norm : float, default=1.0
        Gradients with a larger norm are scaled down.
    batch_size : int, default=32
        Number of texts per step.
    freeze_word_embeddings : bool, default=True
        Whether the vectors of the tokens stay as they are. This saves time and memory.
    frozen_layers : float in [0, 1), default=0.0
        Share of the layers of the encoder, from the input, that stay as they are, together with
        all that is below them. Gradients are not computed there: with 0.5, a step takes two thirds
        of the time.
    pretrained_weight : float in [0, 1] or "auto", default="auto"
        The weights of the encoder are averaged with those before fine-tuning, which get this weight
        [3]_. 0 means the fine-tuned weights only, and 1 the encoder as it was. "auto" leaves a
        tenth of the texts, and at most 2,000, out of fine-tuning. It chooses 1, 0.8, 0.6 or 0.4 by
        the nDCG@5 of `classifier` on them.
    pooling, max_length, prefix, batch_tokens
        As in :class:`TransformerEmbedder`.
    device, dtype
        As in :class:`TransformerEmbedder`. They also apply to fine-tuning. After fit or load,
        ``set_params(device="cpu")`` ranks on the CPU with a model that was trained on a GPU.
    memory : str, path or joblib.Memory, default=None
        Stores the encoder after each level, and all embeddings. After an interruption, a fit with
        the same texts, labels and parameters continues with the next level, and has the same
        result. A search over parameters of `classifier` fine-tunes once per fold.
    n_jobs : int, default=None
        Number of jobs, as in joblib. With several threads, fine-tuning sums gradients in another
        order, so that results differ in the last digits at first.
    random_state : int, RandomState instance or None, default=None
        Seeds the preliminary tree, the order of the texts, dropout and `classifier`.
    verbose : int, default=0
        Whether to report the progress of fit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_labels,)
        As in XRLinearClassifier.
    classifiers_ : list of XRLinearClassifier
        The final classifier for each encoder.
    embedders_ : list of TransformerEmbedder
        The fine-tuned encoders.
    losses_ : list of list of ndarray
        The loss of each step, for each encoder and each level. Levels that were read from `memory`
        are left out.
    multilabel_ : bool
        Whether a row can have several labels.
    n_labels_ : int
        Number of labels.
    pretrained_weights_ : list of float
        The weight of the weights before fine-tuning, for each encoder. A weight of 1 means that
        fine-tuning does not improve the ranking of held-out texts.
    seconds_ : list of list of float
        Training time of these levels, for each encoder.
    vectorizer_ : estimator
        The fitted vectorizer.

    See Also
    --------
    TransformerEmbedder : The encoder alone, for pipelines with XRLinearClassifier.

    Notes
    -----
    A repeated fit on a CPU has the same result if `random_state` is an integer and the number of
    threads is the same. With CUDA, sums may differ in the last digits.

    In the reference implementation, `max_clusters` is ``max_match_clusters``, `training_beam_width`
    is ``only_topk``, and `warmup` is given as ``warmup_steps``.

    References
    ----------
    .. [1] J. Zhang, W.-C. Chang, H.-F. Yu and I. S. Dhillon, "Fast multi-resolution transformer
       fine-tuning for extreme multi-label text classification", NeurIPS 34 (2021).
    .. [2] W.-C. Chang, H.-F. Yu, K. Zhong, Y. Yang and I. S. Dhillon, "Taming pretrained
       transformers for extreme multi-label text classification", KDD 2020.
    .. [3] M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
    """

    def __init__(
        self,
        encoder,
        *,
        vectorizer=None,
        classifier=None,
        objective="tree",
        n_encoders=1,
        indexer=None,
        max_clusters=32768,
        training_beam_width=24,
        n_epochs=1.0,
        learning_rate=5e-5,
        warmup=0.1,
        weight_decay=0.01,
        max_grad_norm=1.0,
        batch_size=32,
        freeze_word_embeddings=True,
        frozen_layers=0.0,
        pretrained_weight="auto",
        pooling="auto",
        max_length=128,
        prefix="",
        batch_tokens=2048,
        device="auto",
        dtype="auto",
        memory=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.encoder = encoder
        self.vectorizer = vectorizer
        self.classifier = classifier
        self.objective = objective
        self.n_encoders = n_encoders
        self.indexer = indexer
        self.max_clusters = max_clusters
        self.training_beam_width = training_beam_width
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.warmup = warmup
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.batch_size = batch_size
        self.freeze_word_embeddings = freeze_word_embeddings
        self.frozen_layers = frozen_layers
        self.pretrained_weight = pretrained_weight
        self.pooling = pooling
        self.max_length = max_length
        self.prefix = prefix
        self.batch_tokens = batch_tokens
        self.device = device
        self.dtype = dtype
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, raw_documents, y, *, label_text=None, label_names=None):
        """Fine-tune the encoders and train the final classifiers.

        Parameters
        ----------
        raw_documents : iterable of str
            The texts.
        y : {array-like, sparse matrix} of shape (n_texts, n_labels) or (n_texts,)
            Labels in any form that :meth:`skxmr.XRLinearClassifier.fit` accepts.
        label_text : sequence of str, length n_labels, optional
            The name or description of each label, in the order of `classes_`. It becomes an
            additional training row of its label, with an embedding of its own. Required for the
            objective "names", unless the classes are strings.
        label_names : sequence of str, length n_labels, optional
            Names of the columns of an indicator matrix. They become `classes_`.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If PyTorch or transformers are not installed.
        TypeError, ValueError
            If a parameter or an input is not as documented. The message names it.
        """
        check_params(self)
        texts = checked_texts(raw_documents, least=1)
        if label_text is not None:
            label_text = check_texts(label_text, "label_text")
        with fitted_in_one_step(self) as fresh:
            fresh._fit(texts, y, label_text, label_names)
        return self

    def _fit(self, texts, y, label_text, label_names):
        seed = (
            None if self.random_state is None else draw_seed(check_random_state(self.random_state))
        )
        vectorizer = NGramTfidfVectorizer() if self.vectorizer is None else clone(self.vectorizer)
        X = sp.csr_matrix(vectorizer.fit_transform(texts), dtype=np.float32)
        self.vectorizer_ = vectorizer
        self.embedders_, self.losses_, self.seconds_, self.pretrained_weights_ = (
            fine_tuned_embedders(
                self, texts, X, y, label_text=label_text, label_names=label_names, seed=seed
            )
        )
        self.classifiers_ = [
            self._final_classifier(embedder, texts, X, y, label_text, label_names, seed)
            for embedder in self.embedders_
        ]
        for embedder in self.embedders_:
            embedder.set_params(verbose=0)

    def _final_classifier(self, embedder, texts, X, y, label_text, label_names, seed):
        classifier = XRLinearClassifier() if self.classifier is None else clone(self.classifier)
        if self.classifier is None:
            classifier.set_params(n_jobs=self.n_jobs, verbose=self.verbose)
        if classifier.random_state is None:
            classifier.set_params(random_state=seed)
        if classifier.dense_columns == "auto":
            classifier.set_params(dense_columns=embedder.n_features_out_)
        given = {}
        if label_text is not None:
            given["label_examples"] = with_dense_columns(
                self.vectorizer_.transform(label_text), embedder.transform(label_text)
            )
        if label_names is not None:
            given["label_names"] = label_names
        return classifier.fit(with_dense_columns(X, embedder.transform(texts)), y, **given)

    def _features(self, texts):
        """Return the input of each final classifier."""
        X = self.vectorizer_.transform(texts)
        embedded = [self._embedded(embedder, texts) for embedder in self.embedders_]
        return [with_dense_columns(X, embeddings) for embeddings in embedded]

    def _embedded(self, embedder, texts):
        """Return the embeddings of texts, computed with the present parameters of this object."""
        for name in _RUNNING:
            setattr(embedder, name, getattr(self, name))
        return embedder.transform(texts)

    @consistent
    def rank(self, raw_documents, k=10, *, exclude=None, among=None, min_score=None):
        """Rank the k best labels of each text.

        Parameters
        ----------
        raw_documents : iterable of str
        k : int, default=10
            Number of labels, at least 1.
        exclude, among
            As in :meth:`skxmr.XRLinearClassifier.rank`.
        min_score : float, optional
            Labels with lower scores are not returned.

        Returns
        -------
        ranking : Ranking
            A pair of arrays ``(labels, scores)`` with the shape (n_texts, k), as in
            :meth:`skxmr.XRLinearClassifier.rank`. With several encoders, the score of a label is
            the mean of its reciprocal ranks among the first 50 (or k, if k is larger) of each.
        """
        texts = self._check_rows(raw_documents)
        check_integer(k, "k", 1, np.iinfo(np.int32).max)
        limits = {"exclude": exclude, "among": among}
        ranking = self._ranked(texts, int(k), limits, min_score)
        return Ranking(*ranking[:2], self._names, library_of(raw_documents))

    def _ranked(self, texts, k, limits, min_score):
        """Rank labels of checked texts."""
        features = self._features(texts)
        if len(features) == 1:
            return self.classifiers_[0].rank(features[0], k, min_score=min_score, **limits)
        depth = min(max(k, _DEPTH), self.n_labels_)
        rankings = [
            classifier.rank(X, depth, **limits)
            for classifier, X in zip(self.classifiers_, features, strict=True)
        ]
        return average_ranks(rankings, k, min_score)

    @consistent
    def explain(self, raw_documents, label, *, label_name=None, encoder=0):
        """Explain the score of a label by the final classifier, which is linear.

        The contributions of words and of the columns of the embedding are exact; the embedding
        itself is not explained.

        Parameters
        ----------
        raw_documents : iterable of str
        label : int or str
            One of `classes_`.
        label_name : str, optional
            Name of the label in the explanation.
        encoder : int, default=0
            Number of the encoder whose classifier is explained.

        Returns
        -------
        explanation : skxmr.inspection.Explanation
        """
        texts = self._check_rows(raw_documents)
        check_integer(encoder, "encoder", 0, len(self.embedders_) - 1)
        embedder = self.embedders_[encoder]
        X = with_dense_columns(self.vectorizer_.transform(texts), self._embedded(embedder, texts))
        names = np.concatenate(
            [
                self.vectorizer_.get_feature_names_out(),
                [f"embedding{i}" for i in range(embedder.n_features_out_)],
            ]
        ).astype(object)
        return self.classifiers_[encoder].explain(
            X, label, feature_names=names, label_name=label_name
        )

    @property
    def classes_(self):
        return self._first("classes_")

    @property
    def n_labels_(self):
        return self._first("n_labels_")

    @property
    def multilabel_(self):
        return self._first("multilabel_")

    @property
    def _container(self):
        return self._first("_container")

    @property
    def _names(self):
        return self._first("_fitted").classes

    def _first(self, name):
        """Return an attribute that all final classifiers have in common."""
        if "classifiers_" not in vars(self):
            raise AttributeError(f"{name} is only available after fit")
        return getattr(self.classifiers_[0], name)

    @property
    def _is_single(self):
        return len(self.classifiers_) == 1

    def _check_rows(self, X):
        check_is_fitted(self)
        return checked_texts(X, least=1)

    def _reached_scores(self, X):
        if self._is_single:
            return self.classifiers_[0]._scores_of(self._features(X)[0])
        labels, scores = self._ranked(X, min(_DEPTH, self.n_labels_), {}, None)[:2]
        return ranking_csr(labels, scores, self.n_labels_)

    def _predicted_scores(self, X):
        if self._is_single:
            classifier = self.classifiers_[0]
            return classifier._predicted_scores(classifier._check_rows(self._features(X)[0]))
        return super()._predicted_scores(X)

    @property
    def threshold(self):
        return None

    def _best_labels(self, X):
        if self._is_single:
            classifier = self.classifiers_[0]
            return classifier._best_labels(classifier._check_rows(self._features(X)[0]))
        return self._ranked(X, 1, {}, None)[0][:, 0]

    @property
    def _unreached_score(self):
        return self.classifiers_[0]._unreached_score if self._is_single else 0.0

    def _reached_probabilities(self, X):
        classifier = self.classifiers_[0]
        return classifier._reached_probabilities(classifier._check_rows(self._features(X)[0]))

    def _check_gives_probabilities(self):
        if "classifiers_" in vars(self) and not self._is_single:
            raise AttributeError("predict_proba needs n_encoders=1")
        classifier = vars(self).get("classifiers_", [self.classifier])[0]
        if classifier is None:
            classifier = XRLinearClassifier()
        return classifier._check_gives_probabilities()

    def _take_rows(self, X, rows):
        return [X[row] for row in rows]

    def save(self, folder):
        """Save as a folder of arrays and safetensors, without pickles; see :func:`skxmr.save`.

        Parameters
        ----------
        folder : str or path
            Created if it does not exist.
        """
        from ..persistence import save

        save(self, folder)

    def __sklearn_is_fitted__(self):
        return "classifiers_" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_label = True
        return tags


def check_params(classifier):
    """Check the parameters of fine-tuning; the embedder and the final classifier check theirs."""
    if classifier.objective is not None:
        check_option(classifier.objective, "objective", [o for o in OBJECTIVES if o is not None])
    if isinstance(classifier.encoder, list) and not classifier.encoder:
        raise ValueError("encoder must be a folder, a pair or a list of these, got an empty list")
    check_integer(classifier.n_encoders, "n_encoders", 1)
    check_integer(classifier.max_clusters, "max_clusters", 2)
    check_integer(classifier.training_beam_width, "training_beam_width", 1)
    epochs = classifier.n_epochs
    for value in epochs if isinstance(epochs, (list, tuple)) else [epochs]:
        check_real(value, "n_epochs", 0, above=True)
    check_real(classifier.learning_rate, "learning_rate", 0, above=True)
    check_real(classifier.warmup, "warmup", 0, most=1)
    check_real(classifier.weight_decay, "weight_decay", 0)
    check_real(classifier.max_grad_norm, "max_grad_norm", 0, above=True)
    check_integer(classifier.batch_size, "batch_size", 1)
    check_boolean(classifier.freeze_word_embeddings, "freeze_word_embeddings")
    check_real(classifier.frozen_layers, "frozen_layers", 0, most=1)
    if classifier.frozen_layers == 1:
        raise ValueError("frozen_layers must be below 1, got 1; objective=None trains nothing")
    if classifier.pretrained_weight != "auto":
        check_real(classifier.pretrained_weight, "pretrained_weight", 0, most=1)
    check_n_jobs(classifier.n_jobs)
    check_seed(classifier.random_state, "random_state")
    check_integer(classifier.verbose, "verbose", 0)
    if classifier.classifier is not None and not isinstance(
        classifier.classifier, XRLinearClassifier
    ):
        raise TypeError(
            f"classifier must be an XRLinearClassifier or None, got {classifier.classifier!r:.80}"
        )
    for name in ("vectorizer", "indexer"):
        if isinstance(getattr(classifier, name), (str, numbers.Number)):
            raise TypeError(
                f"{name} must be an estimator or None, got {getattr(classifier, name)!r:.80}"
            )
