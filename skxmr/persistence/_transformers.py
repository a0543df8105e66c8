"""Text encoders: their weights as safetensors, and the files of their tokenizers."""

import os
import re
import tempfile
from pathlib import Path

import numpy as np

from .._saving.kinds import EstimatorKind, register
from .._utils.estimators import snapshot
from ..linear import XRLinearClassifier
from ..transformers import StaticEmbedder, TransformerEmbedder, XRTransformerClassifier
from ..transformers._encoder import load_encoder, read_folder
from ..transformers._torch import import_extra

#: Names of the files of an encoder. Weights in other formats than safetensors are not read.
_FILE = re.compile(r"(?!.*\.(bin|pt|pkl)$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def register_all():
    """Enter the kinds of this module."""
    register(_EncoderKind(TransformerEmbedder, _pack_embedder, _unpack_embedder, _OF_EMBEDDER))
    register(_EncoderKind(XRTransformerClassifier, _pack_classifier, _unpack_classifier, _PARTS))
    register(_EncoderKind(StaticEmbedder, _pack_static, _unpack_static, _OF_STATIC))


_OF_EMBEDDER = ("files", "model", "pooling", "width", "truncated_share")
_PARTS = ("encoder", "vectorizer", "embedders", "classifiers")
_OF_STATIC = ("width", "words", "names", "tokenizer")

#: Parameters that may hold an encoder, and are not saved as they are.
_ENCODERS = ("encoder", "vectors", "tokenizer")


class _EncoderKind(EstimatorKind):
    """How estimators with an encoder among their parameters are saved."""

    def describe(self, model, part):
        """Return the fields of an estimator."""
        model = snapshot(model)
        params = snapshot(model)
        for name in _ENCODERS:
            if name in vars(params):
                setattr(params, name, None)
        fields = {"params": part.params(params), "fitted": model.__sklearn_is_fitted__()}
        return {**fields, **self._pack(model, part)} if fields["fitted"] else fields


def _pack_embedder(embedder, part):
    width = int(embedder.n_features_out_)
    fields = {"width": width, "truncated_share": part.value(embedder.truncated_share_, "share")}
    if "encoder_" in vars(embedder):
        model = part.model(embedder.encoder_, "encoder_")
        return {**fields, "files": [], "pooling": embedder.pooling, "model": model}
    encoder = load_encoder(embedder.encoder)
    names = []
    with tempfile.TemporaryDirectory() as folder:
        encoder.model.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(folder)
        for path in sorted(Path(folder).iterdir()):
            part.files[f"encoder.{path.name}"] = path.read_bytes()
            names.append(path.name)
    pooling = encoder.pooling(embedder.pooling)
    return {**fields, "files": names, "pooling": pooling, "model": None}


def _unpack_embedder(embedder, part):
    embedder._n_features_out = part.get("width", int)
    embedder.truncated_share_ = part.value("truncated_share")
    embedder.pooling = part.get("pooling", str)
    embedder.memory = None
    names = part.get("files", list)
    if not names:
        embedder.encoder_ = embedder.encoder = part.model("model")
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            if not isinstance(name, str) or not _FILE.fullmatch(name):
                part.fail(f"'files' holds {name!r:.80}")
            (Path(folder) / name).write_bytes(part.reader.file(f"encoder.{name}"))
        encoder = read_folder(Path(folder))
    encoder.model.config._name_or_path = ""
    encoder.tokenizer.name_or_path = ""
    embedder.encoder = encoder.model, encoder.tokenizer
    if encoder.width != embedder._n_features_out:
        part.fail(f"its encoder gives {encoder.width} columns")


def _pack_classifier(classifier, part):
    encoder = classifier.encoder
    is_folder = isinstance(encoder, (str, os.PathLike))
    return {
        "encoder": os.fsdecode(encoder) if is_folder else None,
        "vectorizer": part.model(classifier.vectorizer_, "vectorizer_"),
        "embedders": [part.model(e, "embedders_") for e in classifier.embedders_],
        "classifiers": [part.model(c, "classifiers_") for c in classifier.classifiers_],
    }


def _unpack_classifier(classifier, part):
    classifier.encoder = part.value("encoder")
    classifier.memory = None
    classifier.vectorizer_ = part.model("vectorizer")
    classifier.embedders_ = _models(part, "embedders", TransformerEmbedder)
    classifier.classifiers_ = _models(part, "classifiers", XRLinearClassifier)
    if len(classifier.embedders_) != len(classifier.classifiers_):
        part.fail(f"it has {len(classifier.embedders_)} encoders and another number of classifiers")
    classifier.losses_ = [[] for _ in classifier.embedders_]
    classifier.seconds_ = [[] for _ in classifier.embedders_]


def _models(part, name, cls):
    models = [part.model_at(index) for index in part.get(name, list)]
    if not models or not all(isinstance(model, cls) for model in models):
        part.fail(f"{name!r} must hold models of {cls.__name__}")
    return models


def _pack_static(embedder, part):
    part.arrays["vectors"] = embedder.vectors_.reshape(-1)
    fields = {"width": embedder.vectors_.shape[1], "words": 0, "tokenizer": None}
    tokens = embedder._tokens_of
    if hasattr(tokens, "vocabulary"):
        part.arrays["rows"] = np.array(list(tokens.vocabulary.values()), dtype=np.int64)
        names = list(tokens.vocabulary)
        return {
            **fields,
            "words": len(names),
            "names": part.strings("names", np.array(names, dtype=object)),
        }
    return {**fields, "tokenizer": tokens.tokenizer.to_str()}


def _unpack_static(embedder, part):
    width = part.get("width", int)
    vectors = part.array("vectors", np.dtype(np.float32))
    if width < 1 or len(vectors) % width:
        part.fail(f"it has {len(vectors)} numbers in vectors of {width}")
    embedder.vectors = vectors.reshape(-1, width)
    content = part.value("tokenizer")
    if content is None:
        names = part.strings("names", part.get("words", int))
        rows = part.array("rows", np.dtype(np.int64))
        embedder.tokenizer = dict(zip(map(str, names), rows.tolist(), strict=True))
    else:
        embedder.tokenizer = import_extra("tokenizers").Tokenizer.from_str(content)
    embedder.fit()
