"""Work spread by joblib, with its progress."""

import time
from itertools import pairwise

from joblib import Parallel, delayed


def run(function, tasks, costs, *, n_jobs, verbose, what):
    """Call a function on every task, dearest tasks first, and return the results in task order.

    Tasks are pure: they may run in threads, processes or on other machines, whatever
    ``joblib.parallel_config`` says. Threads are preferred, since C releases the GIL.

    Parameters
    ----------
    function : callable
    tasks : sequence of tuple
        The arguments of each call.
    costs : sequence of float
        What each task costs, in any unit.
    n_jobs : int or None
    verbose : int
        Whether to report progress.
    what : str
        What is being done, for the report.
    """
    if len(tasks) == 1 and not verbose:
        return [function(*tasks[0])]
    order = sorted(range(len(tasks)), key=lambda i: -costs[i])
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator", batch_size=1)
    results = [None] * len(tasks)
    stream = parallel(delayed(function)(*tasks[i]) for i in order)
    with _Progress(sum(costs), what, verbose) as progress:
        for i, result in zip(order, stream, strict=True):
            results[i] = result
            progress.add(costs[i])
    return results


def ranges(n, n_parts):
    """Split range(n) into at most n_parts non-empty (lo, hi), of nearly equal length."""
    n_parts = max(1, min(n, n_parts))
    edges = [n * i // n_parts for i in range(n_parts + 1)]
    return list(pairwise(edges))


class _Progress:
    """A tqdm bar if tqdm is installed, else a line every few seconds."""

    INTERVAL = 5.0

    def __init__(self, total, what, verbose):
        self.total, self.what, self.verbose = total, what, verbose
        self.done = 0.0
        self.bar = None

    def __enter__(self):
        self.start = self.last = time.monotonic()
        if self.verbose:
            self.bar = _make_bar(self.what)
        return self

    def __exit__(self, *exc):
        if self.bar is not None:
            self.bar.close()
        elif self.verbose and exc[0] is None:
            print(f"{self.what}: done in {time.monotonic() - self.start:.1f} s", flush=True)

    def add(self, cost):
        self.done += cost
        share = self.done / self.total if self.total else 1.0
        if self.bar is not None:
            self.bar.update(100 * share - self.bar.n)
        elif self.verbose and time.monotonic() - self.last >= self.INTERVAL:
            self.last = time.monotonic()
            left = (self.last - self.start) * (1 - share) / share
            print(f"{self.what}: {100 * share:.0f} %, about {left:.0f} s left", flush=True)


def _make_bar(what):
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    return tqdm(total=100, desc=what, bar_format=layout)
