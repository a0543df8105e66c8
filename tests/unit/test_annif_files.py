"""Readers of Annif's corpora and vocabularies, and of fastText files."""

import csv
import gzip
import io
import json
import lzma

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import examples

from skxmr.datasets import load_annif_corpus, load_annif_vocabulary, load_fasttext

SEA, SHIP = "http://example.org/sea", "http://example.org/ship"
TMP = settings(parent=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ROWS = st.lists(st.tuples(TEXT, st.lists(st.sampled_from([SEA, SHIP]), unique=True)), min_size=1)
TSV = f"The sea\t<{SEA}>\nShips at sea\t<{SHIP}> <{SEA}>\nNothing\t\n"
BOM = "\ufeff"


def written(folder, name, content):
    """Write a text in UTF-8, compressed by its suffix."""
    path = folder / name
    openers = {".gz": gzip.open, ".xz": lzma.open}
    with openers.get(path.suffix, open)(path, "wb") as file:
        file.write(content.encode("utf-8"))
    return path


# Corpora of short texts


@pytest.mark.parametrize("name", ["documents.tsv", "documents.tsv.gz", "documents.txt.xz"])
@pytest.mark.parametrize(
    "content",
    [
        TSV,
        BOM + TSV,
        TSV.replace("\n", "\r\n"),
        "\n" + TSV.replace("\n", "\n \n"),
        TSV.removesuffix("\n"),
        TSV.replace("> <", ">  \t<").replace("<", "").replace(">", ""),
        TSV.replace(f"<{SHIP}>", f"<{SHIP}> <{SHIP}>"),
    ],
)
def test_tsv_corpus(tmp_path, name, content):
    corpus = load_annif_corpus(written(tmp_path, name, content))
    assert corpus.texts == ["The sea", "Ships at sea", "Nothing"]
    assert corpus.labels == [[SEA], [SHIP, SEA], []]
    assert corpus.document_ids == [None] * 3
    assert corpus.metadata == [{}] * 3
    assert corpus.n_left_out == 0


@TMP
@given(rows=ROWS)
def test_any_text_in_tsv(tmp_path, rows):
    rows = [("x" + text.translate(dict.fromkeys(map(ord, "\t\n"))), uris) for text, uris in rows]
    content = "\n".join(f"{text}\t{' '.join(uris)}" for text, uris in rows)
    corpus = load_annif_corpus(written(tmp_path, "any.tsv", content))
    assert list(zip(corpus.texts, corpus.labels, strict=True)) == rows


@TMP
@given(rows=ROWS)
def test_any_text_in_csv(tmp_path, rows):
    rows = [("x" + text, uris) for text, uris in rows]
    content = io.StringIO(newline="")
    writer = csv.writer(content, quoting=csv.QUOTE_ALL)
    writer.writerows([["text", "subject_uris"], *((text, " ".join(uris)) for text, uris in rows)])
    corpus = load_annif_corpus(written(tmp_path, "any.csv", content.getvalue()))
    assert list(zip(corpus.texts, corpus.labels, strict=True)) == rows


def test_tsv_quotes_are_part_of_the_text(tmp_path):
    corpus = load_annif_corpus(written(tmp_path, "a.tsv", f'"Sea", a "novel\t<{SEA}>\n'))
    assert corpus.texts == ['"Sea", a "novel']


def test_tsv_lines_without_a_tab(tmp_path):
    path = written(tmp_path, "a.tsv", f"The sea\t<{SEA}>\n\nno tab\n")
    with pytest.raises(ValueError, match=r"a\.tsv, line 3: .*no tab"):
        load_annif_corpus(path)
    corpus = load_annif_corpus(path, require_subjects=False)
    assert corpus.texts == ["The sea", "no tab"]
    assert corpus.labels == [[SEA], []]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", BOM])
def test_csv_corpus(tmp_path, end, mark):
    lines = [
        "document_id,text,subject_uris,title",
        f'7,"A ""great"" sea,{end}wide",<{SEA}> {SHIP},Sea',
        "",
        "8,Nothing,,",
    ]
    corpus = load_annif_corpus(written(tmp_path, "a.CSV", mark + end.join(lines)))
    assert corpus.texts == [f'A "great" sea,{end}wide', "Nothing"]
    assert corpus.labels == [[SEA, SHIP], []]
    assert corpus.document_ids == ["7", "8"]
    assert corpus.metadata == [{"title": "Sea"}, {"title": ""}]


def test_csv_corpus_without_subjects(tmp_path):
    path = written(tmp_path, "a.csv.gz", "text\nThe sea\n")
    with pytest.raises(ValueError, match=r"line 1: .*text, subject_uris, got text"):
        load_annif_corpus(path)
    assert load_annif_corpus(path, require_subjects=False).texts == ["The sea"]


def test_csv_fields_of_any_length(tmp_path):
    text = "sea " * 100_000
    limit = csv.field_size_limit()
    corpus = load_annif_corpus(written(tmp_path, "a.csv", f"text,subject_uris\n{text},{SEA}\n"))
    assert corpus.texts == [text]
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,b,c", "line 3: expected 2 fields as in the header, got 3"),
        ("a", "line 3: expected 2 fields as in the header, got 1"),
        ('"a"b,c', "line 3: expected CSV"),
        ('"a,b', "line 3: expected CSV"),
    ],
)
def test_csv_malformed_row_is_located(tmp_path, row, message):
    path = written(tmp_path, "a.csv", f"text,subject_uris\nThe sea,{SEA}\n{row}")
    with pytest.raises(ValueError, match=rf"a\.csv, {message}"):
        load_annif_corpus(path)


