"""Fitted arrays are those of version 0.1.0, to the last bit, and scores up to rounding.

The arrays depend on the instruction set, so there are files for each. With an instruction set
that has no files, or on another kind of processor, only scores are compared.
"""

import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skxmr._core import ISA

FOLDER = Path(__file__).parents[1] / "data" / "golden"


def load_script():
    spec = importlib.util.spec_from_file_location("golden_make", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = load_script()


#: Names of arrays in the files, which have format version 4, if they are others today.
EARLIER = {
    "neighbors.posting_ptr": "voters.carrier_ptr",
    "neighbors.postings": "voters.carriers",
    **{
        f"neighbors.{part}": f"voters.{part}"
        for part in ("label_ptr", "labels", "source", "weight", "word_ptr", "words")
    },
}


def golden(isa, kind):
    with np.load(FOLDER / isa / f"{kind}.npz") as file:
        return dict(file)


def assert_same_scores(found, expected):
    assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def assert_same_arrays(found, expected):
    found = {EARLIER.get(name, name): array for name, array in found.items()}
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == expected[name].dtype
        assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("kind", make.KINDS)
def test_a_fit_gives_the_stored_arrays(kind, n_jobs):
    clf = make.fitted(kind, n_jobs)
    if platform.machine() == "x86_64" and (FOLDER / ISA).exists():
        expected = golden(ISA, kind)
        assert_same_scores(make.scores_of(clf), expected.pop("scores"))
        assert_same_arrays(make.arrays_of(clf), expected)
    else:
        assert_allclose(make.scores_of(clf), golden("avx2", kind)["scores"], rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the files are of x86_64")
@pytest.mark.parametrize("isa", [isa for isa in ("avx2", "baseline") if isa != ISA])
@pytest.mark.slow
def test_a_fit_with_another_instruction_set_gives_the_stored_arrays(tmp_path, isa):
    command = [sys.executable, str(FOLDER / "make.py"), str(tmp_path)]
    options = {"env": {**os.environ, "SKXMR_ISA": isa}, "cwd": tmp_path}
    done = subprocess.run(command, **options, capture_output=True, text=True, check=False)
    if "is not an instruction set that this processor can run" in done.stderr:
        pytest.skip(f"this processor does not run {isa}")
    assert done.returncode == 0, done.stderr
    for kind in make.KINDS:
        expected = golden(isa, kind)
        with np.load(tmp_path / isa / f"{kind}.npz") as file:
            found = dict(file)
        assert_same_scores(found.pop("scores"), expected.pop("scores"))
        assert_same_arrays(found, expected)
