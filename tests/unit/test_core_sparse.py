import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from reference import best_first, padded, random_csr, stored_entries
from scipy import sparse as sp
from strategies import csr_matrices, halves, seeds

from skxmr._core import (
    CSRView,
    csr_check,
    csr_group_sum,
    csr_hash_rows,
    csr_rows_equal,
    csr_top_k,
    csr_transpose,
)
from skxmr._core._library import check, ffi, lib, pointer

# ---- csr_check ----


@given(csr_matrices())
def test_every_valid_matrix_is_accepted(matrix):
    assert csr_check(matrix) == (None, False)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (3, 3)])
def test_a_matrix_without_entries_is_accepted(shape):
    assert csr_check(sp.csr_matrix(shape, dtype=np.float32)) == (None, False)


def four_rows():
    """Rows of 2, 0, 3 and 2 entries in 5 columns."""
    dense = np.zeros((4, 5), dtype=np.float32)
    dense[0, [0, 4]] = dense[2, [0, 2, 4]] = dense[3, [1, 3]] = 1
    return sp.csr_matrix(dense)


def corrupted(**changes):
    """four_rows with some elements of its arrays set, past scipy's own checks."""
    matrix = four_rows()
    for name, (position, value) in changes.items():
        array = getattr(matrix, name).copy()
        array[position] = value
        setattr(matrix, name, array)
    return matrix


POINTER, INDEX, ORDER, FINITE = "index pointers", "column index outside", "unsorted", "NaN"


@pytest.mark.parametrize(
    ("changes", "fault", "row"),
    [
        ({"indptr": (1, -1)}, POINTER, 0),
        ({"indptr": (1, 8)}, POINTER, 0),
        ({"indptr": (2, 1)}, POINTER, 1),
        ({"indptr": (3, 1)}, POINTER, 2),
        ({"indptr": (3, np.iinfo(np.int32).max)}, POINTER, 2),
        ({"indptr": (4, 4)}, POINTER, 3),
        ({"indptr": (4, 8)}, POINTER, 3),
        ({"indices": (0, -1)}, INDEX, 0),
        ({"indices": (1, 5)}, INDEX, 0),
        ({"indices": (4, 5)}, INDEX, 2),
        ({"indices": (6, np.iinfo(np.int32).max)}, INDEX, 3),
        ({"indices": (6, np.iinfo(np.int32).min)}, INDEX, 3),
        ({"indices": (0, 4)}, ORDER, 0),
        ({"indices": (3, 4)}, ORDER, 2),
        ({"indices": (4, 1)}, ORDER, 2),
        ({"indices": (6, 0)}, ORDER, 3),
        ({"data": (0, np.nan)}, FINITE, 0),
        ({"data": (3, np.inf)}, FINITE, 2),
        ({"data": (6, -np.inf)}, FINITE, 3),
    ],
)
def test_every_fault_is_named_with_its_row(changes, fault, row):
    found, unsorted = csr_check(corrupted(**changes))
    assert fault in found
    assert found.endswith(f"(row {row})")
    assert unsorted == (fault == ORDER)


def test_pointers_must_start_at_zero():
    assert POINTER in csr_check(corrupted(indptr=(0, 1)))[0]


def test_the_first_of_several_faults_is_named():
    fault, _ = csr_check(corrupted(indices=(3, 4), data=(6, np.nan)))
    assert ORDER in fault
    assert "row 2" in fault


@given(csr_matrices(min_rows=1, min_columns=1), st.data())
def test_a_fault_at_any_position_is_found(matrix, data):
    assume(matrix.nnz)
    position = data.draw(st.integers(0, matrix.nnz - 1))
    row = int(np.searchsorted(matrix.indptr, position, side="right")) - 1
    if data.draw(st.booleans()):
        matrix.data[position] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    else:
        matrix.indices[position] = data.draw(st.sampled_from([-1, matrix.shape[1]]))
    assert csr_check(matrix)[0].endswith(f"(row {row})")


@pytest.mark.parametrize("array", ["indptr", "indices", "data"])
def test_arrays_of_disagreeing_lengths_are_refused(array):
    matrix = four_rows()
    setattr(matrix, array, getattr(matrix, array)[:-1])
    fault, unsorted = csr_check(matrix)
    assert POINTER in fault
    assert not unsorted


@pytest.mark.parametrize("index", [2**32, 2**32 + 1, -(2**32), 5])
def test_wide_indices_are_refused_before_they_could_wrap_around(index):
    matrix = four_rows()
    matrix.indices = matrix.indices.astype(np.int64)
    assert csr_check(matrix) == (None, False)
    matrix.indices[-1] = index
    fault, unsorted = csr_check(matrix)
    assert INDEX in fault
    assert not unsorted


# ---- transpose ----


