"""Annif: skxmr as a backend
=========================

This example makes skxmr a backend of `Annif <https://annif.org>`_. It trains and evaluates two
projects with Annif's own commands, one with skxmr and one with Annif's omikuji backend. Both have
the same vocabulary, documents and analyzer. It prints one table.

.. code-block:: sh

    pip install "annif[omikuji]" skxmr
    python examples/annif_backend.py compare [FOLDER] [--rows N] [--test-rows N] [--jobs N]

FOLDER has the files that :func:`skxmr.datasets.load_catalogue_subjects` reads. Without it, the
sample of skxmr is used. Nothing is downloaded.

The file is also Annif's command with one backend more. Write ``backend=skxmr`` in a project of
``projects.cfg``:

.. code-block:: sh

    python examples/annif_backend.py annif load-vocab my-vocabulary subjects.ttl
    python examples/annif_backend.py annif train my-skxmr-project documents.tsv
    python examples/annif_backend.py annif suggest my-skxmr-project < document.txt
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import annif
import annif.analyzer
import annif.backend
import numpy as np
import scipy.sparse as sp
from annif.analyzer.analyzer import Analyzer
from annif.backend.backend import AnnifLearningBackend
from annif.backend.mixins import TfidfVectorizerMixin
from annif.exception import NotInitializedException, NotSupportedException
from annif.suggestion import SubjectSuggestion, SuggestionBatch
from annif.util import boolean
from sklearn.preprocessing import MultiLabelBinarizer

import skxmr
from skxmr import XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects


# %%
# The backend
# -----------
# The labels are the URIs of the subjects, so that a model stays valid when the vocabulary is
# updated. The features are those of Annif's omikuji backend. The names of the subjects can be
# label examples, so that subjects without documents are suggested as well.
class SkxmrBackend(TfidfVectorizerMixin, AnnifLearningBackend):
    """Annif backend that ranks subjects with XRLinearClassifier.

    Parameters of a project, with their defaults: ``limit=100``, ``min_df=1``, ``ngram=1``,
    ``subject_names=true`` (whether names are label examples), and ``n_trees``,
    ``max_clusters_per_label``, ``C``, ``beam_width``, ``prune_threshold``, ``n_neighbors`` and
    ``neighbor_weight`` of XRLinearClassifier.
    """

    name = "skxmr"

    MODEL_FOLDER = "skxmr-model"
    TRAIN_FEATURES = "skxmr-train.npz"
    TRAIN_SUBJECTS = "skxmr-train.json"
    TYPES = {
        "n_trees": int,
        "max_clusters_per_label": int,
        "C": float,
        "beam_width": int,
        "prune_threshold": float,
        "n_neighbors": lambda text: number_of_neighbors(text),
        "neighbor_weight": float,
    }
    DEFAULT_PARAMETERS = {"min_df": 1, "ngram": 1, "subject_names": True}

    _model = None
    _excluded = None

    def initialize(self, parallel=False):
        """Load the vectorizer and the model, which is memory-mapped."""
        self.initialize_vectorizer()
        folder = Path(self.datadir, self.MODEL_FOLDER)
        if self._model is None:
            if not folder.exists():
                raise NotInitializedException(
                    f"model {folder} not found", backend_id=self.backend_id
                )
            self._model = skxmr.load(folder, mmap=True)
        if self._excluded is None:
            # Subjects may have become deprecated, or be excluded by the project.
            active = {subject.uri for _, subject in self.project.subjects.active}
            self._excluded = [uri for uri in self._model.classes_ if uri not in active]

    def _train(self, corpus, params, jobs=0):
        """Fit the vectorizer and the model, and save both."""
        if corpus == "cached":
            self.info("reusing cached training data from previous run")
            self.initialize_vectorizer()
            X, subjects = self._cached_data()
        else:
            X, subjects = self._training_data(corpus, params)
        names = {subject.uri: self._name(subject) for _, subject in self.project.subjects.active}
        with_documents = {uri for row in subjects for uri in row}
        examples = None
        if boolean(params["subject_names"]):
            examples = self.vectorizer.transform(names.values())
        else:
            names = {uri: name for uri, name in names.items() if uri in with_documents}
        self.info(f"training on {len(subjects)} documents with {len(names)} subjects")
        given = {name: kind(params[name]) for name, kind in self.TYPES.items() if name in params}
        model = XRLinearClassifier(**given, n_jobs=jobs or -1, random_state=0)
        Y = indicator(subjects, list(names))
        model.fit(X, Y, label_names=list(names), label_examples=examples)
        self._save(model)

    def _training_data(self, corpus, params):
        """Return the features and the subjects of all documents that have both; keep a copy."""
        if corpus.is_empty():
            raise NotSupportedException("Cannot train skxmr project with no documents")
        texts = (document.text for document in corpus.documents)
        vectorizer_params = {
            "min_df": int(params["min_df"]),
            "tokenizer": self.project.analyzer.tokenize_words,
            "ngram_range": (1, int(params["ngram"])),
        }
        X = self.create_vectorizer(texts, vectorizer_params)
        subjects = self._subjects_of(corpus.documents)
        rows = [i for i, n in enumerate(X.getnnz(axis=1)) if n and subjects[i]]
        X, subjects = X[rows], [subjects[i] for i in rows]
        sp.save_npz(Path(self.datadir, self.TRAIN_FEATURES), X)
        Path(self.datadir, self.TRAIN_SUBJECTS).write_text(json.dumps(subjects))
        return X, subjects

    def _cached_data(self):
        """Return what `_training_data` has saved."""
        features = Path(self.datadir, self.TRAIN_FEATURES)
        if not features.exists():
            raise NotInitializedException(f"{features} not found", backend_id=self.backend_id)
        subjects = json.loads(Path(self.datadir, self.TRAIN_SUBJECTS).read_text())
        return sp.load_npz(features), subjects

    def _learn(self, corpus, params):
        """Add documents as nearest neighbors, and subjects that are new to the model."""
        self.initialize()
        documents = list(corpus.documents)
        X = self.vectorizer.transform([document.text for document in documents])
        subjects = self._subjects_of(documents)
        model = skxmr.load(Path(self.datadir, self.MODEL_FOLDER))
        known = model.classes_.tolist()
        new = sorted({uri for row in subjects for uri in row}.difference(known))
        if new:
            # New subjects learn from the other documents what distinguishes them.
            X_train, trained = self._cached_data()
            X = sp.vstack([X_train, X], format="csr")
            model.add_labels(X, indicator(trained + subjects, known + new), label_names=new)
        elif model.neighbors_ is None:
            raise NotSupportedException("learning known subjects requires n_neighbors")
        else:
            model.add_neighbors(X, indicator(subjects, known))
        self._save(model)

    def _suggest_batch(self, documents, params):
        """Rank the subjects of all documents in one call."""
        X = self.vectorizer.transform([document.text for document in documents])
        ranking = self._model.rank(X, k=int(params["limit"]), exclude=self._excluded or None)
        subjects = self.project.subjects
        batch = []
        for uris, scores, has_words in zip(
            ranking.names, ranking.scores.tolist(), X.getnnz(axis=1) > 0, strict=True
        ):
            suggestions = zip(uris, scores, strict=False) if has_words else ()
            batch.append([SubjectSuggestion(subjects.by_uri(uri), s) for uri, s in suggestions])
        return SuggestionBatch.from_sequence(batch, subjects)

    def _save(self, model):
        model.save(Path(self.datadir, self.MODEL_FOLDER))
        self._model = None
        self._excluded = None

    def _name(self, subject):
        """Return the name of a subject in the language of the project."""
        return subject.labels[self.project.vocab_lang] or ""

    def _subjects_of(self, documents):
        """Return the URIs of the subjects of each document."""
        subjects = self.project.subjects
        return [[subjects[i].uri for i in document.subject_set] for document in documents]


def number_of_neighbors(text):
    """Return the value of n_neighbors: None, "auto" or a number."""
    if text == "None":
        return None
    return text if text == "auto" else int(text)


def indicator(subjects, uris):
    """Return subjects as a sparse matrix with one column per URI; others are left out."""
    known = set(uris)
    rows = [[uri for uri in row if uri in known] for row in subjects]
    return MultiLabelBinarizer(classes=uris, sparse_output=True).fit_transform(rows)


# %%
# The analyzer
# ------------
# Annif's analyzers download a file of NLTK the first time. This one needs no file. It is written
# ``words`` or, with a stemmer, ``words(german)``.
class WordsAnalyzer(Analyzer):
    """Annif analyzer that splits texts into words, with a Snowball stemmer if requested."""

    name = "words"

    def __init__(self, param=None, **kwargs):
        from nltk.stem.snowball import SnowballStemmer

        self.token_min_length = int(kwargs.get("token_min_length", self.token_min_length))
        self._stemmer = SnowballStemmer(param) if param else None
        self._stems = {}

    def tokenize_words(self, text, filter=True):
        """Return the normalized words of a text."""
        words = re.findall(r"\w+", text)
        return [self._normalize_word(w) for w in words if not filter or self.is_valid_token(w)]

    def _normalize_word(self, word):
        word = word.lower()
        if self._stemmer is None:
            return word
        if word not in self._stems:
            self._stems[word] = self._stemmer.stem(word)
        return self._stems[word]


# %%
# The command
# -----------
# Annif finds backends in a table of functions, one for each name.
def register():
    """Make the backend and the analyzer of this file known to Annif."""
    annif.backend._backend_fns[SkxmrBackend.name] = lambda: SkxmrBackend
    annif.analyzer.register_analyzer(WordsAnalyzer)


def run_annif(arguments):
    """Run Annif's command with the backend and the analyzer of this file."""
    # The pickled vectorizer refers to the analyzer by its module, which "__main__" would not be in
    # other programs.
    sys.path.insert(0, str(Path(__file__).parent))
    import annif_backend
    from annif.cli import cli

    annif_backend.register()
    cli.main(arguments, prog_name="annif")


