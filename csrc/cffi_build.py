"""Build script of the extension: passes the public header to cffi."""

from pathlib import Path

from cffi import FFI

HEADER = Path(__file__).parent / "skxmr.h"

ffibuilder = FFI()
ffibuilder.cdef(
    "\n".join(line for line in HEADER.read_text().splitlines() if not line.startswith("#"))
)
ffibuilder.set_source("_native", '#include "skxmr.h"', py_limited_api=True)
