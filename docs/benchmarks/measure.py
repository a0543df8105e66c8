"""Clocks and memory for the runners of all libraries. Standard library only."""

import json
import resource
import time


class Stopwatch:
    """CPU seconds of the steps of one process."""

    def __init__(self):
        self.seconds = {}

    def time(self, step, function):
        """Call a function and note what it took."""
        start = time.process_time()
        result = function()
        self.seconds[step] = time.process_time() - start
        return result


def peak_bytes():
    """Peak resident memory of this process so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def write_result(path, **result):
    """Write what a runner found."""
    with open(path, "w") as file:
        json.dump({**result, "peak_bytes": peak_bytes()}, file)
