"""A short run of everything here that runs long."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs what Linux has")


def run(script, *args, tmp_path, **environment):
    """Run a script; returns the JSON that it prints."""
    command = [sys.executable, str(HERE / script), *map(str, args)]
    environment = {**os.environ, "TMPDIR": str(tmp_path), **environment}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@linux
@pytest.mark.parametrize(
    ("what", "rounds"),
    [
        ("kill", 4),
        *(
            pytest.param(what, rounds, marks=pytest.mark.slow)
            for what, rounds in (("full", 6), ("replace", 8), ("contend", 8), ("fork", 2))
        ),
    ],
)
def test_processes(tmp_path, what, rounds):
    report = run("processes.py", what, "--rounds", rounds, "--no-sync", tmp_path=tmp_path)
    assert report


@linux
@pytest.mark.parametrize(("what", "rounds"), [("mapped", 1), ("pickled", 200)])
@pytest.mark.slow
def test_damage(tmp_path, what, rounds):
    report = run("damage.py", what, "--rounds", rounds, tmp_path=tmp_path)
    assert report["ValueError"] > 10
    assert report["returned"] > 100


@linux
@pytest.mark.slow
def test_interrupts(tmp_path):
    report = run("interrupts.py", "--rounds", 16, "--longest", 0.02, tmp_path=tmp_path)
    assert sum(n for n, _ in report.values()) == 16
    assert max(wait for _, wait in report.values()) < 30


@linux
@pytest.mark.slow
def test_failing_allocations(tmp_path):
    shim = tmp_path / "shim.so"
    options = ["-shared", "-fPIC", "-O1", str(HERE / "shim.c"), "-o", str(shim)]
    if shutil.which("cc") is None or subprocess.run(["cc", *options]).returncode:
        pytest.skip("there is no C compiler, or another C library")
    args = "allocations.py", "--most", 12
    report = run(*args, tmp_path=tmp_path, LD_PRELOAD=str(shim))
    assert len(report) == 12
    assert min(report.values()) >= 2


@linux
@pytest.mark.slow
def test_soak(tmp_path):
    load = ["--load", 0.9, "--threads", 2, "--rows", 300, "--every", 0.2, "--no-sync"]
    report = run("soak.py", "--seconds", 2, *load, tmp_path=tmp_path)
    assert report["saved and loaded"] >= 1
    for kind in ("one row, a tree", "one row, two trees and neighbors"):
        assert report[kind]["calls"] >= 20
    assert all(tenth["rss_mb"][2] < 2000 for tenth in report["tenths"])
