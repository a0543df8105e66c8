"""TransformerEmbedder with a small random encoder, which needs no download."""

import json
import pickle
import shutil
import threading
import warnings

import numpy as np
import pytest
from encoders import WORDS, read_pair, write_encoder
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import normalize
from sklearn.utils import estimator_checks

torch = pytest.importorskip("torch", reason="the extra transformer is not installed")
pytest.importorskip("transformers", reason="the extra transformer is not installed")
torch.set_num_threads(1)  # the threads of several test processes would wait for each other

from skxmr.transformers import TransformerEmbedder  # noqa: E402
from skxmr.transformers._batches import token_batches  # noqa: E402

CHECKS = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_set_params",
    "check_valid_tag_types",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    return [f"{' '.join(rng.choice(WORDS, rng.integers(0, 20)))} {i}" for i in range(60)]


def reference(folder, texts, pooling="mean", normalize=True):
    """Encode one text at a time, without padding."""
    model, tokenizer = read_pair(folder)
    rows = []
    for text in texts:
        with torch.no_grad():
            inputs = tokenizer(text, return_tensors="pt")
            hidden = model(**inputs).last_hidden_state[0].double().numpy()
        row = {"mean": hidden.mean(axis=0), "cls": hidden[0], "last": hidden[-1]}[pooling]
        rows.append(row / np.linalg.norm(row) if normalize else row)
    return np.array(rows)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("unit", [True, False])
def test_embeddings_equal_those_of_single_texts(folder, texts, pooling, unit):
    embedder = TransformerEmbedder(folder, pooling=pooling, normalize=unit, batch_tokens=64)
    expected = reference(folder, texts, pooling, unit)
    assert_allclose(embedder.fit_transform(texts), expected, atol=1e-5)


def test_padding_on_the_left(folder, texts):
    model, tokenizer = read_pair(folder)
    expected = TransformerEmbedder((model, tokenizer), pooling="cls").transform(texts)
    tokenizer.padding_side = "left"
    # Absolute positions shift with the padding, so only texts of equal length can be compared.
    same = [text for text in texts if len(text.split()) == len(texts[0].split())]
    found = TransformerEmbedder((model, tokenizer), pooling="cls").transform(same)
    assert_allclose(found, expected[[texts.index(text) for text in same]], atol=1e-5)


def test_a_pair_equals_its_folder(folder, texts):
    pair = read_pair(folder)
    pair[0].train()
    found = TransformerEmbedder(pair).fit_transform(texts)
    assert_array_equal(found, TransformerEmbedder(folder).fit_transform(texts))
    assert pair[0].training


def test_an_object_with_transform_or_encode(texts):
    lsa = make_pipeline(TfidfVectorizer(), TruncatedSVD(4, random_state=0))
    embedder = TransformerEmbedder(lsa).fit(texts)
    expected = normalize(lsa.fit_transform(texts))
    assert_allclose(embedder.transform(texts), expected, atol=1e-4)
    frozen = TransformerEmbedder(FrozenEstimator(lsa), normalize=False)
    found = frozen.fit_transform(["cat", "", "dog"])
    assert_allclose(found[[0, 2]], lsa.transform(["cat", "dog"]), atol=1e-5)

    class SentenceEncoder:
        def encode(self, texts):
            return np.array([[len(text), 1.0] for text in texts])

    found = TransformerEmbedder(SentenceEncoder(), normalize=False).transform(["a", "", "abc"])
    assert_array_equal(found, [[1, 1], [0, 0], [3, 1]])


def test_results_do_not_depend_on_jobs_or_repetition(folder, texts):
    one = TransformerEmbedder(folder, batch_tokens=64).fit_transform(texts)
    assert_array_equal(TransformerEmbedder(folder, batch_tokens=64, n_jobs=3).transform(texts), one)
    assert_array_equal(TransformerEmbedder(folder, batch_tokens=64).transform(texts * 2)[60:], one)


def test_the_number_of_threads_of_torch_is_kept(folder, texts):
    torch.set_num_threads(2)
    before = torch.get_num_threads()
    TransformerEmbedder(folder, n_jobs=2).transform(texts)
    assert torch.get_num_threads() == before
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    torch.set_num_threads(1)
    assert found == [before]


def test_blank_texts_are_zero_rows(folder):
    rows = TransformerEmbedder(folder).fit_transform(["cat", "", " \t\n", "\x00"])
    assert_allclose(np.linalg.norm(rows, axis=1), [1, 0, 0, 0], atol=1e-6)
    assert not TransformerEmbedder(folder).fit_transform(["", " "]).any()
    assert TransformerEmbedder(folder).fit(["cat"]).transform([]).shape == (0, 32)


