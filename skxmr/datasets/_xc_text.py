"""The text format of the Extreme Classification Repository.

A file is parsed in blocks of complete lines. NumPy parses all numbers of a block at once. The
characters around a number show whether it is a label, a feature index or a value.
"""

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array, check_consistent_length

from .._core import indptr_of
from .._utils.matrices import canonical_csr, indicator_csr
from ._decimals import parse_decimals
from ._files import as_path, damaged_file_errors, open_binary, without_mark

# The arrays of a block fit into the cache of the processor.
_BLOCK_BYTES = 1 << 18
_BLOCK_ROWS = 4096
_MAX_INT32 = np.iinfo(np.int32).max

_IN_NUMBER = 0
_PUNCTUATION = 1
_BLANK = 2
_NEWLINE = 3
_KIND_OF_BYTE = np.full(256, _IN_NUMBER, dtype=np.uint8)
_KIND_OF_BYTE[list(b",:")] = _PUNCTUATION
_KIND_OF_BYTE[list(b" \t\r")] = _BLANK
_KIND_OF_BYTE[list(b"\n")] = _NEWLINE


def load_xc_text(path, *, zero_based=True):
    r"""Load a data set in the text format of the Extreme Classification Repository.

    The first line is ``n_samples n_features n_labels``. Every other line is a row: its labels
    joined by commas, a space, and its features as ``index:value`` joined by spaces, for example
    ``3,17 0:0.5 12:1.25``. A row without labels starts with the space. A byte order mark at the
    beginning and blank lines after the last row are ignored.

    Parameters
    ----------
    path : str or os.PathLike
        File to read. It is decompressed if it ends in ``.gz``, ``.bz2`` or ``.xz``.
    zero_based : bool, default=True
        Whether labels and feature indices start at 0, as in the repository, or at 1.

    Returns
    -------
    X : csr_matrix of shape (n_samples, n_features), float32
        Canonical: the indices are sorted, and repeated features of a row are summed.
    Y : csr_matrix of shape (n_samples, n_labels), float32
        Canonical 0/1 indicator. Repeated labels of a row count once.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If `path` is neither a str nor an ``os.PathLike``.
    ValueError
        If the header is not three counts, a line does not follow the format, an index is out of
        range, a value is not finite as float32, the number of rows is not that of the header,
        or the file is truncated. The message names the file and the line.

    See Also
    --------
    save_xc_text : Write this format.
    load_npz_pair : Read matrices saved by SciPy. This is faster.

    References
    ----------
    .. [1] K. Bhatia et al., "The extreme classification repository: multi-label datasets and
       code", 2016. http://manikvarma.org/downloads/XC/XMLRepository.html

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skxmr.datasets import load_xc_text
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "train.txt")
    ...     _ = path.write_text("2 4 3\n0,2 1:0.5 3:1.5\n 0:2\n")
    ...     X, Y = load_xc_text(path)
    >>> X.toarray()
    array([[0. , 0.5, 0. , 1.5],
           [2. , 0. , 0. , 0. ]], dtype=float32)
    >>> Y.toarray()
    array([[1., 0., 1.],
           [0., 0., 0.]], dtype=float32)
    """
    path = as_path(path, "path")
    base = 0 if zero_based else 1
    with damaged_file_errors(path), open_binary(path, "rb") as file:
        header = without_mark(file.readline())
        n_samples, n_features, n_labels = _parse_header(header, path)
        blocks = [_empty_block()]
        n_lines = 0
        while lines := file.readlines(_BLOCK_BYTES):
            rows = lines[: max(n_samples - n_lines, 0)]
            _check_end(lines[len(rows) :], n_lines + len(rows) + 2, n_samples, path)
            if rows:
                block = _Block(b"".join(rows), n_lines + 2, path)
                blocks.append(block.parse(n_features, n_labels, base))
            n_lines += len(lines)
    if n_lines < n_samples:
        raise ValueError(f"{path}: expected {n_samples} rows as the header says, got {n_lines}")
    return _assemble(blocks, (n_samples, n_features), (n_samples, n_labels), path)


