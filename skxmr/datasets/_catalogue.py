"""Titles from a library catalog with their subject headings."""

from array import array
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.utils import Bunch

from ._files import as_path, damaged_file_errors, open_binary, without_mark
from ._lines import decode, parse_json, type_name

_DATA = Path(__file__).parent / "data" / "catalogue_subjects"


def load_catalogue_subjects(path=None):
    """Load English titles from a library catalog with their subject headings.

    The texts are titles and short descriptions from the Finna catalog. The labels are concepts of
    the General Finnish Ontology (YSO). A sample with 5,000 labels is part of the package; nothing
    is downloaded. Use `path` to load the full corpus, or other data in the same layout.

    Parameters
    ----------
    path : str or os.PathLike, default=None
        Folder with ``train.jsonl``, ``test.jsonl`` (a JSON object ``{"text": str,
        "labels": [id, ...]}`` per line) and ``labels.json`` (label id to name), each in UTF-8,
        plain or with the suffix ``.xz``. If both files exist, the compressed one is read. A byte
        order mark and blank lines at the end are ignored. None loads the sample.

    Returns
    -------
    data : Bunch
        With the attributes

        text_train, text_test : list of str
            One text per row, in the order of the file. The sample is sorted, so shuffle the rows
            before you take a part.
        Y_train, Y_test : csr_matrix of shape (n_train, L) and (n_test, L), float32
            Canonical 0/1 indicator of the labels of each text. There are L labels.
        label_names : ndarray of shape (L,), object
            English name of each column.
        label_ids : ndarray of shape (L,), object
            Id of each column, in increasing (string) order. There is a column for every id of
            ``labels.json``, also without rows.
        DESCR : str
            Source, license, and how the sample was drawn.

    Raises
    ------
    FileNotFoundError
        If one of the three files is not in the folder.
    TypeError
        If `path` is neither a str nor an ``os.PathLike``.
    ValueError
        If a file is truncated or not UTF-8, if a line is not a JSON object as above, or if a
        label id is not in ``labels.json``. The message names the file and the line.

    Examples
    --------
    >>> from skxmr.datasets import load_catalogue_subjects
    >>> data = load_catalogue_subjects()
    >>> data.Y_test.shape
    (5000, 5000)
    >>> row = data.text_train.index("The art of singing")
    >>> data.label_names[data.Y_train[row].indices].tolist()
    ['singing', 'guides to singing', 'voice production']
    """
    folder = _DATA if path is None else as_path(path, "path")
    names = _read_names(_find(folder, "labels.json"))
    label_ids = sorted(names)
    column = {label: j for j, label in enumerate(label_ids)}
    text_train, Y_train = _read_rows(_find(folder, "train.jsonl"), column)
    text_test, Y_test = _read_rows(_find(folder, "test.jsonl"), column)
    return Bunch(
        text_train=text_train,
        text_test=text_test,
        Y_train=Y_train,
        Y_test=Y_test,
        label_names=np.array([names[label] for label in label_ids], dtype=object),
        label_ids=np.array(label_ids, dtype=object),
        DESCR=_description(sample=path is None),
    )


def _description(sample):
    """Return the description of the corpus, and of the sample if requested."""
    parts = ["corpus.rst", "sample.rst"] if sample else ["corpus.rst"]
    return "\n".join((_DATA / part).read_text(encoding="utf-8") for part in parts)


def _find(folder, name):
    """Return the path of `name` in `folder`, compressed or plain."""
    for candidate in (folder / f"{name}.xz", folder / name):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(f"path: expected {name} or {name}.xz in the folder {folder}")


def _read_names(path):
    """Return the names of the labels by id."""
    with damaged_file_errors(path), open_binary(path, "rb") as file:
        names = _parse(without_mark(file.read()), path)
    if not isinstance(names, dict):
        raise ValueError(f"{path}: expected an object of label id to name, got {type_name(names)}")
    for label, name in names.items():
        if not isinstance(name, str):
            raise ValueError(
                f"{path}: the name of label {label!r} must be a str, got {type_name(name)}"
            )
    return names


def _read_rows(path, column):
    """Return the texts of a JSON-lines file and their labels as an indicator matrix."""
    texts = []
    indices = array("i")
    indptr = array("q", [0])
    with damaged_file_errors(path), open_binary(path, "rb") as file:
        for number, line in _rows(file):
            text, labels = _parse_row(line, f"{path}, line {number}")
            try:
                indices.extend(sorted({column[label] for label in labels}))
            except KeyError as error:
                raise ValueError(
                    f"{path}, line {number}: label id {error} is not in labels.json"
                ) from None
            texts.append(text)
            indptr.append(len(indices))
    return texts, _indicator(indices, indptr, len(column))


def _rows(file):
    """Yield number and content of each line, without blank lines at the end."""
    n_blank = 0
    for number, line in enumerate(file, start=1):
        line = without_mark(line) if number == 1 else line
        if not line.strip():
            n_blank += 1
            continue
        for blank in range(number - n_blank, number):
            yield blank, b""
        n_blank = 0
        yield number, line


def _parse_row(line, where):
    """Return the text and the label ids of one line."""
    row = _parse(line, where)
    if not isinstance(row, dict):
        raise ValueError(f"{where}: expected a JSON object, got {type_name(row)}")
    text = row.get("text")
    labels = row.get("labels")
    if not isinstance(text, str):
        raise ValueError(f'{where}: "text" must be a str, got {type_name(text)}')
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f'{where}: "labels" must be a list of str, got {labels!r:.80}')
    return text, labels


def _parse(raw, where):
    """Parse JSON in UTF-8."""
    return parse_json(decode(raw, where), where)


def _indicator(indices, indptr, n_labels):
    """Return a float32 CSR matrix of ones from sorted, distinct column indices per row."""
    indices = np.array(indices, dtype=np.int32)
    data = np.ones(len(indices), dtype=np.float32)
    shape = (len(indptr) - 1, n_labels)
    return sp.csr_matrix((data, indices, np.array(indptr)), shape=shape)
