"""Folders of ``.npy`` arrays and one JSON manifest: written as a whole, read with suspicion.

The arrays of one save lie in a sub-folder of their own, which the manifest names. A save writes
that sub-folder under a temporary name, renames it, and then replaces the manifest in one step; so
at any moment the folder holds a complete old model or a complete new one. Saves in the same folder
wait for each other.
"""

import json
import os
import re
import secrets
import shutil
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

MANIFEST = "skxmr.json"
FORMAT = "skxmr model"
VERSION = 4

_ARRAYS_NAME = re.compile(r"arrays-[0-9a-f]{16}")
_CHECKSUM_BLOCK = 1 << 24

#: Bytes of an array's header. Python's parser calls what is nested too deep a lack of memory.
MOST_HEADER = 1000

_NO_SUCH_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


def write_folder(folder, content, arrays):
    """Write a model folder, replacing the model that lies there, if any.

    Parameters
    ----------
    folder : path
        Made if absent. Must be empty or hold a model.
    content : dict
        What else the manifest says; JSON types only.
    arrays : dict of str to ndarray
        Keys become file names.

    Raises
    ------
    FileExistsError
        If the folder holds something that is no model.
    """
    folder = Path(folder)
    _check_target(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _replace_model(folder, content, arrays)


def _replace_model(folder, content, arrays):
    name = f"arrays-{secrets.token_hex(8)}"
    scratch = folder / f"{name}.tmp"
    try:
        scratch.mkdir()
        specs = {key: _write_array(scratch, key, array) for key, array in arrays.items()}
        _sync(scratch)
        scratch.rename(folder / name)
        manifest = {"format": FORMAT, "version": VERSION, **content}
        _replace_manifest(folder, {**manifest, "arrays_in": name, "arrays": specs})
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        if not _is_current(folder, name):
            shutil.rmtree(folder / name, ignore_errors=True)
        raise
    _remove_stale(folder, name)


@contextmanager
def _locked(folder):
    """Wait for others that save in the folder, where the system can: they would remove our files.

    The lock ends with the process, however that ends.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _check_target(folder):
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FileExistsError(f"folder must name a directory, got the file {str(folder)!r}")
    others = [p.name for p in folder.iterdir() if not _is_ours(p.name)]
    if others:
        raise FileExistsError(
            f"folder must be empty or hold a saved model, but {str(folder)!r} holds {others[0]!r}"
        )


def _is_ours(name):
    stem = name.removesuffix(".tmp")
    return stem == MANIFEST or _ARRAYS_NAME.fullmatch(stem) is not None


def _write_array(scratch, key, array):
    array = np.ascontiguousarray(array)
    with open(scratch / f"{key}.npy", "wb") as file:
        header = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(file, header)
        # NumPy itself would write past Python's file and not be told that the disk is full.
        file.write(_as_bytes(array))
        file.flush()
        os.fsync(file.fileno())
    return {"shape": list(array.shape), "crc32": _checksum(array)}


def _as_bytes(array):
    return array.reshape(-1).view(np.uint8)


def _checksum(array):
    data = _as_bytes(array)
    value = 0
    for lo in range(0, len(data), _CHECKSUM_BLOCK):
        value = zlib.crc32(data[lo : lo + _CHECKSUM_BLOCK], value)
    return value


def _replace_manifest(folder, manifest):
    scratch = folder / f"{MANIFEST}.tmp"
    with open(scratch, "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, folder / MANIFEST)
    _sync(folder)


def _is_current(folder, name):
    """Whether the manifest names these arrays: it may, even if replacing it was interrupted."""
    try:
        return name.encode() in (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _sync(folder):
    """Make renames inside a folder durable, where the system lets folders be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_stale(folder, current):
    for path in folder.iterdir():
        if path.name not in (MANIFEST, current) and _is_ours(path.name):
            shutil.rmtree(path, ignore_errors=True)


class FolderReader:
    """A model folder opened for reading.

    Parameters
    ----------
    folder : path
    mmap : bool
        Whether arrays are mapped read-only instead of read.
    verify : bool
        Whether the checksums of all arrays are checked, and not of small ones only.

    Raises
    ------
    FileNotFoundError
        If there is no manifest.
    ValueError
        If the manifest is not one of ours.
    """

    def __init__(self, folder, *, mmap, verify):
        self.folder, self.mmap, self.verify = Path(folder), mmap, verify
        if not (self.folder / MANIFEST).is_file():
            raise FileNotFoundError(f"folder {str(folder)!r} holds no {MANIFEST}: no saved model")
        self._text = self._manifest_bytes()
        self.manifest = self._parse_manifest()
        self._specs = self.get("arrays", dict)
        name = self.get("arrays_in", str)
        if not _ARRAYS_NAME.fullmatch(name):
            self.fail(f"'arrays_in' is {name!r}")
        self._arrays = self.folder / name

    def fail(self, reason, cause=None):
        """Raise the ValueError that every damage ends in."""
        raise ValueError(f"the saved model {str(self.folder)!r} is damaged: {reason}") from cause

    def get(self, key, kind):
        """Take a value of the manifest, of the given type."""
        return self.field(self.manifest, key, kind)

    def field(self, mapping, key, kind):
        """Take a value of a mapping in the manifest, of the given type."""
        value = mapping.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            self.fail(f"{key!r} is {value!r}, expected {getattr(kind, '__name__', kind)}")
        return value

    def was_replaced(self):
        """Whether another model has been saved in the folder since this one was opened."""
        return self._manifest_bytes() != self._text

    def array(self, key, dtype, *, small=False):
        """Read or map an array after checking it against the manifest and its checksum.

        Parameters
        ----------
        key : str
        dtype : dtype, or str
            What it must be; as a string, the kinds of dtype allowed ("biuf").
        small : bool
            Always read the array and check its checksum, since that costs next to nothing.
        """
        path = self._arrays / f"{key}.npy"
        spec = self.field(self._specs, key, dict)
        try:
            array = self._open(path, dtype, self.mmap and not small)
        except MemoryError:
            raise
        except Exception as error:  # NumPy's parser of headers raises nearly anything
            if isinstance(error, OSError) and not isinstance(error, _NO_SUCH_FILE):
                raise  # no access, too many open files: the model may be sound
            self.fail(f"array {key!r} cannot be read: {error}", error)
        if array.ndim != 1 or list(array.shape) != spec.get("shape"):
            self.fail(f"array {key!r} has shape {array.shape}, expected {spec.get('shape')}")
        if (self.verify or small) and _checksum(array) != spec.get("crc32"):
            self.fail(f"array {key!r} does not match its checksum")
        return array

    def _open(self, path, dtype, mmap):
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"unexpected npy version {version}")
            header = np.lib.format.read_array_header_1_0(file, max_header_size=MOST_HEADER)
            shape, fortran, found = header
            offset = file.tell()
            _check_kind(found, dtype)
            n = int(np.prod(shape, dtype=object))
            if fortran and len(shape) > 1:
                raise ValueError("Fortran order")
            if os.fstat(file.fileno()).st_size != offset + n * found.itemsize:
                raise ValueError(f"the file's size does not fit the shape {shape}")
            if n == 0:
                return np.empty(shape, dtype=found)
            if mmap:
                return np.asarray(np.memmap(file, found, mode="r", offset=offset, shape=shape))
            return _filled(file, np.empty(shape, dtype=found))

    def _manifest_bytes(self):
        return (self.folder / MANIFEST).read_bytes()

    def _parse_manifest(self):
        try:
            manifest = json.loads(self._text.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            self.fail(f"{MANIFEST} is not JSON", error)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            self.fail(f"{MANIFEST} is not the manifest of a skxmr model")
        if manifest.get("version") != VERSION:
            raise ValueError(
                f"the saved model {str(self.folder)!r} has format version "
                f"{manifest.get('version')!r}; this skxmr reads version {VERSION}"
            )
        return manifest


def _filled(file, array):
    """Read an array: numpy.fromfile turns an interruption into a TypeError."""
    if file.readinto(_as_bytes(array)) != array.nbytes:
        raise ValueError("the file was cut short")
    return array


def _check_kind(found, expected):
    if isinstance(expected, str):
        if found.kind not in expected:
            raise ValueError(f"dtype {found} is not of kind {expected!r}")
    elif found != expected:
        raise ValueError(f"dtype {found} is not {expected}")


def pack_strings(strings):
    """Pack strings into (bytes, pointers): UTF-8, one after the other."""
    encoded = [s.encode("utf-8", "surrogatepass") for s in strings]
    pointers = np.concatenate(([0], np.cumsum([len(e) for e in encoded], dtype=np.int64)))
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), pointers.astype(np.int64)


def unpack_strings(data, pointers):
    """Undo pack_strings; an object array of str.

    Raises
    ------
    ValueError
        If the pointers fall or lead outside the data, or the bytes are not UTF-8.
    """
    falls = len(pointers) < 1 or pointers[0] != 0 or (np.diff(pointers) < 0).any()
    if falls or pointers[-1] != len(data):
        raise ValueError("the pointers of packed strings do not fit their bytes")
    whole = data.tobytes()
    out = np.empty(len(pointers) - 1, dtype=object)
    for i, (lo, hi) in enumerate(zip(pointers[:-1].tolist(), pointers[1:].tolist(), strict=True)):
        out[i] = whole[lo:hi].decode("utf-8", "surrogatepass")
    return out
