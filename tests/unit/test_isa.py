import os
import pickle
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from reference import (
    DenseModel,
    dense_weights,
    frontier_of,
    is_product,
    joined,
    node_problem,
    objective,
    random_csr,
    random_model,
    rank_all,
    rank_block,
    solve,
    with_constant,
)
from scipy import sparse as sp

from skxmr import LabelTree
from skxmr._core import CSRView, TrainParams, _library, kmeans, train_columns
from skxmr._core._library import ffi, lib
from skxmr._data.examples import distinct_examples
from skxmr._ranking.neighbors import make_embedding_rows
from skxmr._ranking.post_processors import POST_PROCESSORS
from skxmr.embeddings import pifa
from skxmr.recommenders import ItemToItemRecommender
from skxmr.text import NGramTfidfVectorizer

SAVED = Path(__file__).parents[1] / "data" / "saved"

# What each instruction set computes, in a process of its own and here.
SCRIPT = """
import os, pickle, sys
sys.path[:0] = sys.argv[1].split(os.pathsep)
from test_isa import compute
with open(sys.argv[2], "rb") as file:
    case = pickle.load(file)
with open(sys.argv[3], "wb") as file:
    pickle.dump(compute(*case), file)
"""


def compute(models, X, positive):
    from skxmr._core import ISA

    view, n = CSRView(X), X.shape[0]
    rankings = {
        (kind, name): rank_block(model, view, 0, n, k=20, beam_width=4, post_processor=name)
        for kind, model in models.items()
        for name in POST_PROCESSORS
    }
    rows, columns = np.arange(n, dtype=np.int32), {}
    for loss, n_dense in product(("squared_hinge", "log_loss"), (0, 37)):
        params = TrainParams(loss, 1.0, 1.0, 1e-4, 1000, 0.0, n_dense)
        found, _ = train_columns(view, node_problem(positive), rows, None, params, 1)
        columns[loss, n_dense] = found
    options = {"spherical": False, "max_iter": 50, "seed": 0}
    clusters = {b: kmeans(view, rows, 5, balanced=b, **options)[0] for b in (True, False)}
    scores = {name: scores_of_children(name) for name in POST_PROCESSORS}
    return ISA, rankings, columns, clusters, scores, similar_rows(), without_training()


def similar_rows():
    """Neighbors by embeddings of several widths, of rows with large and small values."""
    rng = np.random.default_rng(0)
    found = []
    for n_dims in (1, 63, 64, 65, 130, 384):
        E = rng.normal(size=(300, n_dims)).astype(np.float32)
        E[::7] *= 1e20
        E[3] = 0
        examples = distinct_examples(sp.csr_matrix(E), sp.csr_matrix(np.eye(300, dtype="f4")))
        rows = make_embedding_rows(examples, n_dims)
        found += rows.find(CSRView(sp.csr_matrix(E[:40])), 0, 40, None, 20, 1)
    return found


def without_training():
    """Rankings of saved models with neighbors, features of texts and of labels, related items."""
    with np.load(SAVED / "expected.npz") as file:
        X = sp.csr_matrix(file["X"])
    models = [
        pickle.loads((SAVED / f"{name}.pickle").read_bytes()) for name in ("sparse", "hybrid")
    ]
    found = [part for clf in models for part in clf.rank(X, 5)]
    rng = np.random.default_rng(0)
    words = "oak elm ash élan birch beech alder aspen larch".split()
    texts = [" ".join(rng.choice(words, n)) for n in rng.integers(1, 9, 200)]
    vectorizer = NGramTfidfVectorizer(["word", "char_wb"], [(1, 2), (2, 4)], sublinear_tf=True)
    F = vectorizer.fit_transform(texts)
    Y = sp.csr_matrix((rng.random((200, 30)) < 0.1).astype(np.float32))
    for matrix in (F, pifa(F, Y)):
        found += [matrix.indptr, matrix.indices, matrix.data]
    for relatedness in ("cosine", "log_likelihood", "corrected"):
        found += list(ItemToItemRecommender(relatedness).fit(Y).rank(Y, 5))
    return found


