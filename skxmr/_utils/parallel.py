"""Parallel execution in threads, or on the configured backend of joblib."""

import itertools
import os
import pickle
import queue
import secrets
import sys
import threading
from concurrent.futures import CancelledError
from contextlib import contextmanager

from joblib import Parallel, delayed
from joblib.parallel import SequentialBackend, ThreadingBackend, get_active_backend

from .._core import CancelFlag
from . import progress

#: Maximum number of times that workers may be lost during a call.
_MAX_LOSSES = 10

#: Number of bytes above which an argument is sent to a cluster once, not with each task.
_LARGE = 1000

#: Seconds between two polls of a waiting thread, on systems where a wait cannot be interrupted.
_POLL_SECONDS = 0.5

#: Maximum number of workers. A damaged model file can have any n_jobs.
_MAX_WORKERS = 1024


def n_workers(n_jobs):
    """Return the number of workers for a value of `n_jobs`.

    joblib.effective_n_jobs returns 1, with a warning, in processes that cannot have children. They
    can have threads.
    """
    backend, _ = get_active_backend(prefer="threads")
    _, configured = get_active_backend()  # with a preference, joblib ignores the configured n_jobs
    return min(_MAX_WORKERS, backend.effective_n_jobs(configured if n_jobs is None else n_jobs))


def run(function, tasks, costs, *, n_jobs, what, part=1.0, brief=False, shares_memory=False):
    """Call a function on all tasks, most expensive first, and return the results in task order.

    Tasks must be pure functions. They run in threads, processes or on other machines, depending on
    ``joblib.parallel_config``. Threads are the default, because C releases the GIL.

    An interruption of the calling thread, such as KeyboardInterrupt, cancels the calls of C
    functions in the worker threads. It is raised after they have returned.

    Parameters
    ----------
    function : callable
    tasks : sequence of tuple
        Arguments of each call.
    costs : sequence of float
        Cost of each task, in any unit.
    n_jobs : int or None
    what : str
        Phase of the work, for the progress report.
    part : float
        Fraction of the phase that the tasks are.
    brief : bool
        Whether an interruption can wait for the end of a task. A single worker then needs no thread
        of its own.
    shares_memory : bool
        Whether the tasks must run in threads of this process.

    Returns
    -------
    results : list
    """
    order = sorted(range(len(tasks)), key=lambda i: -costs[i])
    results = [None] * len(tasks)
    start = _in_own_threads if shares_memory else _stream
    with _closed(start(function, tasks, order, n_jobs, brief)) as stream:
        for i, result in _reported(stream, costs, what, part):
            results[i] = result
    return results


def interruptible(function, *args):
    """Call a function that runs long in C so that an interruption cancels it.

    Returns
    -------
    result : object
    """
    if threading.current_thread() is not threading.main_thread():
        return function(*args)
    with _closed(_in_threads(function, [args], [0], 1)) as stream:
        ((_, result),) = stream
    return result


@contextmanager
def in_order(function, tasks, costs, *, n_jobs, what, part=1.0, folder=None):
    """Call a function on all tasks and iterate over the results in task order.

    Results are not kept after they are used. The tasks also start in their order, so that few
    results must wait. With several workers, tasks of more than twice the mean cost start first, to
    avoid that one of them runs alone at the end.

    Parameters
    ----------
    function, tasks, costs, n_jobs, what, part
        See `run`.
    folder : path, optional
        Existing folder in which the workers store the results, so that results that must wait take
        no memory. All workers must have it. The files of an interrupted call are not removed.

    Yields
    ------
    results : iterator
    """
    order = range(len(tasks))
    if n_workers(n_jobs) > 1:
        limit = 2 * sum(costs) / max(1, len(costs))
        order = sorted(order, key=lambda i: -costs[i] if costs[i] > limit else 0)
    if folder is not None:
        tasks = [(str(folder), function, *args) for args in tasks]
        function = _stored
    with _closed(_stream(function, tasks, order, n_jobs, False)) as stream:
        results = _sorted(_reported(stream, costs, what, part))
        yield results if folder is None else map(_take_stored, results)


def _stored(folder, function, *args):
    """Store the result of a function in a new file, and return its path."""
    result = function(*args)
    path = os.path.join(folder, f"result-{secrets.token_hex(8)}")
    with open(path, "xb") as file:
        pickle.dump(result, file, pickle.HIGHEST_PROTOCOL)
    return path


def _take_stored(path):
    """Return the result in a file, and remove the file."""
    with open(path, "rb") as file:
        result = pickle.load(file)
    os.unlink(path)
    return result


class _closed:
    """Context of a generator that is closed at the end, also if closing is interrupted."""

    def __init__(self, stream):
        self._stream = stream

    def __enter__(self):
        return self._stream

    def __exit__(self, *error):
        interruption = None
        while True:
            try:
                self._stream.close()
                break
            except KeyboardInterrupt as error:
                interruption = error
        if interruption is not None:
            raise interruption