# %%
# The comparison
# --------------
# All files are in Annif's formats: the vocabulary and the documents are TSV files, and the projects
# differ only in the backend.
PROJECT = """\
[{name}]
name={name}
language={language}
vocab=subjects
analyzer={analyzer}
backend={backend}
{parameters}
"""

PROJECTS = {
    "skxmr": ("skxmr", ""),
    "skxmr, no subject names": ("skxmr", "subject_names=false"),
    "skxmr, no neighbors": ("skxmr", "n_neighbors=None"),
    "omikuji (Parabel)": ("omikuji", ""),
    "omikuji (Bonsai)": ("omikuji", "cluster_balanced=False\ncluster_k=100\nmax_depth=3"),
}


def write_files(folder, data, args):
    """Write the vocabulary, the documents and the projects."""
    uris = [f"http://example.org/{label}" for label in data.label_ids]
    with open(folder / "subjects.tsv", "w", encoding="utf-8") as file:
        for uri, name in zip(uris, data.label_names, strict=True):
            file.write(f"<{uri}>\t{name}\n")
    rng = np.random.default_rng(0)
    parts = {"train": args.rows, "test": args.test_rows}
    for part, n_rows in parts.items():
        texts, Y = data[f"text_{part}"], data[f"Y_{part}"]
        with open(folder / f"{part}.tsv", "w", encoding="utf-8") as file:
            for row in rng.permutation(len(texts))[:n_rows]:
                subjects = " ".join(f"<{uris[column]}>" for column in Y[row].indices)
                file.write(f"{' '.join(texts[row].split())}\t{subjects}\n")
    sections = [
        PROJECT.format(
            name=f"project-{i}",
            language=args.language,
            analyzer=args.analyzer,
            backend=backend,
            parameters=parameters,
        )
        for i, (backend, parameters) in enumerate(PROJECTS.values())
    ]
    (folder / "projects.cfg").write_text("\n".join(sections), encoding="utf-8")


