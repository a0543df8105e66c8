import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from reference import columns_of, dense_weights, layer_of, quantised_csr, random_csr
from strategies import seeds

from skxmr._core import (
    CHUNK_WIDTH,
    Columns,
    CSRView,
    GrowingArray,
    Layer,
    Model,
    compile_chunk,
)
from skxmr._core._layers import SLOT, read_chunk

BLOCK = 64

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
    place = np.zeros(len(columns.features), dtype=np.int32)
    place[used] = np.arange(len(used))
    return columns._replace(features=columns.features[used], entries=place[columns.entries])


def assert_same_columns(a, b):
    for name in Columns._fields:
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype, name
        np.testing.assert_array_equal(x, y, err_msg=name)


@given(columns_and_width())
def test_reading_back_gives_what_was_compiled(case):
    columns, n_features = case
    back = read_chunk(compile_chunk(columns, n_features), n_features)
    assert_same_columns(back, without_empty_features(columns))


@given(columns_and_width(), st.sampled_from([0.1, 0.5, 1.0, 10.0]))
def test_reading_with_a_threshold_leaves_out_small_weights(case, threshold):
    columns, n_features = case
    back = read_chunk(compile_chunk(columns, n_features), n_features, threshold)
    assert_same_columns(back, filtered(columns, threshold))


def filtered(columns, threshold):
    kept = np.abs(columns.values) >= np.float32(threshold)
    pointers = np.concatenate(([0], np.cumsum(kept)))[columns.col_ptr].astype(np.int64)
    return without_empty_features(
        columns._replace(
            col_ptr=pointers, entries=columns.entries[kept], values=columns.values[kept]
        )
    )


@given(columns_and_width())
def test_compiled_chunks_pass_the_check(case):
    columns, n_features = case
    chunk = compile_chunk(columns, n_features)
    child_ptr = np.array([0, len(columns.bias)], dtype=np.int64)
    Layer.from_chunks(child_ptr, [chunk]).check(n_features)


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


# ---- layers ----

N_FEATURES = 70 * BLOCK  # room for chunks with direct and with hashed indices


def make_layer(seed=0):
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
    return layer_of(child_ptr, W, bias.astype(np.float32)), W


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


@pytest.mark.parametrize("bias_scale", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.75, 1.0, 5.0])
def test_pruning_is_compiling_what_is_left(threshold, bias_scale):
    layer, W = make_layer()
    pruned = layer.prune(N_FEATURES, threshold, bias_scale)
    kept_bias = np.where(np.abs(layer.bias / bias_scale) >= threshold, layer.bias, 0)
    expected = layer_of(
        layer.child_ptr, np.where(np.abs(W) >= threshold, W, 0), kept_bias.astype(np.float32)
    )
    for name in Layer.DTYPES:
        np.testing.assert_array_equal(getattr(pruned, name), getattr(expected, name), name)


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


def direct_chunk():
    """Features 0 and 70 of 130 in one of three slots each; rows dense (0) and as pairs (70)."""
    W = np.zeros((130, 9), dtype=np.float32)
    W[0], W[70, [2, 5]] = 1, [3, 4]
    chunk = compile_chunk(columns_of(W, np.zeros(9)), 130)
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


def u16(offset, value):
    """A change of the 16-bit offset at a byte of the payload."""
    return lambda chunk: chunk.payload.__setitem__(
        slice(offset, offset + 2), np.array([value], np.uint16).view(np.uint8)
    )


def f32(offset, value):
    """A change of the float32 at a byte of the payload."""
    return lambda chunk: chunk.payload.__setitem__(
        slice(offset, offset + 4), np.array([value], np.float32).view(np.uint8)
    )


def slot(number, **values):
    def change(chunk):
        for name, value in values.items():
            chunk.index[name][number] = value

    return change


def child(offset, value):
    return lambda chunk: chunk.payload.__setitem__(offset, value)


