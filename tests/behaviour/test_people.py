"""Scripts as new users type them before they read a page."""

import csv

import numpy as np
import pytest
from datasets import titles_with_labels
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.preprocessing import MultiLabelBinarizer

import skxmr
from skxmr import SessionQueryCompleter, XRLinearClassifier
from skxmr.completion import training_pairs
from skxmr.datasets import load_annif_corpus, load_annif_vocabulary
from skxmr.metrics import f1_at_k, ndcg_at_k, precision_at_k, recall_at_k
from skxmr.pipeline import make_pipeline
from skxmr.text import NGramTfidfVectorizer

TITLES, SUBJECTS = titles_with_labels()


def test_a_data_scientist_with_a_frame_of_texts_and_lists_of_labels():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"title": TITLES, "subjects": SUBJECTS})
    train, test = train_test_split(frame, random_state=0)
    model = make_pipeline(TfidfVectorizer(), XRLinearClassifier(random_state=0))
    model.fit(train["title"], train["subjects"])
    predicted = model.predict(test["title"])
    known = set().union(*train["subjects"])
    assert all(set(row) <= known for row in predicted)
    ranking = model.rank(test["title"], k=3)
    assert len(ranking.names[0]) == 3
    assert ranking.to_frame().columns.tolist() == ["row", "rank", "label", "score"]
    assert precision_at_k(test["subjects"], ranking, k=1) == model.score(
        test["title"], test["subjects"]
    )
    assert model.score(test["title"], test["subjects"]) > 0.2
    search = GridSearchCV(model, {"xrlinearclassifier__C": [0.5, 1.0]}, cv=KFold(3))
    assert search.fit(train["title"], train["subjects"]).best_score_ > 0.2
    assert skxmr.rank(search, test["title"], k=2).names[0]


def test_a_data_scientist_in_a_hurry(tmp_path):
    ranker = skxmr.make_text_ranker(random_state=0).fit(TITLES, SUBJECTS)
    assert len(ranker.rank(["The history of music"], k=3).names[0]) == 3
    ranker.save(tmp_path / "subjects")
    loaded = skxmr.load(tmp_path / "subjects")
    assert loaded.predict(TITLES) == ranker.predict(TITLES)


def test_an_engineer_who_comes_from_pecos(tmp_path):
    Y = MultiLabelBinarizer(sparse_output=True).fit_transform(SUBJECTS)
    X = NGramTfidfVectorizer().fit_transform(TITLES)
    with pytest.raises(TypeError, match=r"did you mean beam_width\?"):
        XRLinearClassifier(beam_size=10)
    clf = XRLinearClassifier(n_neighbors=None, beam_width=10, random_state=0).fit(X, Y)
    clf.save(tmp_path / "model")
    served = skxmr.load(tmp_path / "model", mmap=True)
    labels, scores = served.rank((X[0].indices, X[0].data), k=5)
    np.testing.assert_array_equal(labels, clf.rank(X[:1], 5)[0])
    assert scores.shape == (1, 5)
    with pytest.raises(FileNotFoundError, match="not a model folder of PECOS"):
        skxmr.pecos.load(tmp_path / "model")


def test_a_search_engineer_with_a_log(tmp_path):
    log = tmp_path / "log.csv"
    queries = ["music", "music therapy", "organ music", "history", "history of art"]
    with open(log, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["session", "time", "query"])
        for session in range(20):
            for i in range(2):
                query = queries[(session + i) % len(queries)]
                writer.writerow([session, f"2026-01-01T10:{session:02}:{i:02}", query])
    pd = pytest.importorskip("pandas")
    X, y = training_pairs(pd.read_csv(log), random_state=0)
    completer = SessionQueryCompleter(random_state=0).fit(X, y)
    assert completer.complete("mus", previous="organ music")[0][0].startswith("mus")
    assert completer.rank([("", "his")], k=2).names[0][0].startswith("his")


def test_a_subject_librarian_with_names_of_subjects():
    names = sorted({name for row in SUBJECTS for name in row})
    Y = MultiLabelBinarizer(classes=names, sparse_output=True).fit_transform(SUBJECTS)
    model = make_pipeline(TfidfVectorizer(), XRLinearClassifier(random_state=0))
    model.fit(TITLES, Y, label_names=names, label_examples=names)
    suggested = model.rank(["The history of music"], k=5)
    assert len(suggested.names[0]) == 5
    assert set(suggested.names[0]) <= set(names)
    assert names[suggested.labels[0, 0]] in str(model.explain(TITLES[:1], suggested.names[0][0]))


def test_a_subject_librarian_with_files_of_annif(tmp_path):
    subjects = sorted({name for row in SUBJECTS for name in row})
    uri_of = {name: f"http://example.org/{i}" for i, name in enumerate(subjects)}
    with open(tmp_path / "subjects.tsv", "w", encoding="utf-8") as file:
        file.writelines(f"<{uri}>\t{name}\n" for name, uri in uri_of.items())
    with open(tmp_path / "documents.tsv", "w", encoding="utf-8") as file:
        for title, names in zip(TITLES, SUBJECTS, strict=True):
            file.write(f"{title}\t{' '.join(f'<{uri_of[name]}>' for name in names)}\n")
    corpus = load_annif_corpus(tmp_path / "documents.tsv")
    model = make_pipeline(TfidfVectorizer(), XRLinearClassifier(random_state=0))
    model.fit(corpus.texts[:150], corpus.labels[:150])
    ranking = model.rank(corpus.texts[150:], k=5)
    assert f1_at_k(corpus.labels[150:], ranking, k=5) > 0.2
    vocabulary = load_annif_vocabulary(tmp_path / "subjects.tsv")
    name_of = dict(zip(vocabulary.uris, vocabulary.names, strict=True))
    assert {name_of[uri] for uri in ranking.names[0]} <= set(subjects)
    # All subjects of the vocabulary, with their names as examples.
    vectorizer = TfidfVectorizer().fit(corpus.texts + vocabulary.texts)
    Y = MultiLabelBinarizer(classes=vocabulary.uris, sparse_output=True).fit_transform(
        corpus.labels[:5]
    )
    clf = XRLinearClassifier(random_state=0).fit(
        vectorizer.transform(corpus.texts[:5]),
        Y,
        label_names=vocabulary.names,
        label_examples=vectorizer.transform(vocabulary.texts),
    )
    named = clf.rank(vectorizer.transform(vocabulary.texts), k=1).names
    assert np.mean([row == [name] for row, name in zip(named, subjects, strict=True)]) > 0.8


def test_a_researcher_who_compares_settings():
    Y = MultiLabelBinarizer(sparse_output=True).fit_transform(SUBJECTS)
    X = NGramTfidfVectorizer().fit_transform(TITLES)
    results = {}
    for params in ({}, {"n_neighbors": None}, {"n_trees": 3}):
        ranking = XRLinearClassifier(random_state=0, **params).fit(X[:150], Y[:150]).rank(X[150:])
        results[str(params)] = [
            precision_at_k(Y[150:], ranking, k=1),
            ndcg_at_k(Y[150:], ranking, k=5),
            recall_at_k(Y[150:], ranking, k=10),
        ]
    assert np.all(np.array(list(results.values())) > 0.2)
