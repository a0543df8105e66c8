"""Ids of users and items as consecutive numbers."""

import numpy as np

from .._utils.matrices import any_missing, as_array


def id_array(values, name):
    """Return a column of ids as a one-dimensional array without missing values.

    Raises
    ------
    TypeError
        If ids are neither integers nor strings, nor hashable objects that can be sorted.
    ValueError
        If the column has another shape or missing values.
    """
    if hasattr(values, "to_numpy") and getattr(values, "ndim", 1) == 1:
        values = values.to_numpy()
    array = as_array(values, name)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {array.shape}")
    if array.dtype.kind == "f" and any_missing(array):
        raise ValueError(f"{name} must not have missing values, got NaN or infinity")
    if array.dtype.kind in "Mm" and np.isnat(array).any():
        raise ValueError(f"{name} must not have missing values, got NaT")
    if array.dtype == object and any_missing(array):
        raise ValueError(f"{name} must not have missing values, got None, NaN or NA")
    return array


def learn_ids(array, name):
    """Number distinct ids in increasing order.

    Returns
    -------
    ids : ndarray of shape (n_ids,)
        Sorted.
    codes : ndarray of int32, shape (n,)
        Position of each value in `ids`.
    """
    if array.dtype.kind in "iub":
        return _learn_integers(array)
    if array.dtype.kind not in "OUST":
        ids, codes = np.unique(array, return_inverse=True)
        return ids, codes.astype(np.int32)
    values = array.tolist()
    try:
        ids = sorted(dict.fromkeys(values))
    except TypeError as error:
        raise TypeError(f"{name} must hold ids that can be sorted: {error}") from error
    return _array_of(ids, array.dtype), _codes(values, ids)


def find_ids(array, ids, name):
    """Return the position of each value in known ids, or -1.

    Returns
    -------
    codes : ndarray of int32, shape (n,)
    """
    if array.dtype.kind in "OUST" or ids.dtype.kind in "OUST":
        check_kind(array, ids, name)
        return _codes(array.tolist(), ids.tolist())
    if array.dtype != ids.dtype and np.result_type(array, ids).kind == "f":
        # NumPy would round large integers. Python compares numbers of all types exactly.
        return _codes(array.tolist(), ids.tolist())
    positions = np.minimum(np.searchsorted(ids, array), max(0, len(ids) - 1))
    if not len(ids):
        return np.full(len(array), -1, dtype=np.int32)
    return np.where(ids[positions] == array, positions, -1).astype(np.int32)


def extended_ids(ids, new, name):
    """Return known ids with new ones after them.

    Raises
    ------
    ValueError
        If new numbers are of another kind than the known ones, and change if they are converted.
    """
    # NumPy would round large integers to join them with floats, or signed with unsigned ones.
    if {ids.dtype.kind, new.dtype.kind} in ({"i", "u"}, {"i", "f"}, {"u", "f"}):
        with np.errstate(invalid="ignore"):
            converted = new.astype(ids.dtype)
        for value, given in zip(converted.tolist(), new.tolist(), strict=True):
            if value != given:
                raise ValueError(f"{name} must hold ids of {ids.dtype} as in fit, got {given!r}")
        new = converted
    return np.concatenate([ids, new])


def check_kind(array, ids, name):
    """Check that ids are numbers if the known ids are. NumPy would turn the numbers into texts."""
    if len(array) and (array.dtype.kind in "biuf") != (ids.dtype.kind in "biuf"):
        raise TypeError(f"{name} must hold ids of {ids.dtype} as in fit, got {array.dtype}")


def _learn_integers(array):
    """Number integers. A table is faster than a sort if they lie close together."""
    if not len(array):
        return array.copy(), np.empty(0, dtype=np.int32)
    array = array.astype(np.uint8) if array.dtype.kind == "b" else array
    least = int(array.min())
    span = int(array.max()) - least + 1
    if span > 4 * len(array) + 1024:
        ids, codes = np.unique(array, return_inverse=True)
        return ids, codes.astype(np.int32)
    # A difference of signed integers of 8 or 16 bits may not fit into their type.
    wide = np.uint64 if array.dtype.kind == "u" else np.int64
    offsets = (array.astype(wide, copy=False) - wide(least)).astype(np.int64, copy=False)
    present = np.zeros(span, dtype=bool)
    present[offsets] = True
    number = np.cumsum(present, dtype=np.int32) - 1
    ids = np.flatnonzero(present).astype(wide) + wide(least)
    return ids.astype(array.dtype), number[offsets]


def _codes(values, ids):
    number = {value: i for i, value in enumerate(ids)}
    return np.fromiter((number.get(value, -1) for value in values), np.int32, len(values))


def _array_of(ids, dtype):
    if dtype.kind in "US":
        return np.array(ids, dtype=dtype)
    array = np.empty(len(ids), dtype=object)
    array[:] = ids
    return array
