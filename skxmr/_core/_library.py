"""The loaded library, its kernel table, and the helpers every call goes through."""

import os

import numpy as np

from .._native import ffi, lib

FLOAT = np.dtype(np.float32)
INT = np.dtype(np.int32)
LONG = np.dtype(np.int64)
BYTE = np.dtype(np.uint8)
WORD = np.dtype(np.uint32)

_CTYPES = {
    FLOAT: "float[]",
    INT: "int32_t[]",
    LONG: "int64_t[]",
    BYTE: "uint8_t[]",
    WORD: "uint32_t[]",
}


#: The largest C int; a limit beyond it is none.
MAX_INT = np.iinfo(np.int32).max


class Cancelled(Exception):
    """Raised by a call that was ended through the flag that its thread watches."""


def check(status, too_large=None):
    """Raise the exception that a C status stands for.

    Parameters
    ----------
    status : int
    too_large : str, optional
        Message where a limit of a format is exceeded.
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


def pointer(array, dtype, ctype=None):
    """Borrow an array's memory, after checking that it is what C will take it for.

    The array must outlive the returned pointer's use.
    """
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise TypeError(
            f"expected a C-contiguous array of {dtype}, got {array.dtype} "
            f"with strides {array.strides}"
        )
    return ffi.from_buffer(ctype or _CTYPES[dtype], array)


def check_array(array, dtype, name):
    """Raise a ValueError unless something is a one-dimensional array that C can take."""
    fits = isinstance(array, np.ndarray) and array.dtype == dtype and array.ndim == 1
    if not fits or not array.flags.c_contiguous:
        raise ValueError(f"{name} is not a one-dimensional array of {dtype}")


def check_offsets(pointers, n, name):
    """Raise a ValueError unless something is an array of pointers that rise from 0 to n."""
    check_array(pointers, LONG, name)
    falls = len(pointers) < 1 or pointers[0] != 0 or (pointers[1:] < pointers[:-1]).any()
    if falls or pointers[-1] != n:
        raise ValueError(f"{name} falls or leads outside its array")


def _find_kernels(isa):
    out = ffi.new("const skx_kernels **")
    if lib.skx_kernels_find(isa.encode(), out) != lib.SKX_OK:
        raise ImportError(
            f"SKXMR_ISA={isa!r} is not an instruction set that this processor can run; "
            "expected 'baseline', 'avx2', 'avx512' or nothing"
        )
    return out[0]


KERNELS = _find_kernels(os.environ.get("SKXMR_ISA", ""))
ISA = ffi.string(lib.skx_kernels_name(KERNELS)).decode()
