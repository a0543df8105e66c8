"""Texts in batches, encoded for the C core."""

import itertools
from typing import NamedTuple

import numpy as np
from sklearn.feature_extraction.text import strip_accents_ascii, strip_accents_unicode

from .._core import MAX_TEXT_BYTES, indptr_of, stop_if_cancelled
from . import parallel
from .texts import check_ordered

_STRIP_ACCENTS = {"ascii": strip_accents_ascii, "unicode": strip_accents_unicode}


#: Number of characters whose accents are stripped at a time: the time to sort combining characters
#: is quadratic in their number.
_STRIPPED_AT_ONCE = 1 << 10


#: Largest numbers of texts, and of characters, that are passed to C at a time.
BATCH_TEXTS = 1 << 12


BATCH_CHARACTERS = 1 << 22


#: Bytes of text from which a call takes so long that it must be interruptible.
_LONG = 1 << 20


def check_documents(raw_documents):
    """Check the texts; return them as a list."""
    if isinstance(raw_documents, (str, bytes)):
        raise ValueError(
            "raw_documents must be an iterable of str, one per text, got a single "
            f"{type(raw_documents).__name__}"
        )
    check_ordered(raw_documents, "raw_documents")
    if len(getattr(raw_documents, "shape", [1])) != 1:
        # An iteration over a table would give the names of its columns.
        raise ValueError(
            "raw_documents must be one-dimensional, one text per element, got "
            f"{type(raw_documents).__name__}"
        )
    try:
        texts = raw_documents if type(raw_documents) is list else list(raw_documents)
    except TypeError:
        raise TypeError(
            f"raw_documents must be an iterable of str, got {type(raw_documents).__name__}"
        ) from None
    return texts


def caller(n_bytes):
    """Return the function that calls functions on so many bytes of text."""
    return parallel.interruptible if n_bytes > _LONG else _call


def _call(function, *args):
    return function(*args)


class _Batch(NamedTuple):
    """Some texts.

    Parameters
    ----------
    texts : list of str
    first : int
        Position of the first one among all texts.
    ascii : bytes
        Whether each is ASCII, as 0 or 1.
    lengths : ndarray of int64
        Number of characters of each.
    """

    texts: list[str]
    first: int
    ascii: bytes
    lengths: np.ndarray


def make_batch(texts, first):
    try:
        ascii = bytes(map(str.isascii, texts))
    except TypeError:
        _refuse_others(texts, first)
        raise
    return _Batch(texts, first, ascii, np.fromiter(map(len, texts), np.int64, len(texts)))


def _refuse_others(texts, first):
    """Raise a TypeError if a text is not a str."""
    for i, text in enumerate(texts, start=first):
        if not isinstance(text, str):
            raise TypeError(f"raw_documents[{i}] must be a str, got {type(text).__name__}")


def batches(texts):
    """Iterate over all texts in batches."""
    begin = 0
    while begin < len(texts):
        batch = make_batch(texts[begin : begin + BATCH_TEXTS], begin)
        n = int(np.searchsorted(np.cumsum(batch.lengths), BATCH_CHARACTERS, side="right"))
        if n < len(batch.texts):
            batch = make_batch(batch.texts[: max(n, 1)], begin)
        yield batch
        begin += len(batch.texts)


def encode(batch, encoding):
    """Normalize texts and encode them in UTF-8; return the joined bytes, and their pointers."""
    lowercase, _ = encoding
    texts, first, ascii, lengths = batch
    others = np.flatnonzero(np.frombuffer(ascii, np.bool_) == 0).tolist() if 0 in ascii else []
    blob = "".join(itertools.compress(texts, ascii) if others else texts).encode()
    blob = blob.lower() if lowercase else blob
    if others:
        normalized = [_normalize(texts[i], encoding) for i in others]
        lengths = lengths.copy()
        lengths[others] = 0
        blob = _insert(blob, np.cumsum(lengths)[others].tolist(), normalized)
        lengths[others] = list(map(len, normalized))
    ptr = indptr_of(lengths)
    if len(blob) > MAX_TEXT_BYTES:
        _check_lengths(ptr, first)
    return blob, ptr


def _normalize(text, encoding):
    """Normalize one text by Python's functions, and encode it in UTF-8."""
    lowercase, strip_accents = encoding
    text = text.lower() if lowercase else text
    if strip_accents is not None:
        text = without_accents(text, strip_accents)
    return text.encode("utf-8", "surrogatepass")


def without_accents(text, how):
    """Strip the accents of a text as scikit-learn does; `how` is "ascii" or "unicode"."""
    strip = _STRIP_ACCENTS[how]
    if len(text) <= _STRIPPED_AT_ONCE:
        return strip(text)
    parts = []
    for begin in range(0, len(text), _STRIPPED_AT_ONCE):
        stop_if_cancelled()
        parts.append(strip(text[begin : begin + _STRIPPED_AT_ONCE]))
    return "".join(parts)


def _insert(blob, offsets, parts):
    """Insert bytes at increasing offsets."""
    edges = itertools.pairwise([0, *offsets, len(blob)])
    between = [blob[begin:end] for begin, end in edges]
    pairs = zip(between, [*parts, b""], strict=True)
    return b"".join(itertools.chain.from_iterable(pairs))


def _check_lengths(ptr, first):
    """Raise a ValueError if a text is too long."""
    for i in np.flatnonzero(np.diff(ptr) > MAX_TEXT_BYTES)[:1]:
        raise ValueError(
            f"raw_documents[{first + i}] has more than {MAX_TEXT_BYTES} bytes in UTF-8"
        )


def transform_batch(model, batch, encoding):
    return model.transform(*encode(batch, encoding))
