"""Neighbours that vote for labels, and rankings added up, in C."""

import numpy as np

from ._library import FLOAT, INT, LONG, check, ffi, lib, pointer
from ._search import pad_ranking
from ._sparse import csr_fault


class Voters:
    """Training rows that vote for their labels.

    Holds the arrays and, made on first use and never pickled, the C view of them. Any content of
    the arrays is safe as long as their lengths fit each other, which is checked.

    Parameters
    ----------
    n_features, n_labels : int
    **arrays
        indptr, indices, data : the rows as CSR, scaled to unit norm.
        label_ptr, labels : the labels of each row.
        carrier_ptr, carriers : the rows of each label.
        weight : how many times each row counts.
    source : ndarray of int32, optional
        Which of the rows given each of them is; of several equal ones, the first. Only to be told.
    n_given : int
        How many rows were given.

    Raises
    ------
    ValueError
        If the lengths of the arrays contradict each other.
    """

    DTYPES = {
        "indptr": LONG,
        "indices": INT,
        "data": FLOAT,
        "label_ptr": LONG,
        "labels": INT,
        "carrier_ptr": LONG,
        "carriers": INT,
        "weight": FLOAT,
    }

    def __init__(self, n_features, n_labels, *, source=None, n_given=0, **arrays):
        self.n_features, self.n_labels = n_features, n_labels
        self.source, self.n_given = source, n_given
        self.arrays = arrays
        length = {name: len(array) for name, array in arrays.items()}
        fit = (
            length["label_ptr"] == length["indptr"] == length["weight"] + 1
            and length["carrier_ptr"] == n_labels + 1
            and length["indices"] == length["data"]
            and length["carriers"] == length["labels"]
            and (source is None or len(source) == length["weight"])
        )
        if not fit:
            raise ValueError("the arrays of the rows that vote contradict each other")

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_view"}

    @property
    def n_rows(self):
        """Number of rows."""
        return len(self.arrays["weight"])

    @property
    def nbytes(self):
        """Bytes in all arrays."""
        told = 0 if self.source is None else self.source.nbytes
        return told + sum(array.nbytes for array in self.arrays.values())

    def check(self):
        """Raise a ValueError unless the content of the arrays is what it should be."""
        a = self.arrays
        if not (np.isfinite(a["weight"]).all() and (a["weight"] > 0).all()):
            raise ValueError("the rows that vote have weights that are not positive")
        source = self.source
        if source is not None and not ((source >= 0) & (source < self.n_given)).all():
            raise ValueError("the rows that vote have numbers of rows that were not given")
        for name, ptr, index, n_columns in (
            ("features", "indptr", "indices", self.n_features),
            ("labels", "label_ptr", "labels", self.n_labels),
            ("carriers", "carrier_ptr", "carriers", self.n_rows),
        ):
            data = a["data"] if name == "features" else np.ones(len(a[index]), FLOAT)
            fault = csr_fault(a[ptr], a[index], data, n_columns)
            if fault:
                raise ValueError(f"the rows that vote have {name} of which one {fault}")

    def neighbors(self, view, lo, hi, labels, n_neighbors, n_candidates):
        """Find the rows most similar to each query among those that carry its labels.

        Parameters
        ----------
        view : CSRView
            The queries, of which the rows `lo` to `hi` are looked at.
        lo, hi : int
        labels : ndarray of int32, shape (hi - lo, n_listed)
            Padded with -1.
        n_neighbors, n_candidates : int
            Rows found, and rows compared, at most.

        Returns
        -------
        neighbors : ndarray of int32, shape (hi - lo, n_neighbors)
            Most similar first, ties by lower row, padded with -1.
        similarity : ndarray of float32, shape (hi - lo, n_neighbors)
            The cosines, padded with 0.
        """
        shape = hi - lo, n_neighbors
        neighbors, similarity = np.empty(shape, INT), np.empty(shape, FLOAT)
        params = ffi.new("skx_neighbor_params *", [n_neighbors, n_candidates])
        check(
            lib.skx_find_neighbors(
                self._struct(),
                view.struct,
                params,
                lo,
                hi,
                labels.shape[1],
                pointer(labels, INT),
                pointer(neighbors, INT),
                pointer(similarity, FLOAT),
            )
        )
        return neighbors, similarity

    def _struct(self):
        view = vars(self).get("_view")
        if view is None:  # once there, it stays: other threads may be using it
            view = vars(self).setdefault("_view", _VotersView(self))
        return view.struct


class _VotersView:
    def __init__(self, voters):
        pointers = {
            name: pointer(voters.arrays[name], dtype) for name, dtype in voters.DTYPES.items()
        }
        rows = [pointers[name] for name in ("indptr", "indices", "data")]
        others = ("label_ptr", "labels", "carrier_ptr", "carriers", "weight")
        self._owners = pointers
        self.struct = ffi.new(
            "skx_voters *",
            [
                [voters.n_rows, voters.n_features, *rows],
                len(voters.arrays["indices"]),
                voters.n_labels,
                len(voters.arrays["labels"]),
                *(pointers[name] for name in others),
            ],
        )


def combine(listed, scores, list_weight, k, n_labels, *, floor=-np.inf, votes=None):
    """Add up what rankings, and neighbours, say of each label.

    Parameters
    ----------
    listed : ndarray of int32, shape (n, n_listed)
        Labels of one or several rankings, padded with -1.
    scores : ndarray of float32, shape (n, n_listed)
    list_weight : float
        What the scores are multiplied by.
    k, n_labels : int
    floor : float
        Labels of lower scores are left out.
    votes : tuple (voters, neighbors, similarity, power, share), optional
        `share` is what the votes, which sum to one over the neighbours, are multiplied by.

    Returns
    -------
    labels : ndarray of int32, shape (n, k)
        Best first, ties by lower label, padded with -1.
    scores : ndarray of float32, shape (n, k)
        Padded with -inf.
    """
    n, n_listed = listed.shape
    voters, neighbors, similarity, power, share = votes or (None,) * 3 + (1.0, 0.0)
    n_neighbors = 0 if voters is None else neighbors.shape[1]
    kept = min(k, n_labels)
    params = ffi.new("skx_combine_params *", [n_neighbors, power, share, floor, kept])
    labels, out = np.empty((n, kept), INT), np.empty((n, kept), FLOAT)
    check(
        lib.skx_combine(
            ffi.NULL if voters is None else voters._struct(),
            params,
            n,
            n_listed,
            list_weight,
            pointer(listed, INT),
            pointer(scores, FLOAT),
            ffi.NULL if voters is None else pointer(neighbors, INT),
            ffi.NULL if voters is None else pointer(similarity, FLOAT),
            pointer(labels, INT),
            pointer(out, FLOAT),
        )
    )
    return pad_ranking(labels, out, k)