@given(csr_matrices())
def test_transpose_lists_the_rows_of_each_column(matrix):
    indptr, rows = csr_transpose(matrix)
    pairs = [(j, i) for i in range(matrix.shape[0]) for j, _ in stored_entries(matrix, i)]
    columns = np.repeat(range(matrix.shape[1]), np.diff(indptr))
    assert list(zip(columns, rows, strict=True)) == sorted(pairs)
    assert indptr[0] == 0
    assert len(indptr) == matrix.shape[1] + 1


@given(csr_matrices())
def test_transpose_keeps_values(matrix):
    indptr = np.empty(matrix.shape[1] + 1, dtype=np.int64)
    rows, values = np.empty(matrix.nnz, dtype=np.int32), np.empty(matrix.nnz, dtype=np.float32)
    outputs = [pointer(array, array.dtype) for array in (indptr, rows, values)]
    check(lib.skx_csr_transpose(CSRView(matrix).struct, *outputs))
    transposed = [(j, *pair) for i in range(matrix.shape[0]) for j, *pair in triples(matrix, i)]
    columns = np.repeat(range(matrix.shape[1]), np.diff(indptr))
    assert list(zip(columns, rows, values, strict=True)) == sorted(transposed)


def triples(matrix, row):
    return [(j, row, value) for j, value in stored_entries(matrix, row)]


# ---- group sums ----


@given(csr_matrices(values=halves, min_rows=1, min_columns=1), st.data())
def test_group_sum_adds_weighted_members(matrix, data):
    member, pointers, weight = draw_groups(data, matrix.shape[0])
    sums = csr_group_sum(matrix, pointers, member, weight, 0, len(pointers) - 1, normalize=False)
    assert csr_check(sums) == (None, False)
    expected, pattern = slow_group_sum(matrix, pointers, member, weight)
    np.testing.assert_array_equal(sums.toarray(), expected)  # halves add up exactly
    assert [{j for j, _ in stored_entries(sums, g)} for g in range(len(pattern))] == pattern


@given(csr_matrices(values=halves, min_rows=1, min_columns=1), st.data())
def test_normalized_group_sums_have_norm_one_or_are_zero(matrix, data):
    member, pointers, weight = draw_groups(data, matrix.shape[0])
    sums = csr_group_sum(matrix, pointers, member, weight, 0, len(pointers) - 1, normalize=True)
    expected, _ = slow_group_sum(matrix, pointers, member, weight)
    norms = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(sums.toarray(), expected / np.where(norms, norms, 1), rtol=1e-6)


@given(csr_matrices(min_rows=1, min_columns=1, values=halves), st.data())
def test_a_range_of_groups_is_that_part_of_all(matrix, data):
    member, pointers, weight = draw_groups(data, matrix.shape[0])
    n_groups = len(pointers) - 1
    lo, hi = sorted(data.draw(st.tuples(*[st.integers(0, n_groups)] * 2)))
    groups = pointers, member, weight
    every = csr_group_sum(matrix, *groups, 0, n_groups, normalize=True)
    part = csr_group_sum(matrix, *groups, lo, hi, normalize=True)
    np.testing.assert_array_equal(part.toarray(), every[lo:hi].toarray())


def draw_groups(data, n_rows):
    """Groups of any sizes, empty ones too, whose members may repeat."""
    sizes = data.draw(st.lists(st.integers(0, 4), max_size=5))
    total = sum(sizes)
    member = data.draw(st.lists(st.integers(0, n_rows - 1), min_size=total, max_size=total))
    weight = data.draw(st.lists(halves, min_size=total, max_size=total))
    pointers = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    return np.array(member, np.int32), pointers, np.array(weight, np.float32)


def slow_group_sum(matrix, pointers, member, weight):
    """The sums, and the columns that any member of a group stores."""
    dense = matrix.toarray().astype(np.float64)
    sums = np.zeros((len(pointers) - 1, matrix.shape[1]))
    pattern = [set() for _ in sums]
    for g in range(len(sums)):
        for e in range(pointers[g], pointers[g + 1]):
            sums[g] += weight[e] * dense[member[e]]
            pattern[g] |= {j for j, _ in stored_entries(matrix, member[e])}
    return sums, pattern


def test_group_sum_of_wide_rows():
    # More columns than one word of the set of columns, or one word of its summary, can number.
    rng = np.random.default_rng(0)
    matrix = sp.random(50, 20_000, density=0.002, format="csr", dtype=np.float32, random_state=rng)
    pointers, member = np.array([0, 20, 20, 50], np.int64), np.arange(50, dtype=np.int32)
    sums = csr_group_sum(matrix, pointers, member, np.ones(50, np.float32), 0, 3, normalize=False)
    expected, _ = slow_group_sum(matrix, pointers, member, np.ones(50))
    np.testing.assert_allclose(sums.toarray(), expected, rtol=1e-6)


