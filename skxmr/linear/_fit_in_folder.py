"""Fitting of a model that is written to its folder while it is trained."""

from .._saving.reading import load_model
from .._saving.writing import save_model
from .._utils.array_files import array_files
from .._utils.folder import scratch_folder
from ._fit import fitted_state
from ._shards import opened


def fitted_in_folder(classifier, X, y, given, folder, cls):
    """Fit to X and y, and save the model.

    Parameters
    ----------
    classifier, X, y, given
        See `fitted_state`.
    folder : str or path
    cls : type
        Class as which the model is saved.

    Returns
    -------
    state : FittedState
        Its arrays are mapped from the folder.
    """
    if classifier.memory is not None:
        raise ValueError(f"folder must be None with a memory, got {str(folder)!r}")
    with scratch_folder(folder) as scratch, array_files(scratch) as files:
        X, y = opened(X, y, scratch, classifier.n_jobs)
        classifier._fitted = fitted_state(classifier, X, y, given, files)
        save_model(classifier, folder, cls, files)
    return load_model(folder, mmap=True, verify=False, trusted=())._fitted
