"""The result of `rank`: labels and scores, and the names of the labels."""

from importlib import import_module
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .._core import indptr_of
from .._utils.params import check_option

#: Largest numbers of rows, of labels per row, and of characters per name in a repr.
_SHOWN_ROWS = 5
_SHOWN_LABELS = 5
_SHOWN_CHARACTERS = 40


class _LabelsAndScores(NamedTuple):
    labels: np.ndarray
    scores: np.ndarray


class Ranking(_LabelsAndScores):
    """Ranked labels of some rows: a pair ``(labels, scores)`` that knows the names of the labels.

    The method `rank` of all estimators returns a Ranking. It is a named tuple of two arrays:
    ``labels, scores = clf.rank(X)``.

    Parameters
    ----------
    labels : ndarray of int, shape (n_samples, k)
        Columns of y, or positions in `classes_`. The best label comes first. Rows with fewer than
        k labels are padded with -1.
    scores : ndarray of float, shape (n_samples, k)
        Scores of the labels, padded with -inf.
    classes : {ndarray, list, dict}, optional
        Name of each label. An object with the attribute ``values`` is also accepted; the attribute
        is not read before a name is needed. By default, the names are the numbers in `labels`.
    library : {"pandas", "polars"}, optional
        Default of :meth:`to_frame`.

    Examples
    --------
    >>> import numpy as np
    >>> from skxmr import XRLinearClassifier
    >>> X = np.eye(3, dtype=np.float32)
    >>> clf = XRLinearClassifier(random_state=0).fit(X, ["cat", "dog", "eel"])
    >>> ranking = clf.rank(X[:2], k=1)
    >>> ranking.names
    [['cat'], ['dog']]
    >>> labels, scores = ranking
    >>> labels
    array([[0],
           [1]], dtype=int32)
    """

    _classes = None
    _library = None

    def __new__(cls, labels, scores, classes=None, library=None):
        # The base class would do the same and take longer, which counts for single rows.
        ranking = tuple.__new__(cls, (labels, scores))
        if classes is not None:
            ranking._classes = classes
        if library is not None:
            ranking._library = library
        return ranking

    @property
    def names(self):
        """Names of the labels of each row, without padding.

        A list with one list per row. The names are the classes of y as Python values, or column
        numbers if the columns of y have no names.
        """
        return _names(np.asarray(self.labels), self._classes)

    @property
    def label_names(self):
        """Name of each label; None if labels have only numbers. ndarray of shape (n_labels,)."""
        classes = self._class_array
        return classes if classes is not None and classes.dtype.kind in "UO" else None

    @property
    def _class_array(self):
        """Class of each label, also if classes are numbers; None if labels have no classes."""
        classes = getattr(self._classes, "values", self._classes)
        return None if classes is None or isinstance(classes, dict) else np.asarray(classes)

    def to_frame(self, library=None):
        """Return a data frame with one row per ranked label.

        Parameters
        ----------
        library : {"pandas", "polars"}, optional
            By default polars if the ranked X is an object of polars, and pandas otherwise.

        Returns
        -------
        frame : pandas.DataFrame or polars.DataFrame
            The columns are ``row`` (number of the row, from 0), ``rank`` (from 1), ``label`` (the
            name) and ``score``. Padding is left out.

        Raises
        ------
        ImportError
            If the library is not installed.
        ValueError
            If `library` is unknown.
        """
        if library is not None:
            check_option(library, "library", ("pandas", "polars"))
        library = library or self._library or "pandas"
        try:
            module = import_module(library)
        except ImportError as error:
            raise ImportError(f"to_frame needs {library}, which is not installed") from error
        labels = np.asarray(self.labels)
        rows, columns = np.nonzero(labels >= 0)
        return module.DataFrame(
            {
                "row": rows,
                "rank": columns + 1,
                "label": [name for row in self.names for name in row],
                "score": np.asarray(self.scores)[rows, columns],
            }
        )

    def _replace(self, /, **changes):
        pair = {**self._asdict(), **changes}
        return Ranking(**pair, classes=self._classes, library=self._library)

    def _for_library(self, library):
        """Return the same ranking with another default of `to_frame`."""
        if self._library == library:
            return self
        return Ranking(*self, self._classes, library)

    def __getstate__(self):
        """Return the attributes for pickles and copies, with the classes that occur only."""
        if self._classes is None:
            return {"_library": self._library}
        labels = np.unique(self.labels)
        labels = labels[labels >= 0]
        (names,) = _names(labels[np.newaxis], self._classes)
        classes = dict(zip(labels.tolist(), names, strict=True))
        return {"_classes": classes, "_library": self._library}

    def __repr__(self):
        n_rows = len(self.labels)
        shown = self.labels[:_SHOWN_ROWS, :_SHOWN_LABELS]
        rows = zip(_names(shown, self._classes), self.scores, self.labels, strict=False)
        lines = [_shown_row(i, *row) for i, row in enumerate(rows)]
        if n_rows > len(lines):
            lines.append(f"... {n_rows} rows")
        return "\n  ".join(["Ranking(", *lines]) + "\n)"


def library_of(X):
    """Return the library of data frames that made `X` if it is not pandas, or None."""
    return "polars" if type(X).__module__.partition(".")[0] == "polars" else None


def _names(labels, classes):
    """Return the names of the labels of each row, without padding."""
    reached = labels >= 0
    found = labels[reached]
    # Classes may be decoded here. An empty ranking does not need them.
    if not len(found):
        classes = None
    elif not isinstance(classes, dict):
        classes = getattr(classes, "values", classes)
    names = found.tolist()
    if isinstance(classes, np.ndarray):
        names = classes[found].tolist()
    elif classes is not None:
        names = [classes[label] for label in names]
    edges = indptr_of(reached.sum(axis=1)).tolist()
    return [names[begin:end] for begin, end in pairwise(edges)]


def _shown_row(number, names, scores, labels):
    """Return a line of a repr."""
    texts = map(repr, names)
    short = [
        text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
        for text in texts
    ]
    parts = [f"{text} ({score:.3g})" for text, score in zip(short, scores, strict=False)]
    if (labels >= 0).sum() > len(parts):
        parts.append("...")
    return f"{number}: {', '.join(parts)}".rstrip()
