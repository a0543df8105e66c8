"""Damaged model folders are refused by name, or harmless; they never crash."""

import itertools
import json
import os
import pickle
import shutil
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import slow_except
from numpy.testing import assert_array_equal
from saved_models import (
    ARRAYS,
    CODES,
    DAMAGED,
    MIXED,
    N_LABELS,
    N_ROWS,
    SAMPLED,
    TEXT_CLASSES,
    TWO_LEVELS,
    X,
    Y,
    array_file,
    array_names,
    array_shape,
    assert_refused,
    assert_refused_if_verified,
    assert_refused_or_harmless,
    assert_same_estimator,
    classifier,
    forge,
    linux,
    manifest_of,
    or_refuse,
    paths_of,
    write_field,
    write_manifest,
)
from strategies import edits, examples, json_values

import skxmr
from skxmr import XRLinearClassifier
from skxmr._utils.folder import LATEST, seal

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

# ---- damaged arrays ----

each_array = pytest.mark.parametrize("name", slow_except(SAMPLED, ARRAYS))


def test_no_model_is_a_file_not_found(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match="no saved model"):
            skxmr.load(folder)


def test_the_copy_that_is_damaged_below_is_sound(model):
    assert_refused_or_harmless(model)
    assert_array_equal(skxmr.load(model).classes_, TEXT_CLASSES)


def test_the_saved_model_has_these_arrays(original):
    assert array_names(original) == sorted(ARRAYS)


def test_missing_arrays_are_refused(model):
    for name in ARRAYS:
        file = array_file(model, name)
        file.rename(model / "kept")
        assert_refused(model)
        (model / "kept").rename(file)
    skxmr.load(model)


@each_array
def test_truncated_arrays_are_refused(model, name):
    file = array_file(model, name)
    whole = file.read_bytes()
    for length in {0, 3, 9, 60, len(whole) - 1, len(whole) // 2}:
        file.write_bytes(whole[:length])
        assert_refused(model)
    file.write_bytes(whole + b"\0")
    assert_refused(model)


def flipped(content, at, rng):
    """The content with one bit of the byte at a position inverted."""
    damaged = bytearray(content)
    damaged[at] ^= 1 << rng.integers(8)
    return damaged


@each_array
def test_flipped_bytes_are_refused(model, name):
    rng = np.random.default_rng(ARRAYS.index(name))
    file = array_file(model, name)
    whole = file.read_bytes()
    header = 10 + struct.unpack("<H", whole[8:10])[0]
    for at in rng.integers(header, len(whole), size=4):
        file.write_bytes(flipped(whole, at, rng))
        assert_refused_if_verified(model)
    file.write_bytes(whole)
    skxmr.load(model)


@each_array
def test_flipped_header_bytes_are_refused_or_change_nothing(model, name):
    rng = np.random.default_rng(ARRAYS.index(name))
    file = array_file(model, name)
    whole = file.read_bytes()
    for at in rng.integers(0, 128, size=6):
        file.write_bytes(flipped(whole, at, rng))
        assert_refused_or_harmless(model)


HOSTILE_HEADERS = [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (0, -1), }",
    "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': 'many', }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
    "__import__('os').getcwd()",
    "(" * 200,
    "{" * 5000,
    "()" * 2000,
    "-" * 900 + "1",
    "-" * 9000 + "1",
    "",
]


@pytest.mark.parametrize("header", HOSTILE_HEADERS)
@pytest.mark.parametrize("name", ["tree.0.layer.0.bias", "classes.bytes"])
def test_hostile_headers_are_refused(model, name, header):
    text = header.encode("latin1")
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\0" * 4
    array_file(model, name).write_bytes(content)
    manifest = manifest_of(model)
    manifest["arrays"][name] = {"shape": [1], "crc32": zlib.crc32(b"\0" * 4)}
    write_manifest(model, manifest)
    assert_refused(model)


