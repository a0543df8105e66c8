"""Synthetic data of power_law.py, made in parts and written to files that can be mapped.

The rows of a part are drawn from a seed of their own, so that the data differ from those of
`power_law` with the same seed, and do not depend on the memory of the machine.
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from power_law import N_TEST, _draw_labels, _draw_words, _label_words
from sklearn.feature_extraction.text import TfidfTransformer

#: Number of rows that are made at a time.
_PART = 250_000

_ARRAYS = {"indptr": np.int64, "indices": np.int32, "data": np.float32}


def write_power_law(folder, n_labels, n_rows, seed=0):
    """Write X_train, X_test, Y_train and Y_test to a folder, unless it has them.

    Parameters
    ----------
    folder : path
    n_labels : int
    n_rows : int
        Number of training rows. There are 10,000 test rows.
    seed : int
    """
    folder = Path(folder)
    if (folder / "shapes.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, n_labels, n_rows])
    n_features = int(40_000 * (n_labels / 10_000) ** np.log10(2))
    rows, labels = _draw_labels(rng, n_labels, n_rows + N_TEST)
    order = np.argsort(rows, kind="stable")
    rows, labels = rows[order].astype(np.int32), labels[order].astype(np.int32)
    words = _label_words(rng, n_labels, n_features)
    transformer = TfidfTransformer()
    n_with_word = np.zeros(n_features)
    for begin, end in _parts(n_rows + N_TEST):
        counts = _counts(rows, labels, words, begin, end, n_features, seed)
        if begin < n_rows:
            n_with_word += np.bincount(counts.indices, minlength=n_features)
    transformer.fit(sp.csr_matrix((1, n_features)))
    transformer.idf_ = np.log((1 + n_rows) / (1 + n_with_word)) + 1
    writers = {name: _Writer(folder, name) for name in ("X_train", "X_test", "Y_train", "Y_test")}
    for begin, end in _parts(n_rows + N_TEST, n_rows):
        counts = _counts(rows, labels, words, begin, end, n_features, seed)
        kind = "train" if begin < n_rows else "test"
        writers[f"X_{kind}"].append(transformer.transform(counts).astype(np.float32))
        first, last = np.searchsorted(rows, [begin, end])
        pairs = (rows[first:last] - begin, labels[first:last])
        Y = sp.csr_matrix((np.ones(last - first, np.float32), pairs), shape=(end - begin, n_labels))
        Y.data[:] = 1
        writers[f"Y_{kind}"].append(Y)
    shapes = {name: writer.shape for name, writer in writers.items()}
    (folder / "shapes.json").write_text(json.dumps(shapes))


def open_power_law(folder):
    """Return the four matrices, with arrays that are mapped from the files."""
    shapes = json.loads((Path(folder) / "shapes.json").read_text())
    matrices = []
    for name, shape in shapes.items():
        arrays = {
            part: np.memmap(Path(folder) / f"{name}.{part}", dtype=dtype, mode="r")
            for part, dtype in _ARRAYS.items()
        }
        indptr = arrays["indptr"].astype(np.int32)
        matrix = sp.csr_matrix((arrays["data"], arrays["indices"], indptr), shape=tuple(shape))
        matrices.append(matrix)
    return tuple(matrices)


def _parts(n, *edges):
    """Return the ranges of rows that are made at a time. None has an edge inside."""
    bounds = sorted({*range(0, n, _PART), *edges, n})
    return pairwise(bounds)


def _counts(rows, labels, words, begin, end, n_features, seed):
    """Return the counts of words of some rows. The same rows always have the same words."""
    parts = []
    for first in range(begin - begin % _PART, end, _PART):
        last = first + _PART
        span = slice(*np.searchsorted(rows, [first, last]))
        rng = np.random.default_rng([seed, first])
        n_rows = min(last, int(rows[-1]) + 1) - first
        drawn = _draw_words(rng, rows[span] - first, labels[span], words, n_rows, n_features)
        parts.append(drawn[max(begin - first, 0) : end - first])
    return sp.vstack(parts, format="csr") if len(parts) > 1 else parts[0]


class _Writer:
    """Appends CSR matrices to the files of one."""

    def __init__(self, folder, name):
        self._paths = {part: folder / f"{name}.{part}" for part in _ARRAYS}
        self.shape = [0, 0]
        self._n_entries = 0
        for path in self._paths.values():
            path.write_bytes(b"")
        self._write("indptr", [0])

    def append(self, matrix):
        self._write("indptr", matrix.indptr[1:] + np.int64(self._n_entries))
        self._write("indices", matrix.indices)
        self._write("data", matrix.data)
        self._n_entries += matrix.nnz
        self.shape = [self.shape[0] + matrix.shape[0], matrix.shape[1]]

    def _write(self, part, values):
        with open(self._paths[part], "ab") as file:
            file.write(np.ascontiguousarray(values, dtype=_ARRAYS[part]).data)
