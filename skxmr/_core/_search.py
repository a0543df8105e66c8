"""Beam search in C."""

from typing import NamedTuple

import numpy as np

from ._layers import LayerView
from ._library import FLOAT, INT, KERNELS, LONG, check, ffi, lib, pointer

#: Codes of the formulas of post-processors.
NOOP, SIGMOID, LOG_SIGMOID = lib.SKX_NOOP, lib.SKX_SIGMOID, lib.SKX_LOG_SIGMOID
HINGE, LOG_HINGE = lib.SKX_HINGE, lib.SKX_LOG_HINGE

# Looked up once: the search of a row takes microseconds.
_INTS = ffi.typeof("int32_t[]")
_FLOATS = ffi.typeof("float[]")
_from_buffer = ffi.from_buffer
_rank_row = lib.skx_rank_row
_OK = lib.SKX_OK
BAD_ROW = (lib.SKX_EINDEX, lib.SKX_EORDER, lib.SKX_EFINITE)


class Frontier(NamedTuple):
    """Where the search of each row starts.

    Row i starts at the nodes ``node[ptr[i]:ptr[i + 1]]`` of tree level ``level``, whose scores so
    far are ``score``. Level 0 is the root.
    """

    level: int
    ptr: np.ndarray
    node: np.ndarray
    score: np.ndarray


class SearchParams(NamedTuple):
    """What the search of one tree is given besides the rows.

    Attributes
    ----------
    k : int
        Number of labels, at most that of the tree.
    beam_width : int
        Number of nodes kept per level, at most the maximum of the tree's levels.
    code, power : int
        Formula of the post-processor.
    floor : float
        Labels of lower scores are left out.
    root_score : float
        Score of the root, which the scores of all nodes are joined to.
    """

    k: int
    beam_width: int
    code: int
    power: int
    floor: float = -np.inf
    root_score: float = 1.0


class ModelView:
    """The C struct of a tree's layers, which owns the memory that it points to.

    Parameters
    ----------
    layers : sequence of Layer
        From the root down, checked.
    slot_label : ndarray of int32
        The label of each child of the last layer.
    n_labels, n_features : int
    max_copies : int
        The largest number of slots that hold the same label.
    """

    def __init__(self, layers, slot_label, n_labels, n_features, max_copies):
        self.widths = tuple(len(layer.bias) for layer in layers)
        self.n_features = n_features
        self._layers = [LayerView(layer) for layer in layers]
        self._array = ffi.new("skx_layer[]", [view.struct[0] for view in self._layers])
        self._slot_label = pointer(slot_label, INT)
        self.struct = ffi.new(
            "skx_model *",
            [
                n_features,
                len(layers),
                self._array,
                self._slot_label,
                n_labels,
                max_copies,
                layers[0].n_dense,
            ],
        )


def search_rows(model, view, begin, end, params, frontier=None, restriction=None):
    """Rank labels for the rows from `begin` up to `end` of a checked matrix.

    Parameters
    ----------
    model : ModelView
    view : CSRView
    begin, end : int
    params : SearchParams
    frontier : Frontier, optional
    restriction : RestrictionView, optional

    Returns
    -------
    labels : ndarray of int32, shape (end - begin, params.k)
        Best first, ties by lower label, padded with -1.
    scores : ndarray of float32, shape (end - begin, params.k)
        Padded with -inf.
    """
    labels = np.empty((end - begin, params.k), dtype=INT)
    scores = np.empty((end - begin, params.k), dtype=FLOAT)
    start = None if frontier is None else _FrontierView(frontier)
    check(
        lib.skx_rank(
            KERNELS,
            model.struct,
            view.struct,
            ffi.NULL if start is None else start.struct,
            ffi.NULL if restriction is None else restriction.struct_for(model.widths, end),
            _params_struct(params),
            begin,
            end,
            pointer(labels, INT),
            pointer(scores, FLOAT),
        )
    )
    return labels, scores


class RowSearch:
    """Searches one row at a time in one C call, which checks the row.

    What a call needs besides the row is made once. Calls share nothing they write to, so that any
    number of threads may make them at once.

    Parameters
    ----------
    model : ModelView
    params : SearchParams
    """

    def __init__(self, model, params):
        self.n_features = model.n_features
        self._model = model
        self._k = params.k
        self._params = _params_struct(params)

    def sparse(self, indices, values, restriction=None):
        """Rank for a row's nonzeros, two contiguous one-dimensional arrays.

        Parameters
        ----------
        indices : ndarray of int32, shape (n_nonzeros,)
        values : ndarray of float32, shape (n_nonzeros,)
        restriction : RestrictionView of one row, optional

        Returns
        -------
        ranking : tuple (labels, scores), each of shape (1, k), or None
            None if the arrays are not a canonical row of the model's features.
        """
        if indices.dtype != INT or values.dtype != FLOAT or len(indices) != len(values):
            return None
        limits = ffi.NULL
        if restriction is not None:
            limits = restriction.struct_for(self._model.widths, 1)
        row = _from_buffer(_INTS, indices), _from_buffer(_FLOATS, values), len(values)
        return self._rank(*row, limits)

    def dense(self, row, restriction=None):
        """Rank for a dense row of float32; see `sparse`."""
        limits = ffi.NULL
        if restriction is not None:
            limits = restriction.struct_for(self._model.widths, 1)
        return self._rank(ffi.NULL, _from_buffer(_FLOATS, row), row.size, limits)

    def _rank(self, indices, values, n, limits):
        labels = np.empty((1, self._k), dtype=INT)
        scores = np.empty((1, self._k), dtype=FLOAT)
        status = _rank_row(
            KERNELS,
            self._model.struct,
            indices,
            values,
            n,
            limits,
            self._params,
            _from_buffer(_INTS, labels),
            _from_buffer(_FLOATS, scores),
        )
        if status == _OK:
            return labels, scores
        if status in BAD_ROW:
            return None
        return check(status)


def _params_struct(params):
    return ffi.new(
        "skx_search_params *",
        [
            params.beam_width,
            params.k,
            params.code,
            params.power,
            params.floor,
            params.root_score,
        ],
    )


class _FrontierView:
    def __init__(self, frontier):
        self._buffers = (
            pointer(frontier.ptr, LONG),
            pointer(frontier.node, INT),
            pointer(frontier.score, FLOAT),
        )
        self.struct = ffi.new("skx_frontier *", [frontier.level, *self._buffers])


def pad_ranking(labels, scores, k):
    """Widen a ranking to k columns."""
    missing = k - labels.shape[1]
    if missing <= 0:
        return labels, scores
    labels = np.pad(labels, ((0, 0), (0, missing)), constant_values=-1)
    return labels, np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