def make_case():
    """A model with chunks of several widths, queries, and 20 children to train on them."""
    rng = np.random.default_rng(0)
    pointers = [[0, 4], [0, 1, 8, 8, 31], np.cumsum([0, *rng.integers(0, 9, 30), 250])]
    tree = LabelTree(pointers, rng.permutation(pointers[-1][-1]))
    X = random_csr(rng, 40, 90, density=0.15)
    model = random_model(rng, tree, 90)
    models = {kind: model.compile(kind) for kind in ("float32", "float16")}
    models |= {f"{kind}, dense": model.compile(kind, n_dense=37) for kind in list(models)}
    return models, X, rng.random((40, 20)) < 0.3


def margins():
    """Many float32 around 1 and around 0, and all sizes."""
    near = [np.arange(x - 1500, x + 1500) for x in np.array([1, 0.5, 2], "f4").view(np.int32)]
    near_one = np.concatenate(near).astype(np.int32).view(np.float32)
    sizes = np.geomspace(1e-45, 3e38, 1500).astype(np.float32)
    # Hinges up to where exp is 0: every interval that it is reduced from, and its ends.
    hinges = np.concatenate([np.linspace(0, 90, 4000), np.log(2) * np.arange(0.5, 130, 0.5)])
    steps = np.concatenate([1 - hinges ** (1 / power) for power in (1, 2, 3, 4)])
    return np.unique(
        np.concatenate([near_one, steps, -hinges, 1 - sizes, sizes, -sizes]).astype(np.float32)
    )


PARENTS = {
    True: [1.0, 0.0, 1e-45, 1e-38, 0.1, 0.9999999, 1.0000001, 1.5, 3e38],
    False: [0.0, -1e-45, -0.1, -1.0, -1.0000001, -1e6, -3e38, 0.1, 1e6, 3e38],
}


def scores_of_children(post_processor):
    """The scores of children that have these margins below each of PARENTS: (parents, margins)."""
    bias = margins()
    n, parents = len(bias), PARENTS[is_product(post_processor)]
    tree = LabelTree([[0, 1], [0, n]], range(n))
    zeros = [np.zeros((1, 1), np.float32), np.zeros((1, n), np.float32)]
    model = DenseModel(tree, zeros, [np.zeros(1, np.float32), bias]).compile()
    frontier = frontier_of([(1, [(0, parent)]) for parent in parents])
    options = {"k": n, "beam_width": 1, "post_processor": post_processor, "frontier": frontier}
    labels, scores = rank_all(model, sp.csr_matrix((len(parents), 1), dtype=np.float32), **options)
    return np.take_along_axis(scores, np.argsort(labels, axis=1), axis=1)


def runs_here(isa):
    return lib.skx_kernels_find(isa.encode(), ffi.new("const skx_kernels **")) == lib.SKX_OK


def run_python(isa, *arguments):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "SKXMR_ISA": isa},
        cwd=Path(__file__).parent,  # not the repository, whose skxmr need not be the one installed
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module", params=["baseline", "avx2", "avx512"])
def results(request, tmp_path_factory):
    """What one instruction set computed, and the same from this process."""
    isa = request.param
    if not runs_here(isa):
        pytest.skip(f"this processor does not run {isa}")
    folder, case = tmp_path_factory.mktemp(isa), make_case()
    here = compute(*case)
    # tests/cross/run.py replaces the core of this process, but not of others.
    if isa == here[0] and "SKXMR_SERVER" not in os.environ:
        return here[1:], here[1:]
    (folder / "case").write_bytes(pickle.dumps(case))
    tests = Path(__file__).parent
    paths = f"{tests}{os.pathsep}{tests.parent}"
    script = ["-c", SCRIPT, paths, folder / "case", folder / "result"]
    done = run_python(isa, *script)
    assert done.returncode == 0, done.stderr
    there = pickle.loads((folder / "result").read_bytes())
    assert there[0] == isa
    return there[1:], here[1:]


