"""Seeing a fitted model: why it ranks as it does, and how well and how fast."""

from .._explanation import Explanation
from ._explain import explain

__all__ = ["Explanation", "explain"]
