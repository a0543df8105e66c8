"""Opening files by suffix, with errors that say which file is at fault."""

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
    """Open a file as bytes, through the codec that its suffix names.

    Parameters
    ----------
    path : pathlib.Path
        ``.gz``, ``.bz2`` and ``.xz`` are compressed; every other suffix is plain.
    mode : {"rb", "wb"}

    Returns
    -------
    file : file object
    """
    return _OPENERS.get(path.suffix.lower(), open)(path, mode)


def without_mark(beginning):
    """Return the beginning of a text in UTF-8 without the byte order mark that editors may add.

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
    """Turn what a decompressor raises inside the block into a ValueError naming `path`.

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
        # gzip and bz2 report bad data as an OSError without an errno; what the system
        # itself reports (no such file, no permission) keeps its own type.
        if error.errno is not None:
            raise
        raise ValueError(f"{path}: the compressed file is damaged ({error})") from error
