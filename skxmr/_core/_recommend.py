"""Recommendations and matrix factorization in C."""

from typing import Any, ClassVar, NamedTuple

import numpy as np

from ._cancel import cancel_pointer
from ._library import BYTE, FLOAT, INT, LONG, check, check_array, check_offsets, ffi, lib, pointer
from ._restriction import NumberSets, sets_view
from ._sparse import CSRView
from ._view import CStruct, CView

#: Labels, best first, and their scores, both of shape (n, k).
Ranking = tuple[np.ndarray, np.ndarray]

_INTS = ffi.typeof("int32_t[]")
_FLOATS = ffi.typeof("float[]")
_from_buffer = ffi.from_buffer
_recommend_row = lib.skx_recommend_row
_OK = lib.SKX_OK


class _Output(NamedTuple):
    """Arrays for the ranking of one row, and pointers to them."""

    k: int
    labels: np.ndarray
    scores: np.ndarray
    labels_pointer: Any
    scores_pointer: Any


def _output_of(k: int) -> _Output:
    labels = np.empty((1, k), INT)
    scores = np.empty((1, k), FLOAT)
    return _Output(k, labels, scores, pointer(labels, INT), pointer(scores, FLOAT))


class _Scratch:
    """Arrays that a call works in, for one thread at a time."""

    __slots__ = ("output", "owners", "struct")

    def __init__(self, n_items: int):
        arrays = np.zeros(n_items, FLOAT), np.zeros(n_items, BYTE), np.empty(n_items + 1, INT)
        self.owners = tuple(pointer(array, array.dtype) for array in arrays)
        self.struct = ffi.new("skx_item_scratch *", self.owners)
        self.output = _output_of(1)


