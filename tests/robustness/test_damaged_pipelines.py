"""Damaged folders of pipelines, wrappers and completers are refused by name, and never crash."""

import io
import itertools
import json
import shutil
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from saved_models import (
    CLASSIFIER,
    DAMAGED,
    TEXTS,
    TOPICS,
    array_file,
    array_names,
    assert_refused,
    assert_same_rankings,
    completer,
    composed_model,
    copy_of,
    forge,
    manifest_of,
    or_refuse,
    paths_of,
    texts_of,
    write_manifest,
)
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import MaxAbsScaler
from strategies import edits, examples, json_values

import skxmr
from skxmr._utils.folder import LATEST, seal
from skxmr.pipeline import make_pipeline
from skxmr.text import NGramTfidfVectorizer

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def columns_model():
    columns = ColumnTransformer([("t", TfidfVectorizer(min_df=2), 0), ("no", "drop", [1])])
    rows = np.array([[text, text] for text in TEXTS], dtype=object)
    return make_pipeline(columns, clone(CLASSIFIER)).fit(rows, TOPICS)


MODELS = {"composed": composed_model, "completer": completer, "columns": columns_model}
each_model = pytest.mark.parametrize("name", MODELS)

_made = {}


def workshop(factory, name):
    """A saved model and its copy, made once, with the model itself."""
    if name not in _made:
        base = factory.mktemp("saved")
        model = MODELS[name]()
        skxmr.save(model, base / "original")
        _made[name] = base / "original", copy_of(base / "original", base / "copy"), model
    return _made[name]


def rows_of(model):
    if isinstance(getattr(model, "steps", [[None, None]])[0][1], ColumnTransformer):
        return [["a cat", ""]]
    return texts_of(model)


def assert_refused_or_usable(folder):
    """A forged model that loads may raise any error later, but the process must survive."""
    for mmap, verify in itertools.product((False, True), (None, False)):
        model = or_refuse(lambda: skxmr.load(folder, mmap=mmap, verify=verify))  # noqa: B023
        if model is not None:
            with suppress(Exception):
                skxmr.rank(model, rows_of(model), 4)
            with suppress(Exception):
                model.predict(rows_of(model))


@each_model
def test_the_copies_are_sound(tmp_path_factory, name):
    _, folder, model = workshop(tmp_path_factory, name)
    assert_same_rankings(skxmr.load(folder, mmap=True, verify=True), model, rows_of(model))


@each_model
def test_every_array_is_needed_and_checked(tmp_path_factory, name):
    original, folder, _ = workshop(tmp_path_factory, name)
    for array in array_names(original):
        file = array_file(folder, array)
        whole = file.read_bytes()
        for damaged in (None, whole[:-1], whole[:40], bytes([*whole[:-1], whole[-1] ^ 1])):
            file.unlink()
            if damaged is not None:
                file.write_bytes(damaged)
            if damaged == whole:
                continue
            with pytest.raises(ValueError, match=f"{DAMAGED}.*{array.split('.')[-1]}"):
                skxmr.load(folder)
            file.write_bytes(whole)


@each_model
def test_no_field_or_parameter_may_be_missing(tmp_path_factory, name):
    original, folder, _ = workshop(tmp_path_factory, name)
    optional = {"n_rows_given", "threshold", "neighbors"}  # of classifiers of early releases
    manifest = manifest_of(original)
    for i, spec in enumerate(manifest["models"]):
        fields = [(key,) for key in spec.keys() - optional]
        fields += [("params", key) for key in spec.get("params", ())]
        for *path, key in fields:
            changed = json.loads(json.dumps(manifest))
            owner = changed["models"][i]
            for step in path:
                owner = owner[step]
            del owner[key]
            write_manifest(folder, changed)
            if (spec["class"], key) != ("XRLinearClassifier", "fitted"):
                with pytest.raises(ValueError, match=DAMAGED):
                    skxmr.load(folder, mmap=True)
    write_manifest(folder, manifest)


