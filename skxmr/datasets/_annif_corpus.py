"""Document corpora of Annif."""

import warnings
from typing import NamedTuple

from sklearn.utils import Bunch

from ._files import as_path, format_suffix, without_mark
from ._lines import csv_rows, decode, parse_json, text_lines, type_name


class _Subject(NamedTuple):
    """A subject of a document: its URI, its label, or both."""

    uri: str | None
    label: str | None


class _Document(NamedTuple):
    """A document; `subjects` is None if nothing is known about them."""

    where: str
    text: str
    subjects: list | None
    document_id: str | None = None
    metadata: dict | None = None


def load_annif_corpus(path, *, vocabulary=None, require_subjects=True):
    r"""Load a document corpus of Annif: texts and their subjects.

    All corpus formats of Annif 1.4 are supported [1]_. The result goes into ``fit`` as it is.

    Parameters
    ----------
    path : str or os.PathLike
        One of

        - a folder with full texts: a file ``name.txt`` per document, and its subjects in
          ``name.tsv`` (a URI in angle brackets and a label per line) or ``name.key`` (a label per
          line); or a file ``name.json`` per document;
        - a file of short texts. ``.csv``: a header with the columns ``text`` and ``subject_uris``,
          and a document per row. ``.jsonl``: a JSON object per line. Other suffixes: TSV, a text
          and its URIs per line, with a tab between the text and the URIs and white space between
          URIs.

        Files are in UTF-8. Files of short texts may be compressed, with the suffix ``.gz``,
        ``.bz2`` or ``.xz``. Byte order marks, blank lines and line ends of Windows are ignored.
        TSV has no quotes: they are part of the text.
    vocabulary : Bunch, default=None
        Result of :func:`load_annif_vocabulary`, in the language of the labels. All subjects become
        URIs, and subjects that are not in the vocabulary are left out. Required if the corpus has
        URIs for some subjects and only labels for others.
    require_subjects : bool, default=True
        Whether to leave out documents without a subject file, and JSON documents without subjects,
        as Annif does for training and evaluation. Otherwise they have no labels, and neither the
        column ``subject_uris`` nor the tab of TSV is required.

    Returns
    -------
    corpus : Bunch
        With the attributes

        texts : list of str
            One per document, in the order of the file; folders are sorted by file name. A JSON
            document with metadata only has an empty text.
        labels : list of list of str
            The different subjects of each document: URIs without angle brackets, or labels if the
            corpus has only labels. The list is empty if the document has no subject of the
            vocabulary.
        document_ids : list of str or None
            Ids of the documents. Documents of a folder without an id have their file name.
        metadata : list of dict of str to str
            Further columns of CSV, and ``metadata`` of JSON.
        n_left_out : int
            Number of documents that `require_subjects` left out.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    TypeError
        If `path` is neither a str nor an ``os.PathLike``, or `vocabulary` is not a vocabulary.
    ValueError
        If a file does not have the format, or there is no document. The message names the file and
        the line. Annif skips such lines.

    Warns
    -----
    UserWarning
        If subjects are not in the vocabulary, or a label is that of several subjects. The last of
        them is used, as in Annif.

    See Also
    --------
    load_annif_vocabulary : Read the names of the subjects.

    Notes
    -----
    As in Annif, invalid bytes in a ``.txt`` file are replaced. In ``.tsv`` and ``.key`` files, a
    URI takes precedence over a label.

    References
    ----------
    .. [1] Annif wiki, "Corpus formats", https://github.com/NatLibFi/Annif/wiki/Corpus-formats

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skxmr.datasets import load_annif_corpus
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "documents.tsv")
    ...     lines = ["The sea\t<http://example.org/1> <http://example.org/2>", "Ships\t"]
    ...     _ = path.write_text("\n".join(lines))
    ...     corpus = load_annif_corpus(path)
    >>> corpus.texts, corpus.labels
    (['The sea', 'Ships'], [['http://example.org/1', 'http://example.org/2'], []])
    """
    path = as_path(path, "path")
    if vocabulary is not None and not _is_vocabulary(vocabulary):
        raise TypeError(
            f"vocabulary must be the result of load_annif_vocabulary, got {vocabulary!r:.80}"
        )
    found = list(_documents(path, require_subjects))
    documents = found
    if require_subjects:
        documents = [document for document in found if document.subjects is not None]
    if not documents:
        raise ValueError(
            f"{path}: expected documents{' with subjects' * require_subjects}, found "
            f"{len(found)} documents without subjects"
        )
    return Bunch(
        texts=[document.text for document in documents],
        labels=_labels(documents, vocabulary),
        document_ids=[document.document_id for document in documents],
        metadata=[document.metadata or {} for document in documents],
        n_left_out=len(found) - len(documents),
    )


def _is_vocabulary(value):
    return isinstance(value, dict) and {"uris", "names"} <= value.keys()


def _documents(path, require_subjects):
    """Return the documents of a folder or a file."""
    if path.is_dir():
        return _read_folder(path)
    suffix = format_suffix(path)
    if suffix == ".csv":
        return _read_csv(path, require_subjects)
    if suffix == ".jsonl":
        return (_parse_json_document(line, where) for where, line in _located_lines(path))
    return (_parse_tsv_line(line, where, require_subjects) for where, line in _located_lines(path))


def _located_lines(path):
    """Yield the position and the content of each line."""
    for number, line in text_lines(path):
        yield f"{path}, line {number}", line


def _parse_tsv_line(line, where, require_subjects):
    """Return the document of a line of TSV."""
    text, tab, uris = line.partition("\t")
    if not tab and require_subjects:
        raise ValueError(f"{where}: expected a text, a tab and URIs, got no tab in {line!r:.80}")
    return _Document(where, text, _uris(uris) if tab else None)


