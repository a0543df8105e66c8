"""Recommenders, and what makes their input."""

from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import Normalizer

from .._core import ItemModel
from .._saving.kinds import EstimatorKind, register
from .._utils.matrices import canonical_csr
from ..recommenders import (
    AutoencoderRecommender,
    BlendedRecommender,
    InteractionEncoder,
    ItemToItemRecommender,
    LinearAutoencoderRecommender,
    MatrixFactorizationRecommender,
    MostPopularRecommender,
    PriorShift,
    Recency,
    UserToUserRecommender,
)
from ._attributes import FIELDS, pack_attributes, unpack_attributes

_FLOAT = np.dtype(np.float32)
_DOUBLE = np.dtype(np.float64)
_LONG = np.dtype(np.int64)
_COMMON = ("n_items", "names")


def register_all():
    """Enter the kinds of this module."""
    register(EstimatorKind(Recency, _pack_recency, _unpack_recency, ["n_items", "names"]))
    encoder = ("users", "n_users", "items", "n_items")
    register(EstimatorKind(InteractionEncoder, _pack_encoder, _unpack_encoder, encoder))
    name = "sklearn.preprocessing.Normalizer"
    register(EstimatorKind(Normalizer, pack_attributes, unpack_attributes, FIELDS, name=name))
    _register(MostPopularRecommender, _pack_nothing, _unpack_nothing)
    _register(
        ItemToItemRecommender,
        _pack_items,
        _unpack_items,
        ("popular_weight", "n_left_out_", "n_histories", "users"),
    )
    _register(UserToUserRecommender, _pack_users, _unpack_users, ["n_users"])
    _register(LinearAutoencoderRecommender, _pack_linear, _unpack_linear)
    _register(MatrixFactorizationRecommender, _pack_factors, _unpack_factors)
    autoencoder = ("loss_curve_", "has_shift", "layer_sizes")
    _register(AutoencoderRecommender, _pack_autoencoder, _unpack_autoencoder, autoencoder)
    _register(PriorShift, _pack_shift, _unpack_shift, ["estimator_", "scale_"])
    _register(BlendedRecommender, _pack_blend, _unpack_blend, ["estimators_", "is_tuned"])


def _register(cls, pack, unpack, fields=()):
    """Enter a recommender, with the attributes that all of them have."""

    def pack_all(recommender, part):
        recommender._check_params()  # which may have been set after fit
        part.arrays["popularity_"] = recommender.popularity_
        return {**_pack_names(recommender, part), **pack(recommender, part)}

    def unpack_all(recommender, part):
        recommender._check_params()
        _unpack_names(recommender, part)
        n_items = recommender.n_features_in_
        recommender.n_labels_ = n_items
        names = getattr(recommender, "feature_names_in_", None)
        recommender.classes_ = np.arange(n_items) if names is None else names
        recommender.popularity_ = _array(part, "popularity_", _FLOAT, n_items)
        unpack(recommender, part)

    register(EstimatorKind(cls, pack_all, unpack_all, (*_COMMON, *fields)))


def _pack_names(estimator, part):
    names = getattr(estimator, "feature_names_in_", None)
    return {
        "n_items": int(estimator.n_features_in_),
        "names": None if names is None else part.strings("names", names),
    }


def _unpack_names(estimator, part):
    estimator.n_features_in_ = part.get("n_items", int)
    if part.value("names") is not None:
        estimator.feature_names_in_ = part.strings("names", estimator.n_features_in_)


def _array(part, name, dtype, *shape):
    """Read an array of a shape. A negative length is any."""
    array = part.array(name, dtype)
    known = int(np.prod([n for n in shape if n >= 0]))
    is_free = any(n < 0 for n in shape)
    fits = known and len(array) % known == 0 if is_free else len(array) == known
    if not fits:
        part.fail(f"{name} has {len(array)} elements, expected {shape}")
    if part.verify and array.dtype.kind == "f" and not np.isfinite(array).all():
        part.fail(f"{name} is not finite")
    return array.reshape(shape)