@given(st.sampled_from(sorted(MODELS)), st.integers(0, 10**6), json_values | st.integers(0, 8))
@examples(80)
def test_any_value_in_the_manifest_is_refused_or_harmless(tmp_path_factory, name, where, value):
    original, folder, _ = workshop(tmp_path_factory, name)
    manifest = manifest_of(original)
    paths = [path for path in paths_of(manifest) if path[-1] != "n_jobs"]
    *path, last = paths[where % len(paths)]
    owner = manifest
    for key in path:
        owner = owner[key]
    owner[last] = value
    write_manifest(folder, manifest)
    assert_refused_or_usable(folder)
    shutil.copy(original / "skxmr.json", folder / "skxmr.json")


@given(st.sampled_from(sorted(MODELS)), edits())
@examples(150)
@pytest.mark.slow
def test_forged_contents_are_refused_or_harmless(tmp_path_factory, name, edits):
    """With checksums that fit."""
    original, folder, _ = workshop(tmp_path_factory, name)
    names = [n for n in array_names(original) if ".tree." not in n and ".neighbors." not in n]
    touched = set()
    for which, where, content in edits:
        array_name = names[which % len(names)]
        array = np.load(array_file(folder, array_name))
        raw = bytearray(array.tobytes())
        if not raw:
            continue
        at = where % len(raw)
        at -= at % array.dtype.itemsize
        content = content[: len(raw) - at]
        raw[at : at + len(content)] = content
        forge(folder, array_name, np.frombuffer(bytes(raw), array.dtype).reshape(array.shape))
        touched.add(array_name)
    assert_refused_or_usable(folder)
    for array_name in touched:
        shutil.copy(array_file(original, array_name), array_file(folder, array_name))
    shutil.copy(original / "skxmr.json", folder / "skxmr.json")


@given(st.sampled_from(sorted(MODELS)), st.integers(0, 10**6), st.integers(0, 10**6))
@examples(40)
def test_swapped_arrays_are_refused_or_harmless(tmp_path_factory, name, a, b):
    """With the checksums of each other."""
    original, folder, _ = workshop(tmp_path_factory, name)
    names = array_names(original)
    pair = names[a % len(names)], names[b % len(names)]
    for array, other in (pair, pair[::-1]):
        shutil.copy(array_file(original, array), array_file(folder, other))
    manifest = manifest_of(original)
    specs = manifest["arrays"]
    specs[pair[0]], specs[pair[1]] = specs[pair[1]], specs[pair[0]]
    write_manifest(folder, manifest)
    assert_refused_or_usable(folder)
    for array in pair:
        shutil.copy(array_file(original, array), array_file(folder, array))
    shutil.copy(original / "skxmr.json", folder / "skxmr.json")


@pytest.mark.parametrize("models", [[], [3], [{}], [{"class": "Pipeline"}], {}, None])
def test_lists_of_models_are_checked(tmp_path_factory, tmp_path, models):
    original, *_ = workshop(tmp_path_factory, "composed")
    folder = copy_of(original, tmp_path / "copy")
    write_manifest(folder, {**manifest_of(folder), "models": models})
    assert_refused(folder)


@pytest.mark.parametrize("index", [-1, 10**9, 2**70, True, 1.0, "0", None])
def test_models_only_contain_models_before_them(tmp_path_factory, tmp_path, index):
    original, *_ = workshop(tmp_path_factory, "composed")
    folder = copy_of(original, tmp_path / "copy")
    manifest = manifest_of(folder)
    last = len(manifest["models"]) - 1
    for value in (index, last):  # itself
        manifest["models"][-1]["estimator"] = value
        write_manifest(folder, manifest)
        assert_refused(folder)


@pytest.mark.parametrize(
    "key", ["../../secret", "/etc/passwd", "values.1/../../secret", "..", "", "classes", 3]
)
def test_names_of_arrays_do_not_leave_the_folder(tmp_path, key):
    np.save(tmp_path / "secret.npy", np.arange(3))
    model = NGramTfidfVectorizer(stop_words=["a"]).fit(TEXTS)
    skxmr.save(model, tmp_path / "model")
    manifest = manifest_of(tmp_path / "model")
    manifest["models"][0]["params"]["stop_words"] = {"array": [key, 3, "numbers"]}
    manifest["arrays"][f"models.0.{key}"] = {"shape": [3], "crc32": 0}
    write_manifest(tmp_path / "model", manifest)
    with pytest.raises(ValueError, match=f"{DAMAGED}.*is not the name of an array"):
        skxmr.load(tmp_path / "model")


