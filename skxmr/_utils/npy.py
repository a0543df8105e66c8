"""Reading of the ``.npy`` format: headers, arrays of an archive, and arrays that are mapped.

NumPy reads a header with Python's own parser, which before 3.11.8 and 3.12.2 raises SystemError
("AST constructor recursion depth mismatch") if two threads use it while something runs at garbage
collections, as dask and hypothesis do. The headers of the arrays of models and matrices need no
such parser.
"""

import math
import re
import sys
import zipfile
from typing import NamedTuple

import numpy as np

from .files import open_regular

#: Maximum number of bytes in the header of an array.
_MAX_HEADER_BYTES = 1000

_TYPE = r"""["']([<>|=]?[a-zA-Z][0-9]*(?:\[\w+\])?)["']"""
_MEMBER = rf"""\(\s*["'](\w+)["']\s*,\s*{_TYPE}\s*\)"""
# A list of members can match in one way only. Otherwise, the search of a damaged header could take
# exponential time.
_MEMBERS = rf"""\s*{_MEMBER}(?:\s*,\s*{_MEMBER})*"""
_FIELDS = {
    "descr": re.compile(rf"""["']descr["']\s*:\s*({_TYPE}|\[{_MEMBERS}\s*,?\s*\])"""),
    "fortran_order": re.compile(r"""["']fortran_order["']\s*:\s*(True|False)"""),
    "shape": re.compile(r"""["']shape["']\s*:\s*\(([0-9L,\s]*)\)"""),
}


class Header(NamedTuple):
    """What precedes the bytes of an array in a file.

    Attributes
    ----------
    shape : tuple of int
    is_fortran : bool
        Whether the first index varies fastest.
    dtype : dtype
        Of numbers, strings or times, or structured with such members.
    """

    shape: tuple
    is_fortran: bool
    dtype: np.dtype

    @property
    def n_bytes(self):
        """Number of bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file):
    """Read the header of an array; the bytes of the array follow in the file.

    Parameters
    ----------
    file : binary file object

    Returns
    -------
    header : Header

    Raises
    ------
    ValueError
        If the file does not begin with the header of such an array.
    """
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"unexpected version {version} of the npy format")
    n = int.from_bytes(_read(file, 2 if version == (1, 0) else 4), "little")
    if n > _MAX_HEADER_BYTES:
        raise ValueError(f"the header has {n} bytes, expected at most {_MAX_HEADER_BYTES}")
    text = _read(file, n).decode("latin-1")
    found = {name: pattern.search(text) for name, pattern in _FIELDS.items()}
    if None in found.values():
        raise ValueError(f"unexpected header {text.strip()!r}")
    descr, order, shape = (match[1] for match in found.values())
    sizes = tuple(int(size) for size in re.findall("[0-9]+", shape))
    try:
        dtype = np.dtype(re.findall(_MEMBER, descr) or re.fullmatch(_TYPE, descr)[1])
    except TypeError as error:
        raise ValueError(f"unexpected header {text.strip()!r}") from error
    if dtype.hasobject or any(size > sys.maxsize for size in sizes):
        raise ValueError(f"unexpected header {text.strip()!r}")
    return Header(sizes, order == "True", dtype)


def read_archive(path, names, writer="numpy.savez"):
    """Read arrays of an archive of ``.npy`` files.

    Parameters
    ----------
    path : path
    names : iterable of str
    writer : str
        The function that writes such archives, for the error message.

    Returns
    -------
    arrays : dict of str to ndarray
        Read-only.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, not a regular file, or has no such arrays.
    """
    with open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return {name: _read_member(archive, f"{name}.npy") for name in names}
        except MemoryError:
            raise
        # For a damaged archive, zipfile and its codecs raise errors of many types: KeyError,
        # OSError, zlib.error, NotImplementedError, ...
        except Exception as error:
            raise ValueError(f"{path}: expected a file written by {writer}: {error}") from error


def map_array(path):
    """Map an array from a file that is known to be valid, read-only. An empty one is made anew.

    Parameters
    ----------
    path : path

    Returns
    -------
    array : ndarray
        A memmap, unless it is empty.
    """
    with open(path, "rb") as file:
        header = read_header(file)
        if header.n_bytes == 0:
            return np.empty(header.shape, header.dtype)
        return np.memmap(file, header.dtype, mode="r", offset=file.tell(), shape=header.shape)


def _read_member(archive, name):
    with archive.open(name) as file:
        header = read_header(file)
        data = _read(file, header.n_bytes)
    order = "F" if header.is_fortran else "C"
    return np.frombuffer(data, header.dtype).reshape(header.shape, order=order)


def _read(file, n):
    data = file.read(n)
    if len(data) != n:
        raise ValueError("the file was cut short")
    return data
