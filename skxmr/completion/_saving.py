"""How a SessionQueryCompleter is saved.

A new attribute of the fitted state is added to `_pack` and `_unpack`, with its name in `_FIELDS`. A
new array goes into `_ARRAYS` if it has one value per query.
"""

from itertools import pairwise

import numpy as np

from .._core import check_offsets, indptr_of
from .._saving.kinds import EstimatorKind, register
from .._utils.params import check_integer, check_option, check_real
from .._utils.texts import objects
from ..linear import XRLinearClassifier
from ..text import NGramTfidfVectorizer
from ._completer import SessionQueryCompleter
from ._matches import MatchIndex
from ._prefixes import PrefixIndex
from ._query_features import QueryFeatures, QueryNormalizer

#: Attributes with one value per query, and their dtypes.
_ARRAYS = {"popularity_": np.dtype(np.float32)}

#: Names of the fields of the fitted state.
_FIELDS = (
    "classifier previous_vectorizer prefix_vectorizer n_prefix_features previous_weight lowercase "
    "strip_accents knows_empty chosen_popularity_weight n_queries classes feature_names n_letters "
    "letters n_letter_ends letter_ends"
).split()


def register_all():
    """Enter the kind of this module."""
    register(EstimatorKind(SessionQueryCompleter, _pack, _unpack, _FIELDS))


def _pack(completer, part):
    """Return the fields of a fitted completer. Arrays and models go to the PartWriter `part`."""
    completer._check_params()
    completer._check_fitted()
    previous = completer.previous_vectorizer_
    if previous is not None:
        previous = part.model(previous, "previous_vectorizer_")
    part.arrays |= {name: getattr(completer, name) for name in _ARRAYS}
    prefixes = completer._prefixes
    part.arrays["prefixes.order"] = prefixes.order
    part.arrays["prefixes.bytes"], part.arrays["prefixes.pointers"] = prefixes.packed
    words = completer._matches.words
    part.arrays["words.text"] = words.text
    part.arrays["words.offset"] = words.offset
    normalizer = completer._normalizer
    features = completer._features
    return {
        "classifier": part.model(completer.classifier_, "classifier_"),
        "previous_vectorizer": previous,
        "prefix_vectorizer": part.model(completer.prefix_vectorizer_, "prefix_vectorizer_"),
        "n_prefix_features": int(features._offset),
        "previous_weight": float(features._weight),
        "lowercase": bool(normalizer.lowercase),
        "strip_accents": normalizer.strip_accents,
        "knows_empty": bool(completer._knows_empty),
        "chosen_popularity_weight": completer.popularity_weight_,
        "n_queries": len(completer.classes_),
        "classes": part.strings("classes", completer.classes_),
        "feature_names": part.value(
            getattr(completer, "feature_names_in_", None), "feature_names_in_"
        ),
        **_pack_letters(completer._partial_letters, part),
    }


def _pack_letters(partial_letters, part):
    """Return the fields of the prefixes that end within a letter."""
    ends = [end for texts in partial_letters.values() for end in texts]
    part.arrays["letter_pointers"] = indptr_of([len(texts) for texts in partial_letters.values()])
    return {
        "n_letters": len(partial_letters),
        "letters": part.strings("letters", objects(partial_letters)),
        "n_letter_ends": len(ends),
        "letter_ends": part.strings("letter_ends", objects(ends)),
    }


