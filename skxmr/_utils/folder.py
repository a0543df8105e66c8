"""Folders of ``.npy`` arrays and one JSON manifest: written as a whole, read with suspicion.

The arrays of one save lie in a sub-folder of their own, which the manifest names. A save writes
that sub-folder under a temporary name, renames it, and then replaces the manifest in one step; so
at any moment the folder holds a complete old model or a complete new one. Saves in the same folder
wait for each other.

The manifest has a checksum, and holds one for each array. Only regular files are read, perhaps
through symbolic links; what is written is always a new file, and never lies behind a link.
"""

import errno
import json
import os
import re
import secrets
import shutil
import stat
import zlib
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np

from .locks import exclusive

MANIFEST = "skxmr.json"
FORMAT = "skxmr model"

#: The format that is written, and the oldest one that is read. Before 5, manifests had no checksum
#: and need not have all parameters. A parameter that is added needs a new version.
VERSION, _OLDEST = 5, 4

_ARRAYS_NAME = re.compile(r"arrays-[0-9a-f]{16}")
_OUR_FOLDERS = re.compile(rf"{_ARRAYS_NAME.pattern}(\.tmp)?")
_OUR_FILES = re.compile(rf"{re.escape(MANIFEST)}(\.[0-9a-f]{{16}})?\.tmp")
_CHECKSUM_BLOCK = 1 << 24

#: Bytes of an array's header. Python's parser calls what is nested too deep a lack of memory.
MOST_HEADER = 1000

#: Bytes of a manifest; one of a thousand trees has some millions.
_MOST_MANIFEST = 1 << 26

#: Errors that mean that a file is not there, or is none; others may befall a sound model.
_NO_FILE = {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)


def check_folder(folder):
    """Return the path of a folder that is yet to be opened, after checking that it is a name.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f"folder must be a str or a path, got {folder!r}")
    name = os.fsdecode(folder)
    if not name or "\0" in name:
        raise ValueError(f"folder must be the name of a directory, got {name!r}")
    try:
        os.fsencode(name)
    except UnicodeEncodeError as error:
        raise ValueError(f"folder must be a name that the system can hold, got {name!r}") from error
    return Path(name)


def write_folder(folder, content, arrays, expected):
    """Write a model folder, replacing the model that lies there, if any.

    Parameters
    ----------
    folder : path
        Made if absent. What else it holds stays.
    content : dict
        What else the manifest says; JSON types only.
    arrays : dict of str to ndarray
        Keys become file names.
    expected : dict of str to int
        The checksums that some of the arrays must have.

    Raises
    ------
    FileExistsError
        If the folder is a file.
    ValueError
        If an array does not have its checksum.
    """
    folder = check_folder(folder)
    _check_target(folder)
    content = {"format": FORMAT, "version": VERSION, "skxmr": version("skxmr"), **content}
    _canonical(content)  # what is no JSON is refused before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder, _FOLDER_FLAGS):
        _replace_model(folder, content, arrays, expected)


def _replace_model(folder, content, arrays, expected):
    name = f"arrays-{secrets.token_hex(8)}"
    scratch, manifest = folder / f"{name}.tmp", folder / f"{MANIFEST}.{secrets.token_hex(8)}.tmp"
    try:
        scratch.mkdir()
        specs = {}
        for key, array in arrays.items():
            specs[key] = spec = _write_array(scratch, key, array)
            if spec["crc32"] != expected.get(key, spec["crc32"]):
                raise ValueError(
                    "the saved model that this one was mapped from is damaged: array "
                    f"{key!r} does not match its checksum"
                )
        _sync(scratch)
        scratch.rename(folder / name)
        _write_manifest(manifest, {**content, "arrays_in": name, "arrays": specs})
        os.replace(manifest, folder / MANIFEST)
        _sync(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):
            manifest.unlink()
        if not _is_current(folder, name):
            shutil.rmtree(folder / name, ignore_errors=True)
        raise
    _remove_stale(folder, name)


def _check_target(folder):
    if os.path.lexists(folder) and not folder.is_dir():
        raise FileExistsError(f"folder must name a directory, got the file {str(folder)!r}")
    manifest = folder / MANIFEST
    if manifest.is_dir() and not manifest.is_symlink():
        raise FileExistsError(f"{str(manifest)!r} must be a file or absent, but is a directory")


def _write_array(scratch, key, array):
    array = np.ascontiguousarray(array)
    with open(scratch / f"{key}.npy", "xb") as file:
        header = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(file, header)
        # NumPy itself would write past Python's file and not be told that the disk is full.
        file.write(_as_bytes(array))
        file.flush()
        os.fsync(file.fileno())
    return {"shape": list(array.shape), "crc32": checksum(array)}


def _as_bytes(array):
    return array.reshape(-1).view(np.uint8)


def checksum(array):
    """Compute the CRC-32 of an array's bytes."""
    data = _as_bytes(np.ascontiguousarray(array))
    value = 0
    for lo in range(0, len(data), _CHECKSUM_BLOCK):
        value = zlib.crc32(data[lo : lo + _CHECKSUM_BLOCK], value)
    return value


