"""Clocks and memory for the runners of all libraries. Standard library only."""

import json
import resource
import sys
import threading
import time
from pathlib import Path
from statistics import median, quantiles

WARM_UP = 50  # calls

#: Seconds between two readings of the memory.
_INTERVAL = 0.2


class Stopwatch:
    """CPU and wall seconds of the steps of one process."""

    def __init__(self):
        self.seconds = {}

    def time(self, step, function):
        """Call a function and record its times, with its threads and finished children."""
        wall, cpu = time.perf_counter(), _cpu_seconds()
        result = function()
        cpu, wall = _cpu_seconds() - cpu, time.perf_counter() - wall
        self.seconds.setdefault(step, []).append({"cpu": cpu, "wall": wall})
        return result


class MemoryPeaks(threading.Thread):
    """Reads the memory of this process, in MB, until it is stopped.

    Attributes
    ----------
    own : float
        Peak of the memory that belongs to the process alone.
    mapped : float
        Peak of the pages of mapped files. The system drops them if other processes need memory.
    resident : float
        Peak of both together.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.own = 0.0
        self.mapped = 0.0
        self.resident = 0.0
        self._stopped = threading.Event()

    def run(self):
        while not self._stopped.wait(_INTERVAL):
            own, mapped, resident = (k / 1024 for k in _memory("RssAnon", "RssFile", "VmRSS"))
            self.own = max(self.own, own)
            self.mapped = max(self.mapped, mapped)
            self.resident = max(self.resident, resident)

    def stop(self):
        """Stop, and return the peaks as text."""
        self._stopped.set()
        self.join()
        return str(self)

    def __str__(self):
        parts = f"{self.own:,.0f} MB own, {self.mapped:,.0f} MB of mapped files"
        return f"{self.resident:,.0f} MB: {parts}"


def _memory(*names):
    """Return figures of the memory of this process, in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return [int(fields[name].split()[0]) for name in names]


def _cpu_seconds():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def call_seconds(function, arguments):
    """Return median and 99th percentile of the wall seconds of one call per argument."""
    seconds = []
    for argument in arguments[:WARM_UP] + arguments:
        start = time.perf_counter()
        function(argument)
        seconds.append(time.perf_counter() - start)
    seconds = seconds[WARM_UP:]
    return {"p50": median(seconds), "p99": quantiles(seconds, n=100)[98]}


def size_on_disk(folder):
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def run_task(tasks):
    """Run `python RUNNER TASK WORK OUT [OPTIONS]`: one measurement, which writes its result."""
    task, work, out, *options = sys.argv[1:]
    watch = Stopwatch()
    found = tasks[task](Path(work), watch, *options) or {}
    result = {"seconds": watch.seconds, "peak_bytes": peak_bytes(), **found}
    Path(out).write_text(json.dumps(result))


def peak_bytes():
    """Return the peak resident memory of this process; ru_maxrss would include its parent."""
    return 1024 * _memory("VmHWM")[0]


def forget_peak():
    """Let the peak resident memory of this process begin at what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")
