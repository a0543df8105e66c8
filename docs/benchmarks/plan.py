"""The measurements of each data set, in their order."""

from dataclasses import dataclass

PEERS = ("libpecos", "skxmr", "omikuji", "napkinxc", "libmultilabel")

#: Data sets of libraries that take too long or too much memory on others.
ONLY_ON = {
    "napkinxc": ("sample", "catalogue", "records", "power-law-10000", "power-law-100000"),
    "libmultilabel": ("sample", "catalogue", "records", "power-law-10000"),
}
#: Data sets with all measurements, and data sets with several beam widths.
THOROUGH = ("sample", "catalogue")
WITH_BEAMS = ("sample", "catalogue", "records")

ALL_ROWS = 1_000_000
FEW_ROWS = 2_000  # for the slowest library
OTHER_ROWS = 5_000  # for other libraries
BEAM_ROWS = 10_000
BEAMS = (1, 2, 3, 5, 10, 20, 50)
PASSES = 2  # over the test rows, per process
FASTEST = "HASH_CHUNKED"  # fastest weight type of libpecos
DEFAULT = "BINARY_SEARCH_CHUNKED"


@dataclass(frozen=True)
class Measurement:
    """One measurement: one process of one library."""

    peer: str
    task: str
    options: tuple = ()
    needs: str = ""  # name of the measurement that writes the input of this one
    isa: str = ""
    threads: int = 1
    extra: bool = False  # repeated less often

    @property
    def name(self):
        """Return the name of the result."""
        words = [self.peer, self.task, *(o for o in self.options[:1] if isinstance(o, str))]
        words += [self.isa] if self.isa else []
        words += [f"{self.threads} threads"] if self.threads > 1 else []
        return " ".join(words)


def plan(data):
    """Yield the measurements of a data set, each after the measurements that it needs."""
    measurements = [*_training(), *_ranking()]
    if data in WITH_BEAMS:
        measurements += _beams()
    if data in THOROUGH:
        measurements += [*_variants(), *_instruction_sets(), *_threads(), *_csc()]
    for peer in PEERS[2:]:
        measurements += _other(peer)
    return [m for m in measurements if data in ONLY_ON.get(m.peer, (data,))]


def _training():
    yield Measurement("libpecos", "index")
    yield Measurement("skxmr", "index")
    yield Measurement("libpecos", "train", needs="libpecos index")
    yield _skxmr_train("same tree", needs="libpecos index")
    yield _skxmr_train("defaults")
    yield _skxmr_train("half")


def _ranking():
    for kind in (DEFAULT, FASTEST):
        options = (kind, ALL_ROWS, PASSES)
        yield Measurement("libpecos", "predict", options, needs="libpecos train")
    yield _skxmr_predict("libpecos", needs="libpecos train")
    for variant in ("same tree", "defaults", "half"):
        yield _skxmr_predict(variant)
    yield Measurement("libpecos", "rows", (FASTEST,), needs="libpecos train")
    yield Measurement("skxmr", "rows", ("libpecos",), needs="libpecos train")
    yield Measurement("skxmr", "rows", ("defaults",), needs="skxmr train defaults")
    yield Measurement("skxmr", "open", ("defaults",), needs="skxmr train defaults")


def _beams():
    for peer, model in (("libpecos", FASTEST), ("skxmr", "libpecos")):
        options = (model, BEAM_ROWS, *BEAMS)
        yield Measurement(peer, "beams", options, needs="libpecos train", extra=True)


def _variants():
    for variant in ("balanced", "wide"):
        yield _skxmr_train(variant, extra=True)
        yield _skxmr_predict(variant, extra=True)


def _instruction_sets():
    for isa in ("baseline", "avx2", "avx512"):
        yield _skxmr_train("same tree", needs="libpecos index", isa=isa, extra=True)
        yield _skxmr_predict("libpecos", needs="libpecos train", isa=isa, extra=True)


def _threads():
    yield _skxmr_train("same tree", needs="libpecos index", threads=2)
    yield _skxmr_predict("libpecos", needs="libpecos train", threads=2)


def _csc():
    options = ("CSC", FEW_ROWS, 1)
    yield Measurement("libpecos", "predict", options, needs="libpecos train", extra=True)


def _skxmr_train(variant, threads=1, **rest):
    return Measurement("skxmr", "train", (variant, threads), threads=threads, **rest)


def _skxmr_predict(variant, needs=None, threads=1, **rest):
    needs = needs or f"skxmr train {variant}"
    options = (variant, threads, PASSES)
    return Measurement("skxmr", "predict", options, needs=needs, threads=threads, **rest)


def _other(peer):
    n_rows = FEW_ROWS if peer == "libmultilabel" else OTHER_ROWS
    yield Measurement(peer, "train", extra=True)
    yield Measurement(peer, "predict", (n_rows,), needs=f"{peer} train", extra=True)
    yield Measurement(peer, "rows", needs=f"{peer} train", extra=True)