def check_unread(arrays, checksums):
    """Refuse arrays of a saved model that are mapped and are not what they were when it was saved.

    Parameters
    ----------
    arrays : dict of str to ndarray
    checksums : dict of str to int
        Of those that nobody has looked at yet.

    Raises
    ------
    ValueError
        If one does not have its checksum.
    """
    for name, expected in checksums.items():
        if checksum(arrays[name]) != expected:
            raise ValueError(f"the saved model is damaged: {name!r} does not match its checksum")


def _canonical(content):
    """The one text, in bytes, that stands for a manifest's content."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def seal(content):
    """Return a manifest's content with the checksum of all else in it."""
    content = {key: value for key, value in content.items() if key != "crc32"}
    return {**content, "crc32": zlib.crc32(_canonical(content))}


def _write_manifest(path, content):
    text = json.dumps(seal(content), indent=1, allow_nan=False).encode()
    if len(text) > _MOST_MANIFEST:
        raise ValueError(f"the manifest would have {len(text)} bytes, at most {_MOST_MANIFEST} fit")
    with open(path, "xb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _is_current(folder, name):
    """Whether the manifest names these arrays: it may, even if replacing it was interrupted."""
    try:
        return name.encode() in read_text(folder / MANIFEST)
    except (FileNotFoundError, ValueError):
        return False
    except OSError:
        return True


def _sync(folder):
    """Make renames inside a folder durable, where the system lets folders be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, _FOLDER_FLAGS)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_stale(folder, current):
    """Remove what other saves have left, and nothing that a save does not make."""
    with os.scandir(folder) as entries:
        entries = [entry for entry in entries if entry.name != current]
    for entry in entries:
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder and _OUR_FOLDERS.fullmatch(entry.name):
            shutil.rmtree(entry.path, ignore_errors=True)
        elif not is_folder and (
            _OUR_FOLDERS.fullmatch(entry.name) or _OUR_FILES.fullmatch(entry.name)
        ):
            with suppress(OSError):
                os.unlink(entry.path)


def open_regular(path):
    """Open a regular file, or one that a symbolic link leads to, for reading.

    Anything else might never end, or be waited for without end.

    Raises
    ------
    ValueError
        If it is something else.
    """
    _check_regular(os.stat(path), path)  # before it is opened, as that alone may change a device
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 (it is given away)
    try:
        _check_regular(os.fstat(file.fileno()), path)
    except BaseException:
        file.close()
        raise
    return file


def _open_at_once(path, flags):
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_regular(status, path):
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{str(path)!r} is not a regular file")


def read_text(path):
    """Read a regular file of a sane size, as bytes.

    Raises
    ------
    ValueError
        If it is something else, or longer than any file that describes a model.
    """
    with open_regular(path) as file:
        text = file.read(_MOST_MANIFEST + 1)
    if len(text) > _MOST_MANIFEST:
        raise ValueError(f"{str(path)!r} has more than {_MOST_MANIFEST} bytes")
    return text


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
        self.folder, self.mmap, self.verify = check_folder(folder), mmap, verify
        self._text = self._manifest_bytes()
        self.manifest = self._parse_manifest()
        self.is_intact = self._is_intact()
        self._specs = self.get("arrays", dict)
        name = self.get("arrays_in", str)
        if not _ARRAYS_NAME.fullmatch(name):
            self.fail(f"'arrays_in' is {name!r}")
        self._arrays = self.folder / name
        self._unverified = {}

    def fail(self, reason, cause=None):
        """Raise the ValueError that every damage ends in."""
        raise ValueError(f"the saved model {str(self.folder)!r} is damaged: {reason}") from cause

    def fail_as_later(self, what):
        """Raise the ValueError for what a later version of skxmr alone can have written."""
        damage = "" if self.is_intact else f", or it is damaged: {MANIFEST} was changed"
        raise ValueError(
            f"the saved model {str(self.folder)!r} was saved by a later version of skxmr "
            f"({self.manifest.get('skxmr', 'unknown')!s:.40}): {what}, which this version, "
            f"{version('skxmr')}, does not know{damage}"
        )

    def check_known(self, mapping, names, what):
        """Refuse a mapping in the manifest that has other keys than these names."""
        for key in mapping.keys() - set(names):
            self.fail_as_later(f"it has the {what} {key!r:.80}")

    def check_manifest(self):
        """Refuse a manifest that was changed after it was written."""
        if not self.is_intact:
            self.fail(f"{MANIFEST} does not match its checksum")

    @property
    def is_complete(self):
        """Whether the manifest's format wants every parameter to be there."""
        return self.manifest["version"] >= 5

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
            if isinstance(error, OSError) and error.errno not in _NO_FILE:
                raise  # no access, too many open files: the model may be sound
            self.fail(f"array {key!r} cannot be read: {error}", error)
        if array.ndim != 1 or list(array.shape) != spec.get("shape"):
            self.fail(f"array {key!r} has shape {array.shape}, expected {spec.get('shape')}")
        if not (self.verify or small):
            self._unverified[key] = spec.get("crc32")
        elif checksum(array) != spec.get("crc32"):
            self.fail(f"array {key!r} does not match its checksum")
        return array

    def unverified(self, prefix, names):
        """The checksums, by name, that those arrays must have which nobody has read yet.

        Parameters
        ----------
        prefix : str
            What the arrays' keys begin with.
        names : iterable of str
            How the keys go on.
        """
        found = {name: self._unverified.get(prefix + name) for name in names}
        return {name: crc for name, crc in found.items() if prefix + name in self._unverified}

    def _open(self, path, dtype, mmap):
        with open_regular(path) as file:
            npy_version = np.lib.format.read_magic(file)
            if npy_version != (1, 0):
                raise ValueError(f"unexpected npy version {npy_version}")
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
        try:
            return read_text(self.folder / MANIFEST)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(
                f"folder {str(self.folder)!r} holds no {MANIFEST}: no saved model"
            ) from error
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_FILE:
                raise
            return self.fail(f"{MANIFEST} cannot be read: {error}", error)

    def _parse_manifest(self):
        try:
            manifest = json.loads(self._text.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            self.fail(f"{MANIFEST} is not JSON", error)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            self.fail(f"{MANIFEST} is not the manifest of a skxmr model")
        found = manifest.get("version")
        if type(found) is not int:
            self.fail(f"its format version is {found!r:.80}")
        if not _OLDEST <= found <= VERSION:
            whom = "a later" if found > VERSION else "an earlier"
            raise ValueError(
                f"the saved model {str(self.folder)!r} was saved by {whom} version of skxmr "
                f"({manifest.get('skxmr', 'unknown')!s:.40}): it has format version {found!s:.40}; "
                f"this version, {version('skxmr')}, reads {_OLDEST} to {VERSION}"
            )
        return manifest

    def _is_intact(self):
        """Whether the manifest has its checksum; before version 5 there was none."""
        if "crc32" not in self.manifest:
            return not self.is_complete
        try:
            return seal(self.manifest)["crc32"] == self.manifest["crc32"]
        except (ValueError, RecursionError):  # no numbers of JSON, or nested too deep
            return False


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