# ---- top k ----


@given(csr_matrices(values=halves | st.just(-0.0)), st.integers(1, 10))
def test_top_k_is_by_falling_value_then_lower_column(matrix, k):
    labels, scores = csr_top_k(matrix, k)
    for i in range(matrix.shape[0]):
        expected = padded(best_first(stored_entries(matrix, i)), k)
        assert (labels[i].tolist(), scores[i].tolist()) == expected


@pytest.mark.parametrize("k", [1, 7, 100, 999])
@pytest.mark.parametrize("kind", ["random", "few values", "rising", "falling", "organ pipe"])
def test_top_k_of_long_rows(kind, k):
    rng = np.random.default_rng(0)
    n = 1000
    rows = {
        "random": rng.standard_normal(n),
        "few values": rng.integers(-2, 3, n),
        "rising": np.arange(n),
        "falling": -np.arange(n),
        "organ pipe": np.minimum(np.arange(n), np.arange(n)[::-1]),
    }
    matrix = sp.csr_matrix(np.ones((1, n), dtype=np.float32))
    matrix.data = rows[kind].astype(np.float32)
    labels, scores = csr_top_k(matrix, k)
    expected = padded(best_first(stored_entries(matrix, 0)), k)
    assert (labels[0].tolist(), scores[0].tolist()) == expected


def test_top_k_ranks_nan_as_minus_infinity():
    matrix = sp.csr_matrix(np.ones((1, 4), dtype=np.float32))
    matrix.data[:] = [np.nan, 2, -np.inf, -5]
    labels, scores = csr_top_k(matrix, 5)
    assert labels.tolist() == [[1, 3, 0, 2, -1]]
    assert scores.tolist() == [[2, -5, -np.inf, -np.inf, -np.inf]]


def test_top_k_needs_a_positive_k():
    with pytest.raises(ValueError, match="SKX_EARG"):
        csr_top_k(four_rows(), 0)


# ---- hashes and comparison ----

few_values = st.sampled_from([0.5, 1.0, 2.0])


@given(csr_matrices(values=few_values, max_columns=3, min_rows=1, max_rows=8))
def test_rows_are_equal_when_their_entries_are(matrix):
    n = matrix.shape[0]
    left, right = (pairs.ravel().astype(np.int32) for pairs in np.indices((n, n)))
    entries = [stored_entries(matrix, i) for i in range(n)]
    expected = [entries[i] == entries[j] for i, j in zip(left, right, strict=True)]
    assert csr_rows_equal(matrix, left, right).tolist() == expected


@given(csr_matrices(values=few_values, max_columns=3, min_rows=1, max_rows=8))
def test_rows_hash_alike_exactly_when_they_are_equal(matrix):
    entries = [tuple(stored_entries(matrix, i)) for i in range(matrix.shape[0])]
    pairs = set(zip(entries, csr_hash_rows(matrix).tolist(), strict=True))
    assert len(pairs) == len({e for e, _ in pairs}) == len({h for _, h in pairs})


@given(seeds)
def test_a_seed_changes_a_row_s_hash_alone(seed):
    matrix = random_csr(np.random.default_rng(seed), 4, 6)
    seed_of = np.zeros(4, dtype=np.uint64)
    plain = csr_hash_rows(matrix, seed_of)
    np.testing.assert_array_equal(plain, csr_hash_rows(matrix))
    seed_of[2] = np.uint64(seed + 1)
    changed = csr_hash_rows(matrix, seed_of) != plain
    assert changed.tolist() == [False, False, True, False]


def test_a_hash_depends_on_the_column_too():
    matrix = sp.csr_matrix(np.eye(3, dtype=np.float32))
    assert len(set(csr_hash_rows(matrix).tolist())) == 3


# ---- the border ----


def test_arrays_of_another_kind_never_reach_c():
    with pytest.raises(TypeError, match="C-contiguous array of int32"):
        pointer(np.zeros(3), np.dtype(np.int32))
    with pytest.raises(TypeError, match="strides"):
        pointer(np.zeros(6, dtype=np.int32)[::2], np.dtype(np.int32))


def test_every_status_has_its_name():
    others = ("SKX_EMBEDDING_LINE",)
    names = [name for name in dir(lib) if name.startswith("SKX_E") and name not in others]
    names.append("SKX_OK")
    assert len(names) == 11
    for name in names:
        assert ffi.string(lib.skx_status_name(getattr(lib, name))).decode() == name
    assert ffi.string(lib.skx_status_name(-1)) == b"unknown"


def test_running_out_of_memory_is_a_memory_error():
    with pytest.raises(MemoryError, match="memory"):
        check(lib.SKX_ENOMEM)