def later_manifests(manifest):
    """What a later version might write."""
    models = manifest["models"]
    yield {**manifest, "version": LATEST + 1}
    yield {**manifest, "brand_new": 1}
    yield {**manifest, "class": "XRTransformer"}
    for i, spec in enumerate(models):
        params = {**spec["params"], "brand_new": 1}
        for changed in ({**spec, "brand_new": 1}, {**spec, "params": params}):
            yield {**manifest, "models": [*models[:i], changed, *models[i + 1 :]]}
    yield {**manifest, "models": [{**models[0], "class": "BrandNew"}, *models[1:]]}
    params = {**models[0]["params"], "stop_words": {"date": 3}}
    yield {**manifest, "models": [{**models[0], "params": params}, *models[1:]]}


@each_model
def test_what_a_later_version_saved_is_not_called_damaged(tmp_path_factory, tmp_path, name):
    original, *_ = workshop(tmp_path_factory, name)
    folder = copy_of(original, tmp_path / "copy")
    for manifest in later_manifests({**manifest_of(original), "skxmr": "77.0"}):
        (folder / "skxmr.json").write_text(json.dumps(seal(manifest)))
        with pytest.raises(ValueError, match=r"saved by a later version of skxmr.*77") as error:
            skxmr.load(folder)
        assert "damaged" not in str(error.value)


# ---- files of skops ----


def scaled_model():
    model = make_pipeline(NGramTfidfVectorizer(), MaxAbsScaler(), clone(CLASSIFIER))
    return model.fit(TEXTS, TOPICS)


@pytest.fixture
def with_skops(tmp_path):
    pytest.importorskip("skops.io")
    scaled_model().save(tmp_path / "model")
    return tmp_path / "model"


def skops_file(folder):
    (file,) = folder.glob("arrays-*/*skops")
    return file


def forge_skops(folder, data):
    """Replace the file of skops, with its size and checksum."""
    file = skops_file(folder)
    file.write_bytes(data)
    manifest = manifest_of(folder)
    manifest["files"][file.name] = {"size": len(data), "crc32": zlib.crc32(data)}
    write_manifest(folder, manifest)


def test_files_of_skops_are_checked(with_skops):
    file = skops_file(with_skops)
    whole = file.read_bytes()
    for damaged in (b"", whole[:-1], whole + b"\0", bytes([whole[0] ^ 1, *whole[1:]])):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{DAMAGED}.*file 'models.1.skops'"):
            skxmr.load(with_skops)
    file.unlink()
    with pytest.raises(ValueError, match=f"{DAMAGED}.*file 'models.1.skops'"):
        skxmr.load(with_skops)
    file.mkdir()
    with pytest.raises(ValueError, match=f"{DAMAGED}.*file 'models.1.skops'"):
        skxmr.load(with_skops)


@given(st.data())
@examples(40)
def test_forged_files_of_skops_are_refused_or_harmless(tmp_path_factory, data):
    pytest.importorskip("skops.io")
    if "skops" not in _made:
        folder = tmp_path_factory.mktemp("skops")
        scaled_model().save(folder)
        _made["skops"] = folder, skops_file(folder).read_bytes()
    folder, whole = _made["skops"]
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    forge_skops(folder, bytes(damaged))
    assert_refused_or_usable(folder)


def test_archives_that_expand_are_refused(with_skops):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * 10**6)
    forge_skops(with_skops, packed.getvalue())
    with pytest.raises(ValueError, match=f"{DAMAGED}.*compressed"):
        skxmr.load(with_skops)


def test_pickles_in_files_of_skops_are_not_loaded(with_skops):
    class Evil:
        def __reduce__(self):
            return (Path(with_skops / "pwned").touch, ())

    packed = io.BytesIO()
    np.save(packed, np.array([Evil()], dtype=object), allow_pickle=True)
    source = zipfile.ZipFile(io.BytesIO(skops_file(with_skops).read_bytes()))
    forged = io.BytesIO()
    with zipfile.ZipFile(forged, "w") as archive:
        for name in source.namelist():
            is_array = name.endswith(".npy")
            archive.writestr(name, packed.getvalue() if is_array else source.read(name))
    forge_skops(with_skops, forged.getvalue())
    with pytest.raises(ValueError, match=DAMAGED):
        skxmr.load(with_skops)
    assert not (with_skops / "pwned").exists()
