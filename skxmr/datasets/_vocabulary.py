"""Subject vocabularies: TSV and CSV as of Annif, and SKOS."""

from typing import NamedTuple

from sklearn.utils import Bunch

from .._utils.texts import objects
from ._files import as_path, damaged_file_errors, format_suffix, open_binary
from ._lines import csv_rows, text_lines

#: Formats of rdflib by suffix. JSON-LD is left out, because it may refer to files in the network.
_RDF_FORMATS = {
    ".rdf": "xml",
    ".xml": "xml",
    ".owl": "xml",
    ".ttl": "turtle",
    ".turtle": "turtle",
    ".n3": "n3",
    ".nt": "nt",
}

_LABEL_COLUMN = "label_"


class _Subject(NamedTuple):
    """A subject: labels and alternative labels by language, "" for no language."""

    uri: str
    labels: dict
    alternatives: dict
    notation: str | None
    deprecated: bool


def load_annif_vocabulary(path, *, language=None):
    r"""Load a subject vocabulary: URIs, preferred and alternative labels, and notations.

    The formats are those of Annif [1]_. The names and the texts of the subjects go into ``fit`` as
    `label_names` and, after the vectorizer, as `label_examples`.

    Parameters
    ----------
    path : str or os.PathLike
        One of

        - ``.csv``: a header with the columns ``uri``, ``label_en`` or other languages, and
          optionally ``notation``, and a subject per row;
        - ``.rdf``, ``.xml``, ``.owl``, ``.ttl``, ``.turtle``, ``.n3``, ``.nt``: concepts in SKOS.
          This requires rdflib: ``pip install skxmr[skos]``;
        - other suffixes: TSV. Each line has a URI in angle brackets, a label, and optionally a
          notation, between tabs.

        Files are in UTF-8. They may be compressed, with the suffix ``.gz``, ``.bz2`` or ``.xz``.
        Byte order marks, blank lines and line ends of Windows are ignored.
    language : str, default=None
        Language of the labels, such as "en". None takes the only language of the file. Ignored
        for TSV.

    Returns
    -------
    vocabulary : Bunch
        The subjects that are not deprecated. TSV and CSV files keep their order. SKOS concepts are
        sorted by URI. There are L subjects.

        uris : ndarray of shape (L,), object
            URIs without angle brackets.
        names : ndarray of shape (L,), object
            Label of each subject: that of `language` (``skos:prefLabel``, or ``rdfs:label``). If
            there is none, that without a language, that of the first other language, or the last
            part of the URI.
        alternatives : list of list of str
            Alternative labels in the language (``skos:altLabel``), sorted. Empty for TSV and CSV.
        texts : list of str
            Name and alternative labels of each subject, joined by a line break.
        notations : ndarray of shape (L,), object
            Notations, or None.
        deprecated : list of str
            URIs of deprecated subjects: without a label (TSV, CSV) or with ``owl:deprecated``.
        language : str or None
            Language of the names. None for TSV unless `language` was given.
        languages : list of str
            Languages of the file, sorted.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ImportError
        If the file is SKOS and rdflib is not installed.
    TypeError
        If `path` is neither a str nor an ``os.PathLike``.
    ValueError
        If the file does not have the format, has no subject or the same subject twice, or does not
        have the language. The message names the file and the line.

    See Also
    --------
    load_annif_corpus : Read texts and their subjects.

    References
    ----------
    .. [1] Annif wiki, "Subject vocabulary formats",
       https://github.com/NatLibFi/Annif/wiki/Subject-vocabulary-formats

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skxmr.datasets import load_annif_vocabulary
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "subjects.csv")
    ...     rows = ["uri,label_en,label_fi", "http://example.org/1,seas,meret"]
    ...     _ = path.write_text("\n".join(rows))
    ...     vocabulary = load_annif_vocabulary(path, language="fi")
    >>> vocabulary.uris.tolist(), vocabulary.names.tolist(), vocabulary.languages
    (['http://example.org/1'], ['meret'], ['en', 'fi'])

    The labels of a corpus as a matrix with a column for every subject of the vocabulary:

    >>> from sklearn.preprocessing import MultiLabelBinarizer
    >>> binarizer = MultiLabelBinarizer(classes=vocabulary.uris, sparse_output=True)
    >>> binarizer.fit_transform([["http://example.org/1"], []]).shape
    (2, 1)
    """
    path = as_path(path, "path")
    suffix = format_suffix(path)
    if suffix == ".csv":
        subjects = _read_csv(path)
    elif suffix in _RDF_FORMATS:
        subjects = _read_skos(path, _RDF_FORMATS[suffix])
    else:
        subjects = _read_tsv(path)
    if not subjects:
        raise ValueError(f"{path}: expected subjects, found none")
    languages = sorted({key for subject in subjects for key in subject.labels if key})
    language = _checked_language(language, languages, path)
    active = [subject for subject in subjects if not subject.deprecated]
    names = [_name(subject, language) for subject in active]
    alternatives = [_alternatives(subject, language) for subject in active]
    return Bunch(
        uris=objects([subject.uri for subject in active]),
        names=objects(names),
        alternatives=alternatives,
        texts=[
            "\n".join([name, *others]) for name, others in zip(names, alternatives, strict=True)
        ],
        notations=objects([subject.notation for subject in active]),
        deprecated=[subject.uri for subject in subjects if subject.deprecated],
        language=language,
        languages=languages,
    )