def json_documents(*documents):
    return "\n".join(map(json.dumps, documents))


def test_jsonl_corpus(tmp_path):
    content = json_documents(
        {"text": "The sea", "subjects": [{"uri": SEA, "label": "sea"}], "document_id": "7"},
        {"metadata": {"title": "Ships"}, "subjects": [{"uri": SHIP}, {"uri": SHIP}]},
        {"text": "Nothing"},
        {"text": "Nothing more", "subjects": []},
    )
    path = written(tmp_path, "a.jsonl", content)
    corpus = load_annif_corpus(path)
    assert corpus.texts == ["The sea", ""]
    assert corpus.labels == [[SEA], [SHIP]]
    assert corpus.document_ids == ["7", None]
    assert corpus.metadata == [{}, {"title": "Ships"}]
    assert corpus.n_left_out == 2
    corpus = load_annif_corpus(path, require_subjects=False)
    assert corpus.labels == [[SEA], [SHIP], [], []]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "expected a JSON object, got list"),
        ("{}", 'expected "text" or "metadata"'),
        ('{"text": 1}', '"text" must be a str, got int'),
        ('{"text": "a", "document_id": 1}', '"document_id" must be a str, got int'),
        ('{"text": "a", "subjects": "b"}', '"subjects" must be a list, got str'),
        ('{"text": "a", "subjects": ["b"]}', 'each subject must have a "uri" or a "label"'),
        ('{"text": "a", "subjects": [{}]}', 'each subject must have a "uri" or a "label"'),
        ('{"text": "a", "subjects": [{"uri": 1}]}', 'each subject must have a "uri" or a "label"'),
    ],
)
def test_jsonl_malformed_line_is_located(tmp_path, document, message):
    path = written(tmp_path, "a.jsonl", '{"text": "a"}\n' + document)
    with pytest.raises(ValueError, match=rf"a\.jsonl, line 2: {message}"):
        load_annif_corpus(path)


def test_bytes_that_are_not_utf8_are_located(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(TSV.encode() + "Über\t<a>\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.tsv, line 4: expected UTF-8"):
        load_annif_corpus(path)


@pytest.mark.parametrize("name", ["a.tsv.gz", "a.csv.gz", "a.jsonl.xz"])
def test_damaged_compressed_file_is_named(tmp_path, name):
    path = written(tmp_path, name, "text,subject_uris\n" * 1000)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=rf"{name}"):
        load_annif_corpus(path, require_subjects=False)


