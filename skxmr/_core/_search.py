"""Beam search in C."""

import math
import numbers
from typing import NamedTuple

import numpy as np

from ._layers import Layer, LayerView
from ._library import FLOAT, INT, KERNELS, LONG, MAX_INT, check, check_array, ffi, lib, pointer
from ._restriction import Restriction
from ._view import CStruct, CView

#: name -> (code, power)
POST_PROCESSORS = {
    "noop": (lib.SKX_NOOP, 1),
    "sigmoid": (lib.SKX_SIGMOID, 1),
    "log-sigmoid": (lib.SKX_LOG_SIGMOID, 1),
    **{f"l{p}-hinge": (lib.SKX_HINGE, p) for p in (1, 2, 3, 4)},
    **{f"log-l{p}-hinge": (lib.SKX_LOG_HINGE, p) for p in (1, 2, 3, 4)},
}


#: Post-processors that multiply the scores of child and parent. Others add or replace them.
PRODUCTS = ("sigmoid", "l1-hinge", "l2-hinge", "l3-hinge", "l4-hinge")

#: Number of sets of options whose rankers are kept.
_MOST_ROW_RANKERS = 64

# Looked up once: a row's search takes microseconds.
_INTS, _FLOATS = ffi.typeof("int32_t[]"), ffi.typeof("float[]")
_from_buffer, _rank_row = ffi.from_buffer, lib.skx_rank_row
_OK = lib.SKX_OK
_BAD_ROW = (lib.SKX_EINDEX, lib.SKX_EORDER, lib.SKX_EFINITE)


class Frontier(NamedTuple):
    """The nodes at which the search of each row begins.

    Row i begins at the nodes ``node[ptr[i]:ptr[i + 1]]`` of level ``level`` of the tree, with the
    scores ``score``. Level 0 is the root.
    """

    level: int
    ptr: np.ndarray
    node: np.ndarray
    score: np.ndarray


class SingleRowRankerCache:
    """Base of the classes that keep rankers of single rows, one for each set of options.

    The rankers are not pickled. Subclasses implement `_make_row_ranker`, which takes the options.
    """

    def __init__(self):
        self._row_rankers = {}

    def __getstate__(self):
        return {**self.__dict__, "_row_rankers": {}}

    def row_ranker(self, k, beam_width, post_processor):
        """Return the ranker of single rows with these options, which must be valid."""
        key = k, beam_width, post_processor
        ranker = self._row_rankers.get(key)
        if ranker is None:
            if len(self._row_rankers) >= _MOST_ROW_RANKERS:
                self._row_rankers = {}
            ranker = self._row_rankers[key] = self._make_row_ranker(*key)
        return ranker

    def cached_row_ranker(self, k, beam_width, post_processor):
        """Return the ranker of single rows with these options, or None if it was not made yet."""
        try:
            return self._row_rankers.get((k, beam_width, post_processor))
        except TypeError:  # not hashable, so never valid
            return None


