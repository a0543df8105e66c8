"""Distinct strings with a hash table, as in the vocabulary of n-grams."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ._arrays import indptr_of
from ._library import BYTE, LONG, check, check_array, check_offsets, lib, pointer

#: One slot of a hash table of terms: skx_term_slot in the C header.
TERM_SLOT = np.dtype([("word", "<u8"), ("tag", "<u4"), ("term", "<i4")])

#: Limit of the bytes of all strings of a hash table.
_MAX_TERM_BYTES = 1 << lib.SKX_TERM_OFFSET_BITS

#: Number of bytes after strings that may be read.
SLACK = lib.SKX_SLACK

_SLOTS = "skx_term_slot[]"

#: The dtype of each array of Terms.
TERM_DTYPES = {"ptr": LONG, "bytes": BYTE, "slots": TERM_SLOT}


class Terms(NamedTuple):
    """Distinct strings in UTF-8, followed by some bytes, and their hash table."""

    ptr: np.ndarray
    bytes: np.ndarray
    slots: np.ndarray

    def check(self) -> None:
        """Check the contents of the arrays.

        Raises
        ------
        ValueError
            If the pointers do not fit the strings, or the hash table is not that of the strings.
        """
        n_terms = self.fields()[0]
        check_offsets(self.ptr, len(self.bytes) - SLACK, "the pointers to strings")
        expected = index_terms(n_terms, self.ptr, self.bytes, len(self.slots))
        if not np.array_equal(self.slots, expected):
            raise ValueError("the hash table of the vocabulary does not fit its strings")

    def fields(self) -> list:
        """Return the values of an `skx_terms`.

        Raises
        ------
        ValueError
            If the arrays do not have the lengths that C relies on.
        """
        for name, dtype in TERM_DTYPES.items():
            check_array(getattr(self, name), dtype, name)
        n_terms = len(self.ptr) - 1
        n_slots = len(self.slots)
        n_bytes = len(self.bytes) - SLACK
        if n_terms < 0 or n_bytes < 0 or n_slots < 1 or n_slots & (n_slots - 1):
            raise ValueError("the vocabulary's arrays contradict each other")
        return [
            n_terms,
            n_bytes,
            n_terms,
            n_bytes,
            n_slots,
            pointer(self.ptr, LONG),
            pointer(self.bytes, BYTE),
            pointer(self.slots, TERM_SLOT, _SLOTS),
        ]

    def strings(self) -> list[str]:
        """Return the strings as a list."""
        blob = self.bytes.tobytes()
        edges = itertools.pairwise(self.ptr.tolist())
        return [blob[begin:end].decode("utf-8", "surrogatepass") for begin, end in edges]


class ExtendableTerms:
    """Terms with capacity for more.

    Parameters
    ----------
    max_terms : int
    """

    def __init__(self, max_terms: int):
        self.max_terms = max_terms
        self.n_terms = 0
        self.n_bytes = 0
        self.ptr = np.zeros((1 << 12) + 1, dtype=LONG)
        self.bytes = np.zeros(1 << 15, dtype=BYTE)
        self.slots = index_terms(0, self.ptr, self.bytes, 1 << 13)

    def fields(self) -> list:
        """Return the values of an `skx_terms`."""
        return [
            self.n_terms,
            self.n_bytes,
            min(len(self.ptr) - 1, self.max_terms),
            len(self.bytes) - SLACK,
            len(self.slots),
            pointer(self.ptr, LONG),
            pointer(self.bytes, BYTE),
            pointer(self.slots, TERM_SLOT, _SLOTS),
        ]

    def pointers(self) -> tuple[Any, Any]:
        """Return ptr and bytes in C."""
        return pointer(self.ptr, LONG), pointer(self.bytes, BYTE)

    def reserve(self, n_more: int) -> None:
        """Double the arrays that have no capacity for a term of `n_more` bytes."""
        if self.n_terms >= self.max_terms:
            raise ValueError(f"raw_documents have more than {self.max_terms} distinct n-grams")
        if self.n_bytes + n_more >= _MAX_TERM_BYTES:
            raise ValueError(
                f"the distinct n-grams of raw_documents have more than {_MAX_TERM_BYTES} bytes"
            )
        if self.n_terms >= len(self.ptr) - 1:
            self.ptr = extended_array(self.ptr, self.n_terms + 1, 2 * len(self.ptr) - 1)
            n_slots = 2 * len(self.slots)
            del self.slots  # large: released before the next table is made
            self.slots = index_terms(self.n_terms, self.ptr, self.bytes, n_slots)
        n_bytes = self.n_bytes + n_more + SLACK
        if n_bytes > len(self.bytes):
            self.bytes = extended_array(self.bytes, self.n_bytes, max(2 * len(self.bytes), n_bytes))


def extended_array(array: np.ndarray, n_used: int, n: int) -> np.ndarray:
    """Copy the used elements to an array of n elements. Unused elements take no memory."""
    out = np.zeros(n, dtype=array.dtype)
    out[:n_used] = array[:n_used]
    return out


def index_terms(
    n_terms: int, ptr: np.ndarray, blob: np.ndarray, n_slots: int | None = None
) -> np.ndarray:
    """Make the hash table of the first strings; by default, the smallest one."""
    if n_slots is None:
        n_slots = 1 << (2 * n_terms).bit_length()
    slots = np.zeros(n_slots, dtype=TERM_SLOT)
    out = pointer(slots, TERM_SLOT, _SLOTS)
    check(
        lib.skx_terms_index(n_terms, pointer(ptr, LONG), pointer(blob, BYTE), n_slots, out),
        too_large=f"the strings of a hash table have more than {_MAX_TERM_BYTES} bytes",
    )
    return slots


def index_strings(strings: Sequence[str]) -> Terms:
    """Make the `Terms` of distinct strings, none of them empty."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in strings]
    ptr = indptr_of([len(text) for text in encoded])
    blob = np.frombuffer(b"".join(encoded) + bytes(SLACK), dtype=BYTE)
    return Terms(ptr, blob, index_terms(len(encoded), ptr, blob))
