"""N-grams of text, counted and weighed in C."""

import functools
import itertools
import re
from typing import NamedTuple

import numpy as np

from ._arrays import indptr_of
from ._cancel import cancel_pointer
from ._library import BYTE, FLOAT, INT, LONG, MAX_INT, check, check_array, ffi, lib, pointer
from ._texts import Texts
from ._view import CView

#: One slot of a hash table of terms, as skx_term_slot in the C header.
TERM_SLOT = np.dtype([("word", "<u8"), ("tag", "<u4"), ("term", "<i4")])

#: What learning knows of a column, as skx_column_use in the C header.
_USE = np.dtype([("n_texts", "<u4"), ("place", "<u4")])

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

#: Bytes of UTF-8 that a single text may have.
MOST_TEXT = lib.SKX_MOST_TEXT

#: Bytes that may be read behind strings.
_SLACK = lib.SKX_SLACK

#: Entries for which there is room at first, and that are made at a time where there are many.
_CAPACITY = 1 << 18

#: Entries that are summed at a time.
_BLOCK = 1 << 24

_DOUBLE = np.dtype(np.float64)
_DOUBLES, _SLOTS, _USES = "double[]", "skx_term_slot[]", "skx_column_use[]"

# Looked up once: a text takes microseconds.
_LONGS = ffi.typeof("int64_t[]")
_INTS, _FLOATS = ffi.typeof("int32_t[]"), ffi.typeof("float[]")
_PROGRESS = ffi.typeof("skx_ngram_progress *")
_from_buffer, _transform = ffi.from_buffer, lib.skx_ngrams_transform
_OK, _FULL = lib.SKX_OK, lib.SKX_ECAPACITY


class NGramBlock(NamedTuple):
    """What one block of n-grams is made of; see skx_ngram_params in the C header."""

    analyzer: str
    min_n: int
    max_n: int
    min_token_length: int
    end_mark: str
    occurrence: str
    stop_words: tuple

    def check(self):
        """Raise a ValueError unless all is what C takes."""
        numbers = self.min_n, self.max_n, self.min_token_length
        options = self.analyzer in ANALYZERS and self.occurrence in OCCURRENCES
        counts = all(type(n) is int for n in numbers) and 1 <= self.min_n <= self.max_n
        words = all(isinstance(word, str) and word for word in (self.end_mark, *self.stop_words))
        if not (options and counts and words and len(self.end_mark) == 1):
            raise ValueError(f"the vocabulary is not made of n-grams: {self!r:.200}")

    def fields(self, stop_words):
        """Values of an `skx_ngram_params`, given the stop words in C."""
        mark = self.end_mark.encode("utf-8", "surrogatepass")
        return [
            ANALYZERS[self.analyzer],
            OCCURRENCES[self.occurrence],
            min(self.min_n, 2 * MOST_TEXT),
            min(self.max_n, 2 * MOST_TEXT),
            min(self.min_token_length, 2 * MOST_TEXT),
            stop_words,
            len(mark),
            list(mark),
            pointer(_kinds(), BYTE),
        ]


def _params(blocks):
    """Make an array of `skx_ngram_params`; and what it borrows."""
    terms = [_index_strings(block.stop_words) for block in blocks]
    structs = [ffi.new("skx_terms *", t.fields()) if len(t.ptr) > 1 else ffi.NULL for t in terms]
    pairs = zip(blocks, structs, strict=True)
    return ffi.new("skx_ngram_params[]", [block.fields(s) for block, s in pairs]), (terms, structs)


class NGramWeights(NamedTuple):
    """What becomes of counts; see skx_ngram_weights in the C header."""

    sublinear: bool
    idf: np.ndarray | None
    block_norm: str | None
    norm: str | None

    def struct(self):
        """Make an `skx_ngram_weights`, which borrows the idf."""
        idf = ffi.NULL if self.idf is None else pointer(self.idf, _DOUBLE, _DOUBLES)
        norms = NORMS[self.block_norm], NORMS[self.norm]
        return ffi.new("skx_ngram_weights *", [self.sublinear, idf, *norms])


