"""Results of compare.py on one data set, for tables and plots."""

import json
from pathlib import Path
from statistics import median


class Result:
    """Measurements by name; those that failed have no values."""

    def __init__(self, path):
        content = json.loads(Path(path).read_text())
        self.data = content["data"]
        self.sizes = content["sizes"]
        self.machine = content["machine"]
        self.versions = content["versions"]
        self.date = content["date"]
        self.quality = content.get("quality", {})
        self._runs = content["runs"]

    def has(self, name):
        """Return whether a measurement was started."""
        return name in self._runs

    def runs(self, name):
        """Return the runs that did not fail."""
        return [run for run in self._runs.get(name, ()) if "failed" not in run]

    def failure(self, name):
        """Return the reason why a measurement has no values."""
        messages = [run["failed"] for run in self._runs.get(name, ()) if "failed" in run]
        return messages[0] if messages else "not measured"

    def bound(self, name):
        """Return the seconds after which a measurement was stopped, or None."""
        return next((run["over"] for run in self._runs.get(name, ()) if "over" in run), None)

    def totals(self, name, clock="cpu"):
        """Return the total seconds of all steps of each run."""
        return [
            sum(seconds[clock] for passes in run["seconds"].values() for seconds in passes)
            for run in self.runs(name)
        ]

    def per_query(self, name, step="predict", clock="cpu"):
        """Return the seconds per query of every pass of every run."""
        return [
            seconds[clock] / run["n_queries"]
            for run in self.runs(name)
            for seconds in run["seconds"][step]
        ]

    def latencies(self, name, which="p50"):
        """Return the wall seconds of a call with one row of each run."""
        return [run["latency"][which] for run in self.runs(name)]

    def beams(self, name):
        """Return the median latency of a call with one row for each beam width."""
        runs = self.runs(name)
        widths = runs[0]["latency"] if runs else ()
        return {w: median(run["latency"][w]["p50"] for run in runs) for w in widths}

    def fields(self, name, key):
        """Return a number of each run."""
        return [run[key] for run in self.runs(name)]

    def openings(self, name):
        """Return the wall seconds to open a model, without the first time in each process."""
        return [s["wall"] for run in self.runs(name) for s in run["seconds"]["open"][1:]]

    def whole_fit(self, peer, variant=""):
        """Return the CPU seconds of embedding, tree and rankers of each run."""
        name = f"{peer} train {variant}".strip()
        if peer != "libpecos":
            return self.totals(name)
        return list(map(sum, zip(self.totals("libpecos index"), self.totals(name), strict=False)))

    def training_peak(self, peer, variant=""):
        """Return the peak bytes of the training processes."""
        peaks = self.fields(f"{peer} train {variant}".strip(), "peak_bytes")
        if peer == "libpecos" and peaks:
            peaks = [max(peaks + self.fields("libpecos index", "peak_bytes"))]
        return peaks


def ratio(numerator, denominator):
    """Return the ratio of the medians, or None if one is missing."""
    return median(numerator) / median(denominator) if numerator and denominator else None