def _pack_csr(name, matrix, part):
    part.arrays[f"{name}.indptr"] = matrix.indptr.astype(np.int64)
    part.arrays[f"{name}.indices"] = matrix.indices.astype(np.int32)
    part.arrays[f"{name}.data"] = matrix.data.astype(np.float32)


def _unpack_csr(name, part, shape):
    indptr, indices, data = (
        part.array(f"{name}.{array}", dtype)
        for array, dtype in (("indptr", _LONG), ("indices", np.dtype(np.int32)), ("data", _FLOAT))
    )
    fits = len(indptr) == shape[0] + 1 and len(indices) == len(data) and indptr[0] == 0
    if not fits or indptr[-1] != len(indices):
        part.fail(f"the arrays of {name} contradict each other")
    try:
        matrix = sp.csr_matrix((data, indices, indptr), shape=shape)
    except ValueError as error:
        part.fail(f"{name}: {error}")
    return canonical_csr(matrix, name, keep_zeros=True)


def _pack_recency(recency, part):
    return _pack_names(recency, part)


def _unpack_recency(recency, part):
    recency._durations()
    _unpack_names(recency, part)


def _pack_encoder(encoder, part):
    return {
        "users": part.strings("users", encoder.users_),
        "n_users": len(encoder.users_),
        "items": part.strings("items", encoder.items_),
        "n_items": len(encoder.items_),
    }


def _unpack_encoder(encoder, part):
    encoder.users_ = np.asarray(part.strings("users", part.get("n_users", int)))
    encoder.items_ = np.asarray(part.strings("items", part.get("n_items", int)))


def _pack_nothing(recommender, part):
    return {}


def _unpack_nothing(recommender, part):
    pass


def _pack_items(recommender, part):
    part.arrays |= recommender._model.arrays
    # Without these, partial_fit has nothing to add to.
    histories = recommender._histories if recommender._can_extend else None
    users = None
    if histories is not None:
        _pack_csr("histories", histories, part)
        if recommender._users is not None:
            users = part.strings("users", recommender._users)
    return {
        "popular_weight": float(recommender._model.popular_weight),
        "n_left_out_": recommender.n_left_out_,
        "n_histories": None if histories is None else histories.shape[0],
        "users": users,
    }


def _unpack_items(recommender, part):
    arrays = {name: part.array(name, dtype) for name, dtype in ItemModel.DTYPES.items()}
    model = ItemModel(part.get("popular_weight", float), **arrays)
    if model.n_items != recommender.n_labels_:
        part.fail(f"{model.n_items} items, expected {recommender.n_labels_}")
    recommender._model = model
    recommender.n_left_out_ = part.get("n_left_out_", int)
    recommender._targets = recommender._histories = recommender._users = None
    recommender._reserve = None
    n_histories = part.value("n_histories")
    recommender._can_extend = n_histories is not None
    if n_histories is not None:
        shape = (part.get("n_histories", int), recommender.n_labels_)
        recommender._histories = _unpack_csr("histories", part, shape)
        if part.value("users") is not None:
            recommender._users = np.asarray(part.strings("users", shape[0]))


def _pack_users(recommender, part):
    _pack_csr("weights", recommender._weights, part)
    return {"n_users": recommender._weights.shape[0]}


def _unpack_users(recommender, part):
    shape = (part.get("n_users", int), recommender.n_labels_)
    recommender._set_weights(_unpack_csr("weights", part, shape))


def _pack_linear(recommender, part):
    part.arrays["kept_"] = recommender.kept_.astype(np.int64)
    part.arrays["coef_"] = recommender.coef_.ravel()
    return {}


def _unpack_linear(recommender, part):
    kept = _kept_items(recommender, part)
    recommender.kept_ = kept
    recommender.coef_ = _array(part, "coef_", _FLOAT, len(kept), len(kept))


def _kept_items(recommender, part):
    kept = part.array("kept_", _LONG)
    in_range = len(kept) == 0 or 0 <= kept.min() <= kept.max() < recommender.n_labels_
    if not in_range or (np.diff(kept) <= 0).any():
        part.fail("kept_ does not hold increasing items")
    return kept