@pytest.mark.parametrize(("name", "content"), [("a.tsv", "\n"), ("a.jsonl", ""), ("a.csv", "text")])
def test_a_corpus_without_documents(tmp_path, name, content):
    with pytest.raises(ValueError, match=rf"{name}: expected documents"):
        load_annif_corpus(written(tmp_path, name, content), require_subjects=False)


# Corpora of full texts


@pytest.fixture
def full_texts(tmp_path):
    written(tmp_path, "1.txt", BOM + "The sea\nis wide")
    written(tmp_path, "1.tsv", f"{BOM}<{SEA}>\tsea\tmore\r\n\r\n<{SEA}>\n")
    written(tmp_path, "1.key", "not read\n")
    written(tmp_path, "2.txt", "Ships")
    written(tmp_path, "2.tsv", f"<{SHIP}>\n")
    written(tmp_path, "3.txt", "Nothing")
    return tmp_path


def test_full_text_corpus(full_texts):
    document = {"text": "Both", "subjects": [{"uri": SEA}, {"uri": SHIP}]}
    written(full_texts, "0.json", json.dumps(document))
    corpus = load_annif_corpus(str(full_texts))
    assert corpus.texts == ["The sea\nis wide", "Ships", "Both"]
    assert corpus.labels == [[SEA], [SHIP], [SEA, SHIP]]
    assert corpus.document_ids == ["1.txt", "2.txt", "0.json"]
    assert corpus.n_left_out == 1
    assert load_annif_corpus(full_texts, require_subjects=False).texts[2] == "Nothing"


def test_full_text_corpus_with_labels_only(tmp_path):
    written(tmp_path, "1.txt", "The sea").write_bytes(b"The sea \xff")
    written(tmp_path, "1.key", "open sea\nships\n")
    corpus = load_annif_corpus(tmp_path)
    assert corpus.texts == ["The sea \ufffd"]
    assert corpus.labels == [["open sea", "ships"]]


def test_urls_and_labels_cannot_be_mixed(full_texts):
    written(full_texts, "3.key", "sea\n")
    with pytest.raises(ValueError, match=r"vocabulary must be given.*1\.txt.*'sea' \(.*3\.txt"):
        load_annif_corpus(full_texts)


def test_vocabulary_turns_labels_into_uris(full_texts):
    written(full_texts, "3.key", "sea\nwater\n")
    vocabulary = load_annif_vocabulary(
        written(full_texts, "v.csv", f"uri,label_en\n{SEA},sea\n{SHIP},\n")
    )
    with pytest.warns(UserWarning, match="2 subjects are not in the vocabulary.*ship") as caught:
        corpus = load_annif_corpus(full_texts, vocabulary=vocabulary)
    assert corpus.labels == [[SEA], [], [SEA]]
    assert caught[0].filename == __file__


def test_a_label_of_several_subjects_is_reported(full_texts):
    written(full_texts, "3.key", "sea\n")
    path = written(full_texts, "v.csv", f"uri,label_en\n{SEA},sea\n{SHIP},sea\n")
    with pytest.warns(UserWarning, match="1 subjects have the label of several"):
        corpus = load_annif_corpus(full_texts, vocabulary=load_annif_vocabulary(path))
    assert corpus.labels == [[SEA], [SHIP], [SHIP]]


def test_a_folder_without_documents(tmp_path):
    with pytest.raises(ValueError, match="expected documents"):
        load_annif_corpus(tmp_path)


@pytest.mark.parametrize("load", [load_annif_corpus, load_annif_vocabulary, load_fasttext])
def test_wrong_paths(tmp_path, load):
    with pytest.raises(TypeError, match="path must be a str"):
        load(3)
    with pytest.raises(FileNotFoundError, match=r"none\.tsv"):
        load(tmp_path / "none.tsv")


@pytest.mark.parametrize("vocabulary", ["subjects.tsv", 3, {"uris": []}])
def test_wrong_vocabulary(tmp_path, vocabulary):
    with pytest.raises(TypeError, match="vocabulary must be the result of load_annif_vocabulary"):
        load_annif_corpus(written(tmp_path, "a.tsv", TSV), vocabulary=vocabulary)


