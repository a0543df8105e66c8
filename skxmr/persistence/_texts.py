"""NGramTfidfVectorizer."""

import numpy as np

from .._core import NORMS, TERM_DTYPES, NGramBlock, NGramModel, NGramWeights, Terms
from .._saving.kinds import EstimatorKind, register
from .._utils.params import check_boolean, check_option
from ..text import NGramTfidfVectorizer


def register_all():
    """Enter the kind of this module."""
    fields = ("encoding", "blocks", "weights", "has_idf")
    register(EstimatorKind(NGramTfidfVectorizer, _pack, _unpack, fields))


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