@pytest.mark.skipif(sys.platform != "linux", reason="limits open files")
@pytest.mark.parametrize("mmap", slow_except([False], [False, True]))
def test_too_few_files_are_no_damage(model, mmap):
    script = """if True:
        import resource, sys, skxmr
        skxmr.load(sys.argv[1])  # whatever is imported late
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[3]), 4096))
        try:
            print(type(skxmr.load(sys.argv[1], mmap=bool(int(sys.argv[2])))).__name__)
        except OSError as error:
            print(error.strerror)
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
        print(skxmr.load(sys.argv[1]).n_labels_)
    """
    # A folder that is read needs one file at a time, one that is mapped a file for each array.
    limit = 12 if mmap else 3
    command = [sys.executable, "-c", script, str(model), str(int(mmap)), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=model.parent)
    assert done.stdout.splitlines() == ["Too many open files", str(N_LABELS)]


@pytest.mark.parametrize("version", [b"\x02\x00", b"\x03\x00", b"\x09\x00"])
def test_other_versions_of_npy_are_refused(model, version):
    file = array_file(model, "tree.0.slot_label")
    whole = bytearray(file.read_bytes())
    whole[6:8] = version
    file.write_bytes(whole)
    assert_refused(model)


def test_pickles_are_never_loaded(model):
    class Evil:
        def __reduce__(self):
            return (Path(model / "pwned").touch, ())

    forge(model, "tree.0.slot_label", np.array([Evil()], dtype=object))
    assert_refused(model)
    assert not (model / "pwned").exists()


FORGERIES = {
    "empty": lambda a: a[:0],
    "one shorter": lambda a: a[:-1],
    "one longer": lambda a: np.concatenate([a, a[:1]]),
    "two dimensions": lambda a: a[None],
    "no dimension": lambda a: a[:1].reshape(()),
    "bytes": lambda a: a.view(np.uint8),
    "wider": lambda a: a.astype(np.float64) if a.dtype.names is None else a.view(np.uint64),
    "big endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "complex": lambda a: np.zeros(a.shape, dtype=complex),
}


@each_array
@pytest.mark.parametrize("how", FORGERIES)
def test_forged_shapes_and_dtypes_are_refused_or_harmless(model, name, how):
    array = np.load(array_file(model, name))
    forged = FORGERIES[how](array)
    forge(model, name, forged)
    # Some arrays have no such form: bytes stay bytes.
    same = forged.dtype == array.dtype and forged.shape == array.shape
    (assert_refused_or_harmless if same else assert_refused_if_verified)(model)


@given(edits(), st.booleans())
@examples(250)
@pytest.mark.slow
def test_forged_contents_are_refused_or_harmless(tmp_path_factory, edits, structural):
    """With a checksum that fits, so that only the structure of the model is left to object."""
    original, folder = forgery_workshop(tmp_path_factory)
    names = array_names(original)
    if structural:  # the pointers decide where everything else is looked for
        names = [n for n in names if n.endswith(("ptr", "index", "slot_label", "pointers"))]
    touched = set()
    for which, where, content in edits:
        name = names[which % len(names)]
        array = np.load(array_file(folder, name))
        raw = bytearray(array.tobytes())
        if not raw:
            continue
        at = where % len(raw)
        if structural:
            at -= at % array.dtype.itemsize
        content = content[: len(raw) - at]
        raw[at : at + len(content)] = content
        forge(folder, name, np.frombuffer(bytes(raw), array.dtype).reshape(array.shape))
        touched.add(name)
    assert_refused_or_harmless(folder)
    for name in touched:
        shutil.copy(array_file(original, name), array_file(folder, name))
    shutil.copy(original / "skxmr.json", folder / "skxmr.json")


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans())
@examples(60)
def test_swapped_arrays_are_refused_or_harmless(tmp_path_factory, a, b, with_specs):
    """Alone, or with what the manifest says of them."""
    original, folder = forgery_workshop(tmp_path_factory)
    names = array_names(original)
    pair = names[a % len(names)], names[b % len(names)]
    for name, other in (pair, pair[::-1]):
        shutil.copy(array_file(original, name), array_file(folder, other))
    if with_specs:
        manifest = manifest_of(original)
        specs = manifest["arrays"]
        specs[pair[0]], specs[pair[1]] = specs[pair[1]], specs[pair[0]]
        write_manifest(folder, manifest)
    assert_refused_or_harmless(folder)
    for name in pair:
        shutil.copy(array_file(original, name), array_file(folder, name))
    shutil.copy(original / "skxmr.json", folder / "skxmr.json")