def _uris(text):
    """Return the subjects of URIs between white space, with or without angle brackets."""
    return [_Subject(_without_brackets(uri), None) for uri in text.split()]


def _without_brackets(uri):
    return uri[1:-1] if uri.startswith("<") and uri.endswith(">") else uri


def _read_csv(path, require_subjects):
    """Yield the documents of a CSV file."""
    required = ["text", "subject_uris"] if require_subjects else ["text"]
    for where, row in csv_rows(path, required):
        text = row.pop("text")
        uris = row.pop("subject_uris", None)
        document_id = row.pop("document_id", None)
        subjects = None if uris is None else _uris(uris)
        yield _Document(where, text, subjects, document_id, row)


def _read_folder(folder):
    """Yield the documents of a folder: first those in .txt files, then those in .json files."""
    for path in sorted(folder.glob("*.txt")):
        text = without_mark(path.read_bytes()).decode("utf-8", errors="replace")
        yield _Document(str(path), text, _read_subject_file(path), path.name)
    for path in sorted(folder.glob("*.json")):
        content = decode(without_mark(path.read_bytes()), path)
        document = _parse_json_document(content, str(path))
        yield document._replace(document_id=document.document_id or path.name)


def _read_subject_file(path):
    """Return the subjects of a .txt file, or None without a subject file."""
    for suffix in (".tsv", ".key"):
        subject_file = path.with_suffix(suffix)
        if subject_file.is_file():
            return [_parse_subject_line(line) for _, line in text_lines(subject_file)]
    return None


def _parse_subject_line(line):
    """Return the subject of a line: an optional URI and an optional label between tabs."""
    fields = [field.strip() for field in line.split("\t") if field.strip()]
    uris = [field for field in fields if field.startswith("<") and field.endswith(">")]
    labels = [field for field in fields if field not in uris]
    return _Subject(
        _without_brackets(uris[0]) if uris else None,
        labels[0] if labels else None,
    )


def _parse_json_document(text, where):
    """Return the document of a JSON object."""
    value = parse_json(text, where)
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected a JSON object, got {type_name(value)}")
    if "text" not in value and "metadata" not in value:
        raise ValueError(f'{where}: expected "text" or "metadata", got {list(value)!r:.80}')
    for name, kind in {"text": str, "document_id": str, "metadata": dict}.items():
        if name in value and not isinstance(value[name], kind):
            raise ValueError(
                f'{where}: "{name}" must be a {kind.__name__}, got {type_name(value[name])}'
            )
    subjects = _parse_json_subjects(value.get("subjects", []), where)
    return _Document(
        where,
        value.get("text", ""),
        subjects or None,
        value.get("document_id"),
        value.get("metadata"),
    )


def _parse_json_subjects(values, where):
    """Return subjects given as objects with "uri" or "label"."""
    if not isinstance(values, list):
        raise ValueError(f'{where}: "subjects" must be a list, got {type_name(values)}')
    subjects = []
    for value in values:
        given = (value.get("uri"), value.get("label")) if isinstance(value, dict) else (None, None)
        if given == (None, None) or not all(isinstance(g, str | None) for g in given):
            raise ValueError(
                f'{where}: each subject must have a "uri" or a "label" of type str, got '
                f"{value!r:.80}"
            )
        subjects.append(_Subject(*given))
    return subjects


def _labels(documents, vocabulary):
    """Return the different subjects of each document, in their order."""
    name_of = _check_one_kind(documents) if vocabulary is None else _Lookup(vocabulary)
    labels = []
    for document in documents:
        names = [name_of(subject) for subject in document.subjects or ()]
        labels.append(list(dict.fromkeys(name for name in names if name is not None)))
    if vocabulary is not None:
        name_of.warn()
    return labels


def _check_one_kind(documents):
    """Return the function that names subjects, which either all have URIs or all have none."""
    first = {}
    for document in documents:
        for subject in document.subjects or ():
            first.setdefault(subject.uri is not None, (document.where, subject))
    if len(first) == 2:
        (uri_at, with_uri), (label_at, with_label) = first[True], first[False]
        raise ValueError(
            f"vocabulary must be given if some subjects have URIs and others only labels, got "
            f"<{with_uri.uri}> ({uri_at}) and {with_label.label!r} ({label_at})"
        )
    return lambda subject: subject.uri if subject.label is None else subject.uri or subject.label


class _Lookup:
    """The URIs of subjects in a vocabulary, and what was not found.

    Parameters
    ----------
    vocabulary : Bunch
    """

    def __init__(self, vocabulary):
        self._uris = set(vocabulary.uris)
        self._uri_of = {}
        self._shared = set()
        for uri, name in zip(vocabulary.uris, vocabulary.names, strict=True):
            if name in self._uri_of:
                self._shared.add(name)
            self._uri_of[name] = uri
        self._unknown = {}
        self._ambiguous = {}

    def __call__(self, subject):
        """Return the URI of a subject, or None."""
        if subject.uri is not None:
            uri = subject.uri if subject.uri in self._uris else None
        else:
            uri = self._uri_of.get(subject.label)
            if subject.label in self._shared:
                self._count(self._ambiguous, subject.label)
        if uri is None:
            self._count(self._unknown, subject.uri or subject.label)
        return uri

    @staticmethod
    def _count(counts, name):
        counts[name] = counts.get(name, 0) + 1

    def warn(self):
        """Warn about subjects that were not found, and about labels of several subjects."""
        for counts, message in (
            (self._unknown, "are not in the vocabulary and were left out"),
            (self._ambiguous, "have the label of several subjects; the last one was used"),
        ):
            if counts:
                warnings.warn(
                    f"{sum(counts.values())} subjects {message}, such as {next(iter(counts))!r}",
                    stacklevel=4,
                )
