import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reference import (
    dense_weights,
    node_problem,
    objective,
    random_csr,
    random_model,
    solve,
    with_constant,
)

from skxmr import LabelTree
from skxmr._core import POST_PROCESSORS, CSRView, TrainParams, kmeans, train_columns
from skxmr._core._library import ffi, lib

# What each instruction set computes, in a process of its own and here.
SCRIPT = """
import pickle, sys
sys.path.insert(0, sys.argv[1])
from test_isa import compute
with open(sys.argv[2], "rb") as file:
    case = pickle.load(file)
with open(sys.argv[3], "wb") as file:
    pickle.dump(compute(*case), file)
"""


def compute(model, X, positive):
    from skxmr._core import ISA

    view, n = CSRView(X), X.shape[0]
    rankings = {
        name: model.rank(view, 0, n, k=20, beam_width=4, post_processor=name)
        for name in POST_PROCESSORS
    }
    rows, columns = np.arange(n, dtype=np.int32), {}
    for loss in ("squared_hinge", "log_loss"):
        params = TrainParams(loss, 1.0, 1.0, 1e-4, 1000, 0.0)
        columns[loss], _ = train_columns(view, node_problem(positive), rows, None, params, 1)
    options = {"spherical": False, "max_iter": 50, "seed": 0}
    clusters = {b: kmeans(view, rows, 5, balanced=b, **options)[0] for b in (True, False)}
    return ISA, rankings, columns, clusters


def make_case():
    """A model with chunks of several widths, queries, and 20 children to train on them."""
    rng = np.random.default_rng(0)
    pointers = [[0, 4], [0, 1, 8, 8, 31], np.cumsum([0, *rng.integers(0, 9, 30), 250])]
    tree = LabelTree(pointers, rng.permutation(pointers[-1][-1]))
    X = random_csr(rng, 40, 90, density=0.15)
    return random_model(rng, tree, 90).compile(), X, rng.random((40, 20)) < 0.3


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
    (folder / "case").write_bytes(pickle.dumps(case))
    script = ["-c", SCRIPT, os.path.dirname(__file__), folder / "case", folder / "result"]
    done = run_python(isa, *script)
    assert done.returncode == 0, done.stderr
    there = pickle.loads((folder / "result").read_bytes())
    assert there[0] == isa
    return there[1:], compute(*case)[1:]


@pytest.mark.parametrize("post_processor", list(POST_PROCESSORS))
def test_every_instruction_set_ranks_alike(results, post_processor):
    # To the last bit: the search is compiled without fused multiply-adds.
    there, here = (result[0][post_processor] for result in results)
    np.testing.assert_array_equal(there[0], here[0])
    np.testing.assert_array_equal(there[1], here[1])


@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
def test_every_instruction_set_trains_to_the_same_optimum(results, loss):
    there, here = (dense_weights(result[1][loss], 90) for result in results)
    np.testing.assert_allclose(there, here, atol=1e-3)
    _, X, positive = make_case()
    A, cost = with_constant(X, 1.0), np.full(X.shape[0], 1.0)
    for c, column in enumerate(positive.T):
        sign = np.where(column, 1.0, -1.0)
        best = objective(loss, A, sign, cost, solve(loss, A, sign, cost))[0]
        w = np.append(there[:, c], results[0][1][loss].bias[c]).astype(np.float64)
        assert objective(loss, A, sign, cost, w)[0] <= best * (1 + 1e-5)


@pytest.mark.parametrize("balanced", [True, False])
def test_every_instruction_set_clusters_alike(results, balanced):
    there, here = (result[2][balanced] for result in results)
    np.testing.assert_array_equal(there, here)


@pytest.mark.parametrize("isa", ["sse9", "AVX2"])
def test_an_unknown_instruction_set_is_refused_at_import(isa):
    done = run_python(isa, "-c", "import skxmr")
    assert done.returncode != 0
    assert f"ImportError: SKXMR_ISA={isa!r} is not an instruction set" in done.stderr
    assert "expected 'baseline', 'avx2', 'avx512' or nothing" in done.stderr


def test_an_empty_choice_takes_the_best_there_is():
    done = run_python("", "-c", "from skxmr._core import ISA; print(ISA)")
    best = next(isa for isa in ("avx512", "avx2", "baseline") if runs_here(isa))
    assert done.stdout.split() == [best]
