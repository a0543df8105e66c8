"""N-grams of text, counted and weighed in C."""

import functools
import itertools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ._arrays import indptr_of
from ._cancel import cancel_pointer
from ._library import BYTE, FLOAT, INT, LONG, MAX_INT, check, check_array, ffi, lib, pointer
from ._terms import SLACK, ExtendableTerms, Terms, extended_array, index_strings, index_terms
from ._texts import Texts
from ._view import CView

#: Statistics of a column: skx_column_use in the C header.
_USE = np.dtype([("n_texts", "<u4"), ("entry", "<u4")])

ANALYZERS = {
    "word": lib.SKX_WORD,
    "char": lib.SKX_CHAR,
    "char_wb": lib.SKX_CHAR_WB,
    "char_end": lib.SKX_CHAR_END,
}
OCCURRENCES = {
    "each": lib.SKX_COUNT_EACH,
    "first": lib.SKX_COUNT_FIRST,
    "by position": lib.SKX_COUNT_BY_POSITION,
}
NORMS = {None: lib.SKX_NORM_NONE, "l1": lib.SKX_NORM_L1, "l2": lib.SKX_NORM_L2}

#: Largest number of bytes in UTF-8 of a single text.
MAX_TEXT_BYTES = lib.SKX_MAX_TEXT_BYTES

#: Initial capacity for entries, and the number of entries per step if there are many.
_CAPACITY = 1 << 18

#: Number of entries that are summed at a time.
_BLOCK = 1 << 24

_DOUBLE = np.dtype(np.float64)
_DOUBLES = "double[]"
_USES = "skx_column_use[]"

# Looked up once: a text takes microseconds.
_LONGS = ffi.typeof("int64_t[]")
_INTS = ffi.typeof("int32_t[]")
_FLOATS = ffi.typeof("float[]")
_PROGRESS = ffi.typeof("skx_ngram_progress *")
_ROWS = ffi.typeof("skx_csr_buffers *")
_from_buffer = ffi.from_buffer
_transform = lib.skx_ngrams_transform
_OK = lib.SKX_OK
_FULL = lib.SKX_ECAPACITY

#: indptr, indices and data of some rows.
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


class NGramBlock(NamedTuple):
    """The definition of one block of n-grams; see skx_ngram_params in the C header."""

    analyzer: str
    min_n: int
    max_n: int
    min_token_length: int
    end_mark: str
    occurrence: str
    stop_words: tuple[str, ...]
    lead_length: int = 0  # missing in models of earlier releases
    lead_weight: float = 1.0

    def check(self) -> None:
        """Raise a ValueError if a field is not valid, as in a damaged pickle."""
        numbers = self.min_n, self.max_n, self.min_token_length
        options_valid = self.analyzer in ANALYZERS and self.occurrence in OCCURRENCES
        numbers_valid = all(type(n) is int for n in numbers) and 1 <= self.min_n <= self.max_n
        words = (self.end_mark, *self.stop_words)
        words_valid = all(isinstance(word, str) and word for word in words)
        lead_valid = type(self.lead_length) is int and 1 <= self.lead_weight < np.inf
        if not (
            options_valid
            and numbers_valid
            and words_valid
            and lead_valid
            and len(self.end_mark) == 1
        ):
            raise ValueError(f"the vocabulary is not made of n-grams: {self!r:.200}")

    def fields(self, stop_words: Any) -> list:
        """Return the values of an `skx_ngram_params`, given the stop words in C."""
        mark = self.end_mark.encode("utf-8", "surrogatepass")
        return [
            ANALYZERS[self.analyzer],
            OCCURRENCES[self.occurrence],
            min(self.min_n, 2 * MAX_TEXT_BYTES),
            min(self.max_n, 2 * MAX_TEXT_BYTES),
            min(self.min_token_length, 2 * MAX_TEXT_BYTES),
            stop_words,
            len(mark),
            list(mark),
            min(self.lead_length, 2 * MAX_TEXT_BYTES),
            self.lead_weight,
            pointer(_kinds(), BYTE),
        ]


def _params(blocks: Sequence[NGramBlock]) -> tuple[Any, tuple]:
    """Make an array of `skx_ngram_params`; return it and the objects that it borrows."""
    terms = [index_strings(block.stop_words) for block in blocks]
    structs = [ffi.new("skx_terms *", t.fields()) if len(t.ptr) > 1 else ffi.NULL for t in terms]
    fields = [block.fields(struct) for block, struct in zip(blocks, structs, strict=True)]
    return ffi.new("skx_ngram_params[]", fields), (terms, structs)


