"""Reading of a model, and of the models that it contains, from one folder."""

import re

from .._utils.folder import VERSION, FolderReader
from .foreign import FOREIGN, load_foreign
from .kinds import kind_named
from .labels import open_labels
from .values import decode
from .writing import SINGLE, prefix_of

#: Keys of a manifest with a list of models.
_KEYS = frozenset("format version skxmr crc32 arrays_in arrays files class models".split())

#: Keys that a section of a manifest has besides its fields.
_COMMON = frozenset(["class", "version", "skxmr"])

_VALUE = re.compile(r"values\.[0-9]{1,9}")


def load_model(folder, *, mmap, verify, trusted):
    """Load a model from a folder. See `skxmr.load`."""
    while True:
        reader = FolderReader(folder, mmap=mmap, verify=verify)
        try:
            return _load(reader, trusted)
        except ValueError:
            if not reader.was_replaced():
                raise


def _load(reader, trusted):
    """Read the model of the kind that the manifest names."""
    name = reader.get("class", str)
    if name == SINGLE and "models" not in reader.manifest:
        return kind_named(SINGLE).rebuild(PartReader(reader, [], trusted))
    if name != "skops" and kind_named(name) is None:
        reader.fail_as_later(f"it is a {name!r:.80}")
    reader.check_known(reader.manifest, _KEYS, "field")
    specs = reader.get("models", list)
    _refuse_later(reader, specs)
    reader.check_manifest()
    with reader.as_damage():
        return _read_models(reader, specs, trusted)


def _refuse_later(reader, specs):
    """Raise ValueError for models of unknown kinds, which a later version may have written."""
    if not specs:
        reader.fail("its list of models is empty")
    for spec in specs:
        if not isinstance(spec, dict):
            reader.fail(f"'models' holds {spec!r:.80}")
        name = reader.field(spec, "class", str)
        if name != "skops" and kind_named(name) is None:
            reader.fail_as_later(f"it has a {name!r:.80}")
    if specs[-1]["class"] != reader.manifest["class"]:
        reader.fail(f"its last model is a {specs[-1]['class']!r:.80}")


def _read_models(reader, specs, trusted):
    """Read all models in order; return the last one."""
    models = []
    for i, spec in enumerate(specs):
        part = PartReader(reader.section(spec, prefix_of(i)), models, trusted)
        if spec["class"] == "skops":
            model = load_foreign(part)
        else:
            model = kind_named(spec["class"]).rebuild(part)
        models.append(model)
    return models[-1]


class PartReader:
    """Gives what belongs to one model.

    Parameters
    ----------
    reader : FolderReader
        Its manifest has the fields of the model.
    models : list
        The models that were read before.
    trusted : sequence
        Types that skops may load.
    """

    def __init__(self, reader, models, trusted):
        self.reader = reader
        self.trusted = trusted
        self._models = models

    @property
    def verify(self):
        """Whether the content of all arrays is to be checked."""
        return self.reader.verify

    def fail(self, reason):
        """Raise ValueError for a damaged model."""
        self.reader.fail(reason)

    def check_fields(self, names):
        """Check that the model has no other fields than these."""
        self.reader.check_known(self.reader.manifest, _COMMON | names, "field")

    def get(self, name, kind):
        """Return a field after checking its type."""
        return self.reader.get(name, kind)

    def array(self, name, dtype):
        """Read or map a one-dimensional array after checking its dtype and its checksum."""
        return self.reader.array(name, dtype, checked=True)

    def strings(self, name, n):
        """Read an array of n numbers or strings. The field `name` says how it is stored."""
        return open_labels(self.reader, name, n)()

    def file(self):
        """Return the bytes of the file of skops."""
        return self.reader.file(FOREIGN)

    def model(self, name, *classes):
        """Return the model of a field after checking that it is of one of the classes, if given."""
        model = self.model_at(self.get(name, int))
        if classes and not isinstance(model, classes):
            expected = " or ".join(cls.__name__ for cls in classes)
            self.fail(f"{name!r} is a {type(model).__name__}, expected {expected}")
        return model

    def model_at(self, index):
        """Return a model that was read before, by its position in the list."""
        if type(index) is not int or not 0 <= index < len(self._models):
            self.fail(f"{index!r:.80} is not the number of a model before this one")
        return self._models[index]

    def array_value(self, described):
        """Return an array that is a value."""
        if not isinstance(described, list) or len(described) != 3:
            self.fail(f"{described!r:.80} is not an array")
        name, n, stored = described
        if not isinstance(name, str) or not _VALUE.fullmatch(name):
            self.fail(f"{name!r:.80} is not the name of an array")
        part = self.reader.section({name: stored}, "")
        return open_labels(part, name, n)()

    def value(self, name):
        """Return any value of an attribute."""
        if name not in self.reader.manifest:
            self.fail(f"{name!r} is missing")
        return self.value_of(self.reader.manifest[name])

    def value_of(self, encoded):
        """Return the value that `PartWriter.value` described."""
        return decode(encoded, self)

    def params(self, cls):
        """Return the parameters for the constructor of a class."""
        params = self.get("params", dict)
        names = set(cls._get_param_names())
        self.reader.check_known(params, names, f"parameter of {cls.__name__}")
        missing = sorted(names - params.keys())
        if missing and self.reader.manifest["version"] == VERSION:
            self.fail(f"the parameter {missing[0]!r} is missing")
        return {name: decode(value, self) for name, value in params.items()}
