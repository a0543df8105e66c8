"""Agreement with Annif: its files, its F1@5, and skxmr as its backend.

These tests are skipped unless Annif is installed: pip install annif
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import titles_with_labels
from scipy import sparse as sp

import skxmr
from skxmr.datasets import load_annif_corpus, load_annif_vocabulary
from skxmr.metrics import f1_at_k, ndcg_at_k, precision_at_k

# Annif's modules refer to each other. Its corpora must come before its vocabularies.
pytest.importorskip("annif.corpus", reason="Annif is not installed")

EXAMPLES = Path(__file__).parents[2] / "examples"
URI = "http://example.org/{}".format


@pytest.fixture
def vocabulary_file(tmp_path):
    """A vocabulary with a deprecated subject."""
    _, labels = titles_with_labels()
    names = sorted({name for row in labels for name in row})
    lines = [f"<{URI(i)}>\t{name}" for i, name in enumerate(names)]
    path = tmp_path / "subjects.tsv"
    path.write_text("\n".join([*lines, f"<{URI('old')}>"]), encoding="utf-8")
    return path


@pytest.fixture
def subject_index(vocabulary_file):
    from annif.vocab import SubjectIndexFile, VocabFileTSV

    index = SubjectIndexFile()
    index.load_subjects(VocabFileTSV(str(vocabulary_file), "en"))
    return index


def write_corpus(folder, suffix, vocabulary):
    """Write the titles and their labels in one of the formats; the last two have no label."""
    uri_of = dict(zip(vocabulary.names, vocabulary.uris, strict=True))
    rows = [[uri_of[name] for name in row] for row in titles_with_labels()[1]]
    rows[-2:] = [[], [URI("old")]]
    path = folder / f"documents{suffix}"
    with open(path, "w", encoding="utf-8") as file:
        if suffix == ".csv":
            file.write("text,subject_uris\n")
        for text, uris in zip(titles_with_labels()[0], rows, strict=True):
            if suffix == ".jsonl":
                subjects = [{"uri": uri} for uri in uris]
                file.write(json.dumps({"text": text, "subjects": subjects}) + "\n")
            elif suffix == ".csv":
                quoted = text.replace('"', '""')
                file.write(f'"{quoted}",{" ".join(uris)}\n')
            else:
                file.write(f"{text}\t{' '.join(f'<{uri}>' for uri in uris)}\n")
    return path


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl"])
@pytest.mark.filterwarnings("ignore:1 subjects are not in the vocabulary")
def test_corpora_are_read_as_by_annif(tmp_path, vocabulary_file, subject_index, suffix):
    from annif.cli_util import open_doc_path

    vocabulary = load_annif_vocabulary(vocabulary_file)
    path = write_corpus(tmp_path, suffix, vocabulary)
    ours = load_annif_corpus(path, vocabulary=vocabulary)
    theirs = list(open_doc_path(str(path), subject_index, "en").documents)
    found = [(d.text, {subject_index[i].uri for i in d.subject_set}) for d in theirs]
    expected = [(t, set(row)) for t, row in zip(ours.texts, ours.labels, strict=True)]
    if suffix == ".jsonl":
        # Annif leaves out a JSON document whose subjects are all unknown.
        assert expected.pop()[1] == set()
    assert found == expected


def test_full_texts_are_read_as_by_annif(tmp_path, vocabulary_file, subject_index):
    from annif.corpus import DocumentDirectory

    vocabulary = load_annif_vocabulary(vocabulary_file)
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "1.txt").write_bytes(b"\xef\xbb\xbfone \xff")
    (folder / "1.tsv").write_text(f"<{URI(3)}>\tother\n\n<{URI(4)}>\n")
    (folder / "2.txt").write_text("two")
    (folder / "2.key").write_text(f"{vocabulary.names[5]}\n{vocabulary.names[6]}\n")
    (folder / "3.txt").write_text("three")
    (folder / "4.json").write_text(json.dumps({"text": "four", "subjects": [{"uri": URI(7)}]}))
    ours = load_annif_corpus(folder, vocabulary=vocabulary)
    theirs = DocumentDirectory(str(folder), subject_index, "en", require_subjects=True).documents
    found = [(d.text, {subject_index[i].uri for i in d.subject_set}) for d in theirs]
    assert found == [(t, set(row)) for t, row in zip(ours.texts, ours.labels, strict=True)]
    assert ours.n_left_out == 1


@pytest.mark.parametrize("seed", range(5))
def test_f1_is_that_of_annif(subject_index, seed):
    from annif.corpus import SubjectSet
    from annif.eval import EvaluationBatch
    from annif.suggestion import SubjectSuggestion

    rng = np.random.default_rng(seed)
    shape = 40, len(subject_index)
    Y = rng.random(shape) < 0.1
    # Some rows have no suggestion, and some fewer than five. All scores differ.
    candidates = rng.random(shape) < rng.random((shape[0], 1)) * 0.6
    candidates[:3] = False
    Y[2:5] = False
    candidates[:, -1] = Y[:, -1] = False  # the deprecated subject
    scores = candidates * (1 + rng.permutation(Y.size).reshape(shape)) / (Y.size + 1)
    suggested = [[SubjectSuggestion(j, row[j]) for j in np.flatnonzero(row)] for row in scores]
    batch = EvaluationBatch(subject_index)
    batch.evaluate_many(suggested, [SubjectSet(np.flatnonzero(row).tolist()) for row in Y])
    theirs = batch.results(metrics=["F1@5", "Precision@1", "NDCG@5"])
    ranked = sp.csr_matrix(scores)
    assert f1_at_k(Y, ranked, k=5) == pytest.approx(theirs["F1@5"], rel=1e-12)
    assert precision_at_k(Y, ranked, k=1) == pytest.approx(theirs["Precision@1"], rel=1e-12)
    # Rows without true labels count 1 in Annif's nDCG, and 0 here.
    empty = np.mean(~Y.any(axis=1))
    assert ndcg_at_k(Y, ranked, k=5) + empty == pytest.approx(theirs["NDCG@5"], rel=1e-5)


class TestBackend:
    @pytest.fixture
    def command(self, tmp_path, vocabulary_file, monkeypatch):
        """Return a function that runs Annif's command in a scratch folder."""
        from click.testing import CliRunner

        monkeypatch.syspath_prepend(str(EXAMPLES))
        import annif_backend

        annif_backend.register()
        config = tmp_path / "projects.cfg"
        config.write_text(
            annif_backend.PROJECT.format(
                name="ours", language="en", analyzer="words", backend="skxmr", parameters=""
            )
            + "allow_learn=true\n"
        )
        monkeypatch.setattr("annif.default_config.Config.PROJECTS_CONFIG_PATH", str(config))
        monkeypatch.setattr("annif.default_config.Config.DATADIR", str(tmp_path / "data"))
        monkeypatch.setenv("ANNIF_CONFIG", "annif.default_config.Config")

        def run(*arguments, **kwargs):
            from annif.cli import cli

            result = CliRunner().invoke(cli, [str(a) for a in arguments], **kwargs)
            assert result.exit_code == 0, result.output
            return result.output

        # Annif cannot save a vocabulary with a deprecated subject.
        lines = vocabulary_file.read_text().splitlines()
        vocabulary_file.write_text("\n".join(lines[:-1]))
        run("load-vocab", "subjects", vocabulary_file, "-L", "en")
        yield run
        sys.modules.pop("annif_backend")

    @pytest.fixture
    def corpus(self, tmp_path, vocabulary_file):
        return write_corpus(tmp_path, ".tsv", load_annif_vocabulary(vocabulary_file))

    def f1(self, command, tmp_path, corpus):
        command("eval", "ours", corpus, "-m", "F1@5", "-M", tmp_path / "metrics.json")
        return json.loads((tmp_path / "metrics.json").read_text())["F1@5"]

    def test_train_suggest_and_eval(self, command, tmp_path, corpus):
        assert "False" in command("list-projects")
        command("train", "ours", corpus, "-j", 1)
        assert "True" in command("list-projects")
        title, names = (rows[0] for rows in titles_with_labels())
        output = command("suggest", "ours", "--limit", 3, input=title)
        assert names[0] in output
        assert len(output.splitlines()) <= 3
        assert command("suggest", "ours", input="?!") == ""
        assert self.f1(command, tmp_path, corpus) > 0.3

    def test_training_again_from_cached_data(self, command, tmp_path, corpus):
        command("train", "ours", corpus, "-j", 1)
        expected = self.f1(command, tmp_path, corpus)
        command("train", "ours", "--cached", "-j", 1)
        assert self.f1(command, tmp_path, corpus) == expected

    def test_parameters_are_used(self, command, tmp_path, corpus):
        given = {"n_trees": 2, "C": 0.5, "n_neighbors": None}
        options = [word for name in given for word in ("-b", f"skxmr.{name}={given[name]}")]
        command("train", "ours", corpus, "-j", 1, *options)
        model = skxmr.load(tmp_path / "data" / "projects" / "ours" / "skxmr-model")
        assert given.items() <= model.get_params().items()

    def test_deprecated_subjects_are_not_suggested(self, command, vocabulary_file, corpus):
        command("train", "ours", corpus, "-j", 1)
        title, names = (rows[0] for rows in titles_with_labels())
        lines = vocabulary_file.read_text().splitlines()
        vocabulary_file.write_text("\n".join(x for x in lines if not x.endswith(f"\t{names[0]}")))
        command("load-vocab", "subjects", vocabulary_file, "-L", "en")
        assert names[0] not in command("suggest", "ours", "-l", 100, input=title)

    def test_learning(self, command, tmp_path, vocabulary_file, corpus):
        lines = corpus.read_text().splitlines(keepends=True)
        corpus.write_text("".join(lines[:100]))
        command("train", "ours", corpus, "-j", 1, "-b", "skxmr.subject_names=false")
        document = "the zyzzyva and other beetles"
        path = tmp_path / "more.tsv"
        # A subject of fit, then one that is not in the model.
        path.write_text(f"{document}\t<{URI(0)}>\n")
        command("learn", "ours", path)
        with open(vocabulary_file, "a") as file:
            file.write(f"\n<{URI('beetles')}>\tbeetles")
        command("load-vocab", "subjects", vocabulary_file, "-L", "en")
        path.write_text(f"{lines[0].split(chr(9))[0]} of beetles\t<{URI('beetles')}>\n" * 2)
        command("learn", "ours", path)
        title = titles_with_labels()[0][0]
        assert URI("beetles") in command("suggest", "ours", input=title)