class Terms(NamedTuple):
    """Distinct strings in UTF-8, followed by some bytes, and the hash table that finds them."""

    ptr: np.ndarray
    bytes: np.ndarray
    slots: np.ndarray

    def fields(self):
        """Values of an `skx_terms`, after checking that the arrays have the stated lengths."""
        for name, dtype in (("ptr", LONG), ("bytes", BYTE), ("slots", TERM_SLOT)):
            check_array(getattr(self, name), dtype, name)
        n_terms, n_slots = len(self.ptr) - 1, len(self.slots)
        n_bytes = len(self.bytes) - _SLACK
        if n_terms < 0 or n_bytes < 0 or n_slots < 1 or n_slots & (n_slots - 1):
            raise ValueError("the vocabulary's arrays contradict each other")
        arrays = (
            pointer(self.ptr, LONG),
            pointer(self.bytes, BYTE),
            pointer(self.slots, TERM_SLOT, _SLOTS),
        )
        return [n_terms, n_bytes, n_terms, n_bytes, n_slots, *arrays]

    def strings(self):
        """The strings as a list."""
        blob, ptr = self.bytes.tobytes(), self.ptr.tolist()
        return [blob[lo:hi].decode("utf-8", "surrogatepass") for lo, hi in itertools.pairwise(ptr)]


