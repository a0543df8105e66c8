"""Digests of arrays, compared with integers of any size."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skxmr._core import digest
from skxmr._core._hashing import _KEY

LENGTHS = [0, 1, 1024, 2048, 2049, 3072, 3080, 5001]


def slow_digest(data):
    """The digest of bytes that are longer than two blocks."""
    key = [int(word) for word in _KEY]
    words = []
    for begin in range(0, len(data), 1024):
        block = data[begin : begin + 1024].ljust(1024, b"\0")
        m = [int.from_bytes(block[i : i + 8], "little") for i in range(0, 1024, 8)]
        added = [(a + b) % 2**64 for a, b in zip(m, key, strict=True)]
        total = sum(a * b for a, b in zip(added[::2], added[1::2], strict=True)) % 2**128
        words.append(total.to_bytes(16, "little"))
    length = len(data).to_bytes(8, "little")
    return hashlib.blake2b(length + b"".join(words), digest_size=16).digest()


@pytest.mark.parametrize("n", [n for n in LENGTHS if n > 2048])
def test_a_digest_is_that_of_the_reference(n):
    data = np.random.default_rng(n).integers(0, 256, n, dtype=np.uint8)
    assert digest(data) == slow_digest(data.tobytes())
    assert digest(np.full(n, 255, np.uint8)) == slow_digest(b"\xff" * n)


def test_digests_do_not_change_between_releases():
    assert digest(np.arange(10000)).hex() == "a5bb29a1d6d3e713604114d0cd4ff7b9"


@given(st.sampled_from(LENGTHS[1:]), st.data())
def test_every_change_changes_the_digest(n, data):
    array = np.zeros(n, dtype=np.uint8)
    before = digest(array)
    at = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=4, unique=True))
    array[at] = data.draw(st.integers(1, 255))
    assert digest(array) != before
    array[at] = 0
    assert digest(array) == before
    assert digest(array[:-1]) != before


def test_exchanged_values_change_the_digest():
    array = np.arange(4096, dtype=np.float32)
    seen = {digest(array)}
    for distance in (1, 2, 4, 128, 256, 512):
        swapped = array.copy()
        swapped[[0, distance]] = swapped[[distance, 0]]
        swapped[:2] = -swapped[:2]
        seen.add(digest(swapped))
    assert len(seen) == 7


def test_the_order_in_memory_does_not_matter():
    array = np.arange(6000).reshape(60, 100)
    assert digest(np.asfortranarray(array)) == digest(array)
    assert digest(array[:, ::2]) == digest(array[:, ::2].copy())
