"""Related items, recommendations and matrix factorization in C."""

from typing import Any, ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp

from ._arrays import indptr_of
from ._cancel import cancel_pointer
from ._library import BYTE, FLOAT, INT, LONG, check, check_array, check_offsets, ffi, lib, pointer
from ._restriction import NumberSets, sets_view
from ._sparse import CSRBuffers, CSRView
from ._view import CStruct, CView

DOUBLE = np.dtype(np.float64)
_SHARE = np.dtype([("cell", INT), ("fraction", FLOAT)])

RELATEDNESS = {
    "corrected": lib.SKX_CORRECTED,
    "difference": lib.SKX_DIFFERENCE,
    "cosine": lib.SKX_COSINE,
    "jaccard": lib.SKX_JACCARD,
    "lift": lib.SKX_LIFT,
    "log_likelihood": lib.SKX_LOG_LIKELIHOOD,
    "count": lib.SKX_COUNT,
    "weighted": lib.SKX_WEIGHTED,
}

#: Labels, best first, and their scores, both of shape (n, k).
Ranking = tuple[np.ndarray, np.ndarray]

_INTS = ffi.typeof("int32_t[]")
_FLOATS = ffi.typeof("float[]")
_from_buffer = ffi.from_buffer
_recommend_row = lib.skx_recommend_row
_OK = lib.SKX_OK


def _double_pointer(array: np.ndarray) -> Any:
    return pointer(array, DOUBLE, "double[]")


class Purchases:
    """Rows of users that counts of pairs of items are made from.

    Parameters
    ----------
    row_ptr, rows : ndarray of int64 and int32
        For each item, the rows of the histories that have it.
    target_ptr, targets : ndarray of int64 and int32
        For each row, the items that follow.
    same : bool
        Whether the targets are the histories.
    row_weight : ndarray of float32, shape (n_rows,), optional
    factor : ndarray of float32, shape (n_items,), optional
        Weights of rows and factors of items, for the measure "weighted".
    """

    def __init__(
        self,
        row_ptr: np.ndarray,
        rows: np.ndarray,
        target_ptr: np.ndarray,
        targets: np.ndarray,
        *,
        same: bool,
        row_weight: np.ndarray | None = None,
        factor: np.ndarray | None = None,
    ):
        self.n_rows = len(target_ptr) - 1
        self.n_items = len(row_ptr) - 1
        check_offsets(row_ptr, len(rows), "row_ptr")
        check_offsets(target_ptr, len(targets), "target_ptr")
        self.same = same
        self.row_ptr = row_ptr
        self.target_ptr = target_ptr
        self.rows = rows
        self.n_with = np.diff(row_ptr)
        self.n_followers = np.bincount(targets, minlength=self.n_items).astype(LONG)
        # Frequent items come first.
        self.item_of = np.argsort(-self.n_followers, kind="stable").astype(INT)
        position_of = np.empty(self.n_items, dtype=INT)
        position_of[self.item_of] = np.arange(self.n_items, dtype=INT)
        weights = [ffi.NULL] * 3
        if row_weight is not None and factor is not None:
            weights = [pointer(w, FLOAT) for w in (row_weight, factor, factor[self.item_of])]
        buffers = (
            pointer(row_ptr, LONG),
            pointer(rows, INT),
            pointer(target_ptr, LONG),
            pointer(position_of[targets], INT),
            pointer(self.item_of, INT),
            pointer(position_of, INT),
            pointer(self.n_with, LONG),
            pointer(self.n_followers[self.item_of], LONG),
            *weights,
        )
        self.struct = ffi.new("skx_purchases *", [self.n_rows, self.n_items, *buffers])
        self._owners = buffers

    def costs(self) -> np.ndarray:
        """Return the number of targets that are counted for each item."""
        lengths = np.diff(self.target_ptr)
        sums = indptr_of(lengths[self.rows])
        return np.diff(sums[self.row_ptr])