_WORKSHOP = {}


def forgery_workshop(tmp_path_factory):
    """A model and its copy, made once: copying for each example would be most of the time."""
    if not _WORKSHOP:
        base = tmp_path_factory.mktemp("forgery")
        clf = classifier(indexer=TWO_LEVELS, **MIXED).fit(X, TEXT_CLASSES[CODES])
        clf.save(base / "model")
        shutil.copytree(base / "model", base / "copy")
        _WORKSHOP["folders"] = base / "model", base / "copy"
    return _WORKSHOP["folders"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3.4e38])
def test_weights_that_are_no_finite_numbers_do_no_harm(original, tmp_path, value):
    for name in array_names(original):
        if name.endswith(".bias"):
            folder = Path(shutil.copytree(original, tmp_path / name))
            forge(folder, name, np.full_like(np.load(array_file(folder, name)), value))
            assert_refused_or_harmless(folder)


# ---- damaged manifests ----


@given(st.integers(0, 10**6), json_values)
@examples(120)
def test_any_value_anywhere_in_the_manifest_is_refused_or_harmless(tmp_path_factory, where, value):
    original, folder = forgery_workshop(tmp_path_factory)
    manifest = manifest_of(original)
    paths = [p for p in paths_of(manifest) if p[-1] != "n_jobs"]
    *path, last = paths[where % len(paths)]
    owner = manifest
    for key in path:
        owner = owner[key]
    owner[last] = value
    write_manifest(folder, manifest)
    assert_refused_or_harmless(folder)
    shutil.copy(original / "skxmr.json", folder / "skxmr.json")


@pytest.mark.parametrize("n_bits", [200, pytest.param(1500, marks=pytest.mark.slow)])
def test_any_bit_of_the_manifest_is_checked(model, n_bits):
    file = model / "skxmr.json"
    whole = file.read_bytes()
    sound = json.loads(whole)
    rng = np.random.default_rng(0)
    n_refused = 0
    for at in rng.permutation(len(whole))[:n_bits]:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << rng.integers(8)
        file.write_bytes(flipped)
        try:
            read = json.loads(flipped)
        except ValueError:
            read = None
        if read == sound:  # blanks between the values
            continue
        n_refused += 1
        with pytest.raises(ValueError, match=DAMAGED):
            skxmr.load(model, mmap=True)
    assert n_refused > n_bits // 2


def test_no_field_or_parameter_may_be_missing(model):
    manifest = manifest_of(model)
    for key in manifest.keys() - {
        "feature_names",
        "n_rows_given",
        "skxmr",
        "neighbors",
        "threshold",
    }:
        left = {k: v for k, v in manifest.items() if k != key}
        (model / "skxmr.json").write_text(json.dumps(left if key == "crc32" else seal(left)))
        assert_refused(model)
    for name in manifest["params"]:
        left = {k: v for k, v in manifest["params"].items() if k != name}
        write_manifest(model, {**manifest, "params": left})
        assert_refused(model)


def damage_one(folder, name):
    """Flip a bit of an array's last byte, without putting its checksum right."""
    file = array_file(folder, name)
    whole = bytearray(file.read_bytes())
    whole[-1] ^= 1
    file.write_bytes(whole)


@each_array
@pytest.mark.parametrize("again", [False, True])
def test_damage_does_not_become_sound_by_saving_again(model, tmp_path, name, again):
    damage_one(model, name)
    clf = or_refuse(lambda: skxmr.load(model, mmap=True))
    if again and clf is not None:
        clf = or_refuse(lambda: pickle.loads(pickle.dumps(clf)))
    if clf is None:
        return
    good = classifier().fit(X, Y)
    good.save(tmp_path / "saved")
    with pytest.raises(ValueError, match=f"{DAMAGED}.*damaged"):
        clf.save(tmp_path / "saved")
    assert_same_estimator(skxmr.load(tmp_path / "saved"), good)
    assert len(list((tmp_path / "saved").iterdir())) == 2


