"""Values of parameters and attributes as JSON, so that they keep their types."""

import math
import numbers
from collections import UserList

import numpy as np

from ..tree import LabelTree

#: Integers beyond this have no form.
_LARGEST = 1 << 63


class NoFormError(TypeError):
    """A value has no form in JSON."""


def is_model(value):
    """Return whether a value is an estimator or another model, and not a class."""
    if isinstance(value, type):
        return False
    return isinstance(value, LabelTree) or hasattr(value, "get_params") or hasattr(value, "fit")


def encode(value, part, where):
    """Return a value as JSON types.

    Parameters
    ----------
    value : object
        None, numbers, strings, types of numbers, arrays of numbers or strings, models, and lists,
        tuples, sets, slices and dictionaries of these.
    part : PartWriter
        Takes arrays and models.
    where : str
        Name of the value in messages.

    Returns
    -------
    encoded : object
        Simple values and lists are themselves; others are dictionaries with the key of their type.

    Raises
    ------
    NoFormError
        If the value has no such form.
    """
    if value is None or isinstance(value, (bool, np.bool_)):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, numbers.Integral) and abs(int(value)) <= _LARGEST:
        return int(value)
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return number if math.isfinite(number) else {"float": str(number)}
    if is_model(value):
        return {"model": part.model(value, where)}
    if isinstance(value, type) and issubclass(value, np.number):
        return {"number": np.dtype(value).name}
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "biufUO":
        return {"array": part.array_value(value, where)}
    return _encode_container(value, part, where)


def _encode_container(value, part, where):
    if isinstance(value, UserList):  # the columns of the remainder in scikit-learn before 1.9
        return _encode_items(value.data, part, where)
    if type(value) is list:
        return _encode_items(value, part, where)
    if type(value) is tuple:
        return {"tuple": _encode_items(value, part, where)}
    if type(value) in (set, frozenset):
        items = sorted(value, key=repr)
        return {type(value).__name__: _encode_items(items, part, where)}
    if type(value) is slice:
        return {"slice": _encode_items([value.start, value.stop, value.step], part, where)}
    if type(value) is dict:
        pairs = [[encode(key, part, where), value[key]] for key in value]
        return {"dict": [[key, encode(item, part, f"{where}[{key!r}]")] for key, item in pairs]}
    raise NoFormError(f"{where} cannot be saved, got {value!r:.80}")


def _encode_items(items, part, where):
    """Encode items in order. Those that begin with a name, such as steps, are named after it."""
    encoded = []
    for i, item in enumerate(items):
        is_named = isinstance(item, tuple) and item and isinstance(item[0], str)
        inner = f"{where}[{item[0]!r}]" if is_named else f"{where}[{i}]"
        encoded.append(encode(item, part, where if isinstance(items, tuple) else inner))
    return encoded


def decode(encoded, part):
    """Return the value that was encoded.

    Parameters
    ----------
    encoded : object
        JSON types.
    part : PartReader
        Has the arrays and the models.

    Raises
    ------
    ValueError, TypeError
        If it is not the form of a value.
    """
    if isinstance(encoded, list):
        return [decode(item, part) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if len(encoded) != 1:
        raise ValueError(f"{encoded!r:.80} is not a value")
    ((form, content),) = encoded.items()
    if form == "model":
        return part.model_at(content)
    if form == "array":
        return part.array_value(content)
    if form == "number":
        return _decode_type(content)
    if form == "float":
        return _decode_float(content)
    if form not in _CONTAINERS:
        part.reader.fail_as_later(f"it has a value of the form {form!r:.80}")
    return _decode_container(form, content, part)


def _decode_type(content):
    found = np.dtype(content).type
    if not isinstance(content, str) or not issubclass(found, np.number):
        raise ValueError(f"{content!r:.80} is not a type of numbers")
    return found


def _decode_float(content):
    if content not in ("nan", "inf", "-inf"):
        raise ValueError(f"{content!r:.80} is not a float")
    return float(content)


def _decode_container(form, content, part):
    if not isinstance(content, list):
        raise ValueError(f"a {form} has the items {content!r:.80}")
    items = [decode(item, part) for item in content]
    if form == "slice" and len(items) != 3:
        raise ValueError(f"a slice has {len(items)} values")
    return _CONTAINERS[form](items)


_CONTAINERS = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "slice": lambda items: slice(*items),
    "dict": dict,
}
