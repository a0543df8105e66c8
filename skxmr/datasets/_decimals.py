"""Vectorized conversion of the decimal numbers in a text."""

import re

import numpy as np

# Integers of 15 digits and these powers are exact in float64. The division of one by the other
# rounds only once, as a correct conversion of the decimal does.
_EXACT_DIGITS = 15
_POWERS_OF_TEN = 10.0 ** np.arange(_EXACT_DIGITS + 1)
_DECIMAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def parse_decimals(text, starts, ends):
    """Convert the tokens of a text to numbers.

    Parameters
    ----------
    text : bytes
        All its digits belong to a token.
    starts, ends : ndarray of shape (n_tokens,), int64
        Position of the first character of each token (not 0), and after its last character.

    Returns
    -------
    numbers : ndarray of shape (n_tokens,), float64
        Correctly rounded; NaN for a token that is not a decimal number.
    is_integer : ndarray of shape (n_tokens,), bool
        Whether the token consists of digits only.
    """
    codes = np.frombuffer(text, dtype=np.uint8)
    # Unsigned arithmetic: characters before "0" become larger than 9.
    is_digit = (codes - ord("0")) < 10
    n_before = np.cumsum(is_digit)
    n_digits = n_before[ends - 1] - n_before[starts - 1]
    numbers = _digits_as_integers(codes[is_digit] - ord("0"), n_digits)
    n_signs = codes[starts] == ord("-")
    points, owners = _points(codes, starts)
    n_points = np.zeros(len(starts), dtype=bool)
    n_points[owners] = True
    n_decimals = n_before[ends[owners] - 1] - n_before[points]
    numbers[owners] /= _POWERS_OF_TEN[np.minimum(n_decimals, _EXACT_DIGITS)]
    np.negative(numbers, out=numbers, where=n_signs)
    lengths = ends - starts
    simple = (lengths == n_digits + n_signs + n_points) & (n_digits > 0)
    simple &= n_digits <= _EXACT_DIGITS
    for i in np.flatnonzero(~simple).tolist():
        numbers[i] = _parse_decimal(text[starts[i] : ends[i]])
    return numbers, lengths == n_digits


def _digits_as_integers(digits, n_digits):
    """Return the integer of the digits of each token, correct up to 15 digits."""
    owner = np.repeat(np.arange(len(n_digits)), n_digits)
    exponent = np.cumsum(n_digits)[owner] - np.arange(1, len(digits) + 1)
    parts = digits * _POWERS_OF_TEN[np.minimum(exponent, _EXACT_DIGITS)]
    integers = np.bincount(owner, weights=parts, minlength=len(n_digits))
    return integers.astype(np.float64, copy=False)  # without digits, NumPy returns integers


def _points(codes, starts):
    """Return the positions of the decimal points, and the token of each."""
    points = np.flatnonzero(codes == ord("."))
    return points, np.searchsorted(starts, points, side="right") - 1


def _parse_decimal(token):
    """Return the number of a token, or NaN if it is not a decimal number."""
    return float(token) if _DECIMAL.fullmatch(token) else np.nan
