"""Training rows among which nearest neighbors are found, in C."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from ._arrays import indptr_of
from ._library import FLOAT, INT, LONG, WORD, check, check_array, ffi, lib, pointer
from ._neighbor_memo import NEIGHBOR_MEMOS
from ._sparse import CSRView, csr_fault
from ._view import CStruct, CView


class StoredRows(CView):
    """Training rows among which nearest neighbors are found, and their labels.

    Subclasses say in what form the rows are stored. Any content of the arrays is safe as long as
    their lengths fit each other, which is checked.

    Parameters
    ----------
    n_features, n_labels : int
    **arrays
        label_ptr, labels : the labels of each row.
        posting_ptr, postings : the rows of each label.
        weight : how many times each row counts.
        And those of the subclass, which store the rows.
    source : ndarray of int32, optional
        Number of each row among the given rows; of several equal ones, the first. Only for
        explanations.
    n_given : int
        Number of given rows.
    checksums : dict of str to int, optional
        Those of the arrays and of `source`, as in Layer.

    Raises
    ------
    ValueError
        If an array has another dtype, or the lengths of the arrays contradict each other.
    """

    #: The arrays of the subclass.
    ROW_DTYPES: ClassVar[dict[str, np.dtype]]

    LABEL_DTYPES: ClassVar[dict[str, np.dtype]] = {
        "label_ptr": LONG,
        "labels": INT,
        "posting_ptr": LONG,
        "postings": INT,
        "weight": FLOAT,
    }

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        *,
        source: np.ndarray | None = None,
        n_given: int = 0,
        checksums: dict[str, int] | None = None,
        **arrays: np.ndarray,
    ):
        self.n_features = n_features
        self.n_labels = n_labels
        self.source = source
        self.n_given = n_given
        self.arrays = arrays
        self.checksums = checksums or {}
        self._check_lengths()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"checksums": {}, **state})  # missing in pickles of earlier releases
        self._check_lengths()

    @classmethod
    def dtypes(cls) -> dict[str, np.dtype]:
        """Return the dtypes of all arrays."""
        return {**cls.ROW_DTYPES, **cls.LABEL_DTYPES}

    def _check_lengths(self) -> None:
        """Check what C relies on."""
        for name, dtype in self.dtypes().items():
            check_array(self.arrays.get(name), dtype, name)
        source = self.source
        if source is not None:
            check_array(source, INT, "source")
        length = {name: len(array) for name, array in self.arrays.items()}
        fit = (
            self._rows_fit(length)
            and length["label_ptr"] == length["weight"] + 1
            and length["posting_ptr"] == self.n_labels + 1
            and length["postings"] == length["labels"]
            and (source is None or len(source) == length["weight"])
        )
        if not fit:
            raise ValueError("the arrays of the neighbors contradict each other")

    @abstractmethod
    def _rows_fit(self, length: dict[str, int]) -> bool:
        """Return whether the lengths of the row arrays fit the number of rows."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.arrays["weight"])

    @property
    def nbytes(self) -> int:
        """Bytes in all arrays."""
        of_source = 0 if self.source is None else self.source.nbytes
        return of_source + sum(array.nbytes for array in self.arrays.values())

    def check(self) -> None:
        """Raise a ValueError if the content of an array is not valid."""
        a = self.arrays
        if not (np.isfinite(a["weight"]).all() and (a["weight"] > 0).all()):
            raise ValueError("the neighbors have weights that are not positive")
        source = self.source
        if source is not None and not ((source >= 0) & (source < self.n_given)).all():
            raise ValueError("the neighbors have numbers of rows that were not given")
        for name, ptr, index, n_columns in (
            ("labels", "label_ptr", "labels", self.n_labels),
            ("postings", "posting_ptr", "postings", self.n_rows),
        ):
            fault = csr_fault(a[ptr], a[index], np.ones(len(a[index]), FLOAT), n_columns)
            if fault:
                raise ValueError(f"the neighbors have {name} of which one {fault}")
        self._check_rows()

    @abstractmethod
    def _check_rows(self) -> None:
        """Raise a ValueError if the content of a row array is not valid."""

    @abstractmethod
    def find(
        self,
        view: CSRView,
        begin: int,
        end: int,
        labels: np.ndarray | None,
        n_neighbors: int,
        n_candidates: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the rows most similar to each query among those that have one of its labels.

        Parameters
        ----------
        view : CSRView
            The queries are its rows begin <= i < end.
        begin, end : int
        labels : ndarray of int32, shape (end - begin, n_listed)
            Padded with -1.
        n_neighbors, n_candidates : int
            Largest number of rows that are found, and that are compared.

        Returns
        -------
        neighbors : ndarray of int32, shape (end - begin, n_neighbors)
            Most similar first, ties by lower row, padded with -1.
        similarity : ndarray of float32, shape (end - begin, n_neighbors)
            The cosines, padded with 0.
        """

    @abstractmethod
    def row_arrays(self, kept: np.ndarray) -> dict[str, np.ndarray]:
        """Return the arrays that store the rows where the mask `kept` is true."""

    @abstractmethod
    def joined_row_arrays(self, kept: np.ndarray, others: Any) -> dict[str, np.ndarray]:
        """Return the same, followed by the rows of others of this class."""

    @abstractmethod
    def content(self) -> sp.csr_matrix:
        """Return the stored rows as a matrix whose rows are equal where they are equal."""

    def _make_view(self) -> CStruct:
        pointers = {name: pointer(self.arrays[name], t) for name, t in self.dtypes().items()}
        struct = ffi.new("skx_neighbor_rows *")
        struct.n_rows = self.n_rows
        struct.n_labels = self.n_labels
        struct.n_entries = len(self.arrays["labels"])
        struct.label_ptr = pointers["label_ptr"]
        struct.label = pointers["labels"]
        struct.posting_ptr = pointers["posting_ptr"]
        struct.posting = pointers["postings"]
        struct.weight = pointers["weight"]
        self._set_rows(struct, pointers)
        return CStruct(struct, (pointers,))

    @abstractmethod
    def _set_rows(self, struct: Any, pointers: dict[str, Any]) -> None:
        """Set the fields of the C struct that store the rows."""


class NeighborRows(StoredRows):
    """Training rows that are stored sparsely.

    Parameters
    ----------
    n_features, n_labels, source, n_given, checksums
        As of StoredRows.
    **arrays
        Those of StoredRows, and word_ptr, words : the rows, from `pack_rows`.

    Attributes
    ----------
    key : str or None
        Identifies the content of the arrays, if the same queries are to be ranked repeatedly, as in
        a search over parameters. What was found for them is then kept for a while.
    """

    ROW_DTYPES: ClassVar[dict[str, np.dtype]] = {"word_ptr": LONG, "words": WORD}

    key: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "key"}

    def _rows_fit(self, length: dict[str, int]) -> bool:
        return length["word_ptr"] == length["weight"] + 1

    def _check_rows(self) -> None:
        a = self.arrays
        ends = np.r_[0, a["word_ptr"], len(a["words"])]
        if ends[1] != 0 or ends[-2] != ends[-1] or (np.diff(ends[1:-1]) < 1).any():
            raise ValueError("the neighbors begin or end outside their words")
        if not np.isfinite(a["words"][a["word_ptr"][:-1]].view(FLOAT)).all():
            raise ValueError("the neighbors have scales that are not finite")

    def find(
        self,
        view: CSRView,
        begin: int,
        end: int,
        labels: np.ndarray | None,
        n_neighbors: int,
        n_candidates: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the most similar rows; see StoredRows."""
        neighbors = np.empty((end - begin, n_neighbors), INT)
        similarity = np.empty((end - begin, n_neighbors), FLOAT)
        params = ffi.new("skx_neighbor_params *", [n_neighbors, n_candidates])
        with self._memo(view, begin, end, labels.shape[1], n_neighbors) as memo:
            check(
                lib.skx_find_neighbors(
                    self._c_view().struct,
                    view.struct,
                    params,
                    begin,
                    end,
                    labels.shape[1],
                    pointer(labels, INT),
                    memo,
                    pointer(neighbors, INT),
                    pointer(similarity, FLOAT),
                )
            )
        return neighbors, similarity

    @contextmanager
    def _memo(
        self, view: CSRView, begin: int, end: int, n_listed: int, n_neighbors: int
    ) -> Iterator[Any]:
        """Hold the results of earlier searches; NULL without any, or if a thread uses them."""
        memo = None
        if self.key is not None:
            memo = NEIGHBOR_MEMOS.find(self.key, view, begin, end, n_listed, n_neighbors)
        if memo is None or not memo.lock.acquire(blocking=False):
            yield ffi.NULL
            return
        try:
            yield memo.struct
        finally:
            memo.lock.release()

    def row_arrays(self, kept: np.ndarray) -> dict[str, np.ndarray]:
        """Return the arrays of some rows; see StoredRows."""
        lengths = np.diff(self.arrays["word_ptr"])
        words = self.arrays["words"]
        if not kept.all():
            words = words[np.repeat(kept, lengths)]
        return {"word_ptr": indptr_of(lengths[kept]), "words": words}

    def joined_row_arrays(self, kept: np.ndarray, others: "NeighborRows") -> dict[str, np.ndarray]:
        """Return the arrays of some rows and of others; see StoredRows."""
        own = self.row_arrays(kept)
        added = own["word_ptr"][-1] + others.arrays["word_ptr"][1:]
        return {
            "word_ptr": np.concatenate((own["word_ptr"], added)),
            "words": np.concatenate((own["words"], others.arrays["words"])),
        }

    def content(self) -> sp.csr_matrix:
        """Return the words of the rows. Each half of a word fits into a float32."""
        pointers = 2 * self.arrays["word_ptr"]
        halves = self.arrays["words"].view(np.uint16).astype(np.float32)
        columns = np.arange(len(halves)) - np.repeat(pointers[:-1], np.diff(pointers))
        shape = (self.n_rows, int(np.diff(pointers).max(initial=1)))
        return sp.csr_matrix((halves, columns.astype(np.int32), pointers), shape=shape)

    def _set_rows(self, struct: Any, pointers: dict[str, Any]) -> None:
        struct.n_words = len(self.arrays["words"])
        struct.word_ptr = pointers["word_ptr"]
        struct.word = pointers["words"]


def pack_rows(X: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Pack rows into four bytes per nonzero, for comparisons.

    Parameters
    ----------
    X : csr_matrix of float32, shape (n, n_features)

    Returns
    -------
    word_ptr : ndarray of int64, shape (n + 1,)
    words : ndarray of uint32, shape (n + nnz,)
        The words of a row are its scale, a float32, and ``256 * feature + 128 + step`` for each
        nonzero. A step is the value times 127, divided by the largest value of the row and rounded.
        The scale is 1 over the norm of the steps. Only the lowest 24 bits of a feature are stored.
    """
    n = X.shape[0]
    lengths = np.diff(X.indptr)
    filled = np.flatnonzero(lengths)
    scale = np.ones(n, dtype=FLOAT)
    starts = X.indptr[filled]
    with np.errstate(over="ignore"):  # rows that small have no meaningful direction
        scale[filled] = np.float32(127) / np.maximum.reduceat(np.abs(X.data), starts)
    steps = np.rint(X.data * np.repeat(np.minimum(scale, np.finfo(FLOAT).max), lengths))
    scale[filled] = 1 / np.sqrt(np.maximum(np.add.reduceat(steps * steps, starts), 1))
    word_ptr = X.indptr.astype(np.int64) + np.arange(n + 1)
    words = np.empty(n + X.nnz, dtype=WORD)
    words[word_ptr[:-1]] = scale.view(WORD)
    packed = (X.indices.astype(WORD) << 8) + (steps.astype(INT) + 128).astype(WORD)
    words[np.arange(X.nnz) + np.repeat(np.arange(1, n + 1), lengths)] = packed
    return word_ptr, words
