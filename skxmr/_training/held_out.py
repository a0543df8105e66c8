"""Examples held out of training, and trees trained on the others."""

from functools import cached_property

import numpy as np
import scipy.sparse as sp

from .._core import CSRView, csr_hash_rows
from .._data.features import DenseColumns, leading_columns, with_leading_columns
from .._ranking.ensemble import TreeEnsemble, WeightedNeighbors
from .._ranking.neighbors import make_embedding_rows, make_neighbor_rows

#: Every tenth example is held out, or fewer if there would be more than about this many.
_HELD_OUT = 3000

#: From this number of training rows on, the model is trained once, without the examples held out.
#: These are every 50th example, or fewer if there would be more than this many.
LARGE = 20_000
_LARGE_STEP, _MOST_OF_LARGE = 50, 2000

#: Minimum number of held-out examples for a reliable choice.
_FEWEST = 30


class HeldOut:
    """Examples held out of training, and what is needed to rank their labels.

    Attributes
    ----------
    view : CSRView
        Features of the examples held out.
    Y : csr_matrix of float32, shape (n_held_out, n_labels)
        Their labels.
    others : Examples
    trees : sequence of TreeRanker
        Trained on the others.
    columns : DenseColumns
    embedded : Examples or None
        The others with all columns, if the last ones are embeddings.
    is_large : bool
        Whether the trees are those of the model.
    """

    def __init__(self, view, Y, others, trees, columns, embedded, is_large=False):
        self.view = view
        self.Y = Y
        self.others = others
        self.trees = trees
        self.columns = columns
        self.embedded = embedded
        self.is_large = is_large

    @cached_property
    def neighbor_rows(self):
        """The others as NeighborRows."""
        return make_neighbor_rows(with_leading_columns(self.others, self.columns.n_of_neighbors))

    @cached_property
    def embedding_rows(self):
        """The others as EmbeddingRows."""
        return make_embedding_rows(self.embedded, self.columns.n_dense)

    def ranker(self, weighting=None, dense_weighting=None, *, among_all=False):
        """Return a ranker that combines the trees with neighbors among the others.

        Parameters
        ----------
        weighting, dense_weighting : NeighborWeighting, optional
            Settings of the neighbors, and of those by embeddings.
        among_all : bool
            Whether the latter are found among all rows.
        """
        columns = self.columns if self.columns.are_embeddings else None
        has_one_part = (weighting, dense_weighting, columns) == (None, None, None)
        if has_one_part and len(self.trees) == 1:
            return self.trees[0]
        neighbors = None
        if weighting is not None:
            neighbors = WeightedNeighbors.of(self.neighbor_rows, weighting)
        embeddings = None
        if dense_weighting is not None:
            rows = self.embedding_rows
            embeddings = WeightedNeighbors.of(rows, dense_weighting, among_all=among_all)
        return TreeEnsemble(self.trees, neighbors, embeddings, columns)

    def rank(self, ranker, k, options):
        """Rank labels of the examples held out; see Ranker."""
        return ranker.rank(self.view, 0, self.Y.shape[0], k, options)


def hold_out(examples, n_rows, train, columns=None, embedded=None):
    """Hold out examples and train trees on the others.

    Parameters
    ----------
    examples : Examples
    n_rows : int
        Number of training rows. Examples from later rows are label examples, which are not held
        out.
    train : callable
        Returns a sequence of TreeRanker trained on examples.
    columns : DenseColumns, optional
        By default, no columns are dense.
    embedded : Examples, optional
        With all columns of the same rows.

    Returns
    -------
    held_out : HeldOut or None
        None if there are too few examples to hold any out.
    """
    held, kept = _split(examples, n_rows)
    if len(held) < _FEWEST:
        return None
    others = _take_examples(examples, kept)
    trees = train(others)
    X = examples.X
    if embedded is not None:
        X = embedded.X
        embedded = _take_examples(embedded, _others_of(embedded, examples, held))
    columns = DenseColumns(X.shape[1], 0, "features") if columns is None else columns
    view = CSRView(X[examples.source[held]])
    return HeldOut(view, examples.Y[held], others, trees, columns, embedded, n_rows >= LARGE)


def _split(examples, n_rows):
    """Return the numbers of the held-out examples, and of the others."""
    real = np.flatnonzero(examples.source < n_rows)
    if n_rows >= LARGE:
        step = max(_LARGE_STEP, -(-len(real) // _MOST_OF_LARGE))
        held = _without_only_rows(examples.Y, real, real[::step])
    else:
        held = real[:: max(10, len(real) // _HELD_OUT)]
    return held, np.setdiff1d(np.arange(len(examples.source)), held)


def _without_only_rows(Y, real, held):
    """Leave out the examples with a label that none of the others has."""
    n_others = np.bincount(Y[np.setdiff1d(real, held)].indices, minlength=Y.shape[1])
    return held[Y[held] @ (n_others == 0).astype(np.float32) == 0]


def _others_of(embedded, examples, held):
    """Return the numbers of examples with all columns that are not among those held out.

    One that is held out may stand for several rows that differ in their embeddings only.
    """
    of_held = csr_hash_rows(examples.X[examples.source[held]], csr_hash_rows(examples.Y[held]))
    X = leading_columns(embedded.X, examples.X.shape[1])
    hashes = csr_hash_rows(X[embedded.source], csr_hash_rows(embedded.Y))
    return np.flatnonzero(~np.isin(hashes, of_held))


def _take_examples(examples, rows):
    """Return the examples with the given numbers."""

    def part(values):
        selected = None if values is None else values[rows]
        return sp.csr_matrix(selected) if sp.issparse(selected) else selected

    return examples._replace(
        Y=part(examples.Y),
        source=part(examples.source),
        weight=part(examples.weight),
        relevance=part(examples.relevance),
        negatives=part(examples.negatives),
    )
