"""Model folders: ``.npy`` arrays and a JSON manifest, replaced in one step and read with checks.

A folder may also hold files of other formats, with their sizes and checksums in the manifest.

The arrays of one save are in their own sub-folder, whose name is in the manifest. A save writes the
sub-folder under a temporary name, renames it, and then replaces the manifest in one step. At any
time, the folder therefore holds either the complete old model or the complete new one. Saves to the
same folder wait for each other.

The manifest has a checksum, and contains a checksum of each array. Only regular files are read, or
symbolic links to them. A save always writes new files, and does not follow links.
"""

import copy
import errno
import json
import math
import os
import re
import secrets
import shutil
import zlib
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np

from .._core import aligned_empty
from .files import MAX_TEXT_BYTES, open_regular, read_text
from .locks import exclusive
from .npy import read_header

MANIFEST = "skxmr.json"
FORMAT = "skxmr model"

#: Version of the format that is written, unless a model needs a later one. Every additional
#: parameter needs a new version.
VERSION = 6

#: Version of models with dense columns, or parameters of them.
DENSE_COLUMNS = 7

#: Latest version of the format. Models with dense weights have it, and vectorizers with a larger
#: weight of the first words.
LATEST = 8

#: Oldest version that is read. Manifests of version 4 have no checksum and may lack parameters.
_OLDEST = 4

_ARRAYS_NAME = re.compile(r"arrays-[0-9a-f]{16}")
_OUR_FOLDERS = re.compile(rf"{_ARRAYS_NAME.pattern}(\.tmp)?")
_OUR_FILES = re.compile(rf"{re.escape(MANIFEST)}(\.[0-9a-f]{{16}})?\.tmp")
_CHECKSUM_BLOCK = 1 << 24

#: Keys of a manifest that hold for all parts of the model.
_COMMON = ("version", "skxmr")

#: Errors that mean that a file is missing or not a file. Other errors can occur with a valid model.
_NO_FILE = {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}

#: Errors that unexpected values raise. NotImplementedError is NumPy's for arrays of a kind that it
#: cannot map or read.
_UNEXPECTED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)


def check_folder(folder):
    """Check the name of a folder, which need not exist, and return it as a path.

    Raises
    ------
    TypeError, ValueError
        If it is not a name.
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


def write_folder(folder, content, arrays, expected, files=None, stored=None):
    """Write a model folder. A model in this folder is replaced.

    Parameters
    ----------
    folder : path
        Created if it does not exist. Other files in it are kept.
    content : dict
        Content of the manifest, of JSON types. It may have a "version" other than VERSION.
    arrays : dict of str to ndarray
        The keys become file names.
    expected : dict of str to int
        Expected checksums of some of the arrays.
    files : dict of str to bytes, optional
        Other files, by their names.
    stored : ArrayFiles, optional
        Files that have some of the arrays. They are linked instead of copied, if possible.

    Raises
    ------
    FileExistsError
        If the folder is a file.
    ValueError
        If an array does not match its expected checksum.
    """
    folder = check_folder(folder)
    _check_target(folder)
    content = {"format": FORMAT, "version": VERSION, "skxmr": version("skxmr"), **content}
    _canonical(content)  # raises an error for values that JSON cannot hold, before any writing
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder, _FOLDER_FLAGS):
        _replace_model(folder, content, arrays, expected, files or {}, stored)


@contextmanager
def scratch_folder(folder):
    """Make a folder for the arrays of a model that is not complete, and remove it at the end.

    The next save removes it if the process is killed.

    Parameters
    ----------
    folder : path
        Folder of the model. Created if it does not exist.
    """
    folder = check_folder(folder)
    _check_target(folder)
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / f"arrays-{secrets.token_hex(8)}.tmp"
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # it has a model
                folder.rmdir()


def _replace_model(folder, content, arrays, expected, files, stored):
    name = f"arrays-{secrets.token_hex(8)}"
    scratch = folder / f"{name}.tmp"
    manifest = folder / f"{MANIFEST}.{secrets.token_hex(8)}.tmp"
    try:
        scratch.mkdir()
        specs = {}
        for key, array in arrays.items():
            file = None if stored is None else stored.find(array)
            if file is None:
                specs[key] = _write_array(scratch, key, array)
            else:
                specs[key] = _link_array(scratch, key, file)
            found = specs[key]["crc32"]
            if found != expected.get(key, found):
                raise ValueError(
                    "the saved model that this one was mapped from is damaged: array "
                    f"{key!r} does not match its checksum"
                )
        content = {**content, "arrays_in": name, "arrays": specs}
        if files:
            content["files"] = {key: _write_file(scratch, key, files[key]) for key in files}
        _sync(scratch)
        scratch.rename(folder / name)
        _write_manifest(manifest, content)
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
        # NumPy would bypass Python's file object and miss the error of a full disk.
        file.write(_as_bytes(array))
        file.flush()
        os.fsync(file.fileno())
    return {"shape": list(array.shape), "crc32": checksum(array)}


def _link_array(scratch, key, file):
    """Link the file of an array, or copy the array if the file system has no links."""
    try:
        os.link(file.path, scratch / f"{key}.npy")
    except OSError:
        return _write_array(scratch, key, file.array)
    return {"shape": list(file.array.shape), "crc32": file.checksum}


def _write_file(scratch, name, data):
    with open(scratch / name, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {"size": len(data), "crc32": zlib.crc32(data)}


def _as_bytes(array):
    return array.reshape(-1).view(np.uint8)


def checksum(array):
    """Compute the CRC-32 of an array's bytes."""
    data = _as_bytes(np.ascontiguousarray(array))
    value = 0
    for begin in range(0, len(data), _CHECKSUM_BLOCK):
        value = zlib.crc32(data[begin : begin + _CHECKSUM_BLOCK], value)
    return value


