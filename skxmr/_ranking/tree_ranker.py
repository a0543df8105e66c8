"""Ranking with the linear rankers of one label tree."""

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._core import (
    INT,
    MAX_INT,
    CSRView,
    CView,
    Layer,
    ModelView,
    RestrictionView,
    RowSearch,
    SearchParams,
    check_array,
    indptr_of,
    pad_ranking,
    search_rows,
)
from .base import Ranker, RowRanker, SearchOptions
from .constraint import Constraint
from .post_processors import POST_PROCESSORS, PostProcessor
from .restriction import Restriction


class TreeRanker(CView, Ranker):
    """Ranks labels with a beam search through the layers of one label tree.

    Parameters
    ----------
    layers : sequence of Layer
        From the root down, checked.
    slot_label : ndarray of int32
        The label of each child of the last layer.
    n_labels : int
    n_features : int
    max_copies : int, optional
        The largest number of slots that hold the same label; counted if it is not given.
    checksums : dict of str to int, optional
        Of `slot_label`, as those of a Layer.

    Raises
    ------
    ValueError
        If the sizes of levels contradict each other, or a size is not a positive number.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        slot_label: np.ndarray,
        n_labels: int,
        n_features: int,
        max_copies: int | None = None,
        *,
        checksums: dict[str, int] | None = None,
    ):
        self.layers = tuple(layers)
        self.slot_label = slot_label
        self.n_labels = n_labels
        self.n_features = n_features
        self.max_copies = int(np.bincount(slot_label).max()) if max_copies is None else max_copies
        self.checksums = checksums or {}
        super().__init__()
        self._check()

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Earlier releases pickled no checksums.
        super().__setstate__({"checksums": {}, **state})
        self._check()

    def _check(self) -> None:
        """Check what a search relies on besides each layer's own arrays."""
        check_array(self.slot_label, INT, "slot_label")
        if not all(isinstance(layer, Layer) for layer in self.layers):
            raise ValueError("the model has levels that are not layers")
        n_nodes = [len(layer.child_ptr) - 1 for layer in self.layers]
        if [*n_nodes, len(self.slot_label)] != [1, *self.widths]:
            raise ValueError("the sizes of the model's levels contradict each other")
        if {layer.n_dense for layer in self.layers} != {self.n_dense}:
            raise ValueError("the levels of the model have different numbers of dense features")
        for name in ("n_labels", "n_features", "max_copies"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or not 1 <= value <= MAX_INT:
                raise ValueError(f"the model's {name} is {value!r:.80}")
        if self.n_dense > self.n_features:
            raise ValueError(f"the model has {self.n_dense} dense features of {self.n_features}")

    def __getstate__(self):
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_label_slots"}

    @property
    def label_slots(self):
        """The slots of each label, which are made on first use.

        A pair (pointers, slots): label l has the slots ``slots[pointers[l]:pointers[l + 1]]``.
        Slots with labels out of range, which a damaged model may have, are left out.
        """
        found = vars(self).get("_label_slots")
        if found is None:
            found = self._label_slots = self._make_label_slots()
        return found

    def _make_label_slots(self):
        labels = self.slot_label
        slots = np.flatnonzero((labels >= 0) & (labels < self.n_labels)).astype(INT)
        labels = labels[slots]
        counts = np.bincount(labels, minlength=self.n_labels)
        if (counts <= 1).all():
            by_label = np.empty(self.n_labels, dtype=INT)
            by_label[labels] = slots
            return indptr_of(counts), by_label[counts > 0]
        return indptr_of(counts), slots[np.argsort(labels, kind="stable")]

    @property
    def n_dense(self) -> int:
        """Number of last features whose weights are stored as a dense block."""
        return self.layers[0].n_dense if self.layers else 0

    @property
    def trees(self) -> tuple:
        """The ranker itself."""
        return (self,)

    @property
    def nbytes(self) -> int:
        """Bytes in all arrays."""
        return sum(layer.nbytes for layer in self.layers) + self.slot_label.nbytes

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of nodes of each level below the root."""
        return tuple(len(layer.bias) for layer in self.layers)

    @property
    def max_level_width(self) -> int:
        """Maximum number of nodes of a level. A beam of this width loses no label."""
        return max(self.widths)

    def max_results(self, beam_width: int) -> int:
        """Return an upper bound of the number of labels that the search of a row reaches."""
        widths = np.sort(np.diff(self.layers[-1].child_ptr))[::-1]
        return int(min(self.n_labels, widths[:beam_width].sum()))

    def rank(
        self,
        view: CSRView,
        begin: int,
        end: int,
        k: int,
        options: SearchOptions,
        weight: float = 1.0,
        tree: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rank labels; see Ranker.

        Parameters
        ----------
        view : CSRView
        begin, end, k : int
        options : SearchOptions
        weight : float, default=1.0
            Weight of all scores. It is multiplied into the score of the root, so that the search
            orders labels by the scores that it returns.
        tree : int, default=0
            Number of this tree among those that the frontier, the restriction and the constraint
            are made for.
        """
        post_processor = options.post_processor
        params = self._search_params(
            k, options.beam_width, post_processor, options.floor, post_processor.root_score(weight)
        )
        frontier = None if options.frontier is None else options.frontier[tree]
        limits = _restriction_view(options.restriction, options.constraint, tree)
        ranking = search_rows(self._c_view(), view, begin, end, params, frontier, limits)
        return pad_ranking(*ranking, k)

    def _make_row_ranker(self, k: int, beam_width: int, post_processor: str) -> RowRanker:
        return self.weighted_row_ranker(k, beam_width, post_processor)

    def weighted_row_ranker(
        self, k: int, beam_width: int, post_processor: str, weight: float = 1.0, tree: int = 0
    ) -> RowRanker:
        """Return a ranker of single rows whose scores are weighted; see `rank`."""
        post_processor = POST_PROCESSORS[post_processor]
        root_score = post_processor.root_score(weight)
        params = self._search_params(k, beam_width, post_processor, -np.inf, root_score)
        return _TreeRowRanker(RowSearch(self._c_view(), params), k, params.k, tree)

    def _search_params(
        self,
        k: int,
        beam_width: int,
        post_processor: PostProcessor,
        floor: float,
        root_score: float,
    ) -> SearchParams:
        return SearchParams(
            # Widths beyond what the tree holds change nothing, and fit no C integer.
            k=min(k, self.n_labels),
            beam_width=min(beam_width, self.max_level_width),
            code=post_processor.code,
            power=post_processor.power,
            floor=floor,
            root_score=root_score,
        )

    def _make_view(self) -> ModelView:
        return ModelView(
            self.layers, self.slot_label, self.n_labels, self.n_features, self.max_copies
        )


class _TreeRowRanker:
    """Ranks one row at a time; see RowRanker."""

    def __init__(self, search: RowSearch, k: int, n_found: int, tree: int):
        self.n_features = search.n_features
        self._search = search
        self._k = k
        self._is_padded = k > n_found
        self._tree = tree

    def sparse(
        self,
        indices: np.ndarray,
        values: np.ndarray,
        restriction: Restriction | None = None,
        constraint: Constraint | None = None,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        limits = _restriction_view(restriction, constraint, self._tree)
        return self._padded(self._search.sparse(indices, values, limits))

    def dense(
        self,
        row: np.ndarray,
        restriction: Restriction | None = None,
        constraint: Constraint | None = None,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        limits = _restriction_view(restriction, constraint, self._tree)
        return self._padded(self._search.dense(row, limits))

    def _padded(self, ranking):
        if ranking is None or not self._is_padded:
            return ranking
        return pad_ranking(*ranking, self._k)


def _restriction_view(
    restriction: Restriction | None, constraint: Constraint | None, tree: int
) -> RestrictionView | None:
    """Return the C view of a restriction and a constraint, None if both are None."""
    if restriction is None and constraint is None:
        return None
    order = (None, None)
    if restriction is not None:
        order = restriction.order.by_tree[tree], restriction.ranges
    slots = (None, None) if constraint is None else constraint.slots_by_tree[tree]
    return RestrictionView(*order, *slots)
