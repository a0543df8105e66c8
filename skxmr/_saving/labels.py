"""Labels and other names as arrays of a saved model."""

import re
from functools import partial

import numpy as np

from .._utils.folder import check_unread
from .._utils.texts import pack_strings, unpack_strings

#: Values for strings that are not objects: their dtype, or "strings" before format 5.
_STRINGS = re.compile(r"strings|[<>]U[1-9][0-9]{0,8}")

#: Maximum size in bytes of an array of strings with a wider dtype than necessary. A small file must
#: not declare a dtype that fills the memory.
_MAX_PADDED = 1 << 30


def pack_labels(arrays, name, labels):
    """Add labels to the arrays; return how they are stored.

    Parameters
    ----------
    arrays : dict of str to ndarray
    name : str
        First part of the names of the arrays.
    labels : array-like of numbers or str

    Returns
    -------
    stored : str
        "numbers", "object", or the dtype of strings.

    Raises
    ------
    TypeError
        If the labels are neither numbers nor strings.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind in "biuf":
        arrays[name] = labels
        return "numbers"
    if labels.dtype.kind not in "UO" or not all(isinstance(label, str) for label in labels):
        raise TypeError(f"only numbers and strings can be saved as {name}, got {labels.dtype}")
    data, pointers = pack_strings(labels)
    arrays[f"{name}.bytes"] = data
    arrays[f"{name}.pointers"] = pointers
    return "object" if labels.dtype.kind == "O" else labels.dtype.str


def open_labels(reader, name, n):
    """Open n stored labels; return a function that reads them.

    Parameters
    ----------
    reader : FolderReader
        The field `name` says how they are stored.
    name : str
    n : int

    Returns
    -------
    read : callable
        Takes nothing, and returns the array. It raises ValueError if an array is damaged.
    """
    stored = reader.get(name, str)
    if stored == "numbers":
        arrays = {name: reader.array(name, "biuf")}
        _check_count(reader, name, arrays[name].shape, n)
        return partial(_read_numbers, reader, arrays, name)
    if stored != "object" and not _STRINGS.fullmatch(stored):
        reader.fail(f"{name} are stored as {stored!r:.80}")
    arrays = {
        f"{name}.bytes": reader.array(f"{name}.bytes", np.dtype(np.uint8)),
        f"{name}.pointers": reader.array(f"{name}.pointers", np.dtype(np.int64)),
    }
    _check_count(reader, name, (len(arrays[f"{name}.pointers"]) - 1,), n)
    return partial(_unpack_labels, reader, arrays, stored)


def _check_count(reader, name, shape, n):
    if shape != (n,):
        reader.fail(f"{name} have shape {shape}, expected {(n,)}")


def _read_numbers(reader, arrays, name):
    with reader.as_damage():
        check_unread(arrays, reader.unverified("", arrays))
    return arrays[name]


def _unpack_labels(reader, arrays, stored):
    """Return strings that are stored as "object", as "strings" or with a dtype such as "<U7"."""
    with reader.as_damage():
        check_unread(arrays, reader.unverified("", arrays))
        strings = unpack_strings(*arrays.values())
    if stored == "object":
        return strings
    found = strings.astype(str)
    dtype = found.dtype if stored == "strings" else np.dtype(stored)
    is_padded = dtype.itemsize > found.dtype.itemsize
    if is_padded and len(found) * dtype.itemsize > _MAX_PADDED:
        dtype = found.dtype
    return found.astype(dtype, copy=False)