def check_unread(arrays, checksums):
    """Compare mapped arrays of a saved model with their checksums.

    Parameters
    ----------
    arrays : dict of str to ndarray
    checksums : dict of str to int
        Checksums of the arrays that have not been verified.

    Raises
    ------
    ValueError
        If an array does not match its checksum.
    """
    for name, expected in checksums.items():
        if checksum(arrays[name]) != expected:
            raise ValueError(f"the saved model is damaged: {name!r} does not match its checksum")


def _canonical(content):
    """Return the canonical JSON of a manifest's content, as bytes."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def seal(content):
    """Return the content of a manifest with its checksum added or replaced."""
    content = {key: value for key, value in content.items() if key != "crc32"}
    return {**content, "crc32": zlib.crc32(_canonical(content))}


def _write_manifest(path, content):
    text = json.dumps(seal(content), indent=1, allow_nan=False).encode()
    if len(text) > MAX_TEXT_BYTES:
        raise ValueError(
            f"the manifest must have at most {MAX_TEXT_BYTES} bytes, got {len(text)} bytes"
        )
    with open(path, "xb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _is_current(folder, name):
    """Whether the manifest has this name of arrays, even if replacing it was interrupted."""
    try:
        return name.encode() in read_text(folder / MANIFEST)
    except (FileNotFoundError, ValueError):
        return False
    except OSError:
        return True


def _sync(folder):
    """Make renames in a folder durable, on systems that can open folders."""
    if os.name == "nt":
        return
    handle = os.open(folder, _FOLDER_FLAGS)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_stale(folder, current):
    """Remove the files and folders of other saves, and no others."""
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


class FolderReader:
    """A model folder opened for reading.

    Parameters
    ----------
    folder : path
    mmap : bool
        Whether to map arrays read-only instead of reading them.
    verify : bool
        Whether to verify the checksums of all arrays. Small arrays are always verified.

    Attributes
    ----------
    manifest : dict
    is_intact : bool
        Whether the manifest matches its checksum.

    Raises
    ------
    FileNotFoundError
        If there is no manifest.
    ValueError
        If the manifest is not that of a skxmr model.
    """

    def __init__(self, folder, *, mmap, verify):
        self.folder = check_folder(folder)
        self.mmap = mmap
        self.verify = verify
        self._text = self._manifest_bytes()
        self.manifest = self._parse_manifest()
        self.is_intact = self._is_intact()
        self._specs = self.get("arrays", dict)
        self._files = self.get("files", dict) if "files" in self.manifest else {}
        name = self.get("arrays_in", str)
        if not _ARRAYS_NAME.fullmatch(name):
            self.fail(f"'arrays_in' is {name!r}")
        self._arrays = self.folder / name
        self._prefix = ""
        self._unverified = {}

    def section(self, content, prefix):
        """Return a reader of a part of the model.

        Parameters
        ----------
        content : dict
            The part of the manifest.
        prefix : str
            First part of the keys of its arrays and files.

        Returns
        -------
        reader : FolderReader
        """
        part = copy.copy(self)
        common = {key: self.manifest[key] for key in _COMMON if key in self.manifest}
        part.manifest = {**common, **content}  # a part may have a later version of its own
        part._prefix = self._prefix + prefix
        part._unverified = {}
        return part

    def fail(self, reason, cause=None):
        """Raise ValueError for a damaged model."""
        raise ValueError(f"the saved model {str(self.folder)!r} is damaged: {reason}") from cause

    def fail_as_later(self, what):
        """Raise ValueError for content that only a later version of skxmr can have written."""
        damage = "" if self.is_intact else f", or it is damaged: {MANIFEST} was changed"
        raise ValueError(
            f"the saved model {str(self.folder)!r} was saved by a later version of skxmr "
            f"({self.manifest.get('skxmr', 'unknown')!s:.40}): {what}, which this version, "
            f"{version('skxmr')}, does not know{damage}"
        )

    def check_known(self, mapping, names, what):
        """Check that a mapping in the manifest has no other keys than these names."""
        for key in mapping.keys() - set(names):
            self.fail_as_later(f"it has the {what} {key!r:.80}")

    @contextmanager
    def as_damage(self):
        """Convert exceptions from reading a damaged model to the ValueError of damaged models."""
        try:
            yield
        except _UNEXPECTED as error:
            if str(error).startswith("the saved model"):
                raise
            self.fail(str(error), error)

    def check_manifest(self):
        """Check that the manifest was not changed after it was written."""
        if not self.is_intact:
            self.fail(f"{MANIFEST} does not match its checksum")

    @property
    def is_complete(self):
        """Whether the version of the manifest requires all parameters."""
        return self.manifest["version"] >= 5

    def get(self, key, kind):
        """Return a value of the manifest after checking its type."""
        return self.field(self.manifest, key, kind)

    def field(self, mapping, key, kind):
        """Return a value of a mapping in the manifest after checking its type."""
        value = mapping.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            self.fail(f"{key!r} is {value!r}, expected {getattr(kind, '__name__', kind)}")
        return value

    def was_replaced(self):
        """Whether another model was saved in the folder after this one was opened."""
        return self._manifest_bytes() != self._text

    def array(self, key, dtype, *, small=False, checked=False):
        """Read or map an array after checking it against the manifest and its checksum.

        Parameters
        ----------
        key : str
        dtype : dtype or str
            Expected dtype. A string holds the allowed kinds of dtype, such as "biuf".
        small : bool
            Whether to always read the array and verify its checksum, because it is small.
        checked : bool
            Whether to always verify its checksum, also if the array is mapped.

        Returns
        -------
        array : ndarray, one-dimensional
        """
        name = self._prefix + key
        spec = self.field(self._specs, name, dict)
        try:
            array = self._open(self._arrays / f"{name}.npy", dtype, self.mmap and not small)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_FILE:
                raise  # no access, or too many open files: the model may be valid
            self.fail(f"array {name!r} cannot be read: {error}", error)
        if array.ndim != 1 or list(array.shape) != spec.get("shape"):
            self.fail(f"array {name!r} has shape {array.shape}, expected {spec.get('shape')}")
        if not (self.verify or small or checked):
            self._unverified[key] = spec.get("crc32")
        elif checksum(array) != spec.get("crc32"):
            self.fail(f"array {name!r} does not match its checksum")
        return array

    def file(self, key):
        """Return the bytes of a file of another format, after checking them.

        Parameters
        ----------
        key : str

        Returns
        -------
        data : bytes
        """
        name = self._prefix + key
        spec = self.field(self._files, name, dict)
        try:
            data = _read_file(self._arrays / name, spec.get("size"))
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_FILE:
                raise
            self.fail(f"file {name!r} cannot be read: {error}", error)
        if zlib.crc32(data) != spec.get("crc32"):
            self.fail(f"file {name!r} does not match its checksum")
        return data

    def unverified(self, prefix, names):
        """Return the checksums, by name, of those arrays that were not verified.

        Parameters
        ----------
        prefix : str
            First part of the keys of the arrays.
        names : iterable of str
            Second parts of the keys.

        Returns
        -------
        checksums : dict of str to int
        """
        found = {name: self._unverified.get(prefix + name) for name in names}
        return {name: crc for name, crc in found.items() if prefix + name in self._unverified}

    def _open(self, path, dtype, mmap):
        with open_regular(path) as file:
            header = read_header(file)
            shape, is_fortran, found = header
            offset = file.tell()
            _check_kind(found, dtype)
            if is_fortran and len(shape) > 1:
                raise ValueError("Fortran order")
            if os.fstat(file.fileno()).st_size != offset + header.n_bytes:
                raise ValueError(f"the file's size does not fit the shape {shape}")
            if header.n_bytes == 0:
                return np.empty(shape, dtype=found)
            if mmap:
                return np.asarray(np.memmap(file, found, mode="r", offset=offset, shape=shape))
            return _filled(file, aligned_empty(math.prod(shape), found).reshape(shape))

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
        if not _OLDEST <= found <= LATEST:
            whom = "a later" if found > LATEST else "an earlier"
            raise ValueError(
                f"the saved model {str(self.folder)!r} was saved by {whom} version of skxmr "
                f"({manifest.get('skxmr', 'unknown')!s:.40}): it has format version {found!s:.40}; "
                f"this version, {version('skxmr')}, reads {_OLDEST} to {LATEST}"
            )
        return manifest

    def _is_intact(self):
        """Whether the manifest matches its checksum. Before version 5, there was none."""
        if "crc32" not in self.manifest:
            return not self.is_complete
        try:
            return seal(self.manifest)["crc32"] == self.manifest["crc32"]
        except (ValueError, RecursionError):  # NaN or infinity, or nested too deep
            return False


def _read_file(path, size):
    with open_regular(path) as file:
        found = os.fstat(file.fileno()).st_size
        if found != size:
            raise ValueError(f"it has {found} bytes, expected {size}")
        return file.read()


def _filled(file, array):
    """Read the bytes of an array. numpy.fromfile raises TypeError if interrupted."""
    if file.readinto(_as_bytes(array)) != array.nbytes:
        raise ValueError("the file was cut short")
    return array


def _check_kind(found, expected):
    if isinstance(expected, str):
        if found.kind not in expected:
            raise ValueError(f"dtype {found} is not of kind {expected!r}")
    elif found != expected:
        raise ValueError(f"dtype {found} is not {expected}")
