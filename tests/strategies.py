"""Hypothesis strategies that tests share."""

import struct

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from scipy import sparse as sp

from skxmr import LabelTree

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
halves = st.integers(-4, 4).map(lambda n: n / 2)
seeds = st.integers(0, 2**32 - 1)


def examples(n):
    """Settings for n examples; the profile "quick" draws a seventh of them."""
    return settings(max_examples=n * settings.default.max_examples // 100)


@st.composite
def csr_matrices(draw, values=finite, max_rows=6, max_columns=8, min_rows=0, min_columns=0):
    """Any canonical float32 CSR matrix: empty, with empty rows, with stored zeros."""
    n_rows = draw(st.integers(min_rows, max_rows))
    n_columns = draw(st.integers(min_columns, max_columns))
    columns = st.sets(st.integers(0, n_columns - 1)) if n_columns else st.just(set())
    rows = draw(st.lists(columns.map(sorted), min_size=n_rows, max_size=n_rows))
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int32)
    indices = np.array([j for row in rows for j in row], dtype=np.int32)
    data = draw(st.lists(values, min_size=len(indices), max_size=len(indices)))
    matrix = sp.csr_matrix((n_rows, n_columns), dtype=np.float32)
    matrix.indptr, matrix.indices = indptr, indices
    matrix.data = np.array(data, dtype=np.float32)
    return matrix


@st.composite
def label_trees(draw, max_levels=4, max_children=4, max_copies=3):
    """Any small tree: empty nodes, single children, labels with several slots."""
    pointers, width = [], 1
    for _ in range(draw(st.integers(1, max_levels))):
        counts = st.lists(st.integers(0, max_children), min_size=width, max_size=width)
        counts = draw(counts.filter(any))
        pointers.append(np.concatenate(([0], np.cumsum(counts))))
        width = sum(counts)
    n_labels = draw(st.integers(-(-width // max_copies), width))
    copies = draw(st.lists(st.integers(0, n_labels - 1), min_size=width, max_size=width))
    slots = draw(st.permutations([*range(n_labels), *copies][:width]))
    return LabelTree(pointers, slots)


EXTREMES = [0, 1, -1, 2, 127, 255, 2**15, 2**31 - 1, -(2**31), 2**31, 2**62, -(2**63), 2**63 - 1]


@st.composite
def edits(draw):
    """Which arrays to damage: (position in the list of names, element, new bytes)."""
    return draw(
        st.lists(
            st.tuples(
                st.integers(0, 10**6),
                st.integers(0, 10**6),
                st.one_of(
                    st.sampled_from(EXTREMES).map(lambda v: struct.pack("<q", v)),
                    st.floats(width=32).map(lambda v: struct.pack("<f", v)),
                    st.binary(min_size=1, max_size=16),
                ),
            ),
            min_size=1,
            max_size=3,
        )
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
