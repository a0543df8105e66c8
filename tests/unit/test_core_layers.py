import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from reference import (
    columns_of,
    dense_weights,
    layer_of,
    quantized_csr,
    random_csr,
    rank_block,
    rounded,
)
from scipy import sparse as sp
from strategies import seeds

from skxmr._core import (
    CHUNK_WIDTH,
    AppendableArray,
    CSRView,
    Layer,
    SiblingWeights,
    compile_chunk,
)
from skxmr._core._layers import SLOT, prune_chunk, read_chunk
from skxmr._ranking.tree_ranker import TreeRanker

BLOCK = 64
DTYPES = ["float32", "float16"]
MOST = 65504  # the largest float16

# ---- compile and read back ----


@st.composite
def columns_and_width(draw):
    """Columns over few or many features, whose rows hold few or many of 1 .. 240 children."""
    n_features = draw(st.sampled_from([1, 63, 64, 65, 130, 3000, 1_000_000]))
    width = draw(st.integers(1, 12) | st.integers(1, CHUNK_WIDTH))
    features = sorted(draw(st.sets(st.integers(0, n_features - 1), max_size=80)))
    density = draw(st.lists(st.sampled_from([0, 0.02, 0.3, 0.7, 1]), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(seeds))
    W = rng.standard_normal((len(features), width)).astype(np.float32)
    W[rng.random(W.shape) >= np.resize(density, len(features))[:, None]] = 0
    columns = columns_of(W, rng.standard_normal(width), np.arange(len(features)))
    return columns._replace(features=np.array(features, dtype=np.int32)), n_features


def without_empty_features(columns):
    """The same columns without the features that no column uses: what a chunk can hold."""
    used = np.unique(columns.entries)
    position = np.zeros(len(columns.features), dtype=np.int32)
    position[used] = np.arange(len(used))
    return columns._replace(features=columns.features[used], entries=position[columns.entries])


def assert_same_columns(a, b):
    for name in SiblingWeights._fields:
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        assert x is None or x.dtype == y.dtype, name
        np.testing.assert_array_equal(x, y, err_msg=name)


def stored(columns, weight_dtype):
    """The columns as a chunk should give them back."""
    columns = without_empty_features(columns)
    return columns._replace(values=rounded(columns.values, weight_dtype))


@given(columns_and_width(), st.sampled_from(DTYPES))
def test_reading_back_gives_what_was_compiled(case, weight_dtype):
    columns, n_features = case
    chunk = compile_chunk(columns, n_features, weight_dtype)
    assert chunk.weight_dtype == weight_dtype
    assert_same_columns(read_chunk(chunk, n_features), stored(columns, weight_dtype))
    check_chunk(chunk, n_features)


@given(
    columns_and_width(), st.sampled_from([0.1, 0.5, 1.0, 10.0, 2.0**-24]), st.sampled_from(DTYPES)
)
def test_reading_with_a_threshold_leaves_out_small_weights(case, threshold, weight_dtype):
    columns, n_features = case
    back = read_chunk(compile_chunk(columns, n_features, weight_dtype), n_features, threshold)
    assert_same_columns(back, filtered(stored(columns, weight_dtype), threshold))


def decode(chunk, n_features):
    """A chunk as a dense (n_features, width), by the letter of the C header."""
    width = len(chunk.bias)
    kind = np.dtype(chunk.weight_dtype)
    W = np.zeros((n_features, width), dtype=np.float32)
    for bits, base, key in chunk.index.tolist():
        block = chunk.payload[4 * base :]
        there = [BLOCK * key + j for j in range(BLOCK) if bits >> j & 1]
        starts = block[: 2 * len(there) + 2].view(np.uint16).tolist() if there else [0]
        for feature, (start, end) in zip(there, pairwise(starts), strict=True):
            children, values = decode_row(block[start:end], width, kind)
            W[feature, children] = values
    return W


def decode_row(row, width, kind):
    """The children and the values of a row."""
    if width <= 16:
        mask = int(row[:2].view(np.uint16)[0])
        return [c for c in range(16) if mask >> c & 1], row[2:].view(kind)
    if len(row) == -(-width // 4) * 4 * kind.itemsize:
        return np.arange(width), row.view(kind)[:width]
    n = len(row) // (kind.itemsize + 1)
    return row[n * kind.itemsize :], row[: n * kind.itemsize].view(kind)


@pytest.mark.parametrize("weight_dtype", DTYPES)
def test_chunks_of_every_width_are_laid_out_as_documented(weight_dtype):
    rng = np.random.default_rng(0)
    for width in range(1, CHUNK_WIDTH + 1):
        W = rng.standard_normal((70, width)) * 2.0 ** rng.integers(-30, 14, (70, width))
        W[rng.random(W.shape) < np.linspace(0, 1, 70)[:, None]] = 0
        columns = columns_of(W.astype(np.float32), np.zeros(width))
        chunk = compile_chunk(columns, 70, weight_dtype)
        check_chunk(chunk, 70)
        assert_same_columns(read_chunk(chunk, 70), stored(columns, weight_dtype))
        expected = rounded(W, weight_dtype)
        np.testing.assert_array_equal(decode(chunk, 70), expected, err_msg=str(width))


@given(columns_and_width(), st.sampled_from(DTYPES))
def test_chunks_are_laid_out_as_documented(case, weight_dtype):
    columns, n_features = case
    if n_features > 10_000:  # as a dense matrix, too large
        columns = columns._replace(features=np.arange(len(columns.features), dtype=np.int32))
        n_features = max(1, len(columns.features))
    chunk = compile_chunk(columns, n_features, weight_dtype)
    expected = rounded(dense_weights(columns, n_features), weight_dtype)
    np.testing.assert_array_equal(decode(chunk, n_features), expected)


def filtered(columns, threshold):
    kept = np.abs(columns.values) >= np.float32(threshold)
    pointers = np.concatenate(([0], np.cumsum(kept)))[columns.col_ptr].astype(np.int64)
    return without_empty_features(
        columns._replace(
            col_ptr=pointers, entries=columns.entries[kept], values=columns.values[kept]
        )
    )


def chunk_of(features, n_features, width=1):
    """A chunk with a weight of 1 for every child at some features."""
    W = np.ones((len(features), width), dtype=np.float32)
    columns = columns_of(W, np.zeros(width))
    return compile_chunk(columns._replace(features=np.array(features, np.int32)), n_features)


@pytest.mark.parametrize("n_features", [1, 64, 65, 1000])
def test_an_index_of_most_blocks_is_direct(n_features):
    index = chunk_of(range(n_features), n_features).index
    assert index["key"].tolist() == list(range(-(-n_features // BLOCK)))


@pytest.mark.parametrize("n_blocks", [1, 2, 3, 12, 50])
def test_an_index_of_few_blocks_is_a_hash_table(n_blocks):
    rng = np.random.default_rng(n_blocks)
    blocks = np.sort(rng.choice(10_000, n_blocks, replace=False))
    index = chunk_of(BLOCK * blocks + 5, BLOCK * 10_000).index
    assert n_blocks < len(index) < 10_000
    assert len(index) & (len(index) - 1) == 0
    used = index["bits"] != 0
    assert sorted(index["key"][used]) == blocks.tolist()
    assert (index["bits"][used] == 1 << 5).all()


def test_a_chunk_without_weights_has_no_index():
    columns = columns_of(np.zeros((3, 5), np.float32), np.arange(5))
    chunk = compile_chunk(columns, 3)
    assert len(chunk.index) == len(chunk.payload) == 0
    assert_same_columns(read_chunk(chunk, 3), columns)


def test_full_rows_are_stored_dense_and_others_as_pairs():
    W = np.ones((1, 100), dtype=np.float32)
    assert len(compile_chunk(columns_of(W, np.zeros(100)), 1).payload) == 4 + 400
    W[:] = 0
    W[0, [3, 50]] = 1
    assert len(compile_chunk(columns_of(W, np.zeros(100)), 1).payload) == 4 + 12


@pytest.mark.parametrize("width", [0, CHUNK_WIDTH + 1])
def test_chunks_of_another_width_are_refused(width):
    columns = columns_of(np.ones((2, width), np.float32), np.zeros(width))
    with pytest.raises(ValueError, match="SKX_EARG"):
        compile_chunk(columns, 2)


# ---- half precision ----


def neighborhood(values):
    """Values and the float32 next to them on either side."""
    infinity = np.float32(np.inf)
    beside = [np.nextafter(values, s * infinity, dtype=np.float32) for s in (-1, 1)]
    return np.concatenate([values, *beside])


def halves():
    """All positive float16, smallest first."""
    return np.arange(1, 0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)


def filled(values, width):
    """The values and their negatives as the rows of a matrix, filled up with ones."""
    values = np.concatenate([values, -values])
    W = np.ones(-(-len(values) // width) * width, dtype=np.float32)
    W[: len(values)] = values
    return W.reshape(-1, width)


def in_pairs(W):
    """The rows of a matrix with five zeros between any two values."""
    spread = np.zeros((len(W), 6 * W.shape[1]), dtype=np.float32)
    spread[:, ::6] = W
    return spread


@pytest.mark.parametrize("width", [1, 16, 17, 240])
def test_values_are_rounded_as_numpy_rounds_but_never_to_zero(width):
    exact = halves()
    ties = (exact[:-1] + exact[1:]) / 2
    tiny = np.array([2**-25, 2**-26, 2**-24 * 1.5, 1e-30, 1e-45, 2**-149], dtype=np.float32)
    values = np.concatenate([exact, neighborhood(ties), neighborhood(exact[:-1]), tiny])
    values = values[width % 2 :: 50] if width == 1 else values
    W = filled(values, width)
    chunk = compile_chunk(columns_of(W, np.zeros(width)), len(W), "float16")
    found = dense_weights(read_chunk(chunk, len(W)), len(W))
    np.testing.assert_array_equal(found, rounded(W, "float16"))
    assert found.all()


@given(st.lists(st.floats(-MOST, MOST, width=32), min_size=1, max_size=40))
def test_any_values_are_rounded_as_numpy_rounds_but_never_to_zero(values):
    W = np.array([values], dtype=np.float32)
    chunk = compile_chunk(columns_of(W, np.zeros(W.shape[1])), 1, "float16")
    np.testing.assert_array_equal(dense_weights(read_chunk(chunk, 1), 1), rounded(W, "float16"))


@pytest.mark.parametrize("arrange", [lambda W: W, in_pairs], ids=["full", "sparse"])
@pytest.mark.parametrize("width", [1, 2, 16, 17, 38, 40])
def test_every_float16_is_searched_as_what_it_is(width, arrange):
    W = arrange(filled(halves()[:: 1 if width == 40 else 13], width))
    chunk = compile_chunk(columns_of(W, np.zeros(W.shape[1])), len(W), "float16")
    np.testing.assert_array_equal(margins(chunk, sp.identity(len(W), np.float32, "csr")), W)


@pytest.mark.parametrize("value", [np.nextafter(np.float32(MOST), np.float32(1e6)), 65520, 3e38])
@pytest.mark.parametrize("sign", [1, -1])
def test_values_beyond_half_precision_are_refused(value, sign):
    W = np.array([[1, 0, sign * value]], dtype=np.float32)
    columns = columns_of(W, np.zeros(3))
    with pytest.raises(ValueError, match="weight_dtype='float16' holds weights up to 65504"):
        compile_chunk(columns, 1, "float16")
    assert_same_columns(read_chunk(compile_chunk(columns, 1), 1), columns)


def test_the_largest_float16_is_kept():
    columns = columns_of(np.array([[MOST, -MOST]]), np.array([1e6, 3e38]))
    back = read_chunk(compile_chunk(columns, 1, "float16"), 1)
    assert_same_columns(back, columns)  # biases are float32 always


# ---- layers ----

N_FEATURES = 70 * BLOCK  # enough for chunks with direct and with hashed indices


def make_layer(seed=0, weight_dtype="float32"):
    """Five nodes of 3, 0, 300, 1 and 6 children: dense and sparse rows, both kinds of index."""
    rng = np.random.default_rng(seed)
    child_ptr = np.cumsum([0, 3, 0, 300, 1, 6])
    W = np.zeros((N_FEATURES, child_ptr[-1]), dtype=np.float32)
    for columns, density in [(slice(0, 3), 0.05), (slice(3, 303), 0.01), (slice(303, 310), 0.3)]:
        part = W[:, columns]
        rows = np.flatnonzero(rng.random(N_FEATURES) < (0.3 if columns.start == 303 else 0.003))
        values = rng.choice([-1, -0.5, 0.5, 1], size=(len(rows), part.shape[1]))
        part[rows] = values * (rng.random(values.shape) < density)
        part[rows[::2]] = values[::2]
    bias = rng.integers(-4, 5, child_ptr[-1]) / 2
    return layer_of(child_ptr, W, bias.astype(np.float32), weight_dtype), W


def test_a_layer_s_chunks_cover_its_children():
    layer, W = make_layer()
    assert layer.n_chunks == 5
    assert layer.chunk_ptr.tolist() == [0, 1, 1, 3, 4, 5]
    ranges = [layer.children_of_chunk(c) for c in range(layer.n_chunks)]
    assert ranges == [(0, 3), (3, 243), (243, 303), (303, 304), (304, 310)]
    for c, (first, end) in enumerate(ranges):
        columns = layer.columns(c, N_FEATURES)
        np.testing.assert_array_equal(dense_weights(columns, N_FEATURES), W[:, first:end])
        np.testing.assert_array_equal(columns.bias, layer.bias[first:end])


def test_the_layer_of_the_fuzzing_has_both_kinds_of_index_and_of_row():
    layer, _ = make_layer()
    slots = np.diff(layer.index_ptr)
    assert slots.max() == N_FEATURES // BLOCK
    assert 0 < slots.min() < N_FEATURES // BLOCK
    layer.check(N_FEATURES)


def test_nbytes_counts_all_arrays():
    layer, _ = make_layer()
    assert layer.nbytes == sum(getattr(layer, name).nbytes for name in Layer.DTYPES)


@pytest.mark.parametrize("weight_dtype", DTYPES)
@pytest.mark.parametrize("bias_scale", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.75, 1.0, 5.0])
def test_pruning_is_compiling_what_is_left(threshold, bias_scale, weight_dtype):
    layer, W = make_layer()
    pruned = layer.prune(N_FEATURES, threshold, bias_scale, weight_dtype)
    kept_bias = np.where(np.abs(layer.bias / bias_scale) >= threshold, layer.bias, 0)
    kept = np.where(np.abs(W) >= threshold, W, 0)
    expected = layer_of(layer.child_ptr, kept, kept_bias.astype(np.float32), weight_dtype)
    assert pruned.weight_dtype == weight_dtype
    for name in Layer.DTYPES:
        np.testing.assert_array_equal(getattr(pruned, name), getattr(expected, name), name)


@given(columns_and_width(), st.sampled_from([0.0, 0.5, 1.0, 3.0]), st.sampled_from(DTYPES))
def test_pruning_a_chunk_is_reading_and_compiling_it(example, threshold, weight_dtype):
    columns, n_features = example
    chunk = compile_chunk(columns, n_features, weight_dtype)
    pruned = prune_chunk(chunk, n_features, threshold)
    left = read_chunk(chunk, n_features, threshold)
    expected = compile_chunk(left, n_features, weight_dtype)
    assert_array_equal(pruned.index, expected.index)
    assert_array_equal(pruned.payload, expected.payload)
    assert pruned.weight_dtype == weight_dtype


def test_pruning_never_writes_more_than_it_was_given():
    # Two blocks share their bytes: well formed, but not what a compiler makes.
    W = np.ones((128, 20), dtype=np.float32)
    chunk = layer_of([0, 20], W, np.zeros(20, np.float32)).chunk(0)
    index = chunk.index.copy()
    index["base"] = 0
    half = chunk._replace(index=index, payload=chunk.payload[: len(chunk.payload) // 2])
    assert read_chunk(half, 128).col_ptr[-1] == W.size
    with pytest.raises(ValueError, match="SKX_ECAPACITY"):
        prune_chunk(half, 128, 0.5)


def test_pruning_looks_at_weights_before_they_are_rounded():
    # As float16, 0.1 is below 0.1 and 0.29999 above 0.3.
    W = np.array([[0.1, 0.3, 0.29999]], dtype=np.float32)
    layer = layer_of([0, 3], W, np.zeros(3, np.float32))
    for threshold, kept in ((0.1, W[0]), (0.3, W[0, 1:2])):
        columns = layer.prune(1, threshold, 1.0, "float16").columns(0, 1)
        np.testing.assert_array_equal(columns.values, rounded(kept, "float16"))


def test_a_level_without_children_is_a_layer():
    layer = Layer.from_chunks(np.array([0, 0], dtype=np.int64), [])
    assert layer.n_chunks == 0
    layer.check(10)


# ---- the check ----


def with_array(layer, name, change):
    """The layer with one array replaced by a changed copy."""
    array = getattr(layer, name).copy()
    changed = change(array)
    return dataclasses.replace(layer, **{name: array if changed is None else changed})


def set_to(position, value):
    """A change that sets one element."""

    def change(array):
        array[position] = value

    return change


@pytest.mark.parametrize("name", list(Layer.DTYPES))
@pytest.mark.parametrize(
    "change",
    [
        lambda a: a[:-1],
        lambda a: np.concatenate([a, a[-1:]]),
        lambda a: a[:0],
        lambda a: a[None],
        lambda a: np.concatenate([a, a])[::2],
        lambda a: a.view(np.uint8) if a.dtype != np.uint8 else a.view(np.int8),
    ],
    ids=["shorter", "longer", "empty", "two-dimensional", "strided", "other type"],
)
def test_arrays_of_another_shape_or_type_are_refused(name, change):
    layer, _ = make_layer()
    broken = with_array(layer, name, change)
    with pytest.raises(ValueError, match=r"layer|array|lengths"):
        broken.check(N_FEATURES)


@pytest.mark.parametrize(
    ("name", "position", "value"),
    [
        ("child_ptr", 0, 1),
        ("child_ptr", 1, -1),
        ("child_ptr", 1, 4),
        ("child_ptr", 2, 400),
        ("child_ptr", -1, 309),
        ("child_ptr", -1, 2**40),
        ("chunk_ptr", 0, 1),
        ("chunk_ptr", 1, 0),
        ("chunk_ptr", 3, 2),
        ("chunk_ptr", -1, 6),
        ("index_ptr", 0, 1),
        ("index_ptr", 1, 10**6),
        ("index_ptr", 2, -1),
        ("index_ptr", -1, 0),
        ("payload_ptr", 0, 4),
        ("payload_ptr", 1, 0),
        ("payload_ptr", 1, 2**62),
        ("payload_ptr", -1, 10**9),
        ("bias", 0, np.nan),
        ("bias", -1, np.inf),
    ],
)
def test_pointers_and_biases_that_contradict_the_layer_are_refused(name, position, value):
    layer, _ = make_layer()
    broken = with_array(layer, name, set_to(position, value))
    with pytest.raises(ValueError, match="layer"):
        broken.check(N_FEATURES)


def direct_chunk(width=17, weight_dtype="float32"):
    """Features 0 and 70 of 130 in one of three slots each; all children at 0, two at 70."""
    W = np.zeros((130, width), dtype=np.float32)
    W[0], W[70, [2, 5]] = 1, [3, 4]
    chunk = compile_chunk(columns_of(W, np.zeros(width)), 130, weight_dtype)
    assert len(chunk.index) == 3
    return chunk, 130


def hashed_chunk():
    """Features in three blocks of a thousand."""
    chunk = chunk_of([5, BLOCK * 400 + 63, BLOCK * 999], BLOCK * 1000, width=9)
    assert len(chunk.index) == 4
    return chunk, BLOCK * 1000


def check_chunk(chunk, n_features):
    child_ptr = np.array([0, len(chunk.bias)], dtype=np.int64)
    Layer.from_chunks(child_ptr, [chunk]).check(n_features)


def number(kind, offset, value):
    """A change of a number of some type at a byte of the payload."""
    data = np.array([value], kind).view(np.uint8)
    return lambda chunk: chunk.payload.__setitem__(slice(offset, offset + len(data)), data)


def u16(offset, value):
    return number(np.uint16, offset, value)


def f32(offset, value):
    return number(np.float32, offset, value)


def f16(offset, value):
    return number(np.float16, offset, value)


def both(*changes):
    return lambda chunk: [change(chunk) for change in changes]


def slot(number, **values):
    def change(chunk):
        for name, value in values.items():
            chunk.index[name][number] = value

    return change


def child(offset, value):
    return lambda chunk: chunk.payload.__setitem__(offset, value)


# The payload of direct_chunk: 4 bytes of offsets and 17 weights padded to 20; then, from PAIRS on,
# 4 bytes of offsets, 2 weights and 2 child numbers. HALF_PAIRS is the same for float16.
PAIRS = 4 + 80
HALF_PAIRS = 4 + 40


def assert_change_is_refused(chunk, n_features, change):
    check_chunk(chunk, n_features)
    change(chunk)
    with pytest.raises(ValueError, match="malformed"):
        check_chunk(chunk, n_features)


@pytest.mark.parametrize(
    "change",
    [
        slot(0, key=1),
        slot(1, key=0),
        slot(2, key=7),
        slot(0, bits=0b11),
        slot(2, bits=1 << 2),
        slot(2, bits=1 << 63),
        slot(0, base=1),
        slot(0, base=2**32 - 1),
        slot(1, base=len(direct_chunk()[0].payload) // 4),
        u16(0, 0),
        u16(0, 6),
        u16(2, 2),
        u16(2, 83),
        u16(2, 65535),
        f32(4, np.nan),
        f32(8, np.inf),
        f32(4 + 4 * 17, 1),
        f32(4 + 4 * 19, np.nan),
        f32(PAIRS + 4, 0),
        f32(PAIRS + 8, -np.inf),
        f32(PAIRS + 8, np.nan),
        u16(PAIRS + 2, 4),
        u16(PAIRS + 2, 13),
        u16(PAIRS + 2, 1000),
        child(PAIRS + 12, 5),
        child(PAIRS + 12, 6),
        child(PAIRS + 13, 17),
        child(PAIRS + 13, 255),
    ],
)
def test_malformed_chunks_are_refused(change):
    assert_change_is_refused(*direct_chunk(), change)


@pytest.mark.parametrize(
    "change",
    [
        f16(4, np.nan),
        f16(8, np.inf),
        f16(8, -np.inf),
        f16(4 + 2 * 17, 1),
        f16(HALF_PAIRS + 4, 0),
        f16(HALF_PAIRS + 6, -0.0),
        f16(HALF_PAIRS + 6, np.inf),
        f16(HALF_PAIRS + 6, np.nan),
        u16(HALF_PAIRS + 2, 9),
        u16(HALF_PAIRS + 2, 14),
        child(HALF_PAIRS + 8, 5),
        child(HALF_PAIRS + 9, 17),
    ],
)
def test_malformed_chunks_of_half_precision_are_refused(change):
    assert_change_is_refused(*direct_chunk(17, "float16"), change)


# A narrow direct_chunk: 4 bytes of offsets, a mask and 9 weights, padded; then, from MASKED on,
# 4 bytes of offsets, a mask and 2 weights. HALF_MASKED is the same for float16.
MASKED = 4 + 2 + 36 + 2
HALF_MASKED = 4 + 2 + 18


def mask_changes(block, value_bytes):
    """Changes to a row of the children 2 and 5 of 9 that contradict its mask or its length."""
    end, mask = block + 2, block + 4
    return {
        "a child beyond the width": u16(mask, 1 << 2 | 1 << 9),
        "the last bit": u16(mask, 1 << 2 | 1 << 15),
        "fewer children than values": u16(mask, 1 << 2),
        "more children than values": u16(mask, 0b111),
        "no child": u16(mask, 0),
        "all bits": u16(mask, 0xFFFF),
        "length 0": u16(end, 4),
        "length 1": u16(end, 5),
        "a mask without values": u16(end, 6),
        "nothing": both(u16(end, 6), u16(mask, 0)),
        "one value too few": u16(end, 6 + value_bytes),
        "half a value": u16(end, 6 + 2 * value_bytes - 1),
        "a byte too many": u16(end, 6 + 2 * value_bytes + 1),
        "beyond the payload": u16(end, 6 + 100 * value_bytes),
        "an end before the beginning": u16(end, 3),
    }


def value_changes(kind, block):
    positions = {"first": block + 6, "last": block + 6 + np.dtype(kind).itemsize}
    return {
        f"{name} value {value}": number(kind, position, value)
        for value in (0.0, -0.0, np.nan, np.inf, -np.inf)
        for name, position in positions.items()
    }


MASKED_CHANGES = {
    "float32": mask_changes(MASKED, 4) | value_changes(np.float32, MASKED),
    "float16": mask_changes(HALF_MASKED, 2) | value_changes(np.float16, HALF_MASKED),
}


@pytest.mark.parametrize("name", list(MASKED_CHANGES["float32"]))
@pytest.mark.parametrize("weight_dtype", DTYPES)
def test_malformed_masked_rows_are_refused(weight_dtype, name):
    assert_change_is_refused(*direct_chunk(9, weight_dtype), MASKED_CHANGES[weight_dtype][name])


@pytest.mark.parametrize("weight_dtype", DTYPES)
def test_a_mask_of_other_children_is_another_chunk(weight_dtype):
    # What the cases above change is what they mean to change.
    chunk, n_features = direct_chunk(9, weight_dtype)
    u16((MASKED if weight_dtype == "float32" else HALF_MASKED) + 4, 1 << 3 | 1 << 8)(chunk)
    check_chunk(chunk, n_features)
    W = dense_weights(read_chunk(chunk, n_features), n_features)
    assert W[70].tolist() == [0, 0, 0, 3, 0, 0, 0, 0, 4]


@pytest.mark.parametrize("weight_dtype", DTYPES)
def test_a_dense_row_without_weights_is_refused(weight_dtype):
    def change(chunk):
        chunk.payload[4 : PAIRS if weight_dtype == "float32" else HALF_PAIRS] = 0

    assert_change_is_refused(*direct_chunk(17, weight_dtype), change)


@pytest.mark.parametrize("weight_dtype", ["float64", "", None, np.float32])
def test_layers_of_another_weight_dtype_are_refused(weight_dtype):
    layer, _ = make_layer()
    with pytest.raises(ValueError, match="weight_dtype"):
        dataclasses.replace(layer, weight_dtype=weight_dtype).check(N_FEATURES)


def test_a_layer_taken_for_another_weight_dtype_is_refused():
    for taken, stored in (DTYPES, DTYPES[::-1]):
        layer, _ = make_layer(weight_dtype=stored)
        with pytest.raises(ValueError, match="malformed"):
            dataclasses.replace(layer, weight_dtype=taken).check(N_FEATURES)


def used_slots():
    return np.flatnonzero(hashed_chunk()[0].index["bits"])


@pytest.mark.parametrize(
    "change",
    [
        slot(used_slots()[0], key=1000),
        slot(used_slots()[0], key=2**32 - 1),
        slot(used_slots()[1], key=hashed_chunk()[0].index["key"][used_slots()[0]]),
        slot(used_slots()[2], bits=0b11),
    ],
)
def test_malformed_hash_tables_are_refused(change):
    chunk, n_features = hashed_chunk()
    check_chunk(chunk, n_features)
    change(chunk)
    with pytest.raises(ValueError, match="malformed"):
        check_chunk(chunk, n_features)


def test_a_hash_table_must_have_its_blocks_where_a_search_finds_them():
    chunk, n_features = hashed_chunk()
    refused = 0
    for shift in range(1, 4):
        try:
            check_chunk(chunk._replace(index=np.roll(chunk.index, shift)), n_features)
        except ValueError:
            refused += 1
    assert refused == 3


@pytest.mark.parametrize("n_slots", [3, 5, 6, 1024])
def test_a_hash_table_s_size_is_a_power_of_two_below_the_direct_size(n_slots):
    chunk, n_features = hashed_chunk()
    index = np.zeros(n_slots, dtype=SLOT)
    index[: min(n_slots, 4)] = chunk.index[: min(n_slots, 4)]
    with pytest.raises(ValueError, match="malformed"):
        check_chunk(chunk._replace(index=index), n_features)


def test_the_faulty_node_is_named():
    layer, _ = make_layer()
    first = int(layer.index_ptr[4])
    broken = with_array(layer, "index", set_to(slice(first, first + 1), (1, 2**32 - 1, 0)))
    with pytest.raises(ValueError, match="node 4"):
        broken.check(N_FEATURES)


# ---- fuzzing ----


def mutate(rng, layer):
    """Change one array of a layer a little: bytes, elements, order or length."""
    name = str(rng.choice(list(Layer.DTYPES)))
    array = getattr(layer, name).copy()
    at, other = rng.integers(len(array), size=2)
    kind = rng.integers(5)
    if kind == 0:
        array.view(np.uint8)[rng.integers(array.nbytes)] ^= 1 << rng.integers(8)
    elif kind == 1:
        array.view(np.uint8)[rng.integers(array.nbytes)] = rng.choice([0, 1, 127, 128, 255])
    elif kind == 2:
        array[[at, other]] = array[[other, at]]
    elif kind == 3:
        array[at] = array[other]
    else:
        array = array[:at] if rng.random() < 0.5 else np.concatenate([array[:at], array])
    return dataclasses.replace(layer, **{name: array})


def recompiled(layer):
    """The layer built anew from what its chunks read as."""
    chunks = [
        compile_chunk(layer.columns(c, N_FEATURES), N_FEATURES, layer.weight_dtype)
        for c in range(layer.n_chunks)
    ]
    return Layer.from_chunks(layer.child_ptr, chunks)


def scores_of(layer, view):
    """Margins of all children for all rows, through the search of a two-level tree."""
    n_children = len(layer.bias)
    top = Layer.from_chunks(
        np.array([0, 5], dtype=np.int64),
        [compile_chunk(columns_of(np.zeros((N_FEATURES, 5), np.float32), np.zeros(5)), N_FEATURES)],
    )
    model = TreeRanker([top, layer], np.arange(n_children, dtype=np.int32), n_children, N_FEATURES)
    labels, scores = rank_block(
        model, view, 0, view.shape[0], k=n_children, beam_width=5, post_processor="noop"
    )
    return np.take_along_axis(scores, np.argsort(labels, axis=1), axis=1)


@pytest.mark.parametrize(("seed", "weight_dtype"), list(enumerate(2 * DTYPES)))
def test_a_mutated_layer_is_refused_or_searched_as_it_reads(seed, weight_dtype):
    rng = np.random.default_rng(seed)
    layer, W = make_layer(seed, weight_dtype)
    X = quantized_csr(rng, 3, N_FEATURES, per_row=1000)
    view = CSRView(X)
    np.testing.assert_allclose(scores_of(layer, view), X @ W + layer.bias)
    accepted = 0
    for _ in range(400):
        mutant = mutate(rng, layer)
        try:
            mutant.check(N_FEATURES)
        except ValueError:
            continue
        accepted += 1
        expected = scores_of(recompiled(mutant), view)
        np.testing.assert_allclose(scores_of(mutant, view), expected, rtol=1e-5)
    assert 50 < accepted < 300


def narrow_chunk():
    return direct_chunk(9)


def half_chunk():
    return direct_chunk(17, "float16")


def narrow_half_chunk():
    return direct_chunk(9, "float16")


# Quickly, every third bit of a chunk with many bits.
@pytest.mark.parametrize(
    ("make", "step"),
    [
        *((make, 1) for make in (direct_chunk, narrow_chunk, half_chunk, narrow_half_chunk)),
        (hashed_chunk, 3),
        pytest.param(hashed_chunk, 1, marks=pytest.mark.slow),
    ],
)
def test_a_chunk_with_any_one_bit_flipped_is_refused_or_searched_as_it_reads(make, step):
    chunk, n_features = make()
    X = quantized_csr(np.random.default_rng(0), 2, n_features, per_row=n_features)
    accepted = []
    for name in ("index", "payload"):
        for bit in range(0, 8 * getattr(chunk, name).nbytes, step):
            array = getattr(chunk, name).copy()
            array.view(np.uint8)[bit // 8] ^= 1 << bit % 8
            mutant = chunk._replace(**{name: array})
            try:
                check_chunk(mutant, n_features)
            except ValueError:
                continue
            accepted.append(name)
            again = compile_chunk(read_chunk(mutant, n_features), n_features, mutant.weight_dtype)
            expected = margins(again, X)
            np.testing.assert_allclose(margins(mutant, X), expected, rtol=1e-5)
    assert len(accepted) > 100


def margins(chunk, X):
    """Margins of a chunk's children for all rows, through the search of a tree of one level."""
    n_children = len(chunk.bias)
    layer = Layer.from_chunks(np.array([0, n_children], dtype=np.int64), [chunk])
    model = TreeRanker([layer], np.arange(n_children, dtype=np.int32), n_children, X.shape[1])
    labels, scores = rank_block(
        model, CSRView(X), 0, X.shape[0], k=n_children, beam_width=1, post_processor="noop"
    )
    return np.take_along_axis(scores, np.argsort(labels, axis=1), axis=1)


def test_searching_ignores_features_the_layer_has_no_weights_for():
    layer, W = make_layer()
    unused = np.flatnonzero(~W.any(axis=1))[:50]
    X = random_csr(np.random.default_rng(0), 2, N_FEATURES, density=0.01)
    with_unused = X.tolil()
    with_unused[:, unused] = 7
    np.testing.assert_array_equal(
        scores_of(layer, CSRView(X)), scores_of(layer, CSRView(with_unused.tocsr()))
    )


@given(st.lists(st.lists(st.integers(0, 9), max_size=40), max_size=12))
def test_append_only_arrays_hold_what_was_appended(parts):
    array = AppendableArray(np.int32)
    for part in parts:
        array.append(np.array(part, dtype=np.int32))
    assert_array_equal(array.pointers(), np.cumsum([0, *map(len, parts)]))
    whole = array.take()
    assert whole.dtype == np.int32
    assert whole.tolist() == [value for part in parts for value in part]
