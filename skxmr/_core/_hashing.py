"""Fast digests of arrays."""

import hashlib

import numpy as np

from ._library import BYTE, LONG_WORD, check, lib, pointer

#: Words that were drawn once. They must not change between the processes that share a cache.
_KEY = np.frombuffer(
    hashlib.shake_256(b"skxmr").digest(lib.SKX_COMPRESSED_BLOCK), dtype=LONG_WORD.newbyteorder("<")
).astype(LONG_WORD)

#: Bytes that are hashed without being compressed before.
_SHORT = 2 * lib.SKX_COMPRESSED_BLOCK


def digest(array: np.ndarray) -> bytes:
    """Return 16 bytes that identify the content of an array, but not its dtype and shape.

    Blocks of the array are compressed by a universal hash, at the speed of the memory, and the
    result is hashed by BLAKE2. Two given arrays of the same length have the same digest with a
    probability of at most 2^-64. Digests do not protect from arrays that were made to collide.

    Parameters
    ----------
    array : ndarray
        Of any dtype without references to objects.
    """
    data = np.ascontiguousarray(array).reshape(-1).view(BYTE)
    digests = hashlib.blake2b(len(data).to_bytes(8, "little"), digest_size=16)
    if len(data) <= _SHORT:
        digests.update(data)
    else:
        compressed = np.empty(2 * -(-len(data) // lib.SKX_COMPRESSED_BLOCK), dtype=LONG_WORD)
        key = pointer(_KEY, LONG_WORD)
        out = pointer(compressed, LONG_WORD)
        check(lib.skx_compress(pointer(data, BYTE), len(data), key, out))
        digests.update(compressed)
    return digests.digest()