# Vocabularies


@pytest.mark.parametrize("mark", ["", BOM])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_tsv_vocabulary(tmp_path, mark, end):
    lines = [f"<{SHIP}>\tships\t42.1", f"<{SEA}>\topen sea", "<http://example.org/old>\t", ""]
    vocabulary = load_annif_vocabulary(written(tmp_path, "v.tsv.gz", mark + end.join(lines)))
    assert vocabulary.uris.tolist() == [SHIP, SEA]
    assert vocabulary.names.tolist() == vocabulary.texts == ["ships", "open sea"]
    assert vocabulary.notations.tolist() == ["42.1", None]
    assert vocabulary.alternatives == [[], []]
    assert vocabulary.deprecated == ["http://example.org/old"]
    assert vocabulary.language is None
    assert vocabulary.languages == []


CSV_VOCABULARY = f"""\
uri,label_en,label_fi,notation
<{SEA}>,"sea, open",meri,
{SHIP},,laiva,42.1
http://example.org/old,,,
"""


def test_csv_vocabulary(tmp_path):
    path = written(tmp_path, "v.csv", BOM + CSV_VOCABULARY.replace("\n", "\r\n"))
    english = load_annif_vocabulary(path, language="en")
    assert english.uris.tolist() == [SEA, SHIP]
    assert english.names.tolist() == ["sea, open", "laiva"]
    assert english.notations.tolist() == [None, "42.1"]
    assert english.deprecated == ["http://example.org/old"]
    assert (english.language, english.languages) == ("en", ["en", "fi"])
    assert load_annif_vocabulary(path, language="fi").names.tolist() == ["meri", "laiva"]
    for language in (None, "sv"):
        with pytest.raises(
            ValueError, match=rf"language must be one of .*en, fi, got {language!r}"
        ):
            load_annif_vocabulary(path, language=language)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.tsv", f"<{SEA}>\tsea\n<{SEA}>\tsea\n", r"line 2: <.*sea> is already .* line 1"),
        ("v.tsv", "the sea\n", r"line 1: expected a URI in the first column, got 'the sea'"),
        ("v.tsv", "\n", "expected subjects, found none"),
        ("v.csv", "", "line 1: expected a header with the columns uri, got nothing"),
        (
            "v.csv",
            "label_en\nsea\n",
            "line 1: expected a header with the columns uri, got label_en",
        ),
        ("v.csv", f"uri,name\n{SEA},sea\n", "line 1: expected a header with label_en"),
        ("v.csv", f"uri,label_en,label_en\n{SEA},a,b\n", "line 1: expected different columns"),
        ("v.csv", "uri,label_en\n,sea\n", "line 2: expected a URI in the first column, got ''"),
    ],
)
def test_malformed_vocabulary_is_located(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=rf"{name}(, |: ){message}"):
        load_annif_vocabulary(written(tmp_path, name, content))


TURTLE = f"""\
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
<{SHIP}> a skos:Concept ; skos:prefLabel "ships"@en, "laivat"@fi ;
    skos:altLabel "vessels"@en, "boats"@en, "alukset"@fi, "ships"@en ; skos:notation "42.1" .
<{SEA}> a skos:Concept ; rdfs:label "open sea" .
<http://example.org/v#fish> a skos:Concept ; skos:prefLabel "kalat"@fi .
<http://example.org/bare> a skos:Concept .
<http://example.org/old> a skos:Concept ; skos:prefLabel "old"@en ; owl:deprecated true .
<http://example.org/scheme> a skos:ConceptScheme ; skos:prefLabel "all"@en .
"""

RDF_XML = f"""\
<?xml version="1.0" encoding="utf-8"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
         xmlns:skos="http://www.w3.org/2004/02/skos/core#">
  <skos:Concept rdf:about="{SEA}"><skos:prefLabel xml:lang="en">sea</skos:prefLabel>
  </skos:Concept>
</rdf:RDF>
"""


