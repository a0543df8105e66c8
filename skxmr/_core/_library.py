"""The loaded library, its kernel table, and the helpers of every call."""

import os
from typing import Any

import numpy as np

from .._native import ffi, lib

FLOAT = np.dtype(np.float32)
INT = np.dtype(np.int32)
LONG = np.dtype(np.int64)
BYTE = np.dtype(np.uint8)
DOUBLE = np.dtype(np.float64)
WORD = np.dtype(np.uint32)
SIGNED_BYTE = np.dtype(np.int8)
LONG_WORD = np.dtype(np.uint64)

_CTYPES = {
    FLOAT: "float[]",
    DOUBLE: "double[]",
    INT: "int32_t[]",
    LONG: "int64_t[]",
    BYTE: "uint8_t[]",
    WORD: "uint32_t[]",
    SIGNED_BYTE: "int8_t[]",
    LONG_WORD: "uint64_t[]",
}


#: The largest C int.
MAX_INT = np.iinfo(np.int32).max


class Cancelled(Exception):
    """Raised by a call that was ended by the cancel flag of its thread."""


def check(status: int, too_large: str | None = None) -> None:
    """Raise the exception of a C status, if it is not SKX_OK.

    Parameters
    ----------
    status : int
    too_large : str, optional
        Message if a limit of a format is exceeded.

    Raises
    ------
    Cancelled
        If the call was ended by the cancel flag.
    MemoryError
        If memory is short.
    ValueError
        For all other faults.
    """
    if status == lib.SKX_OK:
        return
    if status == lib.SKX_ECANCELLED:
        raise Cancelled
    name = ffi.string(lib.skx_status_name(status)).decode()
    if status == lib.SKX_ENOMEM:
        raise MemoryError("skxmr ran out of memory")
    if status == lib.SKX_EFINITE:
        raise ValueError(
            "X, sample_weight, C or bias is so large that training leaves single precision; "
            "scale it down"
        )
    if status == lib.SKX_ECAPACITY and too_large is not None:
        raise ValueError(too_large)
    raise ValueError(f"the C core refused its arguments: {name}")


def pointer(array: np.ndarray, dtype: np.dtype, ctype: str | None = None) -> Any:
    """Return a pointer to the memory of an array, which must outlive its use.

    Raises
    ------
    TypeError
        If the array is not a C-contiguous array of the dtype.
    """
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise TypeError(
            f"expected a C-contiguous array of {dtype}, got {array.dtype} "
            f"with strides {array.strides}"
        )
    return ffi.from_buffer(ctype or _CTYPES[dtype], array)


def check_array(array: Any, dtype: np.dtype, name: str) -> None:
    """Raise a ValueError if an object is not a one-dimensional array that C can read."""
    fits = isinstance(array, np.ndarray) and array.dtype == dtype and array.ndim == 1
    if not fits or not array.flags.c_contiguous:
        raise ValueError(f"{name} is not a one-dimensional array of {dtype}")


def check_offsets(pointers: Any, n: int, name: str) -> None:
    """Raise a ValueError if an object is not an array of pointers that increase from 0 to n."""
    check_array(pointers, LONG, name)
    falls = len(pointers) < 1 or pointers[0] != 0 or (pointers[1:] < pointers[:-1]).any()
    if falls or pointers[-1] != n:
        raise ValueError(f"{name} falls or leads outside its array")


def _find_kernels(isa: str) -> Any:
    out = ffi.new("const skx_kernels **")
    if lib.skx_kernels_find(isa.encode(), out) != lib.SKX_OK:
        raise ImportError(
            f"SKXMR_ISA={isa!r} is not an instruction set that this processor can run; "
            "expected 'baseline', 'avx2', 'avx512' or nothing"
        )
    return out[0]


KERNELS = _find_kernels(os.environ.get("SKXMR_ISA", ""))
ISA = ffi.string(lib.skx_kernels_name(KERNELS)).decode()
