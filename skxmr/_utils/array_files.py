"""Arrays that are written to ``.npy`` files piece by piece, and then mapped."""

import os
import zlib
from contextlib import contextmanager
from io import BytesIO

import numpy as np

from .npy import map_array

#: Size of the buffer of a file. The pieces of an array have a few kilobytes.
_BUFFER_BYTES = 1 << 22


class AppendableFile:
    """A one-dimensional array in a file that is appended to; as `AppendableArray` otherwise.

    Parameters
    ----------
    path : path
        A new file.
    dtype : dtype

    Attributes
    ----------
    path : path
    checksum : int
        CRC-32 of the bytes of the array.
    array : ndarray or None
        The array after it was taken.
    """

    def __init__(self, path, dtype):
        self.path = path
        self.checksum = 0
        self.array = None
        self._dtype = np.dtype(dtype)
        self._ends = [0]
        self._file = open(path, "xb", buffering=_BUFFER_BYTES)  # noqa: SIM115 (take or close closes it)
        self._file.write(self._header(0))

    def append(self, values):
        """Write an array to the end."""
        data = np.ascontiguousarray(values, dtype=self._dtype).view(np.uint8)
        self.checksum = zlib.crc32(data, self.checksum)
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(values))

    def pointers(self):
        """Return where each appended array begins and the last one ends, as int64."""
        return np.array(self._ends, dtype=np.int64)

    def take(self, *, durable=True):
        """Return the array, mapped read-only. Nothing may be appended afterwards.

        The file is on the disk afterwards if it is durable, even if the system fails.
        """
        self._file.seek(0)
        self._file.write(self._header(self._ends[-1]))
        self._file.flush()
        if durable:
            os.fsync(self._file.fileno())
        self._file.close()
        self.array = np.asarray(map_array(self.path))
        return self.array

    def close(self):
        """Close the file, also if it is not complete."""
        self._file.close()

    def _header(self, n):
        """Return the header of an array of n elements. NumPy gives all lengths the same size."""
        out = BytesIO()
        descr = np.lib.format.dtype_to_descr(self._dtype)
        fields = {"descr": descr, "fortran_order": False, "shape": (n,)}
        np.lib.format.write_array_header_1_0(out, fields)
        return out.getvalue()


class ArrayFiles:
    """Makes arrays in the files of one folder, and knows which file has an array.

    Parameters
    ----------
    folder : path
        An existing folder.
    """

    def __init__(self, folder):
        self._folder = folder
        self._files = []

    def appendable(self, dtype):
        """Return a new array of a dtype that can be appended to."""
        file = AppendableFile(self._folder / f"{len(self._files)}.npy", dtype)
        self._files.append(file)
        return file

    def find(self, array):
        """Return the AppendableFile that this array was taken from, or None."""
        return next((file for file in self._files if file.array is array), None)

    def close(self):
        """Close all files, also those that are not complete."""
        for file in self._files:
            file.close()


@contextmanager
def array_files(folder):
    """Make `ArrayFiles` whose files are closed at the end.

    Parameters
    ----------
    folder : path
    """
    files = ArrayFiles(folder)
    try:
        yield files
    finally:
        files.close()