@pytest.mark.parametrize(
    "value", slow_except([-1, N_ROWS], [2**31 - 1, -(2**31), -1, N_ROWS, 10**6])
)
@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize(
    "name", ["neighbors.labels", "neighbors.label_ptr", "neighbors.word_ptr", "neighbors.source"]
)
def test_what_is_added_to_a_damaged_model_is_refused(model, frame, name, forged, value):
    array = np.load(array_file(model, name))
    array[5] = value
    if forged:
        forge(model, name, array)
    else:
        np.save(array_file(model, name), array)
    clf = skxmr.load(model, mmap=True)
    labels = clf.rank(frame, 3)[0]
    with pytest.raises(ValueError, match=f"{DAMAGED}.*damaged"):
        clf.add_neighbors(frame[:5], TEXT_CLASSES[CODES[:5]])
    more = np.append(["new"], TEXT_CLASSES[CODES[1:]])
    with pytest.raises(ValueError, match=f"{DAMAGED}.*damaged"):
        clf.add_labels(frame, more)
    assert_array_equal(clf.rank(frame, 3)[0], labels)


@pytest.mark.parametrize("value", [2**31 - 1, -1])
def test_trees_of_a_damaged_model_are_refused_when_they_are_asked_for(model, frame, value):
    slots = np.load(array_file(model, "tree.0.slot_label"))
    slots[2] = value
    forge(model, "tree.0.slot_label", slots)
    clf = skxmr.load(model, mmap=True)
    for _ in range(2):
        for ask in (
            lambda: clf.tree_.slot_label,
            lambda: clf.tree_.path(1),
            lambda: clf.tree_.leaf_clusters,
            lambda: pickle.dumps(clf.tree_),
            lambda: clf.explain(frame[:1], "label 1"),
        ):
            with pytest.raises(ValueError, match=f"{DAMAGED}.*damaged"):
                ask()
    assert clf.tree_.n_slots == len(slots)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "3",
        '"skxmr model"',
        "{}",
        "\x00",
        "[" * 100_000,
        '{"format": "other", "version": 1}',
        '{"format": "skxmr model"}',
        '{"format": "skxmr model", "version": 1}',
        '{"format": "skxmr model", "version": 2}',
        '{"format": "skxmr model", "version": 3}',
        '{"format": "skxmr model", "version": 3, "n_levels": ' + "9" * 10_000 + "}",
    ],
)
def test_manifests_that_are_none_are_refused(model, text):
    (model / "skxmr.json").write_text(text)
    assert_refused(model)


def test_a_manifest_that_is_not_utf8_is_refused(model):
    (model / "skxmr.json").write_bytes(b'{"format": "\xff"}')
    assert_refused(model)


def test_a_truncated_manifest_is_refused(model):
    whole = (model / "skxmr.json").read_bytes()
    for length in range(0, len(whole) - 2, 37):
        (model / "skxmr.json").write_bytes(whole[:length])
        assert_refused(model)


WRONG_VALUES = [None, True, -1, 0, 2**31, 2**80, 1.5, float("nan"), "x", "../..", [], [[]], {}]


# Quickly, each field has one of three values.
each_wrong_value = pytest.mark.parametrize(
    "values",
    [[None, 2**80, "x"], *(pytest.param([v], marks=pytest.mark.slow) for v in WRONG_VALUES)],
    ids=str,
)


@each_wrong_value
def test_wrong_values_in_the_manifest_are_refused_or_harmless(model, values):
    manifest = manifest_of(model)
    for key, value in zip(manifest, itertools.cycle(values), strict=False):
        write_manifest(model, {**manifest, key: value})
        assert_refused_or_harmless(model)


