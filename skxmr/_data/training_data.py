"""The input of training, prepared when it is first needed."""

from functools import cached_property
from typing import NamedTuple

import scipy.sparse as sp

from .._utils import caching
from .examples import Examples


class TrainingInput(NamedTuple):
    """Input of training after all checks.

    Attributes
    ----------
    examples : Examples
    label_features : csr_matrix of float32, shape (n_labels, d), or None
    label_text : list of str, length n_labels, or None
    embedded : Examples or None
        Distinct rows of all columns, if the last ones are embeddings by which neighbors are found.
    """

    examples: Examples
    label_features: sp.csr_matrix | None
    label_text: list | None
    embedded: Examples | None = None


class TrainingData:
    """Everything that training depends on besides parameters.

    It is prepared when it is first needed. If a memory has the result of training, it never is.

    Parameters
    ----------
    prepare : callable
        Takes no argument and returns a TrainingInput.
    key : str, optional
        Identifies the content in a memory. By default it is computed from the content.
    """

    def __init__(self, prepare, key=None):
        self._prepare = prepare
        self._key = key

    @cached_property
    def _input(self):
        return self._prepare()

    @property
    def key(self):
        """Identifier of the content; None if the content has none."""
        return caching.key_of([], {"input": self._input}) if self._key is None else self._key

    @property
    def examples(self):
        """The training rows and their labels."""
        return self._input.examples

    @property
    def embedded(self):
        """The training rows with their embeddings, or None."""
        return self._input.embedded

    @property
    def label_features(self):
        """Features of the labels, or None."""
        return self._input.label_features

    @property
    def label_text(self):
        """Texts of the labels, or None."""
        return self._input.label_text

    def with_examples(self, examples):
        """Return the input with other examples of the same labels."""
        return self._input._replace(examples=examples, embedded=None)
