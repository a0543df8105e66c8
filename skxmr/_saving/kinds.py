"""Kinds of models that can be saved, by their classes."""

import inspect
from abc import ABC, abstractmethod

from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from .._utils.estimators import snapshot
from .._utils.folder import LATEST

_by_class = {}
_by_name = {}


class Kind(ABC):
    """How the models of a class are saved.

    Parameters
    ----------
    cls : type
        Models of subclasses have other kinds.
    name : str, optional
        Name in model folders, by default that of the class.
    is_part : bool, default=False
        Whether such models are only saved as parts of others.
    """

    def __init__(self, cls, *, name=None, is_part=False):
        self.cls = cls
        self.name = cls.__name__ if name is None else name
        self.is_part = is_part

    def takes(self, model):
        """Return whether this kind can save a model of the class. Otherwise skops does."""
        return True

    @abstractmethod
    def describe(self, model, part):
        """Return the fields of a model, of JSON types.

        Parameters
        ----------
        model : object of the class
        part : PartWriter
            Takes arrays and other models.

        Returns
        -------
        fields : dict
        """

    @abstractmethod
    def rebuild(self, part):
        """Return the model that was described, after checking everything that is read.

        Parameters
        ----------
        part : PartReader

        Returns
        -------
        model : object of the class

        Raises
        ------
        ValueError, TypeError
            If the part is damaged.
        """


class EstimatorKind(Kind):
    """How the estimators of a class are saved: their parameters and their fitted state.

    Parameters
    ----------
    cls : type
    pack : callable, optional
        ``pack(estimator, part)`` returns the fields of the fitted state of an estimator, and gives
        arrays and other models to a PartWriter. By default, there is no state besides the
        parameters.
    unpack : callable, optional
        ``unpack(estimator, part)`` sets the fitted state of a new estimator from a PartReader.
    fields : iterable of str
        Names of the fields that `pack` returns.
    added : tuple of str
        Parameters that earlier versions of the format lack. They are left out if all of them have
        their defaults.
    **options
        Other parameters of Kind.
    """

    def __init__(self, cls, pack=None, unpack=None, fields=(), added=(), **options):
        super().__init__(cls, **options)
        self._pack = pack
        self._unpack = unpack
        self._fields = frozenset(["params", "fitted", *fields])
        self._added = added

    def describe(self, model, part):
        """Return the fields of an estimator."""
        model = snapshot(model)
        fields = {"params": part.params(model)}
        defaults = inspect.signature(self.cls).parameters
        if all(getattr(model, name) == defaults[name].default for name in self._added):
            for name in self._added:
                del fields["params"][name]
        else:
            fields["version"] = LATEST
        if self._pack is not None:
            fields["fitted"] = _is_fitted(model)
        if fields.get("fitted"):
            fields |= self._pack(model, part)
        return fields

    def rebuild(self, part):
        """Return the estimator that was described."""
        part.check_fields(self._fields)
        model = self.cls(**part.params(self.cls, self._added))
        if self._unpack is not None and part.get("fitted", bool):
            self._unpack(model, part)
        return model


def _is_fitted(estimator):
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def register(kind):
    """Enter a kind, so that its models can be saved and loaded.

    Parameters
    ----------
    kind : Kind
    """
    _by_class[kind.cls] = kind
    _by_name[kind.name] = kind


def kind_of(cls):
    """Return the kind of the models of a class, or None."""
    return _by_class.get(cls)


def kind_named(name):
    """Return the kind with a name, or None."""
    return _by_name.get(name)


def base_kind_of(model):
    """Return the class of a kind that the class of a model is derived from, or None."""
    return next((cls for cls in type(model).__mro__ if cls in _by_class), None)