class Expectation:
    """Tables of the expected number of rows with two items, see `skx_expectation`.

    Parameters
    ----------
    others : ndarray of int64, shape (n_rows,)
        Number of other targets of each row.
    purchases : Purchases
    n_nodes : int
    """

    def __init__(self, others: np.ndarray, purchases: Purchases, n_nodes: int = 64):
        n_followers = purchases.n_followers[purchases.item_of]
        shares = n_followers / max(1, n_followers.sum())
        sizes, row_size = np.unique(others, return_inverse=True)
        row_size = row_size.astype(INT)
        sizes = np.ascontiguousarray(sizes, dtype=LONG)
        present = shares[shares > 0]
        least = present.min(initial=0.5)
        most = present.max(initial=0.5)
        # Two nodes are below and three above the shares of all items.
        step = max(np.log(most / least) / (n_nodes - 6), 1e-3)
        nodes = np.exp(np.log(least) + step * (np.arange(n_nodes) - 2.5))
        nodes = np.ascontiguousarray(np.minimum(nodes, 1 - 1e-12 * np.arange(n_nodes, 0, -1)))
        table = np.empty((len(sizes), n_nodes))
        check(
            lib.skx_expectation_fill(
                len(sizes),
                pointer(sizes, LONG),
                n_nodes,
                _double_pointer(nodes),
                _double_pointer(table),
            )
        )
        cell = np.clip(np.searchsorted(nodes, shares, side="right") - 1, 2, n_nodes - 4)
        fraction = (shares - nodes[cell]) / (nodes[cell + 1] - nodes[cell])
        located = np.empty(len(shares), dtype=_SHARE)
        located["cell"] = cell
        located["fraction"] = np.clip(fraction, 0, 1)
        weight = np.ascontiguousarray(_lagrange(nodes, cell, shares))
        buffers = (
            pointer(row_size, INT),
            _double_pointer(table),
            pointer(located, _SHARE, "skx_share[]"),
            _double_pointer(weight),
        )
        self.struct = ffi.new("skx_expectation *", [n_nodes, len(sizes), *buffers])
        self._owners = buffers


def _lagrange(nodes: np.ndarray, cell: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the weights of six nodes in the polynomial through them."""
    x = nodes[cell[:, np.newaxis] + np.arange(-2, 4)]
    weight = np.ones_like(x)
    for i in range(6):
        for j in range(6):
            if i != j:
                weight[:, i] *= (points - x[:, j]) / (x[:, i] - x[:, j])
    return weight


def find_related(
    purchases: Purchases,
    expectation: Expectation | None,
    items: np.ndarray,
    relatedness: str,
    shrinkage: float,
    n_related: int,
    n_least: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the most related items of some items.

    Returns
    -------
    lengths : ndarray of int64, shape (len(items),)
    related : ndarray of int32
    scores : ndarray of float32
        Those of each item, best first.
    """
    capacity = len(items) * min(n_related, max(1, purchases.n_items))
    params = ffi.new(
        "skx_related_params *",
        [
            RELATEDNESS[relatedness],
            shrinkage,
            n_related,
            n_least,
            purchases.same,
            cancel_pointer(),
        ],
    )
    out = CSRBuffers(len(items), capacity)
    check(
        lib.skx_related(
            purchases.struct,
            ffi.NULL if expectation is None else expectation.struct,
            params,
            pointer(items, INT),
            len(items),
            out.struct,
        )
    )
    return np.diff(out.indptr), *out.entries()


def cooccurrences(purchases: Purchases, begin: int, end: int) -> sp.csr_matrix:
    """Count the rows with two items, for some items.

    Returns
    -------
    counts : csr_matrix of float32, shape (end - begin, n_items)
        Not sorted.
    """
    costs = purchases.costs()[begin:end]
    capacity = int(np.minimum(costs, purchases.n_items).sum())
    out = CSRBuffers(end - begin, capacity)
    cancel = cancel_pointer()
    check(lib.skx_cooccurrences(purchases.struct, purchases.same, cancel, begin, end, out.struct))
    return out.matrix(purchases.n_items)


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