class Learner:
    """Counts n-grams that need not be known yet.

    Parameters
    ----------
    blocks : sequence of NGramBlock
    n_texts : int
        How many texts are going to be learned.
    """

    def __init__(self, blocks, n_texts):
        self.n_blocks = len(blocks)
        self.params, self._stop_words = _params(blocks)
        self.terms = [_GrowingTerms(MAX_INT // len(blocks)) for _ in blocks]
        self._uses = np.zeros(0, dtype=_USE)
        self._rows = _GrowingRows(n_texts)

    @property
    def n_columns(self):
        """Columns of the counts."""
        return max(terms.n_terms for terms in self.terms) * self.n_blocks

    @property
    def n_texts(self):
        """In how many texts each column occurs."""
        return self._uses["n_texts"][: self.n_columns]

    def learn(self, blob, ptr):
        """Count the n-grams of texts ``blob[ptr[i]:ptr[i + 1]]``, a bytes object and int64."""
        texts = Texts(blob, ptr)
        lo = 0
        while lo < texts.n:
            lo = self._step(texts, lo)

    def _step(self, texts, lo):
        """Learn texts from `lo` on, as many as there is room for, and return where to go on."""
        capacity = max(len(terms.ptr) for terms in self.terms)
        if capacity * self.n_blocks > len(self._uses):
            self._uses = _lengthened(self._uses, self.n_columns, capacity * self.n_blocks)
        structs = ffi.new("skx_terms[]", [terms.fields() for terms in self.terms])
        progress, indptr = _progress(), np.empty(texts.n - lo + 1, LONG)
        capacity, indices, counts = self._rows.room()
        status = lib.skx_ngrams_learn(
            *(texts.struct, self.n_blocks, self.params, lo, texts.n, capacity, structs),
            *(pointer(self._uses, _USE, _USES), progress, pointer(indptr, LONG), indices, counts),
        )
        for terms, struct in zip(self.terms, structs, strict=True):
            terms.n_terms, terms.n_bytes = struct.n_terms, struct.n_bytes
        self._rows.advance(indptr[: progress.done - lo + 1])
        if status == _FULL:
            self._make_room(progress)
        else:
            check(status)
        return progress.done

    def _make_room(self, progress):
        """Lengthen what was used up."""
        if progress.entries:
            self._rows.make_room(progress.entries)
        else:
            self.terms[progress.block].make_room(progress.bytes)

    def sums(self):
        """Sum each column's counts."""
        _, indices, counts = self._rows.arrays()
        sums = np.zeros(self.n_columns)
        for lo in range(0, len(indices), _BLOCK):  # numpy widens what it is given
            part = slice(lo, lo + _BLOCK)
            sums += np.bincount(indices[part], counts[part], minlength=len(sums))
        return sums

    def sorted(self, block, terms):
        """Sort numbers of n-grams of a block by code points, in place."""
        ptr, blob = self.terms[block].pointers()
        check(lib.skx_terms_sort(ptr, blob, len(terms), cancel_pointer(), pointer(terms, INT)))
        return terms

    def chosen(self, block, terms):
        """The `Terms` of a block that have these numbers, in this order."""
        growing = self.terms[block]
        lengths = np.diff(growing.ptr[: growing.n_terms + 1])
        out_ptr = np.empty(len(terms) + 1, dtype=LONG)
        out_bytes = np.zeros(int(lengths[terms].sum()) + _SLACK, dtype=BYTE)
        outputs = pointer(out_ptr, LONG), pointer(out_bytes, BYTE)
        numbers = pointer(terms, INT)
        check(lib.skx_terms_take(*growing.pointers(), numbers, len(terms), *outputs))
        return Terms(out_ptr, out_bytes, _index(len(terms), out_ptr, out_bytes))

    def weigh(self, chosen, weights):
        """Turn the counts, which are used up, into the rows that a transform gives.

        Parameters
        ----------
        chosen : sequence of ndarray of int32
            The n-grams of each block that are kept, in the order of their columns.
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
        inputs = pointer(ends, LONG), pointer(column, INT), weights.struct(), cancel_pointer()
        outputs = pointer(indptr, LONG), pointer(indices, INT), pointer(data, FLOAT)
        check(lib.skx_ngrams_weigh(len(indptr) - 1, self.n_blocks, *inputs, *outputs))
        del outputs
        for array in (indices, data):
            array.resize(indptr[-1], refcheck=False)
        return indptr, indices, data


class _GrowingRows:
    """Rows of counts and room for more."""

    def __init__(self, n_texts):
        self.n_texts = n_texts
        self.n_rows = self.n_entries = 0
        self._indices, self._counts = np.empty(_CAPACITY, INT), np.empty(_CAPACITY, FLOAT)
        self._lengths = []

    def room(self):
        """How many entries more there is room for, and where in C."""
        indices, counts = self._indices[self.n_entries :], self._counts[self.n_entries :]
        return len(indices), pointer(indices, INT), pointer(counts, FLOAT)

    def advance(self, indptr):
        """Append rows that were written there."""
        self._lengths.append(np.diff(indptr))
        self.n_rows += len(indptr) - 1
        self.n_entries += int(indptr[-1])

    def make_room(self, n_more):
        """Make room for as many as there will be, if the texts to come are like those before.

        What is never used is no memory, whereas to lengthen arrays costs more than to fill them.

        Parameters
        ----------
        n_more : int
            Entries for which there has to be room.
        """
        n, per_row = len(self._indices), self.n_entries / max(self.n_rows, 1)
        n = int(np.clip(1.1 * per_row * self.n_texts, 1.5 * n, 8 * n))
        n = max(n, self.n_entries + n_more)
        for name in ("_indices", "_counts"):
            array = getattr(self, name)
            longer = np.empty(n, dtype=array.dtype)
            longer[: self.n_entries] = array[: self.n_entries]
            setattr(self, name, longer)

    def arrays(self):
        """Return indptr, indices and counts of the rows."""
        indptr = indptr_of(np.concatenate(self._lengths) if self._lengths else [])
        return indptr, self._indices[: self.n_entries], self._counts[: self.n_entries]

    def take(self):
        """Give them away, the last two with room to spare."""
        indptr, _, _ = self.arrays()
        arrays = self._indices, self._counts
        self._indices = self._counts = None
        return indptr, *arrays


class NGramModel(CView):
    """Known n-grams and their weights."""

    def __init__(self, blocks, terms, weights):
        self.blocks = tuple(blocks)
        self.terms = tuple(terms)
        self.weights = weights
        self._vocabulary = None

    def __getstate__(self):
        return {**super().__getstate__(), "_vocabulary": None}

    def __setstate__(self, state):
        super().__setstate__(state)
        for block in self.blocks:
            block.check()
        for terms in self.terms:
            terms.fields()
        idf = self.weights.idf
        if idf is not None:
            check_array(idf, _DOUBLE, "idf")
        if len(self.blocks) != len(self.terms) or (idf is not None and len(idf) != self.n_features):
            raise ValueError("the vocabulary's arrays contradict each other")

    @property
    def nbytes(self):
        """Bytes in the arrays of terms."""
        return sum(array.nbytes for terms in self.terms for array in terms)

    def _make_view(self):
        return _ModelView(self)

    @property
    def block_ends(self):
        """Where the columns of each block end."""
        return list(itertools.accumulate(len(terms.ptr) - 1 for terms in self.terms))

    @property
    def n_features(self):
        """Number of columns."""
        return self.block_ends[-1]

    @property
    def vocabulary(self):
        """The columns by their names, made on first use."""
        if self._vocabulary is None:
            self._vocabulary = {name: j for j, name in enumerate(self.names())}
        return self._vocabulary

    def names(self):
        """The n-grams of all columns; with several blocks, after the name of their analyzer."""
        if len(self.blocks) == 1:
            return self.terms[0].strings()
        pairs = zip(self.blocks, self.terms, strict=True)
        return [f"{block.analyzer}__{name}" for block, terms in pairs for name in terms.strings()]

    def transform(self, blob, ptr):
        """Weigh the n-grams of texts ``blob[ptr[i]:ptr[i + 1]]``, a bytes object and int64.

        Returns
        -------
        indptr, indices, data : ndarray
        """
        view = self._c_view()
        texts = Texts(blob, ptr)
        capacity = min(_CAPACITY, 64 + len(blob) * view.entries_per_byte)
        rows, n_more = view.rows(texts, 0, capacity)
        return rows if len(rows[0]) == len(ptr) else self._joined(view, texts, rows, n_more)

    def _joined(self, view, texts, rows, n_more):
        parts, lo = [rows], len(rows[0]) - 1
        capacity = max(_CAPACITY, n_more)
        while lo < texts.n:
            rows, n_more = view.rows(texts, lo, capacity)
            capacity = max(capacity, n_more)
            parts.append(rows)
            lo += len(rows[0]) - 1
        return joined_rows(parts)


class _ModelView:
    def __init__(self, model):
        if model.weights.idf is not None and len(model.weights.idf) != model.n_features:
            raise ValueError("the vocabulary's arrays contradict each other")
        self._fields = [terms.fields() for terms in model.terms]
        self._weights = model.weights.struct()
        params, self._stop_words = _params(model.blocks)
        self._inputs = (
            len(model.blocks),
            params,
            ffi.new("skx_terms[]", self._fields),
            self._weights,
        )
        # An estimate, for texts of everyday length.
        self.entries_per_byte = sum(min(b.max_n - b.min_n, 8) + 1 for b in model.blocks)

    def rows(self, texts, lo, capacity):
        """Rows from text `lo` on, as many as there is room for; and what the next one takes."""
        out = _Rows(texts.n - lo, capacity)
        status = _transform(texts.struct, *self._inputs, lo, texts.n, capacity, *out.c)
        if status != _OK and status != _FULL:
            check(status)
        return out.arrays(out.progress.done - lo), out.progress.entries


def _progress():
    """Make an `skx_ngram_progress`."""
    progress = ffi.new(_PROGRESS)  # all zeros: an initializer would take microseconds
    flag = cancel_pointer()
    if flag:
        progress.cancel = flag
    return progress


def joined_rows(parts):
    """Join rows (indptr, indices, data)."""
    lengths = np.concatenate([np.diff(indptr) for indptr, _, _ in parts])
    return (
        indptr_of(lengths),
        np.concatenate([indices for _, indices, _ in parts]),
        np.concatenate([data for _, _, data in parts]),
    )


class _Rows:
    """Room for rows that C writes."""

    def __init__(self, n_rows, capacity):
        self._arrays = (
            np.empty(n_rows + 1, LONG),
            np.empty(capacity, INT),
            np.empty(capacity, FLOAT),
        )
        self.progress = _progress()
        indptr, indices, data = self._arrays
        self.c = (
            self.progress,
            _from_buffer(_LONGS, indptr),
            _from_buffer(_INTS, indices),
            _from_buffer(_FLOATS, data),
        )

    def arrays(self, n_rows):
        """Copies of the first rows: indptr, indices, data."""
        indptr, indices, data = self._arrays
        used = indptr[n_rows]
        return indptr[: n_rows + 1].copy(), indices[:used].copy(), data[:used].copy()


class _GrowingTerms:
    """Terms to which more are added."""

    def __init__(self, most):
        self.most = most
        self.n_terms = self.n_bytes = 0
        self.ptr = np.zeros((1 << 12) + 1, dtype=LONG)
        self.bytes = np.zeros(1 << 15, dtype=BYTE)
        self.slots = _index(0, self.ptr, self.bytes, 1 << 13)

    def fields(self):
        """Values of an `skx_terms`."""
        capacity = min(len(self.ptr) - 1, self.most)
        sizes = self.n_terms, self.n_bytes, capacity, len(self.bytes) - _SLACK, len(self.slots)
        return [*sizes, *self.pointers(), pointer(self.slots, TERM_SLOT, _SLOTS)]

    def pointers(self):
        """Where ptr and bytes lie."""
        return pointer(self.ptr, LONG), pointer(self.bytes, BYTE)

    def make_room(self, n_more):
        """Double what has no room for a term of so many bytes."""
        if self.n_terms >= self.most:
            raise ValueError(f"raw_documents have more than {self.most} distinct n-grams")
        if self.n_terms >= len(self.ptr) - 1:
            self.ptr = _lengthened(self.ptr, self.n_terms + 1, 2 * len(self.ptr) - 1)
            n_slots, self.slots = 2 * len(self.slots), None  # large: gone before the next is made
            self.slots = _index(self.n_terms, self.ptr, self.bytes, n_slots)
        n_bytes = self.n_bytes + n_more + _SLACK
        if n_bytes > len(self.bytes):
            self.bytes = _lengthened(self.bytes, self.n_bytes, max(2 * len(self.bytes), n_bytes))


def _lengthened(array, n_used, n):
    """Copy what is used of an array into one of n elements. What is never used is no memory."""
    out = np.zeros(n, dtype=array.dtype)
    out[:n_used] = array[:n_used]
    return out


def _index(n_terms, ptr, blob, n_slots=None):
    """Make the hash table of the first strings; by default of the smallest size there is."""
    if n_slots is None:
        n_slots = 1 << (2 * n_terms).bit_length()
    slots = np.zeros(n_slots, dtype=TERM_SLOT)
    out = pointer(slots, TERM_SLOT, _SLOTS)
    check(lib.skx_terms_index(n_terms, pointer(ptr, LONG), pointer(blob, BYTE), n_slots, out))
    return slots


def _index_strings(strings):
    """Make the `Terms` of distinct strings, none of them empty."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in strings]
    ptr = indptr_of([len(text) for text in encoded])
    blob = np.frombuffer(b"".join(encoded) + bytes(_SLACK), dtype=BYTE)
    return Terms(ptr, blob, _index(len(encoded), ptr, blob))


@functools.cache
def _kinds():
    """The kind of every code point, as Python's regular expressions have it."""
    every = (
        np.arange(lib.SKX_CODE_POINTS, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    )
    kinds = np.zeros(lib.SKX_CODE_POINTS, dtype=BYTE)
    for pattern, kind in ((r"\w+", lib.SKX_WORD_CHARACTER), (r"\s+", lib.SKX_SPACE)):
        for run in re.finditer(pattern, every):
            kinds[slice(*run.span())] |= kind
    return kinds
