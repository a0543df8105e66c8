"""Errors for unknown parameters that suggest the right ones."""

import difflib
import inspect
import re
from functools import wraps

#: Names that other libraries have for parameters, and what skxmr has instead.
_FOREIGN = {
    "beam_size": "beam_width",
    "only_topk": "k of rank, or beam_width",
    "topk": "k of rank",
    "top_k": "k of rank",
    "nr_splits": "indexer=KMeansIndexer(branching=...)",
    "max_leaf": "indexer=KMeansIndexer(max_leaf_size=...)",
    "max_leaf_size": "indexer=KMeansIndexer(max_leaf_size=...)",
    "branching": "indexer=KMeansIndexer(branching=...)",
    "min_branch_size": "indexer=KMeansIndexer(max_leaf_size=...)",
    "cluster_k": "indexer=KMeansIndexer(branching=...)",
    "threshold_weight": "prune_threshold",
    "linear_weight_threshold": "prune_threshold",
    "eps": "tol",
    "Cp": "C",
    "Cn": "C",
    "cost": "C",
    "solver_type": "loss",
    "negative_sampling_scheme": "negative_sampling",
    "threads": "n_jobs",
    "n_threads": "n_jobs",
    "num_threads": "n_jobs",
    "seed": "random_state",
    "ensemble_size": "n_trees",
    "n_estimators": "n_trees",
    "k": "n_neighbors",
}

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")


def suggesting(function):
    """Let a function suggest the right name when it is called with an unknown keyword.

    Its signature is not changed.
    """
    names = list(inspect.signature(function).parameters)

    @wraps(function)
    def suggests(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            unknown = _UNEXPECTED.search(str(error))
            if unknown is None or unknown[1] not in kwargs or unknown[1] in names:
                raise
            hint = suggestion(unknown[1], names)
            if not hint:
                raise
            raise TypeError(f"{error}; {hint}") from None

    return suggests


def suggestion(unknown, names):
    """Return a sentence that suggests a name, or an empty string.

    Parameters
    ----------
    unknown : str
    names : list of str
        The names that are known.
    """
    close = difflib.get_close_matches(unknown, names, n=1, cutoff=0.7)
    known = _FOREIGN.get(unknown)
    if known is not None and known not in names and "(" not in known and " " not in known:
        known = None
    found = known or (close[0] if close else None)
    return f"did you mean {found}?" if found else ""
