"""Beam search in C."""

from typing import NamedTuple

import numpy as np

from ._layers import LayerView
from ._library import FLOAT, INT, KERNELS, LONG, check, ffi, lib, pointer

#: name -> (code, power)
POST_PROCESSORS = {
    "noop": (lib.SKX_NOOP, 1),
    "sigmoid": (lib.SKX_SIGMOID, 1),
    "log-sigmoid": (lib.SKX_LOG_SIGMOID, 1),
    **{f"l{p}-hinge": (lib.SKX_HINGE, p) for p in (1, 2, 3, 4)},
    **{f"log-l{p}-hinge": (lib.SKX_LOG_HINGE, p) for p in (1, 2, 3, 4)},
}


class Frontier(NamedTuple):
    """Where the search of each row begins.

    Row i starts at the nodes ``node[ptr[i]:ptr[i + 1]]`` of tree level ``level``, whose scores so
    far are ``score``. Level 0 is the root.
    """

    level: int
    ptr: np.ndarray
    node: np.ndarray
    score: np.ndarray


class Model:
    """Layers joined into something that can be searched.

    Holds the arrays and, made on first use and never pickled, the C view of them.

    Parameters
    ----------
    layers : sequence of Layer
        From the root down, checked.
    slot_label : ndarray of int32
        The label of each child of the last layer.
    n_labels : int
    n_features : int
    max_copies : int, optional
        The largest number of slots that hold the same label; counted where it is not given.
    """

    def __init__(self, layers, slot_label, n_labels, n_features, max_copies=None):
        self.layers = tuple(layers)
        self.slot_label = slot_label
        self.n_labels = n_labels
        self.n_features = n_features
        self.max_copies = int(np.bincount(slot_label).max()) if max_copies is None else max_copies
        self._view = None

    def __getstate__(self):
        return {**self.__dict__, "_view": None}

    @property
    def nbytes(self):
        """Bytes in all arrays."""
        return sum(layer.nbytes for layer in self.layers) + self.slot_label.nbytes

    @property
    def widest(self):
        """Number of nodes of the widest level: a beam that loses nothing."""
        return max(len(layer.bias) for layer in self.layers)

    def largest_result(self, beam_width):
        """Bound how many labels one row's search can reach."""
        widths = np.sort(np.diff(self.layers[-1].child_ptr))[::-1]
        return int(min(self.n_labels, widths[:beam_width].sum()))

    def rank(self, view, lo, hi, *, k, beam_width, post_processor, floor=-np.inf, frontier=None):
        """Rank labels for the rows lo to hi of a checked matrix.

        Returns
        -------
        labels : ndarray of int32, shape (hi - lo, k)
            Best first, ties by lower label, padded with -1.
        scores : ndarray of float32, shape (hi - lo, k)
            Padded with -inf.
        """
        code, power = POST_PROCESSORS[post_processor]
        # Widths beyond what the tree holds change nothing, and fit no C integer.
        k_asked, k = k, min(k, self.n_labels)
        beam_width = min(beam_width, self.widest)
        labels = np.empty((hi - lo, k), dtype=INT)
        scores = np.empty((hi - lo, k), dtype=FLOAT)
        model = self._c_model()  # held here: another thread may replace the one that is kept
        params = ffi.new("skx_search_params *", [beam_width, k, code, power, floor])
        start = _FrontierView(frontier) if frontier is not None else None
        check(
            lib.skx_rank(
                KERNELS,
                model.struct,
                view.struct,
                start.struct if start else ffi.NULL,
                params,
                lo,
                hi,
                pointer(labels, INT),
                pointer(scores, FLOAT),
            )
        )
        return _pad(labels, scores, k_asked)

    def _c_model(self):
        view = self._view
        if view is None:
            view = self._view = _ModelView(self)
        return view


class _ModelView:
    def __init__(self, model):
        self._layers = [LayerView(layer) for layer in model.layers]
        self._array = ffi.new("skx_layer[]", [view.struct[0] for view in self._layers])
        self._slot_label = pointer(model.slot_label, INT)
        self.struct = ffi.new(
            "skx_model *",
            [
                model.n_features,
                len(self._layers),
                self._array,
                self._slot_label,
                model.n_labels,
                model.max_copies,
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


def _pad(labels, scores, k):
    """Widen a result to k columns."""
    missing = k - labels.shape[1]
    if missing <= 0:
        return labels, scores
    labels = np.pad(labels, ((0, 0), (0, missing)), constant_values=-1)
    return labels, np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