@pytest.mark.parametrize("kind", ["float32", "float16", "float32, dense", "float16, dense"])
@pytest.mark.parametrize("post_processor", list(POST_PROCESSORS))
def test_every_instruction_set_ranks_alike(results, post_processor, kind):
    # To the last bit: the search is compiled without fused multiply-adds.
    there, here = (result[0][kind, post_processor] for result in results)
    np.testing.assert_array_equal(there[0], here[0])
    np.testing.assert_array_equal(there[1], here[1])


@pytest.mark.parametrize("post_processor", list(POST_PROCESSORS))
def test_every_instruction_set_scores_alike(results, post_processor):
    there, here = (result[3][post_processor] for result in results)
    np.testing.assert_array_equal(there, here)


@pytest.mark.parametrize("post_processor", [p for p in POST_PROCESSORS if p != "noop"])
def test_no_child_scores_above_its_parent(results, post_processor):
    # What lets the search skip nodes; noop does not join the parent's score.
    parents = np.array(PARENTS[is_product(post_processor)], dtype=np.float32)
    scores = results[0][3][post_processor]
    assert (scores <= parents[:, None]).all()
    if "hinge" in post_processor:
        assert (scores[:, margins() >= 1] == parents[:, None]).all()


@pytest.mark.parametrize("post_processor", list(POST_PROCESSORS))
def test_scores_are_those_of_the_definition(results, post_processor):
    root = 1.0 if is_product(post_processor) else 0.0
    row = PARENTS[is_product(post_processor)].index(root)
    scores = results[0][3][post_processor][row]
    with np.errstate(over="ignore"):  # to infinity
        expected = [joined(post_processor, v, root) for v in margins().astype(np.float64)]
        expected = np.array(expected, dtype=np.float32)
    small = 2e-38 if is_product(post_processor) else 1e-6  # exp is 0 below that
    np.testing.assert_allclose(scores, expected, rtol=3e-5, atol=small)


@pytest.mark.parametrize("n_dense", [0, 37])
@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
def test_every_instruction_set_trains_to_the_same_optimum(results, loss, n_dense):
    there, here = (dense_weights(result[1][loss, n_dense], 90) for result in results)
    np.testing.assert_allclose(there, here, atol=1e-3)
    _, X, positive = make_case()
    A, cost = with_constant(X, 1.0), np.full(X.shape[0], 1.0)
    for c, column in enumerate(positive.T):
        sign = np.where(column, 1.0, -1.0)
        best = objective(loss, A, sign, cost, solve(loss, A, sign, cost))[0]
        w = np.append(there[:, c], results[0][1][loss, n_dense].bias[c]).astype(np.float64)
        assert objective(loss, A, sign, cost, w)[0] <= best * (1 + 1e-5)


@pytest.mark.parametrize("balanced", [True, False])
def test_every_instruction_set_clusters_alike(results, balanced):
    there, here = (result[2][balanced] for result in results)
    np.testing.assert_array_equal(there, here)


def test_every_instruction_set_finds_the_same_embeddings(results):
    for there, here in zip(*(result[4] for result in results), strict=True):
        np.testing.assert_array_equal(there, here)


def test_what_is_not_trained_is_the_same_on_every_instruction_set(results):
    for there, here in zip(*(result[5] for result in results), strict=True):
        np.testing.assert_array_equal(there, here)


def test_an_unknown_instruction_set_is_refused_at_import():
    done = run_python("AVX2", "-c", "import skxmr")
    assert done.returncode != 0
    assert "ImportError: SKXMR_ISA='AVX2' is not an instruction set" in done.stderr
    assert "expected 'baseline', 'avx2', 'avx512' or nothing" in done.stderr


@pytest.mark.parametrize("isa", ["sse9", "avx2 ", "AVX512"])
def test_unknown_instruction_sets_are_refused(isa):
    with pytest.raises(ImportError, match=f"SKXMR_ISA='{isa}' is not an instruction set"):
        _library._find_kernels(isa)


def test_an_empty_choice_takes_the_best_there_is():
    best = next(isa for isa in ("avx512", "avx2", "baseline") if runs_here(isa))
    found = lib.skx_kernels_name(_library._find_kernels(""))
    assert ffi.string(found).decode() == best