class ItemModel(CView):
    """Related items of each item, and popularity.

    Any content of the arrays is safe as long as their lengths fit each other, which is checked.

    Parameters
    ----------
    popular_weight : float
    **arrays
        related_ptr, related, scores : related items of each item, best first.
        popular : score of each item without regard to a history.
        popular_order : all items by it, best first.
    """

    DTYPES: ClassVar[dict[str, np.dtype]] = {
        "related_ptr": LONG,
        "related": INT,
        "scores": FLOAT,
        "popular": FLOAT,
        "popular_order": INT,
    }

    def __init__(self, popular_weight: float, **arrays: np.ndarray):
        self.popular_weight = popular_weight
        self.arrays = arrays
        self._check()

    def _check(self) -> None:
        for name, dtype in self.DTYPES.items():
            check_array(self.arrays.get(name), dtype, name)
        a = self.arrays
        check_offsets(a["related_ptr"], len(a["related"]), "related_ptr")
        n_items = len(a["popular"])
        lengths = (len(a["related_ptr"]) - 1, len(a["popular_order"]), n_items)
        if len(set(lengths)) > 1 or len(a["related"]) != len(a["scores"]):
            raise ValueError("the arrays of the related items contradict each other")

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._check()

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.arrays["popular"])

    @property
    def nbytes(self) -> int:
        """Bytes in all arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def _make_view(self) -> CStruct:
        buffers = {name: pointer(self.arrays[name], t) for name, t in self.DTYPES.items()}
        struct = ffi.new("skx_item_model *", [self.n_items, *buffers.values(), self.popular_weight])
        # Threads take scratch arrays from the pool and give them back.
        return CStruct(struct, (buffers, []))

    def recommend(
        self,
        view: CSRView,
        begin: int,
        end: int,
        k: int,
        *,
        exclude_stored: bool,
        among: NumberSets | None = None,
        exclude: NumberSets | None = None,
    ) -> Ranking:
        """Rank items for some rows of a matrix."""
        labels = np.empty((end - begin, k), INT)
        scores = np.empty((end - begin, k), FLOAT)
        views = sets_view(among), sets_view(exclude)
        params = ffi.new("skx_recommend_params *", [k, exclude_stored, *(v.struct for v in views)])
        model = self._c_view()
        scratch = self._take_scratch(model)
        status = lib.skx_recommend(
            model.struct,
            view.struct,
            params,
            begin,
            end,
            scratch.struct,
            pointer(labels, INT),
            pointer(scores, FLOAT),
        )
        model.owners[1].append(scratch)
        check(status)
        return labels, scores

    def recommend_row(
        self, indices: np.ndarray, values: np.ndarray, k: int, exclude_stored: bool
    ) -> Ranking | None:
        """Rank items for one row, given by its entries. Any number of threads may call it at once.

        Returns
        -------
        ranking : tuple of ndarray
            None if the entries are not those of a canonical row of weights.
        """
        n = len(values)
        if indices.dtype != INT or values.dtype != FLOAT or len(indices) != n:
            return None
        model = self._c_view()
        scratch = self._take_scratch(model)
        output = scratch.output
        if output.k != k:
            output = scratch.output = _output_of(k)
        status = _recommend_row(
            model.struct,
            _from_buffer(_INTS, indices),
            _from_buffer(_FLOATS, values),
            n,
            k,
            exclude_stored,
            scratch.struct,
            output.labels_pointer,
            output.scores_pointer,
        )
        if status == _OK:
            ranking = output.labels.copy(), output.scores.copy()
            model.owners[1].append(scratch)
            return ranking
        model.owners[1].append(scratch)
        if status == lib.SKX_ENOMEM:
            check(status)
        return None

    def _take_scratch(self, model: CStruct) -> _Scratch:
        """Return scratch arrays, which belong to the thread until it gives them back."""
        try:
            return model.owners[1].pop()
        except IndexError:
            return _Scratch(self.n_items)


def dense_top_k(
    dense: np.ndarray,
    view: CSRView,
    begin: int,
    k: int,
    *,
    exclude_stored: bool,
    among: NumberSets | None = None,
    exclude: NumberSets | None = None,
) -> Ranking:
    """Rank the columns of dense float32 scores of the rows of a view from `begin` on."""
    n_rows, n_items = dense.shape
    labels = np.empty((n_rows, k), INT)
    scores = np.empty((n_rows, k), FLOAT)
    views = sets_view(among), sets_view(exclude)
    params = ffi.new("skx_recommend_params *", [k, exclude_stored, *(v.struct for v in views)])
    check(
        lib.skx_dense_top_k(
            pointer(dense, FLOAT),
            n_rows,
            n_items,
            view.struct,
            begin,
            params,
            pointer(labels, INT),
            pointer(scores, FLOAT),
        )
    )
    return labels, scores


def als_solve(
    view: CSRView,
    factors: np.ndarray,
    gram: np.ndarray,
    regularization: float,
    begin: int,
    end: int,
) -> np.ndarray:
    """Solve the least squares of some rows, see `skx_als_solve`.

    Returns
    -------
    solution : ndarray of float32, shape (end - begin, n_factors)
    """
    out = np.empty((end - begin, factors.shape[1]), FLOAT)
    check(
        lib.skx_als_solve(
            view.struct,
            pointer(factors, FLOAT),
            factors.shape[1],
            pointer(gram, FLOAT),
            regularization,
            cancel_pointer(),
            begin,
            end,
            pointer(out, FLOAT),
        )
    )
    return out


def bpr_epoch(
    view: CSRView,
    users: np.ndarray,
    items: np.ndarray,
    *,
    learning_rate: float,
    regularization: float,
    n_samples: int,
    seed: int,
) -> None:
    """Change the factors of users and items by stochastic gradient steps, see `skx_bpr_epoch`."""
    params = ffi.new(
        "skx_bpr_params *",
        [learning_rate, regularization, n_samples, seed, cancel_pointer()],
    )
    n_factors = users.shape[1]
    check(
        lib.skx_bpr_epoch(
            view.struct, params, n_factors, pointer(users, FLOAT), pointer(items, FLOAT)
        )
    )
