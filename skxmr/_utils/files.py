"""Reading of regular files of limited size."""

import os
import stat

#: Maximum number of bytes in a text file. The manifest of a thousand trees has a few millions.
MAX_TEXT_BYTES = 1 << 26


def open_regular(path):
    """Open a regular file, or a symbolic link to one, for reading.

    Reading another kind of file may block or never end.

    Parameters
    ----------
    path : path

    Returns
    -------
    file : binary file object

    Raises
    ------
    ValueError
        If it is not a regular file.
    """
    _check_regular(os.stat(path), path)  # before opening, which can have effects on a device
    file = open(path, "rb", opener=_open_without_blocking)  # noqa: SIM115 (the caller closes it)
    try:
        _check_regular(os.fstat(file.fileno()), path)
    except BaseException:
        file.close()
        raise
    return file


def _open_without_blocking(path, flags):
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_regular(status, path):
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{str(path)!r} is not a regular file")


def read_text(path):
    """Read the bytes of a regular file that describes a model.

    Raises
    ------
    ValueError
        If it is not a regular file, or has more than MAX_TEXT_BYTES.
    """
    with open_regular(path) as file:
        text = file.read(MAX_TEXT_BYTES + 1)
    if len(text) > MAX_TEXT_BYTES:
        raise ValueError(f"{str(path)!r} has more than {MAX_TEXT_BYTES} bytes")
    return text