class Model(CView, SingleRowRankerCache):
    """The layers of a tree, joined for the search.

    Parameters
    ----------
    layers : sequence of Layer
        From the root down, checked.
    slot_label : ndarray of int32
        The label of each child of the last layer.
    n_labels : int
    n_features : int
    max_copies : int, optional
        The largest number of slots with the same label. Counted by default.
    checksums : dict of str to int, optional
        That of `slot_label`, as in Layer.

    Raises
    ------
    ValueError
        If the sizes of the levels contradict each other, or a number is not valid.
    """

    def __init__(
        self, layers, slot_label, n_labels, n_features, max_copies=None, *, checksums=None
    ):
        self.layers = tuple(layers)
        self.slot_label = slot_label
        self.n_labels = n_labels
        self.n_features = n_features
        self.max_copies = int(np.bincount(slot_label).max()) if max_copies is None else max_copies
        self.checksums = checksums or {}
        super().__init__()
        self._check()

    def __setstate__(self, state):
        super().__setstate__({"checksums": {}, **state})  # missing in pickles of earlier releases
        self._check()

    def _check(self):
        """Check what a search relies on, except for the arrays of each layer."""
        check_array(self.slot_label, INT, "slot_label")
        if not all(isinstance(layer, Layer) for layer in self.layers):
            raise ValueError("the model has levels that are none")
        n_nodes = [len(layer.child_ptr) - 1 for layer in self.layers]
        if [*n_nodes, len(self.slot_label)] != [1, *self.widths]:
            raise ValueError("the sizes of the model's levels contradict each other")
        for name in ("n_labels", "n_features", "max_copies"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or not 1 <= value <= MAX_INT:
                raise ValueError(f"the model's {name} is {value!r:.80}")

    @property
    def nbytes(self):
        """Bytes in all arrays."""
        return sum(layer.nbytes for layer in self.layers) + self.slot_label.nbytes

    @property
    def widths(self):
        """Number of nodes of each level below the root."""
        return tuple(len(layer.bias) for layer in self.layers)

    @property
    def max_level_width(self):
        """Number of nodes of the widest level, the beam width of an exact search."""
        return max(self.widths)

    def max_results(self, beam_width):
        """Bound the number of labels that the search of one row can reach."""
        widths = np.sort(np.diff(self.layers[-1].child_ptr))[::-1]
        return int(min(self.n_labels, widths[:beam_width].sum()))

    def rank(
        self,
        view,
        lo,
        hi,
        *,
        k,
        beam_width,
        post_processor,
        floor=-np.inf,
        frontier=None,
        within=None,
        weight=1.0,
    ):
        """Rank labels for the rows lo <= i < hi of a checked matrix.

        `within` may be a pair (SortedPositions, ranges) that restricts each row of the matrix. All
        scores are multiplied by `weight`; if they are logarithms, its logarithm is added. Ties are
        determined by the weighted scores.

        Returns
        -------
        labels : ndarray of int32, shape (hi - lo, k)
            Best first, ties by lower label, padded with -1.
        scores : ndarray of float32, shape (hi - lo, k)
            Padded with -inf.
        """
        params = self._search_params(k, beam_width, post_processor, floor, weight)
        k_asked, k = k, min(k, self.n_labels)
        labels = np.empty((hi - lo, k), dtype=INT)
        scores = np.empty((hi - lo, k), dtype=FLOAT)
        start = _FrontierView(frontier) if frontier is not None else None
        limits = Restriction(*within) if within is not None else None
        check(
            lib.skx_rank(
                KERNELS,
                self._c_view().struct,
                view.struct,
                start.struct if start else ffi.NULL,
                limits.struct_for(self.widths, hi) if limits else ffi.NULL,
                params,
                lo,
                hi,
                pointer(labels, INT),
                pointer(scores, FLOAT),
            )
        )
        return pad_ranking(labels, scores, k_asked)

    def _make_row_ranker(self, k, beam_width, post_processor):
        return RowRanker(self, k, beam_width, post_processor)

    def weighted_row_ranker(self, k, beam_width, post_processor, weight):
        """Return a ranker of single rows with weighted scores; see `rank`."""
        return RowRanker(self, k, beam_width, post_processor, weight)

    def _search_params(self, k, beam_width, post_processor, floor=-np.inf, weight=1.0):
        code, power = POST_PROCESSORS[post_processor]
        # The score of the root is part of all scores, so the search orders by weighted scores.
        root = weight if post_processor in PRODUCTS else math.log(weight)
        # Larger numbers give the same result, but may not fit a C integer.
        sizes = [min(beam_width, self.max_level_width), min(k, self.n_labels)]
        return ffi.new("skx_search_params *", [*sizes, code, power, floor, root])

    def _make_view(self):
        layers = [LayerView(layer) for layer in self.layers]
        structs = ffi.new("skx_layer[]", [layer.struct[0] for layer in layers])
        slot_label = pointer(self.slot_label, INT)
        sizes = self.n_labels, self.max_copies
        struct = ffi.new("skx_model *", [self.n_features, len(layers), structs, slot_label, *sizes])
        return CStruct(struct, (layers, structs, slot_label))


class RowRanker:
    """Ranks one row at a time in one C call, which checks the row.

    The other arguments of the call are made once. Calls share no memory that they write to, so any
    number of threads may make them at once.
    """

    def __init__(self, model, k, beam_width, post_processor, weight=1.0):
        self.n_features = model.n_features
        self._view = model._c_view()
        self._widths = model.widths
        self._params = model._search_params(k, beam_width, post_processor, weight=weight)
        self._k_asked, self._k = k, min(k, model.n_labels)

    def sparse(self, indices, values, within=None):
        """Rank for the nonzeros of a row, two contiguous one-dimensional arrays of equal length.

        `within` may be a Restriction of one row.

        Returns
        -------
        ranking : tuple (labels, scores), each of shape (1, k), or None
            None if the arrays are not a canonical row with the features of this model.
        """
        if indices.dtype != INT or values.dtype != FLOAT or len(indices) != len(values):
            return None
        row = _from_buffer(_INTS, indices), _from_buffer(_FLOATS, values), len(values)
        return self._rank(*row, ffi.NULL if within is None else within.struct_for(self._widths, 1))

    def dense(self, row):
        """Rank for a dense row of float32; see `sparse`."""
        return self._rank(ffi.NULL, _from_buffer(_FLOATS, row), row.size, ffi.NULL)

    def _rank(self, indices, values, n, restriction):
        labels = np.empty((1, self._k), dtype=INT)
        scores = np.empty((1, self._k), dtype=FLOAT)
        status = _rank_row(
            KERNELS,
            self._view.struct,
            indices,
            values,
            n,
            restriction,
            self._params,
            _from_buffer(_INTS, labels),
            _from_buffer(_FLOATS, scores),
        )
        if status == _OK:
            return (labels, scores) if self._k == self._k_asked else self._pad(labels, scores)
        if status in _BAD_ROW:
            return None
        return check(status)

    def _pad(self, labels, scores):
        return pad_ranking(labels, scores, self._k_asked)


class _FrontierView:
    def __init__(self, frontier):
        self._buffers = (
            pointer(frontier.ptr, LONG),
            pointer(frontier.node, INT),
            pointer(frontier.score, FLOAT),
        )
        self.struct = ffi.new("skx_frontier *", [frontier.level, *self._buffers])


def pad_ranking(labels, scores, k):
    """Widen a result to k columns."""
    missing = k - labels.shape[1]
    if missing <= 0:
        return labels, scores
    labels = np.pad(labels, ((0, 0), (0, missing)), constant_values=-1)
    return labels, np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
