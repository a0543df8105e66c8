"""Work spread over threads, or by joblib over whatever it was told to use, with its progress."""

import queue
import threading
import time
from contextlib import closing
from itertools import pairwise

from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import SequentialBackend, ThreadingBackend, get_active_backend

from ._core import CancelFlag

#: Seconds after which a waiting thread looks up, where waiting itself cannot be interrupted.
_LOOK_UP = 0.5


def run(function, tasks, costs, *, n_jobs, verbose, what, brief=False):
    """Call a function on every task, dearest tasks first, and return the results in task order.

    Tasks are pure: they may run in threads, processes or on other machines, whatever
    ``joblib.parallel_config`` says. Threads are preferred, since C releases the GIL.

    An interruption of the waiting thread, such as KeyboardInterrupt, ends the calls into C that
    run in its threads, and goes on once these have returned.

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
    brief : bool
        Whether an interruption can wait for the end of a task, so that a single worker needs no
        thread of its own.
    """
    order = sorted(range(len(tasks)), key=lambda i: -costs[i])
    results = [None] * len(tasks)
    stream = _stream(function, tasks, order, n_jobs, brief)
    with closing(stream), _Progress(sum(costs), what, verbose) as progress:
        for i, result in stream:
            results[i] = result
            progress.add(costs[i])
    return results


def _stream(function, tasks, order, n_jobs, brief):
    """A generator of pairs (number of a task, its result)."""
    backend, _ = get_active_backend(prefer="threads")
    if type(backend) not in (ThreadingBackend, SequentialBackend):
        return _by_joblib(function, tasks, order, n_jobs)
    n_workers = min(len(tasks), effective_n_jobs(n_jobs))
    # Only the main thread is ever interrupted, and only while it runs Python.
    if n_workers <= 1 and (brief or threading.current_thread() is not threading.main_thread()):
        return ((i, function(*tasks[i])) for i in order)
    return _in_threads(function, tasks, order, n_workers)


def _by_joblib(function, tasks, order, n_jobs):
    parallel = Parallel(n_jobs=n_jobs, return_as="generator", batch_size=1)
    yield from zip(order, parallel(delayed(function)(*tasks[i]) for i in order), strict=True)


def _in_threads(function, tasks, order, n_workers):
    """Threads of our own: joblib's would go on with what they have begun after an interruption."""
    flag, todo, done = CancelFlag(), queue.SimpleQueue(), queue.SimpleQueue()
    for i in order:
        todo.put(i)
    arguments = (function, tasks, flag, todo, done)
    threads = [
        threading.Thread(target=_work, args=arguments, daemon=True) for _ in range(n_workers)
    ]
    try:
        for thread in threads:
            thread.start()
        for _ in order:
            i, result, error = _wait(done)
            if error is not None:
                raise error
            yield i, result
    finally:
        flag.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def _work(function, tasks, flag, todo, done):
    """Do tasks until there are none or the flag is set."""
    with flag.watched():
        while not flag.is_set():
            try:
                i = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((i, function(*tasks[i]), None))
            except BaseException as error:
                done.put((i, None, error))


def _wait(done):
    while True:
        try:
            return done.get(timeout=_LOOK_UP)
        except queue.Empty:
            continue


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
