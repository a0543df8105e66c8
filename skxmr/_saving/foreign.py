"""Estimators of unknown classes, saved with skops.

skops stores the attributes of objects and the names of their types, and no code. It loads only
types that are trusted.
"""

import io
import zipfile

from sklearn import feature_selection
from sklearn.model_selection._search import BaseSearchCV

#: Name of the file of an estimator.
FOREIGN = "skops"

#: Functions that are trusted besides the types that skops trusts: scores of feature selection.
_TRUSTED = (
    feature_selection.chi2,
    feature_selection.f_classif,
    feature_selection.f_regression,
    feature_selection.mutual_info_classif,
    feature_selection.mutual_info_regression,
    feature_selection.r_regression,
)

_INSTALL = "pip install 'skxmr[skops]'"


def dump_foreign(model, where):
    """Return an estimator as the bytes of a file of skops.

    Parameters
    ----------
    model : estimator
    where : str
        Name of the estimator in messages.

    Raises
    ------
    ImportError
        If skops is not installed.
    TypeError
        If skops cannot save the estimator, or it contains parts of skxmr.
    """
    name = type(model).__name__
    if isinstance(model, BaseSearchCV):
        raise TypeError(
            f"{where} is a {name}, which cannot be saved: use its best_estimator_ instead"
        )
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            f"{where} is a {name}, which is saved with skops, and skops is not installed: "
            f"{_INSTALL}"
        ) from error
    try:
        data = skops.io.dumps(model)
        untrusted = skops.io.get_untrusted_types(data=data)
    except Exception as error:  # of any type, from the code of the estimator
        raise TypeError(f"{where} is a {name}, which skops cannot save: {error}") from error
    if any(found.split(".")[0] == "skxmr" for found in untrusted):
        raise TypeError(
            f"{where} is a {name}, in which estimators of skxmr cannot be saved; use joblib"
        )
    return data


def load_foreign(part):
    """Return the estimator of a file of skops.

    Parameters
    ----------
    part : PartReader

    Raises
    ------
    ImportError
        If skops is not installed.
    ValueError
        If the file is damaged, or has types that are not trusted.
    """
    part.check_fields(frozenset(["type"]))
    name = part.get("type", str)
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            f"the saved model {str(part.reader.folder)!r} has a {name!r:.80}, which is loaded with "
            f"skops, and skops is not installed: {_INSTALL}"
        ) from error
    data = part.file()
    trusted = set(map(_name_of, (*_TRUSTED, *part.trusted)))
    try:
        _check_archive(data)
        untrusted = sorted(set(skops.io.get_untrusted_types(data=data)) - trusted)
        if not untrusted:
            return skops.io.loads(data, trusted=sorted(trusted))
    except Exception as error:  # skops raises errors of many types
        part.fail(f"skops cannot load the {name!r:.80}: {type(error).__name__}: {error}")
    raise ValueError(
        f"the saved model {str(part.reader.folder)!r} has a {name!r:.80} with types that are not "
        f"trusted: {', '.join(untrusted)}. If you trust them, pass trusted={untrusted!r}"
    )


def _check_archive(data):
    """Check that an archive is not compressed. A small one could otherwise fill the memory."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(data):
                raise ValueError(f"{info.filename!r:.80} is compressed")


def _name_of(trusted):
    """Return the name of a type or function that is trusted, as skops has it."""
    if isinstance(trusted, str):
        return trusted
    return f"{trusted.__module__}.{trusted.__qualname__}"
