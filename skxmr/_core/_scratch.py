"""Scratch memory that is mapped from a file."""

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from ._library import ffi

#: Bytes that are written at a time where the system cannot reserve space in a file.
_BLOCK = 1 << 20


class Scratch(NamedTuple):
    """Where and when scratch memory is mapped from a file.

    Attributes
    ----------
    limit : int
        Number of bytes above which it is.
    folder : str or None
        Folder of the file. None for the folder of temporary files.
    """

    limit: int
    folder: str | None = None


@contextmanager
def scratch_fields(scratch: Scratch | None, n_bytes: int) -> Iterator[list[Any]]:
    """Make the fields of an `skx_scratch`, which are valid within the context.

    Without a scratch, and for few bytes, they say that memory is to be allocated.

    Raises
    ------
    OSError
        If there is no space for the file.
    """
    if scratch is None or n_bytes <= scratch.limit:
        yield [ffi.NULL, 0]
        return
    with tempfile.TemporaryFile(dir=scratch.folder) as file:
        _reserve(file, n_bytes)
        mapped = mmap.mmap(file.fileno(), n_bytes)
    if hasattr(mmap, "MADV_RANDOM"):
        mapped.madvise(mmap.MADV_RANDOM)
    buffer = ffi.from_buffer("uint8_t[]", mapped, require_writable=True)
    try:
        yield [buffer, n_bytes]
    finally:
        ffi.release(buffer)
        mapped.close()


def _reserve(file: BinaryIO, n_bytes: int) -> None:
    """Reserve space on the disk: the process would be killed if it lacked when pages are used."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, n_bytes)
        return
    for begin in range(0, n_bytes, _BLOCK):
        file.write(bytes(min(_BLOCK, n_bytes - begin)))
    file.flush()