# The payload of direct_chunk: 4 bytes of offsets and 12 weights, padding included; then, from
# PAIRS on, 4 bytes of offsets, 2 weights and 2 child numbers.
PAIRS = 4 + 48


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
        u16(2, 51),
        u16(2, 65535),
        f32(4, np.nan),
        f32(8, np.inf),
        f32(PAIRS + 4, 0),
        f32(PAIRS + 8, -np.inf),
        u16(PAIRS + 2, 4),
        u16(PAIRS + 2, 13),
        u16(PAIRS + 2, 1000),
        child(PAIRS + 12, 5),
        child(PAIRS + 12, 6),
        child(PAIRS + 13, 9),
        child(PAIRS + 13, 255),
    ],
)
def test_malformed_chunks_are_refused(change):
    chunk, n_features = direct_chunk()
    check_chunk(chunk, n_features)
    change(chunk)
    with pytest.raises(ValueError, match="malformed"):
        check_chunk(chunk, n_features)


def test_a_dense_row_without_weights_is_refused():
    chunk, n_features = direct_chunk()
    chunk.payload[4:PAIRS] = 0
    with pytest.raises(ValueError, match="malformed"):
        check_chunk(chunk, n_features)


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
        compile_chunk(layer.columns(c, N_FEATURES), N_FEATURES) for c in range(layer.n_chunks)
    ]
    return Layer.from_chunks(layer.child_ptr, chunks)


def scores_of(layer, view):
    """Margins of all children for all rows, through the search of a two-level tree."""
    n_children = len(layer.bias)
    top = Layer.from_chunks(
        np.array([0, 5], dtype=np.int64),
        [compile_chunk(columns_of(np.zeros((N_FEATURES, 5), np.float32), np.zeros(5)), N_FEATURES)],
    )
    model = Model([top, layer], np.arange(n_children, dtype=np.int32), n_children, N_FEATURES)
    labels, scores = model.rank(
        view, 0, view.shape[0], k=n_children, beam_width=5, post_processor="noop"
    )
    return np.take_along_axis(scores, np.argsort(labels, axis=1), axis=1)


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_layer_is_refused_or_searched_as_it_reads(seed):
    rng = np.random.default_rng(seed)
    layer, W = make_layer(seed)
    X = quantised_csr(rng, 3, N_FEATURES, per_row=1000)
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


@pytest.mark.parametrize("make", [direct_chunk, hashed_chunk])
def test_a_chunk_with_any_one_bit_flipped_is_refused_or_searched_as_it_reads(make):
    chunk, n_features = make()
    X = quantised_csr(np.random.default_rng(0), 2, n_features, per_row=n_features)
    accepted = []
    for name in ("index", "payload"):
        for bit in range(8 * getattr(chunk, name).nbytes):
            array = getattr(chunk, name).copy()
            array.view(np.uint8)[bit // 8] ^= 1 << bit % 8
            mutant = chunk._replace(**{name: array})
            try:
                check_chunk(mutant, n_features)
            except ValueError:
                continue
            accepted.append(name)
            expected = margins(compile_chunk(read_chunk(mutant, n_features), n_features), X)
            np.testing.assert_allclose(margins(mutant, X), expected, rtol=1e-5)
    assert len(accepted) > 100


def margins(chunk, X):
    """Margins of a chunk's children for all rows, through the search of a tree of one level."""
    n_children = len(chunk.bias)
    layer = Layer.from_chunks(np.array([0, n_children], dtype=np.int64), [chunk])
    model = Model([layer], np.arange(n_children, dtype=np.int32), n_children, X.shape[1])
    labels, scores = model.rank(
        CSRView(X), 0, X.shape[0], k=n_children, beam_width=1, post_processor="noop"
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
def test_growing_arrays_hold_what_was_appended(parts):
    growing = GrowingArray(np.int32)
    for part in parts:
        growing.append(np.array(part, dtype=np.int32))
    assert_array_equal(growing.pointers(), np.cumsum([0, *map(len, parts)]))
    whole = growing.take()
    assert whole.dtype == np.int32
    assert whole.tolist() == [value for part in parts for value in part]
