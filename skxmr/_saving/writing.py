"""Writing of a model, and of the models that it contains, as one folder."""

import inspect
import warnings

from sklearn.utils.validation import check_is_fitted

from .._utils.folder import VERSION, write_folder
from .foreign import FOREIGN, dump_foreign
from .kinds import base_kind_of, kind_of
from .labels import pack_labels
from .values import NoFormError, encode, is_model

#: The class whose folders have no list of models, unless there are others.
SINGLE = "XRLinearClassifier"

#: Parameters that are objects. They are not saved, and there is no warning.
_NOT_SAVED = ("memory", "random_state")


def save_model(model, folder, cls=None, stored=None):
    """Save a fitted model as a folder. See `skxmr.save`.

    Parameters
    ----------
    model : estimator
    folder : str or path
    cls : type, optional
        Class as which the model is saved, one that its own class is derived from.
    stored : ArrayFiles, optional
        Files that have some of its arrays.
    """
    write_folder(folder, *_described(model, cls or type(model)), stored)


def _described(model, cls):
    """Return the content of the folder of a fitted model, as arguments of `write_folder`.

    Raises
    ------
    TypeError, ValueError
        If a part of the model cannot be saved.
    ImportError
        If a part is saved with skops, and skops is not installed.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    """
    if not is_model(model):
        raise TypeError(f"model must be a fitted estimator, got {model!r:.80}")
    kind = kind_of(cls)
    if kind is not None and kind.is_part:
        raise TypeError(
            f"model must be a ranker, a vectorizer or a pipeline, got a {type(model).__name__}, "
            "which is only saved as a part of others"
        )
    check_is_fitted(model)
    writer = ModelWriter()
    writer.add(model, "model", cls)
    fields = writer.models[-1]
    if fields["class"] == SINGLE and len(writer.models) == 1:
        part = writer.parts[-1]
        return {**fields, "version": writer.version}, part.arrays, part.checksums, {}
    content = {"class": fields["class"], "models": writer.models, "version": writer.version}
    return content, *writer.merged()


class ModelWriter:
    """Collects a model and the models that it contains.

    Attributes
    ----------
    models : list of dict
        The fields of each model. Models come after those that they contain.
    parts : list of PartWriter
        Their arrays and files.
    version : int
        Version of the format that they need.
    """

    def __init__(self):
        self.version = VERSION
        self.models = []
        self.parts = []
        self._known = {}
        self._open = set()

    def add(self, model, where, cls=None):
        """Add a model of a class unless it is known, and return its position in the list."""
        if id(model) in self._open:
            raise ValueError(f"{where} contains itself, and cannot be saved")
        if id(model) not in self._known:
            self._open.add(id(model))
            index = self._describe(model, where, cls or type(model))
            self._open.remove(id(model))
            self._known[id(model)] = index, model  # the reference keeps the id unique
        return self._known[id(model)][0]

    def _describe(self, model, where, cls):
        part = PartWriter(self, where)
        kind = kind_of(cls)
        if kind is None or not kind.takes(model):
            fields = self._describe_foreign(model, part, where)
        else:
            fields = {"class": kind.name, **kind.describe(model, part)}
        self.version = max(self.version, fields.pop("version", VERSION))
        self.models.append(fields)
        self.parts.append(part)
        return len(self.models) - 1

    def _describe_foreign(self, model, part, where):
        base = base_kind_of(model)
        if base is not None and base.__module__.startswith("skxmr."):
            raise TypeError(
                f"{where} is a {type(model).__name__}, a subclass of {base.__name__}; only "
                f"{base.__name__} itself can be saved, or use joblib"
            )
        part.files[FOREIGN] = dump_foreign(model, where)
        return {"class": "skops", "type": f"{type(model).__module__}.{type(model).__qualname__}"}

    def merged(self):
        """Return the arrays, their expected checksums, and the files of all models."""
        merged = {}, {}, {}
        for i, part in enumerate(self.parts):
            for out, own in zip(merged, (part.arrays, part.checksums, part.files), strict=True):
                out.update({f"{prefix_of(i)}{name}": value for name, value in own.items()})
        return merged


def prefix_of(index):
    """Return the first part of the names of the arrays of a model in the list."""
    return f"models.{index}."


class PartWriter:
    """Takes what belongs to one model.

    Attributes
    ----------
    arrays : dict of str to ndarray
        One-dimensional arrays that are not of objects. The names must not have slashes.
    checksums : dict of str to int
        Expected checksums of mapped arrays that are not verified yet.
    files : dict of str to bytes
    """

    def __init__(self, writer, where):
        self._writer = writer
        self._where = where
        self._n_values = 0
        self.arrays = {}
        self.checksums = {}
        self.files = {}

    def model(self, model, name):
        """Add a model that this one contains; return its position in the list of models.

        Parameters
        ----------
        model : estimator
        name : str
            Name of the attribute or parameter, for messages.
        """
        return self._writer.add(model, name)

    def strings(self, name, strings):
        """Add an array of numbers or strings; return the field `name`, which `strings` reads."""
        return pack_labels(self.arrays, name, strings)

    def array_value(self, array, where):
        """Add an array that is a value; return its description."""
        name = f"values.{self._n_values}"
        self._n_values += 1
        try:
            stored = pack_labels(self.arrays, name, array)
        except TypeError as error:
            raise NoFormError(f"{where} cannot be saved: {error}") from error
        return [name, len(array), stored]

    def value(self, value, name):
        """Return any value of an attribute as JSON types; see `values.encode`."""
        return encode(value, self, f"{self._where}.{name}")

    def params(self, estimator):
        """Return all parameters of an estimator as JSON types.

        A parameter without such a form is replaced by its default, with a warning.
        """
        params = {}
        for name, value in estimator.get_params(deep=False).items():
            try:
                params[name] = self.value(value, name)
            except NoFormError:
                default = inspect.signature(type(estimator)).parameters[name].default
                if default is inspect.Parameter.empty:
                    raise
                params[name] = self.value(default, name)
                if name not in _NOT_SAVED:
                    warnings.warn(
                        f"parameter {name}={value!r:.80} cannot be saved; the loaded estimator has "
                        "its default",
                        stacklevel=2,
                    )
        return params
