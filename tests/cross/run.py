"""Runs tests of skxmr with the C core built for another processor or another C library.

    python tests/cross/run.py --compiler aarch64-linux-gnu-gcc --processor aarch64 \\
        --runner qemu-aarch64 tests/unit/test_isa.py
    python tests/cross/run.py --compiler musl-gcc tests/unit/test_isa.py

Python itself runs on this machine, with the installed skxmr. Only the functions of the C core run
in a server, by the runner if there is one. With `--fuzz` the inputs of the fuzzers are replayed as
well. It needs Linux, CMake, Ninja and a native compiler, `cc`.
"""

import argparse
import importlib.util
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "csrc"


def build_library(folder, compiler, processor):
    """Compile the core with the flags of CMakeLists.txt, warnings as errors."""
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_C_COMPILER": compiler,
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": processor,
        "SKXMR_PYTHON": "OFF",
        "SKXMR_WERROR": "ON",
    }
    defines = [f"-D{name}={value}" for name, value in options.items()]
    configure = ["cmake", "-G", "Ninja", "-S", SOURCES, "-B", folder, *defines]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", folder], check=True, stdout=subprocess.DEVNULL)
    return folder / "libskxmr.a"


def write_calls(path):
    """Write the C function that calls each function of the core by its number."""
    from remote import functions_of
    from skxmr._native import ffi, lib

    def argument(ctype, i):
        if ctype.kind == "pointer":
            return f"(void *)(uintptr_t)a[{i}]"
        if ctype.cname in ("float", "double"):
            return f"({ctype.cname})as_double(a[{i}])"
        return f"({ctype.cname})a[{i}]"

    lines = ["static void call(uint64_t function, const uint64_t *a, result *out)", "{"]
    lines += ["    (void)set_text;", "    switch (function) {"]
    for number, name in enumerate(functions_of(lib)):
        signature = ffi.typeof(getattr(lib, name))
        call = f"{name}({', '.join(argument(c, i) for i, c in enumerate(signature.args))})"
        if signature.result.cname == "char *":
            call = f"set_text(out, {call})"
        elif signature.result.kind != "void":
            call = f"out->value = (uint64_t){call}"
        lines += [f"    case {number}: {call}; break;"]
    path.write_text("\n".join([*lines, "    default: exit(3);", "    }", "}", ""]))


def build_server(folder, compiler, library):
    """Compile the server, which needs no files of the other system when it runs."""
    write_calls(folder / "calls.h")
    sources = [f"-I{SOURCES}", f"-I{folder}", HERE / "server.c", library, "-lm"]
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-static"]
    subprocess.run([compiler, *flags, *sources, "-o", folder / "server"], check=True)
    return folder / "server"


def build_heap(folder):
    """Compile the allocator of this process."""
    out = folder / "heap.so"
    # As builtins, malloc and memset in calloc would become a call of calloc.
    flags = ["-std=gnu11", "-O2", "-fno-builtin", "-Wall", "-Wextra", "-Werror"]
    flags += ["-fPIC", "-shared", "-pthread"]
    subprocess.run(["cc", *flags, HERE / "heap.c", "-o", out], check=True)
    return out


def run_tests(folder, server, machine, arguments):
    """Run pytest with the server; returns its status."""
    environment = {
        **os.environ,
        "LD_PRELOAD": str(build_heap(folder)),
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(HERE),
        "SKXMR_SERVER": shlex.join(map(str, server)),
        "SKXMR_SERVER_MACHINE": machine,
    }
    options = ["-q", "-p", "remote", "-p", "no:cacheprovider", "-n", "0"]
    # -P: not the skxmr of the working directory, which may have no extension.
    command = [sys.executable, "-P", "-m", "pytest", *options, *arguments]
    return subprocess.run(command, env=environment).returncode


def replay_corpora(compiler, runner):
    """Replay the inputs of the fuzzers, with failing allocations."""
    path = HERE.parent / "fuzz" / "run.py"
    spec = importlib.util.spec_from_file_location("fuzz_run", path)
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    flags = ["-O1", "-static"]
    reports = fuzz.replay(compiler, flags, {"baseline": []}, fuzz.fuzzers(), runner)
    print("\n".join(f"{name}: {report}" for name, report in reports.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compiler", required=True)
    parser.add_argument(
        "--processor",
        default=platform.machine(),
        help="as CMake names it; only that of x86 has more than one instruction set",
    )
    parser.add_argument("--runner", default="", help="the command that runs its programs here")
    parser.add_argument("--fuzz", action="store_true", help="replay the inputs of the fuzzers")
    parser.add_argument("tests", nargs=argparse.REMAINDER, help="of pytest; none: no tests")
    args = parser.parse_args()
    runner = shlex.split(args.runner)
    if args.fuzz:
        replay_corpora(args.compiler, runner)
    if not args.tests:
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        library = build_library(folder / "library", args.compiler, args.processor)
        server = [*runner, build_server(folder, args.compiler, library)]
        machine = args.processor if runner else platform.machine()
        return run_tests(folder, server, machine, args.tests)


if __name__ == "__main__":
    sys.exit(main())