def annif_command(folder, *arguments):
    """Run Annif's command in a process; return its CPU seconds, seconds and peak in MB."""
    environment = {
        **os.environ,
        "ANNIF_PROJECTS": str(folder / "projects.cfg"),
        "ANNIF_DATADIR": str(folder / "data"),
    }
    print("annif", *arguments, flush=True)
    start = time.perf_counter()
    command = [sys.executable, __file__, "annif", *arguments]
    log = folder / "annif.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(log.read_text(encoding="utf-8", errors="replace"))
    seconds = time.perf_counter() - start
    return usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss / 1024


def compare(args):
    """Train and evaluate all projects with Annif's commands, and print the table."""
    data = load_catalogue_subjects(args.folder)
    columns = "F1@5, P@1, NDCG, train CPU s, train s, eval CPU s, eval s, MB, peak MB"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_files(folder, data, args)
        annif_command(
            folder, "load-vocab", "subjects", str(folder / "subjects.tsv"), "-L", args.language
        )
        for i, name in enumerate(PROJECTS):
            project = f"project-{i}"
            train = annif_command(
                folder, "train", "-j", str(args.jobs), project, str(folder / "train.tsv")
            )
            found = str(folder / "metrics.json")
            metrics = ("-m", "F1@5", "-m", "Precision@1", "-m", "NDCG", "-M", found)
            test = annif_command(folder, "eval", *metrics, project, str(folder / "test.tsv"))
            quality = json.loads(Path(found).read_text())
            size = model_megabytes(folder / "data" / "projects" / project)
            shown = [f"{quality[key]:.4f}" for key in ("F1@5", "Precision@1", "NDCG")]
            shown += [f"{figure:.1f}" for figure in (*train[:2], *test[:2], size, train[2])]
            rows.append([name, *shown])
            print(f"    {name}: F1@5 {shown[0]}, trained in {train[0]:.0f} CPU seconds", flush=True)
    print(f"\n| {args.rows} documents | {' | '.join(columns.split(', '))} |")
    print("| --- |" + " ---: |" * len(rows[0][1:]))
    for row in rows:
        print(f"| {' | '.join(row)} |")


def model_megabytes(folder):
    """Return the size of a model without the vectorizer and the cached training data."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    kept = [p for p in files if p.name != "vectorizer" and "-train" not in p.name]
    return sum(path.stat().st_size for path in kept) / 1e6


def main():
    """Run the comparison, or Annif's command."""
    if sys.argv[1:2] == ["annif"]:
        return run_annif(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["compare"], help="or: annif ARGUMENTS")
    parser.add_argument("folder", nargs="?", help="by default the bundled sample")
    parser.add_argument("--rows", type=int, default=20_000, help="training documents")
    parser.add_argument("--test-rows", type=int, default=2_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--language", default="en")
    parser.add_argument("--analyzer", default="words", help="such as words(german) or simple")
    compare(parser.parse_args())


if __name__ == "__main__":
    main()
