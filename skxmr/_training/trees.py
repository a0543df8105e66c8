"""Training of one label tree: the indexer builds the tree, and then its rankers are trained."""

from importlib.metadata import version
from typing import NamedTuple

from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import has_fit_parameter

from .._core import AppendableArray, TrainParams
from .._data.label_embeddings import embed_examples
from .._ranking.tree_ranker import TreeRanker
from .._utils import caching
from .._utils.cloning import clone_with, draw_seed
from .._utils.mapped_csr import MappedCSR
from ..indexers import KMeansIndexer
from ..indexers._base import takes_text
from ..tree import LabelTree
from .negatives import Sampling
from .trainer import train_layers


class TrainingOptions(NamedTuple):
    """The parameters of training.

    The version of the library is one of them, so that a memory never returns the results of
    another version.

    Attributes
    ----------
    label_embedding : str
    params : TrainParams
    sampling : Sampling
    weight_dtype : {"float32", "float16"}
    random_state : int, RandomState instance or None
    library : str
        Version of skxmr.
    """

    label_embedding: str
    params: TrainParams
    sampling: Sampling
    weight_dtype: str
    random_state: object
    library: str = version("skxmr")


class TrainedTree(NamedTuple):
    """A tree and its trained layers.

    Attributes
    ----------
    indexer : estimator or None
        The fitted indexer; None if a LabelTree was given.
    tree : LabelTree
    layers : list of Layer
    n_iter : int
        Largest number of passes of the solver for any node.
    """

    indexer: BaseEstimator | None
    tree: LabelTree
    layers: list
    n_iter: int

    def ranker(self, n_features):
        """Return the ranker with these layers."""
        return TreeRanker(self.layers, self.tree.slot_label, self.tree.n_labels, n_features)


class TreeTrainer:
    """Trains trees, through a memory if there is one.

    Parameters
    ----------
    memory : joblib.Memory
    n_jobs : int or None
    files : ArrayFiles, optional
        Where the weights are written to. The fitted indexers are not kept then, as they can be as
        large as X. The memory must store nothing.
    """

    def __init__(self, memory, n_jobs, files=None):
        self.memory = memory
        self.n_jobs = n_jobs
        self.files = files

    @property
    def make_array(self):
        """Makes the arrays that are as large as the weights."""
        return _array_maker(self.files)

    def train(self, data, indexer, options):
        """Build a tree and train its layers.

        Parameters
        ----------
        data : TrainingData
        indexer : estimator or LabelTree
        options : TrainingOptions

        Returns
        -------
        trained : TrainedTree
        """
        if not caching.remembers(self.memory):
            return _index_and_train(
                None, data, indexer, options, n_jobs=self.n_jobs, files=self.files
            )
        train = caching.cache(self.memory, _index_and_train, ["data", "n_jobs"])
        return train(data.key, data, indexer, options, n_jobs=self.n_jobs)

    def key_of(self, data):
        """Return the key of training data in the memory, or None if the memory stores nothing."""
        return data.key if caching.remembers(self.memory) else None


def _array_maker(files):
    """Return what makes the arrays that are as large as the weights."""
    return AppendableArray if files is None else files.appendable


def _index_and_train(data_key, data, indexer, options, *, n_jobs, files=None):
    """Build the tree and train its layers; the function that a memory caches.

    The seeds are drawn here, so that the memory finds the result for a `random_state` of None.
    """
    random_state = check_random_state(options.random_state)
    if isinstance(indexer, LabelTree):
        tree = indexer
        indexer = None
    else:
        indexer = clone_with(indexer, random_state=draw_seed(random_state), n_jobs=n_jobs)
        tree = _index(data, indexer, options.label_embedding, n_jobs)
        if files is not None:
            indexer = None
    _check_tree(tree, data.examples.Y.shape[1])
    layers, n_iter = train_layers(
        data.examples,
        tree,
        options.params,
        sampling=options.sampling,
        weight_dtype=options.weight_dtype,
        seed=draw_seed(random_state),
        n_jobs=n_jobs,
        make_array=_array_maker(files),
    )
    return TrainedTree(indexer, tree, layers, n_iter)


def _index(data, indexer, label_embedding, n_jobs):
    """Fit an indexer to the texts or the embeddings of the labels, and return its tree."""
    if takes_text(indexer):
        features = {}
        if data.label_features is not None and has_fit_parameter(indexer, "label_features"):
            features = {"label_features": data.label_features}
        indexer.fit(data.label_text, **features)
    else:
        # The embeddings are not kept: they are as large as X.
        Z = embed_examples(
            label_embedding,
            data.examples,
            label_features=data.label_features,
            label_text=data.label_text,
            n_jobs=n_jobs,
        )
        if not isinstance(Z, MappedCSR):
            indexer.fit(Z)
        else:
            indexer.fit(Z if isinstance(indexer, KMeansIndexer) else Z.matrix())
            Z.remove()
    return getattr(indexer, "tree_", None)


def _check_tree(tree, n_labels):
    if not isinstance(tree, LabelTree):
        raise TypeError(f"indexer must yield a LabelTree as tree_, got {type(tree).__name__}")
    if tree.n_labels != n_labels:
        raise ValueError(
            f"indexer must yield a tree of y's {n_labels} labels, got one of {tree.n_labels}"
        )
