"""XRTransformerClassifier with a small random encoder."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from encoders import (
    INDEXER,
    N_LABELS,
    NAMES,
    NEW,
    NEW_Y,
    TEXTS,
    WORDS,
    Y,
    make_classifier,
    read_pair,
    write_encoder,
)
from marks import TEXT_CHECKS
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_checks

torch = pytest.importorskip("torch", reason="the extra transformer is not installed")
pytest.importorskip("transformers", reason="the extra transformer is not installed")
torch.set_num_threads(1)

import skxmr  # noqa: E402
from skxmr import KMeansIndexer, XRLinearClassifier  # noqa: E402
from skxmr.transformers import (  # noqa: E402
    StaticEmbedder,
    TransformerEmbedder,
    XRTransformerClassifier,
)
from skxmr.transformers import _held_out as held_out  # noqa: E402
from skxmr.transformers import _training as training  # noqa: E402
from skxmr.transformers._ensemble import average_ranks  # noqa: E402
from skxmr.transformers._finetuning import _rate, lower_modules  # noqa: E402
from skxmr.transformers._heads import solve_heads  # noqa: E402
from skxmr.transformers._levels import Level, flat_level, tree_levels  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def fitted(folder):
    return make_classifier(folder).fit(TEXTS, Y)


def assert_same_rankings(first, second, texts=NEW):
    for one, other in zip(first.rank(texts), second.rank(texts), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("objective", ["tree", "flat", "names"])
def test_losses_fall(folder, objective):
    classifier = make_classifier(folder, objective=objective, n_epochs=6)
    classifier.fit(TEXTS, Y, label_text=NAMES)
    for losses in classifier.losses_[0]:
        assert losses[-7:].mean() < 0.8 * losses[:7].mean()
    before = TransformerEmbedder(folder).transform(NEW)
    assert np.abs(classifier.embedders_[0].transform(NEW) - before).max() > 0.01


def test_fine_tuning_brings_texts_of_a_label_together(folder):
    same = (NEW_Y @ NEW_Y.T).toarray() > 0
    pairs = ~np.eye(len(NEW), dtype=bool)

    def separation(embedder):
        """The difference of mean similarities with and without a common label, in deviations."""
        E = embedder.transform(NEW)
        similarity = E @ E.T
        difference = similarity[same & pairs].mean() - similarity[~same].mean()
        return difference / similarity[pairs].std()

    classifier = make_classifier(folder, n_epochs=10).fit(TEXTS, Y)
    before = separation(TransformerEmbedder(folder))
    assert separation(classifier.embedders_[0]) > before + 0.2


def test_fits_are_deterministic(fitted, folder):
    again = make_classifier(folder).fit(TEXTS, Y)
    assert_same_rankings(fitted, again)
    for one, other in zip(fitted.losses_[0], again.losses_[0], strict=True):
        assert_array_equal(one, other)
    other = make_classifier(folder, random_state=1).fit(TEXTS, Y)
    assert not np.array_equal(fitted.losses_[0][0], other.losses_[0][0])


def test_the_given_encoder_is_not_changed(folder):
    pair = read_pair(folder)
    before = {name: value.clone() for name, value in pair[0].state_dict().items()}
    first = make_classifier(pair).fit(TEXTS, Y)
    for name, value in pair[0].state_dict().items():
        assert torch.equal(value, before[name])
    assert all(p.requires_grad for p in pair[0].parameters())
    assert_same_rankings(first, make_classifier(folder).fit(TEXTS, Y))


def test_without_an_objective_it_is_the_pipeline(folder):
    classifier = make_classifier(folder, objective=None).fit(TEXTS, Y, label_text=NAMES)
    vectorizer = skxmr.text.NGramTfidfVectorizer()
    embedder = TransformerEmbedder(folder)
    X = sp.hstack([vectorizer.fit_transform(TEXTS), sp.csr_matrix(embedder.transform(TEXTS))])
    of_names = sp.hstack([vectorizer.transform(NAMES), sp.csr_matrix(embedder.transform(NAMES))])
    linear = XRLinearClassifier(
        dense_columns=32, random_state=classifier.classifiers_[0].random_state
    )
    linear.fit(X, Y, label_examples=of_names)
    new = sp.hstack([vectorizer.transform(NEW), sp.csr_matrix(embedder.transform(NEW))])
    for one, other in zip(classifier.rank(NEW), linear.rank(new.tocsr()), strict=True):
        assert_array_equal(one, other)


def test_weights_are_averaged_with_the_pretrained_ones(fitted, folder):
    whole = make_classifier(folder, pretrained_weight=1.0).fit(TEXTS, Y)
    before = TransformerEmbedder(folder).transform(NEW)
    assert_allclose(whole.embedders_[0].transform(NEW), before, atol=1e-6)
    half = make_classifier(folder, pretrained_weight=0.5).fit(TEXTS, Y)
    weights = [
        model.state_dict()["encoder.layer.0.output.dense.weight"]
        for model in (
            read_pair(folder)[0],
            half.embedders_[0].encoder[0],
            fitted.embedders_[0].encoder[0],
        )
    ]
    assert_allclose(weights[1], (weights[0] + weights[2]) / 2, atol=1e-6)


@pytest.mark.parametrize("freeze", [True, False])
def test_word_embeddings_can_be_frozen(folder, freeze):
    classifier = make_classifier(folder, freeze_word_embeddings=freeze, n_epochs=0.2)
    model = classifier.fit(TEXTS, Y).embedders_[0].encoder[0]
    before = read_pair(folder)[0].embeddings.word_embeddings.weight
    assert torch.equal(model.embeddings.word_embeddings.weight, before) == freeze


@pytest.mark.parametrize(("share", "n_frozen"), [(0.0, 0), (0.3, 1), (0.5, 1), (0.9, 1)])
def test_lower_layers_can_be_frozen(folder, share, n_frozen):
    """Of two layers, at least one is trained."""
    classifier = make_classifier(folder, frozen_layers=share, n_epochs=0.2).fit(TEXTS, Y)
    trained = dict(classifier.embedders_[0].encoder[0].named_parameters())
    for name, before in read_pair(folder)[0].named_parameters():
        if "pooler" in name or "word_embeddings" in name:
            continue
        is_lower = name.startswith("embeddings") or ".layer.0." in name
        assert torch.equal(trained[name], before) == (is_lower and n_frozen == 1), name


def test_layers_of_other_models_are_found():
    import transformers

    size = {"vocab_size": 30, "num_hidden_layers": 4, "hidden_size": 8, "num_attention_heads": 2}
    bert = transformers.BertModel(transformers.BertConfig(**size, intermediate_size=8))
    config = transformers.DistilBertConfig(vocab_size=30, dim=8, n_layers=4, n_heads=2)
    distilled = transformers.DistilBertModel(config)
    t5 = transformers.T5EncoderModel(
        transformers.T5Config(vocab_size=30, d_model=8, d_kv=4, d_ff=8, num_layers=4, num_heads=2)
    )
    lower = lower_modules(bert, 0.5)
    assert [id(m) for m in lower] == [id(bert.embeddings), *map(id, bert.encoder.layer[:2])]
    lower = lower_modules(distilled, 0.25)
    assert [id(m) for m in lower] == [id(distilled.embeddings), id(distilled.transformer.layer[0])]
    lower = lower_modules(t5, 0.25)
    assert [id(m) for m in lower] == [id(t5.shared), id(t5.encoder.block[0])]
    assert lower_modules(bert, 0.0) == lower_modules(bert, 0.1) == []
    bert.encoder.layer = None
    with pytest.raises(ValueError, match=r"frozen_layers must be 0 for this encoder, got 0.5"):
        lower_modules(bert, 0.5)


def test_the_weight_is_chosen_on_held_out_rows(folder, monkeypatch):
    """The chosen weight has the largest nDCG of classifiers of other rows on the held-out ones."""
    monkeypatch.setattr(held_out, "_MOST_FITTED", 60)
    classifier = make_classifier(folder, pretrained_weight="auto").fit(TEXTS, Y)
    kept, out = held_out.split(classifier, len(TEXTS), classifier.classifiers_[0].random_state)
    assert len(out) == 20
    assert_array_equal(np.sort(np.concatenate([kept, out])), np.arange(len(TEXTS)))
    (weight,) = classifier.pretrained_weights_
    assert weight in held_out.WEIGHTS
    losses = classifier.losses_[0]
    assert sum(len(of_level) for of_level in losses) < sum(
        len(of_level) for of_level in make_classifier(folder).fit(TEXTS, Y).losses_[0]
    )


@pytest.mark.parametrize("best", held_out.WEIGHTS)
def test_the_best_weight_is_taken(folder, monkeypatch, best):
    tried = []

    def ndcg(truth, ranked, k):
        assert truth.shape[0] == len(ranked) == 20
        tried.append(held_out.WEIGHTS[len(tried)])
        return float(tried[-1] == best)

    monkeypatch.setattr(held_out, "ndcg_at_k", ndcg)
    classifier = make_classifier(folder, pretrained_weight="auto", n_epochs=0.2).fit(TEXTS, Y)
    assert tuple(tried) == held_out.WEIGHTS
    assert classifier.pretrained_weights_ == [best]
    before = read_pair(folder)[0].encoder.layer[0].output.dense.weight
    moved = classifier.embedders_[0].transform(NEW) - TransformerEmbedder(folder).transform(NEW)
    assert (np.abs(moved).max() == 0) == (best == 1)
    if best < 1:
        after = classifier.embedders_[0].encoder[0].encoder.layer[0].output.dense.weight
        assert not torch.equal(after, before)


def test_ranks_of_several_encoders_are_averaged(folder):
    classifier = make_classifier(folder, n_encoders=2, n_epochs=0.5).fit(TEXTS, Y)
    first, second = classifier.embedders_
    assert np.abs(first.transform(NEW) - second.transform(NEW)).max() > 1e-3
    labels, scores = classifier.rank(NEW, 5)
    features = classifier._features(NEW)
    ranks = np.zeros((len(NEW), N_LABELS))
    for model, X in zip(classifier.classifiers_, features, strict=True):
        for row, ranked in enumerate(model.rank(X, N_LABELS)[0]):
            ranked = ranked[ranked >= 0]
            ranks[row, ranked] += 1 / np.arange(1, len(ranked) + 1) / 2
    assert_allclose(scores, -np.sort(-ranks, axis=1)[:, :5], rtol=1e-6)
    assert_allclose(np.take_along_axis(ranks, labels, axis=1), scores, rtol=1e-6)
    assert_array_equal(classifier.rank(NEW, 3)[0], labels[:, :3])
    assert classifier.predict(NEW).shape == NEW_Y.shape
    best = np.asarray(classifier.decision_function(NEW).argmax(axis=1)).ravel()
    assert_array_equal(scores[:, 0], ranks[np.arange(len(NEW)), best].astype(np.float32))
    excluded = classifier.rank(NEW, 5, exclude=[0, 1], min_score=0.2)
    assert not np.isin(excluded[0], [0, 1]).any()
    assert (excluded[1][excluded[0] >= 0] >= 0.2).all()


def test_average_of_ranks():
    first = np.array([[3, 1, 2]]), np.array([[0.9, 0.5, 0.1]])
    second = np.array([[1, 3, -1]]), np.array([[0.6, 0.5, -np.inf]])
    labels, scores = average_ranks([first, second], 4)
    assert_array_equal(labels, [[3, 1, 2, -1]])
    assert_allclose(scores, [[0.75, 0.75, 1 / 6, -np.inf]], rtol=1e-6)


@pytest.mark.parametrize("form", ["lists", "classes", "dense", "frame"])
def test_forms_of_y(folder, form):
    import pandas as pd

    dense = Y.toarray().astype(int)
    y = {
        "lists": [[NAMES[i] for i in np.flatnonzero(row)] for row in dense],
        "classes": np.array(NAMES)[dense.argmax(axis=1)],
        "dense": dense,
        "frame": pd.DataFrame(dense, columns=NAMES),
    }[form]
    classifier = make_classifier(folder, n_epochs=0.2).fit(TEXTS, y)
    predicted = classifier.predict(NEW)
    assert type(predicted) is type(y)
    assert classifier.multilabel_ == (form != "classes")
    assert 0 < classifier.score(TEXTS, y) <= 1
    assert len(classifier.classes_) == classifier.n_labels_
    assert_array_equal(
        classifier.rank(NEW, 2).scores,
        classifier.classifiers_[0].rank(classifier._features(NEW)[0], 2).scores,
    )


def test_explain_is_that_of_the_final_classifier(fitted):
    explanation = fitted.explain(NEW[:2], 3, label_name="a label")
    X = fitted._features(NEW[:2])[0]
    expected = fitted.classifiers_[0].explain(X, 3)
    assert_array_equal(explanation.scores, expected.scores)
    assert "a label" in str(explanation)


def test_probabilities_of_the_final_classifier(folder):
    linear = XRLinearClassifier(loss="log_loss", post_processor="sigmoid")
    classifier = make_classifier(folder, classifier=linear, n_epochs=0.2)
    assert hasattr(classifier, "predict_proba")
    probabilities = classifier.fit(TEXTS, Y).predict_proba(NEW)
    assert probabilities.max() <= 1
    assert not hasattr(make_classifier(folder), "predict_proba")


def test_clone_and_repeated_fit(fitted, folder):
    fresh = clone(fitted)
    assert not hasattr(fresh, "classifiers_")
    assert_same_rankings(fresh.fit(NEW, NEW_Y).fit(TEXTS, Y), fitted)


def count_stages(monkeypatch):
    ran = []
    for stage in (training.ClusterStage, training.NameStage):
        run = stage.run

        def counted(self, *args, _run=run):
            ran.append(self.phase)
            return _run(self, *args)

        monkeypatch.setattr(stage, "run", counted)
    return ran


def test_a_search_over_the_classifier_fine_tunes_once_per_fold(folder, tmp_path, monkeypatch):
    ran = count_stages(monkeypatch)
    classifier = make_classifier(
        folder, classifier=XRLinearClassifier(), memory=tmp_path, n_epochs=0.2
    )
    grid = {"classifier__dense_neighbor_weight": [0.1, 0.6], "classifier__C": [0.3, 1.0]}
    search = GridSearchCV(classifier, grid, cv=2).fit(TEXTS, Y)
    n_levels = len(search.best_estimator_.losses_[0]) or len(set(ran))
    assert len(ran) == 3 * n_levels
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_an_interrupted_fit_continues_with_the_next_level(folder, tmp_path, monkeypatch):
    indexer = KMeansIndexer(branching=32, max_leaf_size=1)
    params = {"indexer": indexer, "n_epochs": 0.5}
    expected = make_classifier(folder, **params).fit(TEXTS, Y)
    assert len(expected.losses_[0]) == 2
    ran = count_stages(monkeypatch)
    run = training.ClusterStage.run

    def interrupted(self, *args):
        if self.phase == "level 2 of 2":
            raise KeyboardInterrupt
        return run(self, *args)

    classifier = make_classifier(folder, memory=tmp_path, **params)
    with monkeypatch.context() as patch:
        patch.setattr(training.ClusterStage, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            classifier.fit(TEXTS, Y)
    assert not hasattr(classifier, "classifiers_")
    classifier.fit(TEXTS, Y)
    assert ran == ["level 1 of 2", "level 2 of 2"]
    assert_same_rankings(classifier, expected)
    # A complete fine-tuning is not repeated, and other texts or parameters are not mistaken for it.
    classifier.fit(TEXTS, Y)
    assert len(ran) == 2
    assert_same_rankings(classifier, expected)
    classifier.set_params(learning_rate=1e-4).fit(TEXTS, Y)
    assert len(ran) == 4
    classifier.fit(NEW, NEW_Y)
    assert len(ran) == 6


def test_a_damaged_checkpoint_is_reported_and_ignored(folder, tmp_path):
    classifier = make_classifier(folder, memory=tmp_path, n_epochs=0.5).fit(TEXTS, Y)
    expected = classifier.rank(NEW)
    (file,) = tmp_path.rglob("stage-*.safetensors")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="a checkpoint of fine-tuning is damaged"):
        classifier.fit(TEXTS, Y)
    assert_array_equal(classifier.rank(NEW).labels, expected.labels)


@pytest.mark.slow
def test_a_killed_process_is_continued_to_the_same_result(folder, tmp_path):
    code = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parents[1]), str(Path(__file__).parent)]!r}
from encoders import TEXTS, Y, make_classifier
from skxmr import KMeansIndexer
indexer = KMeansIndexer(branching=32, max_leaf_size=1)
params = dict(indexer=indexer, n_epochs=[1, 30], memory={str(tmp_path)!r})
make_classifier({str(folder)!r}, **params).fit(TEXTS, Y)
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("stage-0.safetensors")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    params = {"indexer": KMeansIndexer(branching=32, max_leaf_size=1), "n_epochs": [1, 30]}
    continued = make_classifier(folder, memory=tmp_path, **params).fit(TEXTS, Y)
    assert len(continued.losses_[0]) == 1
    assert_same_rankings(continued, make_classifier(folder, **params).fit(TEXTS, Y))


@pytest.mark.parametrize("n_encoders", [1, 2])
def test_save_and_load(folder, tmp_path, n_encoders):
    classifier = make_classifier(folder, n_encoders=n_encoders, n_epochs=0.2, memory=tmp_path / "m")
    classifier.fit(TEXTS, Y, label_text=NAMES)
    classifier.save(tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model")
    assert_same_rankings(loaded, classifier)
    assert_array_equal(loaded.predict(NEW).toarray(), classifier.predict(NEW).toarray())
    assert loaded.encoder == str(folder)
    assert loaded.get_params()["learning_rate"] == 1e-3
    names = [path.name for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert any(name.endswith("model.safetensors") for name in names)
    assert not any(name.endswith((".pkl", ".pickle", ".bin", ".pt")) for name in names)
    skxmr.save(loaded, tmp_path / "again")
    assert_same_rankings(skxmr.load(tmp_path / "again"), classifier)


def test_the_device_can_change_after_fit(fitted, folder, tmp_path):
    fitted.save(tmp_path)
    loaded = skxmr.load(tmp_path).set_params(device="cuda:99")
    with pytest.raises(ValueError, match="device must be available, got 'cuda:99'"):
        loaded.rank(NEW)
    assert_same_rankings(loaded.set_params(device="cpu"), fitted)


def test_save_and_load_of_an_embedder_in_a_pipeline(folder, tmp_path):
    from sklearn.pipeline import FeatureUnion

    union = FeatureUnion(
        [("words", skxmr.text.NGramTfidfVectorizer()), ("meaning", TransformerEmbedder(folder))]
    )
    model = skxmr.pipeline.make_pipeline(union, XRLinearClassifier(random_state=0))
    model.fit(TEXTS, Y)
    skxmr.save(model, tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model")
    assert_array_equal(loaded.rank(NEW).scores, model.rank(NEW).scores)


def test_save_and_load_of_static_vectors(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 16)).astype(np.float32)
    static = StaticEmbedder(vectors, {word: row for row, word in enumerate(WORDS)})
    for embedder in (static, TransformerEmbedder(static)):
        embedder.fit(TEXTS)
        skxmr.save(embedder, tmp_path)
        loaded = skxmr.load(tmp_path)
        assert type(loaded) is type(embedder)
        assert_array_equal(loaded.transform(NEW), embedder.transform(NEW))


def test_a_damaged_encoder_is_refused(folder, tmp_path):
    make_classifier(folder, objective=None).fit(TEXTS, Y).save(tmp_path)
    (file,) = tmp_path.rglob("*model.safetensors")
    data = bytearray(file.read_bytes())
    data[-10] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match="is damaged"):
        skxmr.load(tmp_path)


def test_exhausted_memory_divides_batches_once(folder, monkeypatch):
    from skxmr.transformers._encoder import Encoder

    expected = make_classifier(folder, n_epochs=0.5).fit(TEXTS, Y)
    embed = Encoder.embed

    def limited(self, inputs, *args):
        if torch.is_grad_enabled() and len(inputs["input_ids"]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return embed(self, inputs, *args)

    monkeypatch.setattr(Encoder, "embed", limited)
    most = 8
    with pytest.warns(RuntimeWarning, match="gradients are now summed over parts"):
        found = make_classifier(folder, n_epochs=0.5).fit(TEXTS, Y)
    # Dropout differs, so that the losses are only similar.
    assert_allclose(found.losses_[0][0], expected.losses_[0][0], rtol=0.3)
    most = 0
    with pytest.warns(RuntimeWarning), pytest.raises(MemoryError, match="smaller batch_size"):
        make_classifier(folder, n_epochs=0.5).fit(TEXTS, Y)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"encoder": "bert-base"}, ValueError, "encoder must be a local folder"),
        ({"encoder": []}, ValueError, "encoder must be a folder, a pair or a list of these"),
        ({"objective": "deep"}, ValueError, "objective must be one of 'tree', 'flat', 'names'"),
        ({"n_encoders": 0}, ValueError, "n_encoders must be at least 1, got 0"),
        ({"n_epochs": 0}, ValueError, "n_epochs must be finite and above 0"),
        ({"n_epochs": [1, 1, 1, 1]}, ValueError, "n_epochs must be a number or have one entry"),
        ({"learning_rate": -1}, ValueError, "learning_rate must be finite and above 0"),
        ({"warmup": 2}, ValueError, "warmup must be at most 1, got 2"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"pretrained_weight": 1.5}, ValueError, "pretrained_weight must be at most 1"),
        ({"pretrained_weight": "best"}, TypeError, "pretrained_weight must be a number"),
        ({"frozen_layers": 1}, ValueError, "frozen_layers must be below 1, got 1"),
        ({"frozen_layers": -0.1}, ValueError, "frozen_layers must be finite and at least 0"),
        ({"classifier": 3}, TypeError, "classifier must be an XRLinearClassifier or None, got 3"),
        ({"vectorizer": "tfidf"}, TypeError, "vectorizer must be an estimator or None"),
        ({"device": "tpu"}, ValueError, "device must be one of"),
        ({"objective": "names"}, ValueError, "label_text must be given with objective"),
        ({"learning_rate": 1e30}, ValueError, "fine-tuning must have finite losses"),
    ],
)
def test_invalid_parameters(folder, params, error, message):
    classifier = make_classifier(params.pop("encoder", folder), **params)
    with pytest.raises(error, match=message):
        classifier.fit(TEXTS, Y)
    assert not hasattr(classifier, "classifiers_")


def test_invalid_inputs(folder, fitted):
    classifier = make_classifier(folder)
    with pytest.raises(TypeError, match=r"raw_documents\[200\] must be a str, got NoneType"):
        classifier.fit([*TEXTS, None], sp.vstack([Y, Y[:1]]))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier.fit(TEXTS[:-1], Y)
    with pytest.raises(ValueError, match="label_text must have 40 texts, got 2"):
        classifier.fit(TEXTS, Y, label_text=["a", "b"])
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        fitted.rank(NEW, 0)
    with pytest.raises(ValueError, match="got a single str"):
        fitted.rank("cat")


def test_blank_texts_are_ranked_by_the_rest(fitted, folder):
    labels, scores = fitted.rank(["", "  "], 3)
    assert (labels >= 0).all()
    assert np.isfinite(scores).all()
    texts = ["", *TEXTS[1:]]
    make_classifier(folder, n_epochs=0.2).fit(texts, Y)


#: The encoder has no default.
NEEDS_DEFAULTS = "check_parameters_default_constructible"


@pytest.mark.parametrize("check", [name for name in TEXT_CHECKS if name != NEEDS_DEFAULTS])
def test_scikit_learn_check_passes(check, folder):
    getattr(estimator_checks, check)("XRTransformerClassifier", XRTransformerClassifier(folder))


def make_matcher(X):
    return XRLinearClassifier(INDEXER, n_neighbors=None, random_state=0).fit(X, Y)


def test_levels_have_the_labels_below_each_node():
    X = sp.csr_matrix(skxmr.text.NGramTfidfVectorizer().fit_transform(TEXTS))
    matcher = make_matcher(X)
    tree = matcher.tree_
    (level,) = tree_levels(matcher, X, Y, width=5, max_clusters=1000, n_jobs=None)
    assert_array_equal(level.relevance.toarray(), Y[:, tree.slot_label].toarray())
    candidates = level.candidates.toarray() > 0
    assert (candidates[level.relevance.toarray() > 0]).all()
    counts = candidates.sum(axis=1)
    assert counts.min() >= 5
    assert counts.max() <= 7
    flat = flat_level(tree, Y, 1000)
    assert flat.candidates is None
    for label in range(N_LABELS):
        (path,) = tree.path(label)
        node = path[-2]
        assert (flat.relevance[:, [node]].toarray()[Y[:, [label]].toarray() > 0] > 0).all()
    sums = np.asarray(flat.relevance.sum(axis=1)).ravel()
    assert_allclose(sums, np.diff(flat.relevance.indptr), rtol=1e-6)


def test_heads_separate_clusters_of_normal_embeddings():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(8, 16))
    cluster = rng.integers(0, 7, 500)  # the last one is empty
    E = (centers[cluster] + 0.7 * rng.normal(size=(500, 16))).astype(np.float32)
    relevance = sp.csr_matrix(np.eye(8, dtype=np.float32)[cluster])
    whole = Level(relevance, None)
    listed = Level(relevance, sp.csr_matrix(np.ones((500, 8), dtype=np.float32)))
    found = [
        solve_heads(E, level, np.arange(500), torch.device("cpu")) for level in (whole, listed)
    ]
    for one, other in zip(*found, strict=True):
        assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    weight, bias = (value.numpy() for value in found[0])
    margins = E @ weight.T + bias
    assert (margins.argmax(axis=1) == cluster).mean() > 0.95
    assert_array_equal(weight[7], 0)
    assert bias[7] == -1
    positive = margins[np.arange(500), cluster]
    assert positive.mean() > 0.5
    assert np.delete(margins, 7, axis=1)[relevance[:, :7].toarray() == 0].mean() < -0.5


def test_the_learning_rate_rises_and_falls():
    rates = [_rate(step, 3, 10) for step in range(10)]
    assert_allclose(rates[:4], [1 / 3, 2 / 3, 1, 1])
    assert_allclose(np.diff(rates[3:]), -1 / 7)
    assert rates[-1] > 0