def _checked_language(language, languages, path):
    """Return the language of the names, which must be one of the file."""
    if not languages:
        return language
    if language is None and len(languages) == 1:
        return languages[0]
    if language not in languages:
        raise ValueError(
            f"language must be one of those of {path}, {', '.join(languages)}, got {language!r}"
        )
    return language


def _name(subject, language):
    """Return the label of a subject in the language, or the best one instead."""
    labels = subject.labels
    for key in (language, "", *sorted(labels)):
        if key in labels:
            return labels[key]
    return subject.uri.rstrip("/#").replace("#", "/").rsplit("/", 1)[-1]


def _alternatives(subject, language):
    """Return the alternative labels in the language or without one, sorted."""
    return sorted(
        {label for key in {language, ""} for label in subject.alternatives.get(key, ())}
        - {_name(subject, language)}
    )


def _read_tsv(path):
    """Return the subjects of a TSV file."""
    subjects = _DistinctSubjects()
    for number, line in text_lines(path):
        where = f"{path}, line {number}"
        uri, *others = (field.strip() for field in line.split("\t", 2))
        label, notation = (*others, "", "")[:2]
        labels = {"": label} if label else {}
        subjects.add(
            _Subject(_checked_uri(uri, where), labels, {}, notation or None, not labels), where
        )
    return subjects.found


def _read_csv(path):
    """Return the subjects of a CSV file."""
    subjects = _DistinctSubjects()
    for where, row in csv_rows(path, ["uri"]):
        columns = [column for column in row if column.startswith(_LABEL_COLUMN)]
        if not columns:
            raise ValueError(
                f"{path}, line 1: expected a header with label_en or other languages, got "
                f"{', '.join(row)}"
            )
        labels = {c.removeprefix(_LABEL_COLUMN): row[c].strip() for c in columns}
        labels = {key: label for key, label in labels.items() if label}
        notation = row.get("notation") or None
        uri = _checked_uri(row["uri"].strip(), where)
        subjects.add(_Subject(uri, labels, {}, notation, not labels), where)
    return subjects.found


class _DistinctSubjects:
    """Subjects in the order of a file, each with another URI."""

    def __init__(self):
        self.found = []
        self._first = {}

    def add(self, subject, where):
        """Add a subject that is at a place of the file."""
        first = self._first.setdefault(subject.uri, where)
        if first != where:
            raise ValueError(f"{where}: <{subject.uri}> is already a subject in {first}")
        self.found.append(subject)


def _checked_uri(uri, where):
    """Return a URI without angle brackets."""
    uri = uri[1:-1] if uri.startswith("<") and uri.endswith(">") else uri
    if not uri or any(character.isspace() for character in uri):
        raise ValueError(f"{where}: expected a URI in the first column, got {uri!r:.80}")
    return uri


def _read_skos(path, rdf_format):
    """Return the concepts of a SKOS file, sorted by URI."""
    try:
        import rdflib
    except ImportError as error:
        raise ImportError(f"reading {path} requires rdflib: pip install skxmr[skos]") from error
    with damaged_file_errors(path), open_binary(path, "rb") as file:
        content = file.read()
    graph = rdflib.Graph()
    try:
        graph.parse(data=content, format=rdf_format)
    except Exception as error:  # each parser of rdflib raises errors of its own
        raise ValueError(f"{path}: expected RDF ({rdf_format}): {error}") from error
    skos = rdflib.namespace.SKOS
    concepts = sorted(set(graph.subjects(rdflib.RDF.type, skos.Concept)))
    return [
        _Subject(
            uri=str(concept),
            labels=_first_of_each(graph, concept, (skos.prefLabel, rdflib.RDFS.label)),
            alternatives=_by_language(graph, concept, skos.altLabel),
            notation=min(map(str, graph.objects(concept, skos.notation)), default=None),
            deprecated=_is_deprecated(graph, concept, rdflib),
        )
        for concept in concepts
    ]


def _is_deprecated(graph, concept, rdflib):
    """Return whether a concept has owl:deprecated with a true value."""
    values = graph.objects(concept, rdflib.OWL.deprecated)
    return any(str(value).lower() in ("true", "1") for value in values)


def _first_of_each(graph, concept, properties):
    """Return one label of each language; earlier properties take precedence."""
    labels = {}
    for each in properties:
        for language, found in _by_language(graph, concept, each).items():
            labels.setdefault(language, min(found))
    return labels


def _by_language(graph, concept, each):
    """Return the values of a property by language."""
    found = {}
    for value in graph.objects(concept, each):
        label = str(value).strip()
        if label:
            found.setdefault(getattr(value, "language", None) or "", []).append(label)
    return found
