"""Builds the fuzzers, runs them, keeps small corpora, and replays these.

    python tests/fuzz/run.py --seconds 600   # clang: every fuzzer for ten minutes
    python tests/fuzz/run.py --replay        # any compiler: the corpora, with failing allocations
    python tests/fuzz/run.py --coverage      # clang: the lines that the corpora reach
    python tests/fuzz/run.py --only model --seconds 60 --corpus /tmp/model --keep 6000

A fuzzer runs in a folder of its own that begins with the corpus that lies beside this file. With
`--keep`, some of the inputs that reach what the whole corpus reached, up to so many bytes for each
fuzzer, are put beside this file. `--log` has a line of JSON per fuzzer.
"""

import argparse
import itertools
import json
import os
import random
import re
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "csrc"
CORPUS = HERE / "corpus"

#: Sources that are compiled once per instruction set.
KERNELS = sorted(set(SOURCES.glob("kernels/*.c")).difference([SOURCES / "kernels" / "isa.c"]))

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
        plain = sorted(set(SOURCES.rglob("*.c")).difference(KERNELS))
        objects = [self._compile(source, failing) for source in plain]
        for isa, more in isas.items():
            options = [*failing, f"-DSKX_ISA={isa}", "-ffp-contract=off", *more]
            objects += [self._compile(source, options, isa) for source in KERNELS]
        self.library = [*objects, self._compile(HERE / "failing.c", [])]

    def _compile(self, source, options, suffix=""):
        out = self.folder / f"{source.parent.name}_{source.stem}{suffix}.o"
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
    """The file with the committed inputs of a fuzzer: each after its length, two bytes."""
    return CORPUS / f"{name}.bin"


def unpack(path):
    """The inputs in such a file; none where there is no file."""
    content, inputs, at = path.read_bytes() if path.exists() else b"", [], 0
    while at < len(content):
        n = int.from_bytes(content[at : at + 2], "little")
        inputs.append(content[at + 2 : at + 2 + n])
        at += 2 + n
    return inputs


def pack(path, inputs):
    """Write inputs to such a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(len(i).to_bytes(2, "little") + i for i in inputs))


def extended(name, folder):
    """The committed inputs of a fuzzer, and those in a folder."""
    return [*unpack(corpus_of(name)), *(path.read_bytes() for path in sorted(folder.glob("*")))]


def fuzz(build, name, corpus, seconds):
    """Run a fuzzer; returns what it says of its executions and coverage."""
    program = build.folder / f"fuzz_{name}"
    if not program.exists():
        build.program(program.name, f"fuzz_{name}.c", options=["-fsanitize=fuzzer"])
    corpus.mkdir(parents=True, exist_ok=True)
    for i, content in enumerate(unpack(corpus_of(name))):
        (corpus / f"known-{i:04}").write_bytes(content)
    limits = [f"-max_total_time={seconds}", "-max_len=2048", "-timeout=20", "-rss_limit_mb=4096"]
    artifacts = [f"-artifact_prefix={corpus.parent}/{name}-", "-print_final_stats=1"]
    start = os.times().children_user
    command = [str(program), str(corpus), *limits, *artifacts]
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
    """Commit some of the inputs that are needed to reach what the whole corpus reaches."""
    with tempfile.TemporaryDirectory() as scratch:
        merge = [str(build.folder / f"fuzz_{name}"), "-merge=1", scratch, str(corpus)]
        subprocess.run(merge, capture_output=True, check=True)
        inputs = [path.read_bytes() for path in sorted(Path(scratch).iterdir())]
    random.Random(0).shuffle(inputs)
    ends = itertools.accumulate(2 + len(content) for content in inputs)
    kept = [content for content, end in zip(inputs, ends, strict=True) if end <= most_bytes]
    pack(corpus_of(name), sorted(kept, key=lambda content: (len(content), content)))


def replay(compiler, flags, isas, names, runner=()):
    """Run the corpora through a build by any compiler, also with failing allocations.

    Parameters
    ----------
    compiler : str
    flags : list of str
    isas : dict
        As of `Build`.
    names : list of str
        The fuzzers.
    runner : sequence of str
        The command that runs programs of the compiler, if they are for another processor.

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
            run = [*runner, str(program), str(corpus_of(name))]
            done = subprocess.run(run, check=True, capture_output=True, text=True)
            reports[name] = done.stdout.strip()
    return reports


def coverage(names, corpora):
    """Report which lines of the library the corpora reach, file by file, as llvm-cov prints it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        flags = ["-O0", "-fprofile-instr-generate", "-fcoverage-mapping"]
        build = Build(folder, "clang", flags, FASTEST)
        for name in names:
            build.program(name, f"fuzz_{name}.c", "replay.c")
            pack(folder / f"{name}.bin", extended(name, corpora / name))
            environment = {**os.environ, "LLVM_PROFILE_FILE": str(folder / f"{name}.profraw")}
            run = [str(folder / name), str(folder / f"{name}.bin")]
            subprocess.run(run, check=True, env=environment, stdout=subprocess.DEVNULL)
        raw, merged = map(str, folder.glob("*.profraw")), str(folder / "merged")
        subprocess.run(["llvm-profdata", "merge", *raw, "-o", merged], check=True)
        objects = [part for name in names for part in ("-object", str(folder / name))][1:]
        report = ["llvm-cov", "report", *objects, f"-instr-profile={merged}", str(SOURCES)]
        return subprocess.run(report, check=True, capture_output=True, text=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each fuzzer and round")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=fuzzers(), default=fuzzers())
    parser.add_argument("--corpus", type=Path, help="folder of the corpora to extend")
    parser.add_argument("--keep", type=int, metavar="BYTES")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--replay", action="store_true")
    parser.add_argument("--coverage", action="store_true")
    args = parser.parse_args()
    if args.replay:
        reports = replay("cc", ["-O1", *SANITIZERS], FASTEST, args.only)
        print("\n".join(f"{name}: {report}" for name, report in reports.items()))
        return
    if args.coverage:
        print(coverage(args.only, args.corpus or CORPUS))
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