def _unpack(completer, part):
    """Set the fitted state of a completer from the PartReader `part`."""
    completer._check_params()
    completer.n_features_in_ = 2
    names = part.value("feature_names")
    if names is not None:
        completer.feature_names_in_ = _check_names(names, part)
    n_queries = part.get("n_queries", int)
    completer.classes_ = part.strings("classes", n_queries)
    if completer.classes_.dtype != object:
        part.fail(f"the queries are an array of {completer.classes_.dtype}")
    for name, dtype in _ARRAYS.items():
        setattr(completer, name, _array_of(part, name, dtype, n_queries))
    completer.popularity_weight_ = part.value("chosen_popularity_weight")
    if completer.popularity_weight_ is not None:
        check_real(completer.popularity_weight_, "chosen_popularity_weight", 0, most=1)
    completer._normalizer = _unpack_normalizer(part)
    completer._knows_empty = part.get("knows_empty", bool)
    completer.classifier_ = part.model("classifier", XRLinearClassifier)
    completer._check_fitted()
    completer._prefixes = _unpack_prefixes(part, completer.classifier_.trees_, n_queries)
    completer._matches = _unpack_matches(part, completer._prefixes, completer.popularity_)
    completer._partial_letters = _unpack_letters(part)
    _unpack_features(completer, part)


def _array_of(part, name, dtype, n):
    array = part.array(name, dtype)
    if len(array) != n:
        part.fail(f"{name!r} has {len(array)} values, expected {n}")
    return array


def _check_names(names, part):
    is_array = isinstance(names, np.ndarray) and names.dtype == object and len(names) == 2
    if not is_array:
        part.fail(f"the names of the columns are {names!r:.80}")
    return names


def _unpack_normalizer(part):
    lowercase = part.get("lowercase", bool)
    strip_accents = part.value("strip_accents")
    if strip_accents is not None:
        check_option(strip_accents, "strip_accents", ("ascii", "unicode"))
    return QueryNormalizer(lowercase, strip_accents)


def _unpack_prefixes(part, trees, n_queries):
    order = _array_of(part, "prefixes.order", np.dtype(np.int32), n_queries)
    data = part.array("prefixes.bytes", np.dtype(np.uint8))
    pointers = part.array("prefixes.pointers", np.dtype(np.int64))
    check_offsets(pointers, len(data), "the pointers to texts")
    return PrefixIndex.from_sorted(trees, order, data, pointers)


def _unpack_matches(part, prefixes, popularity):
    text = part.array("words.text", np.dtype(np.int32))
    offset = _array_of(part, "words.offset", np.dtype(np.int32), len(text))
    if len(text) and not 0 <= text.min() <= text.max() < len(popularity):
        part.fail("the words are not in the texts")
    return MatchIndex.from_words(prefixes, popularity, text, offset)


def _unpack_letters(part):
    letters = part.strings("letters", part.get("n_letters", int))
    ends = part.strings("letter_ends", part.get("n_letter_ends", int)).tolist()
    pointers = _array_of(part, "letter_pointers", np.dtype(np.int64), len(letters) + 1)
    check_offsets(pointers, len(ends), "the pointers to ends of letters")
    texts = (tuple(ends[begin:end]) for begin, end in pairwise(pointers.tolist()))
    return dict(zip(letters, texts, strict=True))


def _unpack_features(completer, part):
    completer.prefix_vectorizer_ = part.model("prefix_vectorizer")
    completer.previous_vectorizer_ = None
    if part.value("previous_vectorizer") is not None:
        completer.previous_vectorizer_ = part.model("previous_vectorizer")
    n_prefix_features = part.get("n_prefix_features", int)
    weight = part.get("previous_weight", float)
    check_real(weight, "previous_weight", 0)
    _check_columns(completer, n_prefix_features)
    completer._features = QueryFeatures(
        completer.previous_vectorizer_, completer.prefix_vectorizer_, n_prefix_features, weight
    )


def _check_columns(completer, n_prefix_features):
    """Check that the vectorizers, as far as they tell, have the columns of the classifier."""
    check_integer(n_prefix_features, "n_prefix_features", 1, completer.classifier_.n_features_in_)
    n_previous = completer.classifier_.n_features_in_ - n_prefix_features
    vectorizers = (completer.prefix_vectorizer_, completer.previous_vectorizer_)
    for vectorizer, expected in zip(vectorizers, (n_prefix_features, n_previous), strict=True):
        if isinstance(vectorizer, NGramTfidfVectorizer):
            n = vectorizer._model.n_features
            if n != expected:
                raise ValueError(f"a vectorizer has {n} columns, the classifier {expected}")