def test_truncated_texts_are_counted_and_reported(folder):
    long = " ".join(["cat"] * 30)
    embedder = TransformerEmbedder(folder, max_length=8)
    with pytest.warns(UserWarning, match=r"max_length=8 truncates 50 % of the texts"):
        embedder.fit([long, long, "dog", ""])
    assert embedder.truncated_share_ == 0.5
    with pytest.warns(UserWarning, match="truncates 50 %"):
        rows = embedder.fit_transform([long, "dog"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert TransformerEmbedder(folder).fit([long]).truncated_share_ == 0
        short = TransformerEmbedder(folder, max_length=8).transform([" ".join(["cat"] * 6)])
    assert_allclose(rows[0], short[0], atol=1e-6)


def test_a_prefix_is_part_of_the_text(folder):
    found = TransformerEmbedder(folder, prefix="guide to ").transform(["cat"])
    assert_array_equal(found, TransformerEmbedder(folder).transform(["guide to cat"]))


def test_bfloat16_is_close(folder, texts):
    single = TransformerEmbedder(folder, dtype="float32").transform(texts)
    half = TransformerEmbedder(folder, dtype="bfloat16").transform(texts)
    cosines = (single * half).sum(axis=1)
    assert cosines.min() > 0.999
    assert cosines.max() < 1 + 1e-5
    assert (single != half).any()


def test_pooling_of_sentence_transformers(folder, texts, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "1_Pooling").mkdir()
    config = {"word_embedding_dimension": 32, "pooling_mode_cls_token": True}
    (copy / "1_Pooling" / "config.json").write_text(json.dumps(config))
    found = TransformerEmbedder(copy).transform(texts[:5])
    assert_allclose(found, reference(folder, texts[:5], "cls"), atol=1e-5)
    config = {"pooling_mode_max_tokens": True, "pooling_mode_cls_token": False}
    (copy / "1_Pooling" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="encoder has the pooling pooling_mode_max_tokens"):
        TransformerEmbedder(copy).transform(texts)
    (copy / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense"}]')
    with pytest.raises(ValueError, match="encoder has a layer after its pooling"):
        TransformerEmbedder(copy).transform(texts)
    found = TransformerEmbedder(copy, pooling="mean").transform(texts[:5])
    assert_allclose(found, reference(folder, texts[:5]), atol=1e-5)


def count_encoded(monkeypatch):
    from skxmr.transformers._batches import BatchEncoder

    counts = []
    encode = BatchEncoder.encode

    def counted(self, tokens, n_texts):
        counts.append(len(tokens))
        return encode(self, tokens, n_texts)

    monkeypatch.setattr(BatchEncoder, "encode", counted)
    return counts


def test_known_texts_are_not_encoded_again(folder, texts, tmp_path, monkeypatch):
    expected = TransformerEmbedder(folder).transform(texts)
    counts = count_encoded(monkeypatch)
    embedder = TransformerEmbedder(folder, memory=tmp_path / "cache")
    assert_array_equal(embedder.transform(texts[:40]), expected[:40])
    assert_allclose(embedder.transform(texts), expected, atol=1e-6)
    assert_array_equal(embedder.transform(texts[:40][::-1]), expected[:40][::-1])
    # 20 texts are too few for a file.
    assert_allclose(embedder.transform(texts), expected, atol=1e-6)
    assert counts == [40, 20, 20]
    embedder.set_params(pooling="cls").transform(texts[:40])
    other = write_encoder(tmp_path / "other", seed=1)
    embedder.set_params(encoder=other).transform(texts[:40])
    assert counts == [40, 20, 20, 40, 40]


def test_truncation_is_cached_too(folder, tmp_path):
    texts = [" ".join(["cat"] * n) for n in range(1, 51)]
    embedder = TransformerEmbedder(folder, max_length=27, memory=tmp_path)
    for _ in range(2):
        with pytest.warns(UserWarning, match="truncates 50 %"):
            embedder.transform(texts)


def test_fit_counts_truncated_texts_of_the_cache_without_tokens(folder, tmp_path, monkeypatch):
    from skxmr.transformers._encoder import Encoder

    texts = [" ".join(["cat"] * n) for n in range(1, 51)]
    embedder = TransformerEmbedder(folder, max_length=27, memory=tmp_path)
    with pytest.warns(UserWarning, match="truncates 56 %"):
        embedder.transform(texts[5:])
    tokenized = []
    tokenize = Encoder.tokenize

    def recorded(self, texts, max_length):
        tokenized.extend(texts)
        return tokenize(self, texts, max_length)

    monkeypatch.setattr(Encoder, "tokenize", recorded)
    with pytest.warns(UserWarning, match="truncates 50 %"):
        embedder.fit(texts)
    assert embedder.truncated_share_ == 0.5
    assert tokenized == texts[:5]


def test_a_damaged_cache_is_ignored(folder, texts, tmp_path):
    embedder = TransformerEmbedder(folder, memory=tmp_path)
    expected = embedder.transform(texts)
    (file,) = tmp_path.rglob("*.npz")
    file.write_bytes(file.read_bytes()[:100])
    assert_array_equal(embedder.transform(texts), expected)


def test_an_interrupted_encoding_continues(folder, texts, tmp_path, monkeypatch):
    monkeypatch.setattr("skxmr.transformers._embedder._BLOCK", 40)
    counts = count_encoded(monkeypatch)
    original = TransformerEmbedder._encode_block
    calls = []

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(TransformerEmbedder, "_encode_block", interrupted)
    embedder = TransformerEmbedder(folder, memory=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        embedder.transform(texts)
    embedder.transform(texts)
    assert counts == [40, 20]


def test_exhausted_memory_makes_batches_smaller_once(folder, texts, monkeypatch):
    from skxmr.transformers._encoder import Encoder

    expected = TransformerEmbedder(folder).transform(texts)
    embed = Encoder.embed

    def limited(self, inputs, *args):
        if inputs["input_ids"].numel() > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return embed(self, inputs, *args)

    monkeypatch.setattr(Encoder, "embed", limited)
    limit = 300
    with pytest.warns(RuntimeWarning, match=r"batch_tokens=256 avoids this"):
        found = TransformerEmbedder(folder, batch_tokens=1024).transform(texts)
    assert_allclose(found, expected, atol=1e-5)
    limit = 0
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(MemoryError, match="smaller batch_tokens or max_length"),
    ):
        TransformerEmbedder(folder).transform(texts)


def test_other_errors_of_the_model_are_not_hidden(folder, texts, monkeypatch):
    from skxmr.transformers._encoder import Encoder

    def failing(self, *args):
        raise RuntimeError("a shape is wrong")

    monkeypatch.setattr(Encoder, "embed", failing)
    with pytest.raises(RuntimeError, match="a shape is wrong"):
        TransformerEmbedder(folder, n_jobs=2).transform(texts)


def test_pickle_and_clone(folder, texts):
    embedder = TransformerEmbedder(folder).fit(texts)
    expected = embedder.transform(texts)
    data = pickle.dumps(embedder)
    assert len(data) < 2000  # the weights stay in the folder
    loaded = pickle.loads(data)
    assert_array_equal(loaded.transform(texts), expected)
    assert len(pickle.dumps(loaded)) == len(data)
    assert_array_equal(clone(embedder).transform(texts), expected)
    pair = TransformerEmbedder(read_pair(folder))
    assert_array_equal(clone(pair).fit_transform(texts), expected)


def test_the_encoder_is_read_once(folder, texts, monkeypatch):
    from skxmr.transformers import _embedder

    reads = []
    load = _embedder.load_encoder
    monkeypatch.setattr(_embedder, "load_encoder", lambda e: reads.append(e) or load(e))
    pair = read_pair(folder)
    embedder = TransformerEmbedder(pair).fit(texts)
    for _ in range(3):
        embedder.transform(texts[:2])
    assert reads == [pair]
    embedder.set_params(encoder=folder).transform(texts[:2])
    assert reads == [pair, folder]


def test_in_a_union_with_column_names(folder, texts):
    union = FeatureUnion([("words", TfidfVectorizer()), ("meaning", TransformerEmbedder(folder))])
    X = union.fit_transform(texts)
    assert X.shape == (60, len(union.transformer_list[0][1].vocabulary_) + 32)
    assert union.get_feature_names_out()[-1] == "meaning__transformerembedder31"
    frame = TransformerEmbedder(folder).set_output(transform="pandas").fit_transform(texts)
    assert frame.columns[0] == "transformerembedder0"


@pytest.mark.parametrize("check", CHECKS)
def test_scikit_learn_check_passes(check, folder):
    getattr(estimator_checks, check)("TransformerEmbedder", TransformerEmbedder(folder))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"encoder": "bert-base-uncased"}, ValueError, "encoder must be a local folder"),
        ({"encoder": 3}, TypeError, r"encoder must be a local folder, a pair .* got 3"),
        ({"encoder": (1, 2)}, TypeError, "the first part of encoder must be a transformers"),
        ({"pooling": "max"}, ValueError, "pooling must be one of 'auto', 'mean'"),
        ({"max_length": 2}, ValueError, "max_length must be at least 3, got 2"),
        ({"max_length": 161}, ValueError, "max_length must be at most 160, .* got 161"),
        ({"prefix": None}, TypeError, "prefix must be a str, got None"),
        ({"normalize": 1}, TypeError, "normalize must be True or False, got 1"),
        ({"batch_tokens": 0}, ValueError, "batch_tokens must be at least 1, got 0"),
        ({"device": "gpu"}, ValueError, "device must be one of 'auto', 'cpu', 'cuda'"),
        ({"device": "cuda:99"}, ValueError, "device must be available, got 'cuda:99'"),
        ({"dtype": "float16"}, ValueError, "dtype must be one of 'auto', 'float32'"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be at least 1"),
    ],
)
def test_invalid_parameters(folder, params, error, message):
    embedder = TransformerEmbedder(**{"encoder": folder, **params})
    with pytest.raises(error, match=message):
        embedder.transform(["cat"])


