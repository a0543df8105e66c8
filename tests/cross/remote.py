"""Plugin of pytest: skxmr calls a server instead of its extension. `run.py` starts it.

The server is a program with the C core for another processor or C library. It maps the heap of this
process at the same address, so the pointers in the arguments of a call hold there as well.
"""

import ctypes
import os
import platform
import shlex
import struct
import subprocess
import sys
import threading
import types

import pytest

#: Arguments of a call, at most; see server.c.
N_ARGUMENTS = 16
RESULT = struct.Struct("Q56s")


def functions_of(lib):
    """Return the names of the functions of the core, in a fixed order."""
    return [name for name in sorted(dir(lib)) if name.startswith("skx_")]


class Server:
    """The process that runs the calls, one at a time."""

    def __init__(self, command):
        heap = ctypes.CDLL(None)
        heap.shared_heap_begin.restype = ctypes.c_size_t
        heap.shared_heap_size.restype = ctypes.c_size_t
        place = [heap.shared_heap_fd(), heap.shared_heap_begin(), heap.shared_heap_size()]
        self._process = subprocess.Popen(
            [*command, *map(str, place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=place[:1],
        )
        self._lock = threading.Lock()
        self.n_calls = 0

    def call(self, function, arguments):
        """Return the value and the text that a function gives for up to 16 words."""
        words = [function, *arguments, *[0] * (N_ARGUMENTS - len(arguments))]
        request = struct.pack(f"{1 + N_ARGUMENTS}Q", *words)
        with self._lock:
            self._process.stdin.write(request)
            self._process.stdin.flush()
            answer = self._process.stdout.read(RESULT.size)
            self.n_calls += 1
        if len(answer) < RESULT.size:
            pytest.exit(f"the server ended with status {self._process.wait()}", returncode=3)
        value, text = RESULT.unpack(answer)
        return value, text.rstrip(b"\0")


class RemoteLibrary(types.SimpleNamespace):
    """What `skxmr._native.lib` has, with calls to a server."""

    def __init__(self, ffi, lib, server):
        functions = functions_of(lib)
        remote = {
            name: remote_function(ffi, ffi.typeof(getattr(lib, name)), number, server)
            for number, name in enumerate(functions)
        }
        constants = {name: getattr(lib, name) for name in dir(lib) if name not in remote}
        super().__init__(**constants, **remote)


def remote_function(ffi, signature, number, server):
    """Return a function of Python that calls function `number` of the server."""
    texts = {}

    def word(value, ctype):
        if ctype.kind == "pointer":
            return int(ffi.cast("uintptr_t", value))
        if ctype.cname in ("float", "double"):
            return struct.unpack("Q", struct.pack("d", value))[0]
        return int(ffi.cast("uint64_t", ffi.cast(ctype, value)))

    def call(*values):
        # Bytes are copied to the heap: those that Python has only once, such as b"", are not in it.
        values = [ffi.new("char[]", v) if isinstance(v, bytes) else v for v in values]
        words = [word(value, ctype) for value, ctype in zip(values, signature.args, strict=True)]
        value, text = server.call(number, words)
        if signature.result.cname == "char *":
            return texts.setdefault(text, ffi.new("char[]", text))
        return None if signature.result.kind == "void" else int(ffi.cast(signature.result, value))

    return call


class Finder:
    """Imports the extension of skxmr with a library that calls a server."""

    def __init__(self, server):
        self._server = server

    def find_spec(self, name, path=None, target=None):
        """Find the extension by the other finders, and change what its loader does."""
        if name != "skxmr._native":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)))
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            module.lib = RemoteLibrary(module.ffi, module.lib, self._server)

        spec.loader.exec_module = exec_module
        return spec


def pytest_configure(config):
    """Start the server and replace the extension, before a test imports skxmr."""
    os.environ.pop("LD_PRELOAD")  # not for the processes that tests start
    server = config.skxmr_server = Server(shlex.split(os.environ["SKXMR_SERVER"]))
    sys.meta_path.insert(0, Finder(server))
    machine = os.environ["SKXMR_SERVER_MACHINE"]
    platform.machine = lambda: machine


def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.line(f"{config.skxmr_server.n_calls} calls by the server")
