"""Label examples as texts: one per label, several per label, or a mapping from labels to texts."""

from collections.abc import Iterator, Mapping, Set
from numbers import Number
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import _num_samples

from .._utils.named_targets import named_targets
from .._utils.targets import encode_targets, target_array
from .label_examples import is_rows_and_labels

#: What rows of numbers may be.
_COLLECTIONS = (list, tuple, np.ndarray)


class LabelTexts(NamedTuple):
    """Texts of labels.

    Attributes
    ----------
    texts : list of str
    labels : ndarray of int64, shape (n_texts,), or None
        Column of y of each text. None if there is one text per label, in the order of the columns.
    """

    texts: list
    labels: np.ndarray | None


def check_label_rows(label_examples, y, label_names):
    """Check label examples that are yet to be transformed.

    Parameters
    ----------
    label_examples : sequence, mapping, matrix, or tuple
        Texts, as a mapping from labels or with one entry per label; an entry is a text, or a list,
        tuple or set of texts. Or rows of anything: one row per label, or a pair (rows, labels).
    y, label_names : as fit takes them

    Returns
    -------
    texts : LabelTexts or rows
        Rows are returned as they were given.

    Raises
    ------
    TypeError
        If something is not a text.
    ValueError
        If a sequence does not have one entry per label, no key of a mapping is a label, or there is
        no text.
    """
    if is_rows_and_labels(label_examples):
        return label_examples
    labels = labels_of(y, label_names)
    if isinstance(label_examples, Mapping):
        return _of_mapping(label_examples, labels)
    if isinstance(label_examples, (str, Set)) or not hasattr(label_examples, "__iter__"):
        raise TypeError(
            "label_examples must be a sequence with one text per label, or a mapping from labels "
            f"to texts, got {label_examples!r:.80}"
        )
    if isinstance(label_examples, Iterator):
        label_examples = list(label_examples)
    n_rows = _num_samples(label_examples)
    if n_rows != len(labels):
        raise ValueError(
            f"label_examples must have {len(labels)} entries, one per label, got {n_rows}; a "
            "mapping from labels to texts may have any number"
        )
    if getattr(label_examples, "ndim", 1) != 1:
        return label_examples
    entries = list(label_examples)
    if all(isinstance(entry, str) for entry in entries):
        return LabelTexts(entries, None)
    if _are_rows(entries):
        return label_examples
    return _flattened(enumerate(entries), labels)


def _are_rows(entries):
    """Return whether all entries are rows of numbers."""
    return all(
        isinstance(entry, _COLLECTIONS) and len(entry) and isinstance(entry[0], Number)
        for entry in entries
    )


def labels_of(y, label_names):
    """Return the labels of y in the order of their columns: names, classes or numbers.

    Parameters
    ----------
    y, label_names : as fit takes them

    Returns
    -------
    labels : sequence
    """
    named = named_targets(y, label_names)
    targets = encode_targets(target_array(named.y, "y"), named.names, named.container)
    if targets.classes is None:
        return range(targets.indicator.shape[1])
    return targets.classes.tolist()


def _of_mapping(texts_of, labels):
    found = [(column, texts_of[label]) for column, label in enumerate(labels) if label in texts_of]
    if not found:
        raise ValueError(
            "the keys of label_examples must be labels, got none of the labels of y such as "
            f"{labels[0]!r:.80} among {list(texts_of)[:3]!r:.200}"
        )
    return _flattened(found, labels)


def _flattened(entries, labels):
    """Return the texts of pairs (column, text or texts)."""
    texts = []
    columns = []
    for column, entry in entries:
        for text in _texts_of(entry):
            if not isinstance(text, str):
                raise TypeError(
                    f"label_examples must hold texts, got {text!r:.80} for the label "
                    f"{labels[column]!r:.80}"
                )
            texts.append(text)
            columns.append(column)
    if not texts:
        raise ValueError("label_examples must hold at least one text, got none")
    return LabelTexts(texts, np.array(columns, dtype=np.int64))


def _texts_of(entry):
    if isinstance(entry, (set, frozenset)):
        return sorted(entry, key=str)
    if isinstance(entry, np.ndarray):
        return entry.tolist()
    return list(entry) if isinstance(entry, (list, tuple)) else [entry]
