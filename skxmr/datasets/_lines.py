"""Lines of text files, with error messages that name the file and the line."""

import csv
import json
from contextlib import contextmanager

from ._files import damaged_file_errors, open_binary, without_mark

#: Maximum number of characters of a CSV field. The default of Python is 131,072.
_MAX_FIELD = (1 << 31) - 1


def text_lines(path):
    """Yield the number and the content of each line of a file in UTF-8, from 1.

    Blank lines, line ends of either kind and a byte order mark are left out.

    Parameters
    ----------
    path : pathlib.Path
        Compressed or plain, depending on its suffix.

    Yields
    ------
    number : int
    line : str

    Raises
    ------
    ValueError
        If the file is damaged, or a line is not UTF-8.
    """
    with damaged_file_errors(path), open_binary(path, "rb") as file:
        for number, line in _numbered(file):
            text = decode(line, f"{path}, line {number}").rstrip("\r\n")
            if text.strip():
                yield number, text


def decode(raw, where):
    """Decode UTF-8. The error names the place."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: expected UTF-8 text: {error}") from error


def parse_json(text, where):
    """Parse JSON. Every error is a ValueError that names the place."""
    try:
        return json.loads(text)
    # Deeply nested brackets raise RecursionError.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: expected JSON: {error}") from error


def type_name(value):
    """Return the name of the type of a value, for messages."""
    return type(value).__name__


def csv_rows(path, required):
    """Yield the position and the fields of each row of a CSV file in UTF-8 with a header.

    Parameters
    ----------
    path : pathlib.Path
        Compressed or plain, depending on its suffix.
    required : list of str
        Columns that the header must have.

    Yields
    ------
    where : str
        File and line where the row ends, for messages.
    row : dict of str to str

    Raises
    ------
    ValueError
        If the file is damaged, not UTF-8 or not CSV, a column is missing or there twice, or a row
        has another number of fields than the header.
    """
    with damaged_file_errors(path), open_binary(path, "rb") as file, _long_fields():
        lines = (decode(line, f"{path}, line {number}") for number, line in _numbered(file))
        reader = csv.reader(lines, strict=True)
        try:
            header = next(reader, [])
            missing = [column for column in required if column not in header]
            if missing:
                raise ValueError(
                    f"{path}, line 1: expected a header with the columns {', '.join(required)}, "
                    f"got {', '.join(header) or 'nothing'}"
                )
            if len(set(header)) < len(header):
                raise ValueError(f"{path}, line 1: expected different columns, got {header}")
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if not any(row):
                    continue
                if len(row) != len(header):
                    raise ValueError(
                        f"{where}: expected {len(header)} fields as in the header, got {len(row)}"
                    )
                yield where, dict(zip(header, row, strict=True))
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: expected CSV: {error}") from error


def _numbered(file):
    """Yield the number and the bytes of each line, without a byte order mark."""
    for number, line in enumerate(file, start=1):
        yield number, without_mark(line) if number == 1 else line


@contextmanager
def _long_fields():
    """Allow CSV fields of any length inside the block, such as full texts."""
    limit = csv.field_size_limit(_MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