def test_missing_fields_of_the_manifest_are_refused_or_harmless(model):
    manifest = manifest_of(model)
    for key in manifest:
        write_manifest(model, {k: v for k, v in manifest.items() if k != key})
        assert_refused_or_harmless(model)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "other"),
        ("version", 1),
        ("version", 3),
        ("version", LATEST + 1),
        ("version", 6.0),
        ("version", "6"),
        ("class", "KMeansIndexer"),
        ("class", "os.system"),
        ("params", []),
        ("params", {"unheard_of": 1}),
        ("params", {"beam_width": 0}),
        ("params", {"post_processor": "none"}),
        ("params", {"loss": ["log_loss"]}),
        ("params", {"indexer": "KMeansIndexer"}),
        ("params", {"indexer": {"class": "Popen", "params": {}}}),
        ("params", {"indexer": {"class": "KMeansIndexer", "params": {"unheard_of": 1}}}),
        ("params", {"indexer": {"class": "KMeansIndexer"}}),
        ("n_features", 0),
        ("n_features", 1),
        ("n_features", 2**31),
        ("n_features", "14"),
        ("n_features", True),
        ("trees", []),
        ("trees", {}),
        ("trees", [3]),
        ("has_neighbor_rows", 1),
        ("has_neighbor_rows", None),
        ("n_levels", 0),
        ("n_levels", 99),
        ("n_levels", 2**60),
        ("n_labels", 0),
        ("n_labels", N_LABELS - 1),
        ("n_labels", N_LABELS + 1),
        ("n_labels", 2**40),
        ("max_copies", 0),
        ("max_copies", 2**62),
        ("n_iter", "many"),
        ("weight_dtype", "float64"),
        ("weight_dtype", ""),
        ("weight_dtype", 2),
        ("weight_dtype", None),
        ("params", {"weight_dtype": "float64"}),
        ("container", "list"),
        ("container", None),
        ("classes", "numbers"),
        ("classes", "pickle"),
        ("feature_names", "numbers"),
        ("feature_names", 3),
        ("arrays", []),
        ("arrays", {}),
        ("arrays_in", "arrays-ffffffffffffffff"),
        ("arrays_in", "."),
        ("arrays_in", ""),
        ("arrays_in", "../model"),
        ("arrays_in", "/etc"),
        ("arrays_in", "arrays-0123456789abcdef/../.."),
        ("arrays_in", "arrays-0123456789abcdef\n"),
    ],
)
def test_wrong_manifest_fields_are_refused(model, key, value):
    write_field(model, key, value)
    assert_refused(model)


@each_wrong_value
def test_wrong_parameters_in_the_manifest_are_refused_or_harmless(model, values):
    manifest = manifest_of(model)
    # A number of workers is not damage, even if it is larger than the number of cores.
    names = sorted(manifest["params"].keys() - {"n_jobs"})
    for name, value in zip(names, itertools.cycle(values), strict=False):
        params = {**manifest["params"], name: value}
        write_manifest(model, {**manifest, "params": params})
        assert_refused_or_harmless(model)


WRONG_ENTRIES = [None, 3, [], {}, {"shape": None}, {"shape": [1], "crc32": "x"}]


@pytest.mark.parametrize("spec", slow_except([{"shape": [1], "crc32": "x"}], WRONG_ENTRIES))
def test_wrong_entries_of_arrays_are_refused(model, spec):
    manifest = manifest_of(model)
    for name in manifest["arrays"]:
        write_manifest(model, {**manifest, "arrays": {**manifest["arrays"], name: spec}})
        is_shape = isinstance(spec, dict) and spec.get("shape") and array_shape(model, name) == [1]
        (assert_refused_if_verified if is_shape else assert_refused)(model)


def test_arrays_are_not_looked_for_outside_the_folder(model, tmp_path):
    arrays = manifest_of(model)["arrays_in"]
    shutil.move(model / arrays, tmp_path / arrays)
    for name in (f"../{arrays}", str(tmp_path / arrays)):
        write_manifest(model, {**manifest_of(model), "arrays_in": name})
        assert_refused(model)


def test_strings_that_are_not_utf8_are_refused(model):
    data = np.load(array_file(model, "classes.bytes"))
    data[0] = 0xFF
    forge(model, "classes.bytes", data)
    assert_refused_if_verified(model)


@pytest.mark.parametrize("values", [[0], [], [0, 5, 3], [-1, 5], [0, 2**40], [5]])
def test_string_pointers_that_lead_astray_are_refused(model, values):
    forge(model, "classes.pointers", np.array(values, dtype=np.int64))
    assert_refused(model)