def _reported(stream, costs, what, part):
    scale = part / max(1, sum(costs))
    progress.advance(what, 0.0)  # it begins
    for i, result in stream:
        progress.advance(what, scale * costs[i])
        yield i, result


def _sorted(stream):
    """Yield the results of a stream in the order of their tasks."""
    early = {}
    position = 0
    for i, result in stream:
        early[i] = result
        while position in early:
            yield early.pop(position)
            position += 1


def _stream(function, tasks, order, n_jobs, brief):
    """Return a generator of pairs (number of a task, its result)."""
    backend, _ = get_active_backend(prefer="threads")
    if type(backend) not in (ThreadingBackend, SequentialBackend):
        if type(backend).__name__ != "DaskDistributedBackend":
            return _by_joblib(function, tasks, order, n_jobs)
        if tasks and not in_dask_task():
            return _by_dask(backend.client, function, tasks, order)
        # Inside a task of a cluster, the fits are already distributed.
        return ((i, function(*tasks[i])) for i in order)
    return _in_own_threads(function, tasks, order, n_jobs, brief)


def _in_own_threads(function, tasks, order, n_jobs, brief):
    """Return the same generator, with tasks that run in threads of this process."""
    n = min(len(tasks), n_workers(n_jobs))
    # Only the main thread is interrupted, and only while it runs Python code.
    if n <= 1 and (brief or threading.current_thread() is not threading.main_thread()):
        return ((i, function(*tasks[i])) for i in order)
    return _in_threads(function, tasks, order, n)


def _by_joblib(function, tasks, order, n_jobs):
    parallel = Parallel(n_jobs=n_jobs, return_as="generator", batch_size=1)
    yield from zip(order, parallel(delayed(function)(*tasks[i]) for i in order), strict=True)


def in_dask_task():
    """Return whether this thread runs a task of a dask worker."""
    if "distributed" not in sys.modules:
        return False
    from distributed.worker import thread_state

    return hasattr(thread_state, "execution_state")


def _by_dask(client, function, tasks, order):
    """Run tasks on a dask cluster. joblib would wait forever for arguments that are lost."""
    from distributed import as_completed
    from distributed.comm import CommClosedError

    shared = _shared(tasks)

    def attempt(left):
        ahead = {key: client.scatter(arg, hash=False) for key, arg in shared.items()}
        calls = [
            client.submit(
                _numbered, i, function, *(ahead.get(id(a), a) for a in tasks[i]), pure=False
            )
            for i in left
        ]
        try:
            for call, numbered in as_completed(calls, with_results=True):
                call.release()
                if isinstance(numbered, CancelledError):  # returned, not raised
                    raise numbered
                yield numbered
        finally:
            client.cancel(calls)

    # Arguments cannot be sent while no worker is there, which ends with a TimeoutError.
    yield from _persistently(attempt, order, (CancelledError, CommClosedError, TimeoutError))


def _shared(tasks):
    """Return the large arguments that all tasks have in common, by their id."""
    from dask.sizeof import sizeof

    common = set(map(id, tasks[0])).intersection(*(map(id, args) for args in tasks))
    return {id(arg): arg for arg in tasks[0] if id(arg) in common and sizeof(arg) > _LARGE}


def _persistently(attempt, order, lost):
    """Run tasks until all have a result. After the loss of a worker, the rest is run again.

    dask recomputes lost results, but it does not send the shared arguments again.
    """
    left = dict.fromkeys(order)
    losses = 0
    while left:
        try:
            for i, result in attempt(list(left)):
                del left[i]
                yield i, result
        except lost:
            losses += 1
            if losses > _MAX_LOSSES:
                raise


def _numbered(i, function, *args):
    return i, function(*args)


def _in_threads(function, tasks, order, n_workers):
    """Run tasks in own threads. Those of joblib would finish their tasks after an interruption."""
    flag = CancelFlag()
    todo = queue.SimpleQueue()
    done = queue.SimpleQueue()
    for i in order:
        todo.put(i)
    arguments = (function, tasks, flag, todo, done)
    threads = [
        threading.Thread(target=_work, args=arguments, daemon=True) for _ in range(n_workers)
    ]
    interruption = None
    try:
        for thread in threads:
            thread.start()
        for _ in order:
            i, result, error = _wait(done)
            if error is not None:
                raise error
            yield i, result
    finally:
        ended = False
        while not ended:  # may be interrupted several times
            try:
                flag.set()
                for thread in threads:
                    if thread.ident is not None:
                        thread.join()
                ended = True
            except KeyboardInterrupt as error:
                interruption = error
        if interruption is not None:
            raise interruption


def _work(function, tasks, flag, todo, done):
    """Run tasks until none is left or the flag is set."""
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
            return done.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            progress.refresh()


def ranges(n, n_parts):
    """Split range(n) into at most n_parts non-empty pairs (begin, end) of nearly equal length."""
    n_parts = max(1, min(n, n_parts))
    edges = [n * i // n_parts for i in range(n_parts + 1)]
    return list(itertools.pairwise(edges))
