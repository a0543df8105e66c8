"""Builds the fuzzers, runs them, keeps small corpora, and replays these.

    python tests/fuzz/run.py --seconds 600   # clang: every fuzzer for ten minutes
    python tests/fuzz/run.py --replay        # any compiler: the corpora, with failing allocations
    python tests/fuzz/run.py --only model --seconds 60 --corpus /tmp/model --keep 6000

A fuzzer runs in a folder of its own that begins with the corpus that lies beside this file. With
`--keep`, the smallest inputs that reach what the whole corpus reached, up to so many bytes for each
fuzzer, are put beside this file. `--log` has a line of JSON per fuzzer.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "csrc"
CORPUS = HERE / "corpus"

#: Sources that are compiled once per instruction set.
KERNELS = ["k_table.c", "k_solver.c", "k_log_solver.c", "k_sparse.c", "k_search.c"]

AVX2 = ["-mavx2", "-mfma", "-mbmi", "-mbmi2", "-mpopcnt", "-mlzcnt"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl"]
FASTEST = {"baseline": [], "avx2": AVX2, "avx512": AVX512}

SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]


def fuzzers():
    """Names of all fuzzers."""
    return sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.c"))


class Build:
    """The library compiled for tests, and programs that are linked to it.

    Parameters
    ----------
    folder : Path
        Where objects and programs go.
    compiler : str
    flags : list of str
        For compiling and linking.
    isas : dict
        Instruction sets and their flags; with any but "baseline", the processor must be an x86.
    """

    def __init__(self, folder, compiler, flags, isas):
        self.folder, self.compiler = folder, compiler
        self.flags = [*flags, "-std=gnu11", "-g", f"-I{SOURCES}", f"-I{HERE}"]
        if len(isas) > 1:
            self.flags.append("-DSKX_X86=1")
        failing = ["-include", str(HERE / "failing.h")]
        plain = [p.name for p in SOURCES.glob("*.c") if p.name not in KERNELS]
        objects = [self._compile(SOURCES / name, failing) for name in sorted(plain)]
        for isa, more in isas.items():
            options = [*failing, f"-DSKX_ISA={isa}", "-ffp-contract=off", *more]
            objects += [self._compile(SOURCES / name, options, isa) for name in KERNELS]
        self.library = [*objects, self._compile(HERE / "failing.c", [])]

    def _compile(self, source, options, suffix=""):
        out = self.folder / f"{source.stem}{suffix}.o"
        subprocess.run(
            [self.compiler, *self.flags, *options, "-c", str(source), "-o", str(out)], check=True
        )
        return str(out)

    def program(self, name, *more, options=()):
        """Link a program of one or more sources beside this file."""
        out = self.folder / name
        sources = [str(HERE / source) for source in more]
        parts = [*self.flags, *options, *sources, *self.library, "-o", str(out), "-lm"]
        subprocess.run([self.compiler, *parts], check=True)
        return out


def fuzzing_build(folder):
    """Everything compiled by clang for coverage-guided fuzzing."""
    flags = ["-O1", "-fno-omit-frame-pointer", "-fsanitize=fuzzer-no-link", *SANITIZERS]
    return Build(folder, "clang", flags, FASTEST)


def corpus_of(name):
    """The committed inputs of a fuzzer."""
    return sorted(str(path) for path in (CORPUS / name).iterdir())


def fuzz(build, name, corpus, seconds):
    """Run a fuzzer; returns what it says of its executions and coverage."""
    program = build.folder / f"fuzz_{name}"
    if not program.exists():
        build.program(program.name, f"fuzz_{name}.c", options=["-fsanitize=fuzzer"])
    corpus.mkdir(parents=True, exist_ok=True)
    (CORPUS / name).mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", "-max_len=2048", "-timeout=20", "-rss_limit_mb=4096"]
    artifacts = [f"-artifact_prefix={corpus.parent}/{name}-", "-print_final_stats=1"]
    start = os.times().children_user
    command = [str(program), str(corpus), str(CORPUS / name), *limits, *artifacts]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    lines = [line for line in done.stderr.splitlines() if " cov: " in line]
    covered = re.search(r"cov: (\d+) ft: (\d+) corp: (\d+)", lines[-1]) if lines else None
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    return {
        "fuzzer": name,
        "executions": int(executed[1]) if executed else None,
        "edges": int(covered[1]) if covered else None,
        "features": int(covered[2]) if covered else None,
        "inputs": int(covered[3]) if covered else None,
        "cpu_seconds": round(os.times().children_user - start, 1),
        "failed": done.returncode != 0,
        "output": done.stderr[-4000:] if done.returncode else "",
    }


def keep(build, name, corpus, most_bytes):
    """Replace the committed corpus by the inputs that add most, smallest first."""
    with tempfile.TemporaryDirectory() as scratch:
        program = str(build.folder / f"fuzz_{name}")
        subprocess.run(
            [program, "-merge=1", scratch, str(corpus), str(CORPUS / name)],
            capture_output=True,
            check=True,
        )
        kept, left = [], most_bytes
        for path in sorted(Path(scratch).iterdir(), key=lambda path: path.stat().st_size):
            left -= path.stat().st_size
            if left < 0:
                break
            kept.append(path.read_bytes())
    shutil.rmtree(CORPUS / name, ignore_errors=True)
    (CORPUS / name).mkdir(parents=True)
    for i, content in enumerate(kept):
        (CORPUS / name / f"{i:03}").write_bytes(content)


def replay(compiler, flags, isas, names):
    """Run the corpora through a build by any compiler, also with failing allocations.

    Returns
    -------
    reports : dict of str to str
        What each program printed.

    Raises
    ------
    subprocess.CalledProcessError
        If one found something.
    """
    reports = {}
    with tempfile.TemporaryDirectory() as folder:
        build = Build(Path(folder), compiler, flags, isas)
        for name in names:
            program = build.program(name, f"fuzz_{name}.c", "replay.c")
            run = [str(program), *corpus_of(name)]
            done = subprocess.run(run, check=True, capture_output=True, text=True)
            reports[name] = done.stdout.strip()
    return reports


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each fuzzer and round")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=fuzzers(), default=fuzzers())
    parser.add_argument("--corpus", type=Path, help="folder of the growing corpora")
    parser.add_argument("--keep", type=int, metavar="BYTES")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--replay", action="store_true")
    args = parser.parse_args()
    if args.replay:
        reports = replay("cc", ["-O1", *SANITIZERS], FASTEST, args.only)
        print("\n".join(f"{name}: {report}" for name, report in reports.items()))
        return
    with tempfile.TemporaryDirectory() as folder:
        build = fuzzing_build(Path(folder))
        corpora = args.corpus or Path(folder) / "corpora"
        for name in args.only * args.rounds:
            found = fuzz(build, name, corpora / name, args.seconds)
            print(json.dumps(found), flush=True)
            if args.log:
                with args.log.open("a") as log:
                    log.write(json.dumps(found) + "\n")
        for name in args.only if args.keep is not None else ():
            keep(build, name, corpora / name, args.keep)


if __name__ == "__main__":
    main()