def test_cuda_that_is_absent(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = "device must be available, got 'cuda', but PyTorch has 0 CUDA devices"
    with pytest.raises(ValueError, match=message):
        TransformerEmbedder(folder, device="cuda").transform(["cat"])


def test_invalid_texts(folder):
    embedder = TransformerEmbedder(folder)
    with pytest.raises(TypeError, match=r"raw_documents\[1\] must be a str, got float"):
        embedder.transform(["cat", float("nan")])
    with pytest.raises(ValueError, match="got a single str"):
        embedder.fit("cat")
    with pytest.raises(ValueError, match="raw_documents must hold at least 1 text, got 0"):
        embedder.fit([])


def test_folders_that_lack_something(folder, tmp_path):
    for name, message in [
        ("config.json", "encoder must be a folder with a config.json"),
        ("model.safetensors", "encoder must be a folder with the weights of a model"),
    ]:
        copy = shutil.copytree(folder, tmp_path / name)
        (copy / name).unlink()
        with pytest.raises(ValueError, match=message):
            TransformerEmbedder(copy).fit(["cat"])
    copy = shutil.copytree(folder, tmp_path / "no tokenizer")
    for name in ("tokenizer.json", "vocab.txt", "tokenizer_config.json"):
        (copy / name).unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"encoder must be a folder with a tokenizer"):
        TransformerEmbedder(copy).fit(["cat"])
    copy = shutil.copytree(folder, tmp_path / "damaged")
    (copy / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="encoder must be a folder with a model, but"):
        TransformerEmbedder(copy).fit(["cat"])


