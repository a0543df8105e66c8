"""The benchmark of encoders runs from start to end, at a small size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from encoders import write_encoder

pytest.importorskip("torch", reason="the extra transformer is not installed")
pytest.importorskip("transformers", reason="the extra transformer is not installed")

SCRIPT = Path(__file__).parents[2] / "docs" / "benchmarks" / "run_transformers.py"


@pytest.mark.slow
def test_the_benchmark_runs_and_continues(tmp_path):
    encoder = write_encoder(tmp_path / "encoder")
    options = ["--rows", "300", "--test-rows", "50", "--epochs", "0.2", "--device", "cpu"]
    command = [sys.executable, str(SCRIPT), "--encoder", str(encoder), "--work", str(tmp_path)]
    systems = ["linear", "linear, names", "frozen", "XR-Transformer"]
    subprocess.run([*command, *options, "--systems", *systems], check=True)
    results = json.loads((tmp_path / "transformers.json").read_text())
    assert results.pop("left out") == []
    assert len(results) == 8
    for key, found in results.items():
        assert 0 < found["precision"][0] <= 100, key
        assert len(found["level_seconds"]) <= 3
    subprocess.run([*command, *options, "--systems", "X-Transformer", "--minutes", "0"], check=True)
    again = json.loads((tmp_path / "transformers.json").read_text())
    assert len(again.pop("left out")) == 3
    assert again == results
