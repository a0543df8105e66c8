"""Saving of models as folders of arrays, and loading."""

from .._saving.reading import load_model
from .._saving.writing import save_model
from ..completion import _saving as _completion
from . import _classifiers, _containers, _recommenders, _texts, _transformers, _wrappers

__all__ = ["load", "save"]

_classifiers.register_all()
_containers.register_all()
_recommenders.register_all()
_texts.register_all()
_transformers.register_all()
_wrappers.register_all()
_completion.register_all()


def save(model, folder):
    """Save a fitted model as one folder of arrays and one JSON file, without pickles.

    An existing model is replaced atomically. A process that loads it at the same time gets either
    the old or the new model, and an interruption leaves the old one.

    Parameters
    ----------
    model : estimator
        XRLinearClassifier, NGramTfidfVectorizer, CalibratedRanker, PropensityReranker,
        TextReranker, SessionQueryCompleter, the estimators of :mod:`skxmr.recommenders` and of
        :mod:`skxmr.transformers`, a TfidfVectorizer, CountVectorizer, TfidfTransformer or
        Normalizer of scikit-learn, or these in a pipeline of skxmr or scikit-learn, in a
        FeatureUnion, a ColumnTransformer or a FrozenEstimator, in any nesting. Steps of other
        classes, or with functions as parameters, are saved with `skops
        <https://skops.readthedocs.io>`_, which is the extra ``skxmr[skops]``.
    folder : str or path
        Created if it does not exist. Other files in it are not changed. A model consists of the
        file ``skxmr.json`` and of the folder ``arrays-...`` that this file names.

    Raises
    ------
    FileExistsError
        If `folder` is a file.
    ImportError
        If a step is of another class, and skops is not installed.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    TypeError, ValueError
        If a part of the model cannot be saved. The message names it. Nothing is written.

    See Also
    --------
    load : The inverse.

    Notes
    -----
    Of a search, such as GridSearchCV, save `best_estimator_`.

    Parameters keep their values and types. Parameters with other values, such as functions, are
    replaced by their defaults, with a warning. A memory or a random state that is an object is not
    saved, nor are the fitted indexer of a classifier and metadata requests.

    Examples
    --------
    >>> import tempfile
    >>> import skxmr
    >>> from skxmr.pipeline import make_pipeline
    >>> from skxmr.text import NGramTfidfVectorizer
    >>> model = make_pipeline(NGramTfidfVectorizer(), skxmr.XRLinearClassifier(random_state=0))
    >>> _ = model.fit(["cats purr", "dogs bark", "eels slip"], ["cat", "dog", "eel"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skxmr.save(model, folder)
    ...     skxmr.load(folder).rank(["my cats purr"], k=1).names
    [['cat']]
    """
    save_model(model, folder)


def load(folder, *, mmap=False, verify=None, trusted=()):
    """Load a model from a folder.

    Parameters
    ----------
    folder : str or path
        The folder that :func:`save` or a method ``save`` wrote.
    mmap : bool, default=False
        Whether to map the arrays read-only instead of reading them. Mapped arrays only take memory
        for the parts in use, and processes share this memory.
    verify : bool, default=None
        Whether to check the checksum and the content of every array. This reads all arrays. If
        False, only the arrays that determine where ranking reads weights are checked, and those of
        vectorizers, wrappers and completers. By default, arrays are verified unless `mmap` is true.
        A mapped classifier thus opens in milliseconds, whatever its size.
    trusted : sequence of str or type, default=()
        Types that skops may load, besides those of scikit-learn, NumPy and SciPy that it trusts.
        Only used for steps that are saved with skops. Names are those in the error message, such
        as ``"mymodule.MyTransformer"``. Loading a type may run its code.

    Returns
    -------
    model : estimator
        The fitted model, of the class that was saved.

    Raises
    ------
    FileNotFoundError
        If the folder does not contain a model.
    ImportError
        If a step was saved with skops, and skops is not installed.
    ValueError
        If the model is damaged or was saved by a later version of skxmr, if a step has a type that
        is not trusted, or if `folder` is not a valid path.

    See Also
    --------
    save : Save a fitted model.
    XRLinearClassifier.save : Save a fitted classifier.

    Notes
    -----
    Without verification, a damaged array may change rankings or raise an error later. It cannot
    cause invalid memory accesses. Classes, feature names and the slots of trees are then checked
    on first use, and the other arrays when they are copied. A damaged model can thus not be saved
    as a valid one.

    Arrays may be symbolic links to regular files. Some caches store each file once in this way.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, skxmr
    >>> X, y = np.eye(3, dtype="float32"), ["a", "b", "c"]
    >>> clf = skxmr.XRLinearClassifier(random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skxmr.save(clf, folder)
    ...     skxmr.load(folder).predict(X).tolist()
    ['a', 'b', 'c']
    """
    verify = not mmap if verify is None else bool(verify)
    return load_model(folder, mmap=mmap, verify=verify, trusted=_check_trusted(trusted))


def _check_trusted(trusted):
    if isinstance(trusted, (str, bytes, bool)) or not hasattr(trusted, "__iter__"):
        raise TypeError(f"trusted must be a sequence of types or their names, got {trusted!r:.80}")
    trusted = tuple(trusted)
    for item in trusted:
        if not isinstance(item, (str, type)):
            raise TypeError(f"trusted must hold types or their names, got {item!r:.80}")
    return trusted