def test_string_pointers_that_fall_are_refused(model):
    pointers = np.load(array_file(model, "classes.pointers"))
    pointers[2] = pointers[3] + 1
    forge(model, "classes.pointers", pointers)
    assert_refused_if_verified(model)


def test_a_wrong_number_of_copies_is_refused(model):
    write_field(model, "max_copies", 2)
    assert_refused_if_verified(model)


def test_n_jobs_of_a_saved_model_is_checked(tmp_path):
    clf = XRLinearClassifier(random_state=0).fit(np.eye(3, dtype=np.float32), ["a", "b", "c"])
    clf.save(tmp_path)
    manifest = json.loads((tmp_path / "skxmr.json").read_text())
    manifest["params"]["n_jobs"] = "x"
    (tmp_path / "skxmr.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="the saved model"):
        skxmr.load(tmp_path)


# ---- special files ----


def make_special(path, kind):
    """Make something at a path that is no regular file."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            here = os.open(".", os.O_RDONLY)
            os.chdir(path.parent)  # names of sockets are short
            server.bind(path.name)
            os.fchdir(here)
            os.close(here)
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.symlink_to(kind)


SPECIAL = ["fifo", "socket", "loop", "/dev/zero", "/dev/random", "/dev/null", "/nonexistent"]


@linux
@pytest.mark.parametrize("kind", SPECIAL)
def test_only_regular_files_are_read(model, kind):
    for name in ("tree.0.slot_label", "tree.0.layer.0.child_ptr", "classes.bytes"):
        file = array_file(model, name)
        file.rename(model / "kept")
        make_special(file, kind)
        assert_refused(model)
        file.unlink()
        (model / "kept").rename(file)
    (model / "skxmr.json").unlink()
    make_special(model / "skxmr.json", kind)
    error = FileNotFoundError if kind == "/nonexistent" else ValueError
    with pytest.raises(error, match="saved model"):
        skxmr.load(model)
    clf = classifier().fit(X, Y)
    clf.save(model)
    assert not (model / "skxmr.json").is_symlink()
    assert_same_estimator(skxmr.load(model), clf)


@linux
def test_files_may_be_links_to_regular_files(model, frame, tmp_path):
    """As in caches that keep each file once."""
    expected = skxmr.load(model).rank(frame)
    (tmp_path / "blobs").mkdir()
    for i, file in enumerate([*model.rglob("*.npy"), model / "skxmr.json"]):
        file.rename(tmp_path / "blobs" / str(i))
        file.symlink_to(tmp_path / "blobs" / str(i))
    (tmp_path / "link").symlink_to(model)
    before = {p: p.read_bytes() for p in (tmp_path / "blobs").iterdir()}
    for mmap in (False, True):
        clf = skxmr.load(tmp_path / "link", mmap=mmap)
        assert_array_equal(clf.rank(frame), expected)
    classifier(C=0.1).fit(X, Y).save(tmp_path / "link")
    assert before == {p: p.read_bytes() for p in (tmp_path / "blobs").iterdir()}
    assert len(list(model.iterdir())) == 2


@linux
@pytest.mark.parametrize("kind", [*SPECIAL, "precious", "folder"])
def test_what_is_left_over_is_removed_and_never_followed(tmp_path, kind):
    clf, folder, precious = classifier().fit(X, Y), tmp_path / "model", tmp_path / "precious"
    clf.save(folder)
    (precious / "below").mkdir(parents=True)
    (precious / "file").write_text("mine")
    kind = {"precious": precious / "file", "folder": precious}.get(kind, kind)
    for name in ("skxmr.json.tmp", "arrays-0123456789abcdef.tmp", "arrays-0123456789abcdef"):
        make_special(folder / name, kind)
    (folder / "arrays-fedcba9876543210").mkdir()
    (folder / "arrays-fedcba9876543210" / "link").symlink_to(precious)
    clf.save(folder)
    assert len(list(folder.iterdir())) == 2
    assert_same_estimator(skxmr.load(folder), clf)
    assert (precious / "file").read_text() == "mine"
    assert (precious / "below").is_dir()


def test_a_manifest_without_end_is_not_read(model):
    with open(model / "skxmr.json", "ab") as file:
        file.truncate(1 << 40)
    assert_refused(model)