def save_xc_text(path, X, Y, *, zero_based=True):
    """Save a data set in the text format of the Extreme Classification Repository.

    Each value is written as the shortest decimal number that is read as the same float32, so that
    `load_xc_text` returns the same matrices.

    Parameters
    ----------
    path : str or os.PathLike
        File to write. It is compressed if it ends in ``.gz``, ``.bz2`` or ``.xz``.
    X : {array-like, sparse matrix} of shape (n, d)
        Features. They are rounded to float32.
    Y : {array-like, sparse matrix} of shape (n, L)
        0/1 indicator of the labels.
    zero_based : bool, default=True
        Whether labels and feature indices start at 0, as in the repository, or at 1.

    Raises
    ------
    TypeError
        If `path` is neither a str nor an ``os.PathLike``.
    ValueError
        If X is not finite as float32, Y has a value other than 0 and 1, or X and Y differ in the
        number of rows.

    See Also
    --------
    load_xc_text : Read this format.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skxmr.datasets import save_xc_text
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "train.txt")
    ...     save_xc_text(path, [[0.0, 0.1], [1.5, 0.0]], [[1, 1, 0], [0, 0, 0]])
    ...     print(path.read_text(), end="")
    2 2 3
    0,1 1:0.1
     0:1.5
    """
    path = as_path(path, "path")
    check_consistent_length(X, Y)
    X = canonical_csr(_checked_copy(X, "X"), "X")
    Y = indicator_csr(_checked_copy(Y, "Y"), "Y")
    base = 0 if zero_based else 1
    with open_binary(path, "wb") as file:
        file.write(f"{X.shape[0]} {X.shape[1]} {Y.shape[1]}\n".encode("ascii"))
        for start in range(0, X.shape[0], _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            file.write(_format_rows(X[rows], Y[rows], base).encode("ascii"))


def _parse_header(line, path):
    """Return the three counts of the first line."""
    fields = line.split()
    # At most 19 digits. int() would also accept "1_000" and "+5".
    if len(fields) != 3 or not all(field.isdigit() and len(field) < 20 for field in fields):
        raise ValueError(
            f"{path}, line 1: expected the header 'n_samples n_features n_labels', got {line!r:.80}"
        )
    n_samples, n_features, n_labels = map(int, fields)
    if max(n_features, n_labels) > _MAX_INT32:
        raise ValueError(
            f"{path}, line 1: n_features and n_labels must be at most {_MAX_INT32}, "
            f"got {n_features} and {n_labels}"
        )
    return n_samples, n_features, n_labels


def _check_end(lines, first_line, n_samples, path):
    """Raise ValueError unless the lines after the last row, if any, are blank."""
    for number, line in enumerate(lines, start=first_line):
        if line.strip():
            raise ValueError(
                f"{path}, line {number}: expected the end of the file, the header says "
                f"{n_samples} rows"
            )


class _Block:
    """A block of complete lines, and the numbers in it.

    Parameters
    ----------
    lines : bytes
    first_line : int
        Number of the first line in the file.
    path : pathlib.Path

    Attributes
    ----------
    text : bytes
        Lines with a newline before and after them, so that every number has a character on both
        sides.
    starts, ends : ndarray of shape (n_numbers,), int64
        Position of the first character of each number in `text`, and after its last character.
    """

    def __init__(self, lines, first_line, path):
        self.text = b"\n" + lines + (b"" if lines.endswith(b"\n") else b"\n")
        self.first_line = first_line
        self.path = path
        self.codes = np.frombuffer(self.text, dtype=np.uint8)
        self.kinds = _KIND_OF_BYTE[self.codes]
        # All other characters are treated as part of a number, and reported with it.
        self.in_number = self.kinds == _IN_NUMBER
        edges = np.flatnonzero(self.in_number[1:] != self.in_number[:-1]) + 1
        self.starts = edges[::2]
        self.ends = edges[1::2]

    def parse(self, n_features, n_labels, base):
        """Return the labels per row, the features per row, the labels, features and values."""
        is_feature = self.codes[self.ends] == ord(":")
        is_value = self.codes[self.starts - 1] == ord(":")
        is_label = ~(is_feature | is_value)
        self._check_punctuation()
        self._check_order(is_label, is_feature, is_value)
        numbers, is_integer = parse_decimals(self.text, self.starts, self.ends)
        self._check_integers(~is_value & ~is_integer)
        labels = self._indices(numbers, is_label, n_labels, base, "label")
        features = self._indices(numbers, is_feature, n_features, base, "feature index")
        values = self._values(numbers, is_value)
        return self._per_row(is_label), self._per_row(is_feature), labels, features, values

    def _check_punctuation(self):
        """Raise ValueError unless each comma and colon is between two numbers."""
        marks = np.flatnonzero(self.kinds == _PUNCTUATION)
        wrong = marks[~(self.in_number[marks - 1] & self.in_number[marks + 1])]
        if len(wrong):
            mark = chr(self.text[wrong[0]])
            self._fail(wrong[0], f"expected a number on both sides of each {mark!r}")

    def _check_order(self, is_label, is_feature, is_value):
        """Raise ValueError unless each row has labels, then pairs index:value."""
        before = self.kinds[self.starts - 1]
        after = self.kinds[self.ends]
        wrong = is_feature & (before == _PUNCTUATION)
        wrong |= is_value & (after == _PUNCTUATION)
        wrong |= is_label & (before == _BLANK)
        if wrong.any():
            at = np.argmax(wrong)
            self._fail(
                self.starts[at],
                f"expected 'label,label index:value index:value', "
                f"got {self._shown(at)} out of place",
            )

    def _check_integers(self, wrong):
        """Raise ValueError for the first wrong label or feature index, if any."""
        if wrong.any():
            at = np.argmax(wrong)
            self._fail(
                self.starts[at],
                f"labels and feature indices must be non-negative integers, got {self._shown(at)}",
            )

    def _indices(self, numbers, chosen, size, base, what):
        """Return the chosen numbers as int32, with 0 for the first index."""
        indices = numbers[chosen] - base
        wrong = (indices < 0) | (indices >= size)
        if wrong.any():
            at = np.flatnonzero(chosen)[np.argmax(wrong)]
            self._fail(
                self.starts[at],
                f"each {what} must be in {base}..{size - 1 + base}, got {self._shown(at)}",
            )
        return indices.astype(np.int32)

    def _values(self, numbers, is_value):
        """Return the feature values, as float32."""
        with np.errstate(over="ignore"):
            values = numbers[is_value].astype(np.float32)
        finite = np.isfinite(values)
        if not finite.all():
            at = np.flatnonzero(is_value)[np.argmin(finite)]
            self._fail(
                self.starts[at],
                f"each value must be a number, finite as float32, got {self._shown(at)}",
            )
        return values

    def _per_row(self, chosen):
        """Return the number of chosen numbers of each row."""
        newlines = np.flatnonzero(self.kinds == _NEWLINE)
        return np.diff(np.searchsorted(self.starts[chosen], newlines))

    def _shown(self, at):
        """Return a number as it is in the file, for messages."""
        token = self.text[self.starts[at] : self.ends[at]]
        return repr(token.decode("utf-8", "replace"))[:60]

    def _fail(self, position, message):
        """Raise ValueError for the line of a position in the text."""
        line = self.first_line - 1 + self.text.count(b"\n", 0, position)
        raise ValueError(f"{self.path}, line {line}: {message}")


def _empty_block():
    """Return the parts of a block without rows."""
    count = np.empty(0, dtype=np.int64)
    index = np.empty(0, dtype=np.int32)
    return count, count, index, index, np.empty(0, dtype=np.float32)


def _assemble(blocks, x_shape, y_shape, path):
    """Return X and Y from the parts of all blocks."""
    n_labels, n_features, labels, features, values = map(np.concatenate, zip(*blocks, strict=True))
    X = sp.csr_matrix((values, features, indptr_of(n_features)), shape=x_shape)
    Y = sp.csr_matrix(
        (np.ones_like(labels, np.float32), labels, indptr_of(n_labels)), shape=y_shape
    )
    Y.sum_duplicates()
    Y.data[:] = 1.0
    return canonical_csr(X, path), Y


def _checked_copy(matrix, name):
    """Return a copy of a matrix as CSR, with finite values and valid indices."""
    matrix = check_array(
        matrix,
        accept_sparse="csr",
        dtype="numeric",
        input_name=name,
        ensure_min_samples=0,
        ensure_min_features=0,
    )
    matrix = sp.csr_matrix(matrix, copy=True, dtype=np.float64)
    matrix.check_format(full_check=True)
    return matrix


def _format_rows(X, Y, base):
    """Return the lines of some rows."""
    labels = (Y.indices + base).astype(str).tolist()
    # NumPy writes a float32 with the smallest number of digits that identifies it.
    values = X.data.astype(str).tolist()
    indices = (X.indices + base).astype(str).tolist()
    pairs = [f"{index}:{value}" for index, value in zip(indices, values, strict=True)]
    lines = []
    for i in range(X.shape[0]):
        row_labels = labels[Y.indptr[i] : Y.indptr[i + 1]]
        row_pairs = pairs[X.indptr[i] : X.indptr[i + 1]]
        lines.append(",".join(row_labels) + " " + " ".join(row_pairs) + "\n")
    return "".join(lines)