class TestSkos:
    @pytest.fixture(autouse=True)
    def rdflib(self):
        pytest.importorskip("rdflib", reason="SKOS requires rdflib")

    @pytest.mark.parametrize("name", ["v.ttl", "v.ttl.gz"])
    def test_turtle(self, tmp_path, name):
        vocabulary = load_annif_vocabulary(written(tmp_path, name, TURTLE), language="en")
        fish = "http://example.org/v#fish"
        assert vocabulary.uris.tolist() == ["http://example.org/bare", SEA, SHIP, fish]
        assert vocabulary.names.tolist() == ["bare", "open sea", "ships", "kalat"]
        assert vocabulary.alternatives == [[], [], ["boats", "vessels"], []]
        assert vocabulary.texts[2] == "ships\nboats\nvessels"
        assert vocabulary.notations.tolist() == [None, None, "42.1", None]
        assert vocabulary.deprecated == ["http://example.org/old"]
        assert vocabulary.languages == ["en", "fi"]
        finnish = load_annif_vocabulary(tmp_path / name, language="fi")
        assert finnish.alternatives[2] == ["alukset"]
        with pytest.raises(ValueError, match="language must be one of"):
            load_annif_vocabulary(tmp_path / name)

    def test_rdf_xml(self, tmp_path):
        vocabulary = load_annif_vocabulary(written(tmp_path, "v.rdf", RDF_XML))
        assert vocabulary.uris.tolist() == [SEA]
        assert vocabulary.names.tolist() == ["sea"]
        assert vocabulary.language == "en"

    def test_n_triples(self, tmp_path):
        rdf_type = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
        content = f"<{SEA}> {rdf_type} <http://www.w3.org/2004/02/skos/core#Concept> .\n"
        assert load_annif_vocabulary(written(tmp_path, "v.nt", content)).names.tolist() == ["sea"]

    @pytest.mark.parametrize("name", ["v.ttl", "v.rdf"])
    def test_damaged_file_is_named(self, tmp_path, name):
        with pytest.raises(ValueError, match=rf"{name}: expected RDF"):
            load_annif_vocabulary(written(tmp_path, name, "<not RDF"))

    def test_external_entities_are_not_read(self, tmp_path):
        secret = written(tmp_path, "secret", "secret")
        entity = f'<!DOCTYPE r [<!ENTITY e SYSTEM "{secret.as_uri()}">]>\n<rdf:RDF'
        content = RDF_XML.replace("<rdf:RDF", entity, 1).replace(">sea<", ">sea &e;<")
        try:
            names = load_annif_vocabulary(written(tmp_path, "v.rdf", content)).names.tolist()
        except ValueError:
            return
        assert "secret" not in names[0]

    def test_a_missing_rdflib_is_named(self, tmp_path, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "rdflib", None)
        with pytest.raises(ImportError, match=r"pip install skxmr\[skos\]"):
            load_annif_vocabulary(written(tmp_path, "v.ttl", TURTLE))


# fastText


def test_fasttext_file(tmp_path):
    content = (
        "__label__bread __label__flour Which flour ?\r\n\n"
        "no label\nA __label__sea in\tthe middle __label__sea\n"
    )
    corpus = load_fasttext(written(tmp_path, "train.txt.gz", BOM + content))
    assert corpus.texts == ["Which flour ?", "no label", "A in the middle"]
    assert corpus.labels == [["bread", "flour"], [], ["sea"]]


def test_fasttext_prefix(tmp_path):
    path = written(tmp_path, "train.txt", "#a text\n")
    assert load_fasttext(path, prefix="#").labels == [["a"]]
    with pytest.raises(ValueError, match=r"train\.txt: expected words that begin with '__label__'"):
        load_fasttext(path)
    with pytest.raises(ValueError, match="line 1: expected a label after '#a'"):
        load_fasttext(path, prefix="#a")
    with pytest.raises(ValueError, match="prefix must not be empty"):
        load_fasttext(path, prefix="")
    with pytest.raises(TypeError, match="prefix must be a str"):
        load_fasttext(path, prefix=None)