def _pack_factors(recommender, part):
    part.arrays["item_factors_"] = recommender.item_factors_.ravel()
    part.arrays["item_bias_"] = recommender.item_bias_
    part.arrays["gram"] = recommender._gram.ravel()
    return {}


def _unpack_factors(recommender, part):
    n_items = recommender.n_labels_
    recommender.item_factors_ = _array(part, "item_factors_", _FLOAT, n_items, -1)
    recommender.item_bias_ = _array(part, "item_bias_", _FLOAT, n_items)
    n_factors = recommender.item_factors_.shape[1]
    recommender._gram = _array(part, "gram", _FLOAT, n_factors, n_factors)


def _pack_autoencoder(recommender, part):
    part.arrays["kept_"] = recommender.kept_.astype(np.int64)
    for i, (weight, bias) in enumerate(
        zip(recommender.coefs_, recommender.intercepts_, strict=True)
    ):
        part.arrays[f"coefs_.{i}"] = weight.ravel()
        part.arrays[f"intercepts_.{i}"] = bias
    if recommender._shift is not None:
        part.arrays["shift"] = recommender._shift
    return {
        "loss_curve_": part.value(recommender.loss_curve_, "loss_curve_"),
        "has_shift": recommender._shift is not None,
        "layer_sizes": [len(bias) for bias in recommender.intercepts_[:-1]],
    }


def _unpack_autoencoder(recommender, part):
    n_items = recommender.n_labels_
    recommender.kept_ = _kept_items(recommender, part)
    # Folders of earlier versions lack the field.
    hidden = list(recommender.hidden_layer_sizes)
    if "layer_sizes" in part.reader.manifest:
        hidden = part.get("layer_sizes", list)
        if not all(type(n) is int and n > 0 for n in hidden):
            part.fail(f"layer_sizes is {hidden!r:.80}")
    sizes = [n_items, *hidden, len(recommender.kept_)]
    recommender.coefs_ = []
    recommender.intercepts_ = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        recommender.coefs_.append(_array(part, f"coefs_.{i}", _FLOAT, n_in, n_out))
        recommender.intercepts_.append(_array(part, f"intercepts_.{i}", _FLOAT, n_out))
    has_shift = part.get("has_shift", bool)
    recommender._shift = _array(part, "shift", _FLOAT, n_items) if has_shift else None
    recommender.loss_curve_ = part.value("loss_curve_")


def _pack_shift(recommender, part):
    part.arrays["log_shift_"] = recommender.log_shift_
    fields = {"estimator_": part.model(recommender.estimator_, "estimator_")}
    if hasattr(recommender, "scale_"):
        fields["scale_"] = recommender.scale_
    return fields


def _unpack_shift(recommender, part):
    recommender.log_shift_ = _array(part, "log_shift_", _FLOAT, recommender.n_labels_)
    recommender.estimator_ = part.model("estimator_")
    # Folders of earlier versions lack the field.
    if "scale_" in part.reader.manifest:
        recommender.scale_ = part.get("scale_", str)
        if recommender.scale_ not in ("probability", "logarithm", "margin"):
            part.fail(f"scale_ is {recommender.scale_!r:.80}")


def _pack_blend(recommender, part):
    models = [
        part.model(estimator, f"estimators_[{i}]")
        for i, estimator in enumerate(recommender.estimators_)
    ]
    part.arrays["weights_"] = recommender.weights_
    if hasattr(recommender, "hit_rates_"):
        part.arrays["hit_rates_"] = recommender.hit_rates_
    return {"estimators_": models, "is_tuned": hasattr(recommender, "hit_rates_")}


def _unpack_blend(recommender, part):
    indices = part.get("estimators_", list)
    recommender.estimators_ = [part.model_at(index) for index in indices]
    recommender.weights_ = _array(part, "weights_", _DOUBLE, len(indices))
    if part.get("is_tuned", bool):
        recommender.hit_rates_ = _array(part, "hit_rates_", _DOUBLE, len(indices) + 1)