class NGramWeights(NamedTuple):
    """How counts become weights; see skx_ngram_weights in the C header."""

    sublinear: bool
    idf: np.ndarray | None
    block_norm: str | None
    norm: str | None

    def struct(self) -> Any:
        """Make an `skx_ngram_weights`, which borrows the idf."""
        idf = ffi.NULL if self.idf is None else pointer(self.idf, _DOUBLE, _DOUBLES)
        fields = [self.sublinear, idf, NORMS[self.block_norm], NORMS[self.norm]]
        return ffi.new("skx_ngram_weights *", fields)


class Learner:
    """Counts n-grams, and learns those that are new.

    Parameters
    ----------
    blocks : sequence of NGramBlock
    n_texts : int
        Total number of texts to learn.
    """

    def __init__(self, blocks: Sequence[NGramBlock], n_texts: int):
        self.n_blocks = len(blocks)
        self.params, self._stop_words = _params(blocks)
        self.terms = [ExtendableTerms(MAX_INT // len(blocks)) for _ in blocks]
        self._uses = np.zeros(0, dtype=_USE)
        self._rows = _ExtendableRows(n_texts)

    @property
    def n_columns(self) -> int:
        """Number of columns of the counts."""
        return max(terms.n_terms for terms in self.terms) * self.n_blocks

    @property
    def n_texts(self) -> np.ndarray:
        """Number of texts with the n-gram of each column."""
        return self._uses["n_texts"][: self.n_columns]

    def learn(self, blob: bytes, ptr: np.ndarray) -> None:
        """Count the n-grams of the texts ``blob[ptr[i]:ptr[i + 1]]``, with `ptr` of int64."""
        texts = Texts(blob, ptr)
        begin = 0
        while begin < texts.n:
            begin = self._step(texts, begin)

    def _step(self, texts: Texts, begin: int) -> int:
        """Learn texts from `begin` on until a capacity is used up; return the next text."""
        term_capacity = max(len(terms.ptr) for terms in self.terms)
        if term_capacity * self.n_blocks > len(self._uses):
            self._uses = extended_array(self._uses, self.n_columns, term_capacity * self.n_blocks)
        structs = ffi.new("skx_terms[]", [terms.fields() for terms in self.terms])
        progress = _progress()
        indptr = np.empty(texts.n - begin + 1, LONG)
        uses = pointer(self._uses, _USE, _USES)
        rows = self._rows.struct(indptr)
        status = lib.skx_ngrams_learn(
            texts.struct, self.n_blocks, self.params, begin, texts.n, structs, uses, progress, rows
        )
        for terms, struct in zip(self.terms, structs, strict=True):
            terms.n_terms = struct.n_terms
            terms.n_bytes = struct.n_bytes
        self._rows.advance(indptr[: progress.done - begin + 1])
        if status == _FULL:
            self._reserve(progress)
        else:
            check(status)
        return progress.done

    def _reserve(self, progress: Any) -> None:
        """Extend the rows or the terms, whichever are full."""
        if progress.entries:
            self._rows.reserve(progress.entries)
        else:
            self.terms[progress.block].reserve(progress.bytes)

    def sums(self) -> np.ndarray:
        """Return the sum of the counts of each column."""
        _, indices, counts = self._rows.arrays()
        sums = np.zeros(self.n_columns)
        for begin in range(0, len(indices), _BLOCK):  # NumPy copies its arguments to wider types
            part = slice(begin, begin + _BLOCK)
            sums += np.bincount(indices[part], counts[part], minlength=len(sums))
        return sums

    def sorted(self, block: int, terms: np.ndarray) -> np.ndarray:
        """Sort numbers of n-grams of a block by code points, in place."""
        ptr, blob = self.terms[block].pointers()
        check(lib.skx_terms_sort(ptr, blob, len(terms), cancel_pointer(), pointer(terms, INT)))
        return terms

    def chosen(self, block: int, terms: np.ndarray) -> Terms:
        """Return the `Terms` of a block that have these numbers, in this order."""
        known = self.terms[block]
        ptr, blob = known.pointers()
        lengths = np.diff(known.ptr[: known.n_terms + 1])
        out_ptr = np.empty(len(terms) + 1, dtype=LONG)
        out_bytes = np.zeros(int(lengths[terms].sum()) + SLACK, dtype=BYTE)
        check(
            lib.skx_terms_take(
                ptr,
                blob,
                pointer(terms, INT),
                len(terms),
                pointer(out_ptr, LONG),
                pointer(out_bytes, BYTE),
            )
        )
        return Terms(out_ptr, out_bytes, index_terms(len(terms), out_ptr, out_bytes))

    def weigh(self, chosen: Sequence[np.ndarray], weights: NGramWeights) -> Rows:
        """Convert the counts to the rows of a transform. The counts are no longer available.

        Parameters
        ----------
        chosen : sequence of ndarray of int32
            The n-grams of each block to keep, in the order of their columns.
        weights : NGramWeights

        Returns
        -------
        indptr, indices, data : ndarray
        """
        ends = np.cumsum([len(terms) for terms in chosen], dtype=LONG)
        column = np.full(self.n_columns, -1, dtype=INT)
        for block, (terms, end) in enumerate(zip(chosen, ends, strict=True)):
            column[terms * self.n_blocks + block] = np.arange(end - len(terms), end)
        indptr, indices, data = self._rows.take()
        rows = _rows_struct(indptr, indices, data)
        check(
            lib.skx_ngrams_weigh(
                len(indptr) - 1,
                self.n_blocks,
                pointer(ends, LONG),
                pointer(column, INT),
                weights.struct(),
                cancel_pointer(),
                rows,
            )
        )
        for array in (indices, data):
            array.resize(indptr[-1], refcheck=False)
        return indptr, indices, data


class _ExtendableRows:
    """Rows of counts, with capacity for more."""

    def __init__(self, n_texts: int):
        self.n_texts = n_texts
        self.n_rows = 0
        self.n_entries = 0
        self._indices = np.empty(_CAPACITY, INT)
        self._counts = np.empty(_CAPACITY, FLOAT)
        self._lengths: list[np.ndarray] = []

    def struct(self, indptr: np.ndarray) -> Any:
        """Make an `skx_csr_buffers` for the next rows, whose pointers are written to `indptr`."""
        return _rows_struct(indptr, self._indices[self.n_entries :], self._counts[self.n_entries :])

    def advance(self, indptr: np.ndarray) -> None:
        """Append the rows that were written there."""
        self._lengths.append(np.diff(indptr))
        self.n_rows += len(indptr) - 1
        self.n_entries += int(indptr[-1])

    def reserve(self, n_more: int) -> None:
        """Extend the capacity to the number of entries that all texts are expected to have.

        To extend arrays takes longer than to fill them, and capacity that is never used takes no
        memory.

        Parameters
        ----------
        n_more : int
            Least number of entries to add to the capacity.
        """
        capacity = len(self._indices)
        expected = 1.1 * self.n_entries / max(self.n_rows, 1) * self.n_texts
        capacity = int(np.clip(expected, 1.5 * capacity, 8 * capacity))
        capacity = max(capacity, self.n_entries + n_more)
        for name in ("_indices", "_counts"):
            array = getattr(self, name)
            extended = np.empty(capacity, dtype=array.dtype)
            extended[: self.n_entries] = array[: self.n_entries]
            setattr(self, name, extended)

    def arrays(self) -> Rows:
        """Return indptr, indices and counts of the rows."""
        indptr = indptr_of(np.concatenate(self._lengths) if self._lengths else [])
        return indptr, self._indices[: self.n_entries], self._counts[: self.n_entries]

    def take(self) -> Rows:
        """Return indptr, indices and counts, the last two with unused capacity, and drop them."""
        indptr, _, _ = self.arrays()
        indices = self._indices
        counts = self._counts
        del self._indices, self._counts
        return indptr, indices, counts


class NGramModel(CView):
    """Known n-grams and their weights.

    Parameters
    ----------
    blocks : sequence of NGramBlock
    terms : sequence of Terms
        The n-grams of each block, in the order of their columns.
    weights : NGramWeights
    """

    def __init__(self, blocks: Sequence[NGramBlock], terms: Sequence[Terms], weights: NGramWeights):
        self.blocks = tuple(blocks)
        self.terms = tuple(terms)
        self.weights = weights
        self._vocabulary: dict[str, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_vocabulary": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.check()

    def check(self) -> None:
        """Raise a ValueError if the parts do not fit together, as in a damaged pickle."""
        for block in self.blocks:
            block.check()
        for terms in self.terms:
            terms.fields()
        if self.weights.idf is not None:
            check_array(self.weights.idf, _DOUBLE, "idf")
        if len(self.blocks) != len(self.terms):
            raise ValueError("the vocabulary's arrays contradict each other")
        self._check_idf()

    def _check_idf(self) -> None:
        idf = self.weights.idf
        if idf is not None and len(idf) != self.n_features:
            raise ValueError("the vocabulary's arrays contradict each other")

    @property
    def nbytes(self) -> int:
        """Bytes in the arrays of terms."""
        return sum(array.nbytes for terms in self.terms for array in terms)

    @property
    def block_ends(self) -> list[int]:
        """Where the columns of each block end."""
        return list(itertools.accumulate(len(terms.ptr) - 1 for terms in self.terms))

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.block_ends[-1]

    @property
    def vocabulary(self) -> dict[str, int]:
        """The column of each name, made on first use."""
        if self._vocabulary is None:
            self._vocabulary = {name: j for j, name in enumerate(self.names())}
        return self._vocabulary

    def names(self) -> list[str]:
        """Return the n-gram of each column; with several blocks, after the name of the analyzer."""
        if len(self.blocks) == 1:
            return self.terms[0].strings()
        pairs = zip(self.blocks, self.terms, strict=True)
        return [f"{block.analyzer}__{name}" for block, terms in pairs for name in terms.strings()]

    def transform(self, blob: bytes, ptr: np.ndarray) -> Rows:
        """Compute the weights of the n-grams of texts.

        Parameters
        ----------
        blob : bytes
        ptr : ndarray of int64
            Text i is ``blob[ptr[i]:ptr[i + 1]]``.

        Returns
        -------
        indptr, indices, data : ndarray
        """
        view = self._c_view()
        texts = Texts(blob, ptr)
        capacity = min(_CAPACITY, 64 + len(blob) * view.entries_per_byte)
        rows, n_more = view.rows(texts, 0, capacity)
        return rows if len(rows[0]) == len(ptr) else self._joined(view, texts, rows, n_more)

    def _joined(self, view: "_ModelView", texts: Texts, rows: Rows, n_more: int) -> Rows:
        """Compute the rows after the given ones, and join all."""
        parts = [rows]
        begin = len(rows[0]) - 1
        capacity = max(_CAPACITY, n_more)
        while begin < texts.n:
            rows, n_more = view.rows(texts, begin, capacity)
            capacity = max(capacity, n_more)
            parts.append(rows)
            begin += len(rows[0]) - 1
        return joined_rows(parts)

    def _make_view(self) -> "_ModelView":
        return _ModelView(self)


class _ModelView:
    """The C structs over a model, and the objects that they borrow."""

    def __init__(self, model: NGramModel):
        model._check_idf()
        self._n_blocks = len(model.blocks)
        self._params, self._stop_words = _params(model.blocks)
        self._fields = [terms.fields() for terms in model.terms]
        self._terms = ffi.new("skx_terms[]", self._fields)
        self._weights = model.weights.struct()
        self._idf = model.weights.idf
        # An estimate, for texts of usual length.
        self.entries_per_byte = sum(min(b.max_n - b.min_n, 8) + 1 for b in model.blocks)

    def rows(self, texts: Texts, begin: int, capacity: int) -> tuple[Rows, int]:
        """Compute the rows of texts from `begin` on until the capacity is used up.

        Returns
        -------
        rows : tuple (indptr, indices, data)
        n_more : int
            Number of entries of the next row.
        """
        indptr = np.empty(texts.n - begin + 1, LONG)
        indices = np.empty(capacity, INT)
        data = np.empty(capacity, FLOAT)
        progress = _progress()
        out = _rows_struct(indptr, indices, data)
        status = _transform(
            texts.struct,
            self._n_blocks,
            self._params,
            self._terms,
            self._weights,
            begin,
            texts.n,
            progress,
            out,
        )
        if status != _OK and status != _FULL:
            check(status)
        n_rows = progress.done - begin
        used = indptr[n_rows]
        rows = indptr[: n_rows + 1].copy(), indices[:used].copy(), data[:used].copy()
        return rows, progress.entries


def _progress() -> Any:
    """Make an `skx_ngram_progress`."""
    progress = ffi.new(_PROGRESS)  # all zeros: an initializer would take microseconds
    flag = cancel_pointer()
    if flag:
        progress.cancel = flag
    return progress


def _rows_struct(indptr: np.ndarray, indices: np.ndarray, data: np.ndarray) -> Any:
    """Make an `skx_csr_buffers` over arrays, which must outlive it."""
    rows = ffi.new(_ROWS)
    rows.capacity = len(indices)
    rows.indptr = _from_buffer(_LONGS, indptr)
    rows.indices = _from_buffer(_INTS, indices)
    rows.data = _from_buffer(_FLOATS, data)
    return rows


def joined_rows(parts: Sequence[Rows]) -> Rows:
    """Join rows (indptr, indices, data)."""
    lengths = np.concatenate([np.diff(indptr) for indptr, _, _ in parts])
    return (
        indptr_of(lengths),
        np.concatenate([indices for _, indices, _ in parts]),
        np.concatenate([data for _, _, data in parts]),
    )


@functools.cache
def _kinds() -> np.ndarray:
    """Return the kind of every code point, as defined by Python's regular expressions."""
    code_points = np.arange(lib.SKX_CODE_POINTS, dtype="<u4").tobytes()
    characters = code_points.decode("utf-32-le", "surrogatepass")
    kinds = np.zeros(lib.SKX_CODE_POINTS, dtype=BYTE)
    for pattern, kind in ((r"\w+", lib.SKX_WORD_CHARACTER), (r"\s+", lib.SKX_SPACE)):
        for run in re.finditer(pattern, characters):
            kinds[slice(*run.span())] |= kind
    return kinds