def test_a_folder_that_lacks_weights(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folder, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 of them, such as 'encoder\.layer\.1\.output"):
        TransformerEmbedder(copy).fit(["cat"])


def test_a_tokenizer_of_another_model(folder):
    model, tokenizer = read_pair(folder)
    tokenizer.add_tokens(["zebra"])
    with pytest.raises(ValueError, match="the tokenizer of encoder must fit its model"):
        TransformerEmbedder((model, tokenizer)).fit(["cat"])


def test_embeddings_that_are_not_finite(folder):
    model, tokenizer = read_pair(folder)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[tokenizer.get_vocab()["cat"]] = float("nan")
    embedder = TransformerEmbedder((model, tokenizer))
    with pytest.raises(ValueError, match="must give finite embeddings, but those of 1 texts"):
        embedder.fit_transform(["cat", "dog"])


def test_embeddings_of_another_width_than_in_fit(folder, tmp_path):
    embedder = TransformerEmbedder(folder).fit(["cat"])
    embedder.encoder = write_encoder(tmp_path, hidden=16)
    with pytest.raises(ValueError, match="encoder must give 32 columns as in fit, got 16"):
        embedder.transform(["cat"])


def test_objects_that_give_no_matrix():
    class Wrong:
        def transform(self, texts):
            return np.zeros(len(texts))

    with pytest.raises(ValueError, match="encoder must return a matrix of numbers with one row"):
        TransformerEmbedder(Wrong()).transform(["cat"])


def test_batches_hold_every_text_once():
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 40, 200)
    batches = token_batches(lengths, 100)
    assert_array_equal(np.sort(np.concatenate(batches)), np.flatnonzero(lengths))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= 100
