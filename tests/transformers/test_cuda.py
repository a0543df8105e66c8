"""Encoders on a CUDA device, compared with the CPU. Skipped where PyTorch has no device."""

import pytest
from encoders import NAMES, NEW, NEW_Y, TEXTS, Y, make_classifier, write_encoder
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch", reason="the extra transformer is not installed")
if not torch.cuda.is_available():
    pytest.skip("PyTorch has no CUDA device", allow_module_level=True)

import skxmr  # noqa: E402
from skxmr import KMeansIndexer  # noqa: E402
from skxmr.metrics import precision_at_k  # noqa: E402
from skxmr.transformers import TransformerEmbedder  # noqa: E402
from skxmr.transformers import _training as training  # noqa: E402

OBJECTIVES = ["tree", "flat", "names"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.03)])
def test_embeddings_are_those_of_the_cpu(folder, dtype, tolerance):
    expected = TransformerEmbedder(folder, device="cpu", dtype="float32").transform(NEW)
    embedder = TransformerEmbedder(folder, device="cuda", dtype=dtype, batch_tokens=64)
    assert_allclose(embedder.transform(NEW), expected, atol=tolerance)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_fine_tuning_is_that_of_the_cpu_at_first(folder, objective):
    params = {"objective": objective, "dtype": "float32", "n_epochs": 6}
    fits = [
        make_classifier(folder, device=device, **params).fit(TEXTS, Y, label_text=NAMES)
        for device in ("cpu", "cuda")
    ]
    on_cpu, on_cuda = (fit.losses_[0] for fit in fits)
    # Dropout differs between devices, so that the losses are only similar.
    assert_allclose([x[0] for x in on_cuda], [x[0] for x in on_cpu], rtol=0.3)
    for losses in on_cuda:
        assert losses[-7:].mean() < 0.8 * losses[:7].mean()
    precisions = [precision_at_k(NEW_Y, fit.rank(NEW, 2).labels, 2) for fit in fits]
    assert abs(precisions[0] - precisions[1]) < 0.1


def test_an_interrupted_fit_continues_to_the_same_encoder(folder, tmp_path, monkeypatch):
    indexer = KMeansIndexer(branching=32, max_leaf_size=1)
    params = {"device": "cuda", "dtype": "float32", "n_epochs": 1, "indexer": indexer}
    expected = make_classifier(folder, **params).fit(TEXTS, Y)
    assert len(expected.losses_[0]) > 1
    run = training.ClusterStage.run

    def interrupted(self, *args):
        if not self.phase.startswith("level 1"):
            raise KeyboardInterrupt
        return run(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(training.ClusterStage, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_classifier(folder, memory=tmp_path, **params).fit(TEXTS, Y)
    continued = make_classifier(folder, memory=tmp_path, **params).fit(TEXTS, Y)
    assert len(continued.losses_[0]) == len(expected.losses_[0]) - 1
    assert_allclose(continued.losses_[0][0], expected.losses_[0][1], rtol=1e-3)
    found = continued.embedders_[0].transform(NEW)
    assert_allclose(found, expected.embedders_[0].transform(NEW), atol=1e-3)


def test_a_model_of_the_gpu_ranks_on_the_cpu(folder, tmp_path):
    fitted = make_classifier(folder, device="cuda", dtype="float32").fit(TEXTS, Y)
    fitted.save(tmp_path)
    loaded = skxmr.load(tmp_path).set_params(device="cpu")
    assert_allclose(loaded.rank(NEW).scores, fitted.rank(NEW).scores, atol=1e-4)
    assert next(loaded.embedders_[0].encoder[0].parameters()).device.type == "cpu"


def test_exhausted_memory_leads_to_smaller_batches(folder):
    texts = [f"{' '.join(TEXTS)} {i}" for i in range(4000)]
    params = {"device": "cuda", "max_length": 64, "dtype": "float32"}
    needed = {}
    for batch_tokens in (64_000, 256_000):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        embedder = TransformerEmbedder(folder, batch_tokens=batch_tokens, **params)
        expected = embedder.transform(texts)
        needed[batch_tokens] = torch.cuda.max_memory_reserved()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(sum(needed.values()) / 2 / total)
    try:
        with pytest.warns(RuntimeWarning, match="the batches are now smaller"):
            found = TransformerEmbedder(folder, batch_tokens=256_000, **params).transform(texts)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert_allclose(found, expected, atol=1e-5)
