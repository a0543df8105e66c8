"""What fuzzing found worth keeping, run again under sanitizers and with failing allocations."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("fuzz_run", HERE / "run.py")
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)


def works(flags, tmp_path):
    """Whether there is a compiler, and its programs run with these flags."""
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }\n")
    out = str(tmp_path / "empty")
    if shutil.which("cc") is None:
        return False
    command = ["cc", *flags, str(tmp_path / "empty.c"), "-o", out]
    built = subprocess.run(command, capture_output=True).returncode == 0
    return built and subprocess.run([out], capture_output=True).returncode == 0


def test_every_fuzzer_has_a_corpus():
    assert run.fuzzers()
    for name in run.fuzzers():
        assert len(run.unpack(run.corpus_of(name))) >= 10


@pytest.mark.slow
def test_corpora_are_survived_also_without_memory(tmp_path):
    flags = next((f for f in (run.SANITIZERS, []) if works(f, tmp_path)), None)
    if flags is None:
        pytest.skip("there is no C compiler")
    reports = run.replay("cc", ["-O0", *flags], {"baseline": []}, run.fuzzers())
    for report in reports.values():
        inputs, failed = map(int, re.findall(r"\d+", report))
        assert inputs >= 10
        assert failed > 10
