"""NGramTfidfVectorizer, and the vectorizers of scikit-learn."""

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer

from .._core import NORMS, TERM_DTYPES, NGramBlock, NGramModel, NGramWeights, Terms
from .._saving.kinds import EstimatorKind, register
from .._utils.params import check_boolean, check_option
from .._utils.texts import objects
from ..text import NGramTfidfVectorizer
from ._attributes import FIELDS, pack_attributes, unpack_attributes

#: Types of parameters of vectorizers that are saved without skops.
_PLAIN = (bool, int, float, str, list, tuple, set, frozenset, dict)


def register_all():
    """Enter the kind of this module."""
    fields = ("encoding", "blocks", "weights", "has_idf")
    added = ("lead_weight", "lead_length")
    register(EstimatorKind(NGramTfidfVectorizer, _pack, _unpack, fields, added))
    package = "sklearn.feature_extraction.text"
    for cls in (CountVectorizer, TfidfVectorizer):
        register(VectorizerKind(cls, name=f"{package}.{cls.__name__}"))
    register(
        EstimatorKind(
            TfidfTransformer,
            pack_attributes,
            unpack_attributes,
            FIELDS,
            name=f"{package}.TfidfTransformer",
        )
    )


class VectorizerKind(EstimatorKind):
    """Vectorizers of scikit-learn, whose vocabulary is stored as arrays."""

    def __init__(self, cls, **options):
        fields = (*FIELDS, "terms", "n_terms")
        super().__init__(cls, _pack_vocabulary, _unpack_vocabulary, fields, **options)

    def takes(self, model):
        """Return whether no parameter is a function or the like, and all terms are strings."""
        values = model.get_params(deep=False).values()
        terms = getattr(model, "vocabulary_", ())
        return all(map(_is_plain, values)) and all(isinstance(term, str) for term in terms)


def _is_plain(value):
    if isinstance(value, type):
        return issubclass(value, np.number)
    return value is None or type(value) in _PLAIN


def _pack(vectorizer, part):
    model = vectorizer._model
    for b, terms in enumerate(model.terms):
        part.arrays |= {f"{b}.{name}": getattr(terms, name) for name in TERM_DTYPES}
    weights = model.weights
    if weights.idf is not None:
        part.arrays["idf"] = weights.idf
    return {
        "encoding": part.value(tuple(vectorizer._encoding), "encoding"),
        "blocks": part.value([tuple(block) for block in model.blocks], "blocks"),
        "weights": part.value((weights.sublinear, weights.block_norm, weights.norm), "weights"),
        "has_idf": weights.idf is not None,
    }


def _unpack(vectorizer, part):
    lowercase, strip_accents = part.value("encoding")
    check_boolean(lowercase, "lowercase")
    if strip_accents is not None:
        check_option(strip_accents, "strip_accents", ("ascii", "unicode"))
    blocks = [NGramBlock(*block) for block in part.value("blocks")]
    terms = [_read_terms(part, b) for b in range(len(blocks))]
    idf = part.array("idf", np.dtype(np.float64)) if part.get("has_idf", bool) else None
    sublinear, block_norm, norm = part.value("weights")
    check_boolean(sublinear, "sublinear_tf")
    for name, value in (("block_norm", block_norm), ("norm", norm)):
        if value is not None:
            check_option(value, name, [key for key in NORMS if key])
    model = NGramModel(blocks, terms, NGramWeights(sublinear, idf, block_norm, norm))
    model.check()
    vectorizer._encoding = lowercase, strip_accents
    vectorizer._model = model


def _read_terms(part, b):
    terms = Terms(**{name: part.array(f"{b}.{name}", t) for name, t in TERM_DTYPES.items()})
    if part.verify:
        terms.check()
    return terms


def _pack_vocabulary(vectorizer, part):
    vocabulary = getattr(vectorizer, "vocabulary_", {})
    part.arrays["columns"] = np.fromiter(vocabulary.values(), np.int64, len(vocabulary))
    return {
        "n_terms": len(vocabulary),
        "terms": part.strings("terms", objects(vocabulary)),
        **pack_attributes(vectorizer, part, ("vocabulary_", "_stop_words_id")),
    }


def _unpack_vocabulary(vectorizer, part):
    unpack_attributes(vectorizer, part)
    terms = part.strings("terms", part.get("n_terms", int))
    columns = part.array("columns", np.dtype(np.int64))
    if not np.array_equal(np.sort(columns), np.arange(len(terms))):
        part.fail("the columns of the vocabulary are not those of its terms")
    vectorizer.vocabulary_ = dict(zip(terms.tolist(), columns.tolist(), strict=True))
    if len(vectorizer.vocabulary_) != len(terms):
        part.fail("the vocabulary has a term twice")
    vectorizer._stop_words_id = id(vectorizer.stop_words)  # the fit has already checked them
