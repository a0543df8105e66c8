"""Targets of skxmr compared with other libraries, and the results."""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from plan import DEFAULT, FASTEST
from results import Result, ratio
from tables import fastest_batch, table

SAME, DEFAULTS = "skxmr train same tree", "skxmr train defaults"
PEER_MODEL = "skxmr predict libpecos"


class AtLeast(float):
    """A number with a known lower bound only."""


@dataclass(frozen=True)
class Target:
    """A goal: a number to reach, at least or at most."""

    text: str
    wanted: float
    value: Callable[[Result], float | None]
    at_most: bool = False
    special: dict = field(default_factory=dict)  # other numbers of some data sets

    def cell(self, result):
        """Return the result as text, with a mark."""
        value = self.value(result)
        if value is None:
            return ""
        wanted = self.special.get(result.data, self.wanted)
        reached = value <= wanted if self.at_most else value >= wanted
        sign = "> " if isinstance(value, AtLeast) else ""
        return f"{sign}{value:.2f} {'✓' if reached else '✗'}"

    def aim(self):
        """Return the goal as text."""
        sign = "≤" if self.at_most else "≥"
        others = "".join(f", {data} {number:g}" for data, number in self.special.items())
        return f"{sign} {self.wanted:g}{others}"


def _training(r):
    return _times(r.totals("libpecos train"), r.bound("libpecos train"), r.totals(SAME))


def _fit(peer):
    return lambda r: _times(r.whole_fit(peer), r.bound(f"{peer} train"), r.totals(DEFAULTS))


def _times(seconds, bound, own):
    return AtLeast(ratio([bound], own)) if bound and own else ratio(seconds, own)


def _batch(r):
    return ratio(fastest_batch(r), r.per_query(PEER_MODEL))


def _default_batch(r):
    return ratio(r.per_query(f"libpecos predict {DEFAULT}"), r.per_query(PEER_MODEL))


def _one_row(r):
    return ratio(r.latencies(f"libpecos rows {FASTEST}"), r.latencies("skxmr rows libpecos"))


def _two_threads_train(r):
    return ratio(r.totals(SAME, "wall"), r.totals(f"{SAME} 2 threads", "wall"))


def _two_threads_rank(r):
    walls = (r.per_query(name, clock="wall") for name in (PEER_MODEL, f"{PEER_MODEL} 2 threads"))
    return ratio(*walls)


def _disk(r):
    return ratio(r.fields(SAME, "model_bytes"), _peer_bytes(r))


def _peer_bytes(r):
    return r.fields("libpecos train", "model_bytes")


def _half_disk(r):
    return ratio(r.fields("skxmr train half", "model_bytes"), _peer_bytes(r))


def _training_peak(r):
    return ratio(r.training_peak("skxmr", "same tree"), r.training_peak("libpecos"))


def _ranking_peak(r):
    names = ("skxmr predict same tree", f"libpecos predict {FASTEST}")
    return ratio(*(r.fields(name, "peak_bytes") for name in names))


def _opening(r):
    values = r.openings("skxmr open defaults")
    return 1e3 * median(values) if values else None


def _precision_lost(variant):
    """Return a function of the largest loss of precision against libpecos, in points."""

    def lost(r):
        ours, peer = r.quality.get(f"skxmr {variant}"), r.quality.get(f"libpecos {FASTEST}")
        if not ours or not peer:
            return None
        return max(100 * (peer[f"P@{k}"] - ours[f"P@{k}"]) for k in (1, 3, 5))

    return lost


def _index(r):
    return ratio(r.totals("libpecos index"), r.totals("skxmr index"))


TARGETS = (
    Target("training on the same tree, times libpecos", 12, _training, special={"records": 10}),
    Target("building the tree, times libpecos", 3, _index),
    Target("whole fit, times libpecos", 10, _fit("libpecos")),
    Target("whole fit, times omikuji", 6, _fit("omikuji")),
    Target("whole fit, times napkinXC", 20, _fit("napkinxc")),
    Target("whole fit, times LibMultiLabel", 20, _fit("libmultilabel")),
    Target("batch ranking, times libpecos's fastest weight type", 4, _batch),
    Target("batch ranking, times libpecos's default weight type", 6, _default_batch),
    Target("one row per call, times libpecos's fastest weight type", 10, _one_row),
    Target("training, 2 threads, times 1 thread", 1.8, _two_threads_train),
    Target("batch ranking, 2 threads, times 1 thread", 1.8, _two_threads_rank),
    Target("model on disk, of libpecos's", 0.6, _disk, at_most=True),
    Target("half precision on disk, of libpecos's", 0.6, _half_disk, at_most=True),
    Target("peak of training, of libpecos's", 0.7, _training_peak, at_most=True),
    Target("peak of ranking, of libpecos's", 0.7, _ranking_peak, at_most=True),
    Target("opening a model with mmap, ms", 50, _opening, at_most=True),
    Target("same tree: P@1, 3, 5 lost, points", 0.1, _precision_lost("same tree"), at_most=True),
    Target("no neighbors: P@1, 3, 5 lost, points", 0.1, _precision_lost("defaults"), at_most=True),
)


def summary(results):
    """Return the table of all targets on all data sets."""
    rows = []
    for target in TARGETS:
        rows.append((target.text, target.aim(), *(target.cell(result) for result in results)))
    return table(("target", "goal", *(result.data for result in results)), rows)
