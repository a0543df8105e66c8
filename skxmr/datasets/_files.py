"""Opening of files by their suffix, with error messages that name the file."""

import bz2
import codecs
import gzip
import lzma
import zlib
from contextlib import contextmanager
from pathlib import Path

_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def as_path(path, name):
    """Return `path` as a ``Path``.

    Parameters
    ----------
    path : str or os.PathLike
    name : str
        Name of the parameter, for the error message.

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    TypeError
        If `path` is neither a str nor an ``os.PathLike`` of str.
    """
    try:
        return Path(path)
    except TypeError:
        raise TypeError(f"{name} must be a str or an os.PathLike, got {path!r}") from None


def open_binary(path, mode):
    """Open a file as bytes, compressed or plain depending on its suffix.

    Parameters
    ----------
    path : pathlib.Path
        Files with the suffixes ``.gz``, ``.bz2`` and ``.xz`` are compressed.
    mode : {"rb", "wb"}

    Returns
    -------
    file : file object
    """
    return _OPENERS.get(path.suffix.lower(), open)(path, mode)


def format_suffix(path):
    """Return the suffix of a file name without that of its compression, in lower case.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    suffix : str
        Such as ".csv" for "documents.csv.gz".
    """
    return (path.with_suffix("") if path.suffix.lower() in _OPENERS else path).suffix.lower()


def without_mark(beginning):
    """Return the beginning of a text in UTF-8 without a byte order mark.

    Parameters
    ----------
    beginning : bytes

    Returns
    -------
    beginning : bytes
    """
    return beginning.removeprefix(codecs.BOM_UTF8)


@contextmanager
def damaged_file_errors(path):
    """Convert errors of a decompressor inside the block to a ValueError that names `path`.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    ValueError
        If the compressed stream ends early or is not valid.
    """
    try:
        yield
    except EOFError as error:
        raise ValueError(f"{path}: the compressed file is truncated ({error})") from error
    except (lzma.LZMAError, zlib.error) as error:
        raise ValueError(f"{path}: the compressed file is damaged ({error})") from error
    except OSError as error:
        # gzip and bz2 raise an OSError without an errno for invalid data. Errors of the system,
        # such as a missing file or no permission, have an errno and keep their type.
        if error.errno is not None:
            raise
        raise ValueError(f"{path}: the compressed file is damaged ({error})") from error
