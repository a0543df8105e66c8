"""Work spread over threads, or by joblib over whatever it was told to use."""

import itertools
import queue
import threading
from concurrent.futures import CancelledError
from contextlib import contextmanager

from joblib import Parallel, delayed
from joblib.parallel import SequentialBackend, ThreadingBackend, get_active_backend

from .._core import CancelFlag
from . import progress

#: How often workers may be lost in the midst of a piece of work.
_MOST_LOSSES = 10

#: Bytes above which an argument is sent to a cluster once, not with each task.
_LARGE = 1000

#: Seconds after which a waiting thread looks up, where waiting itself cannot be interrupted.
_LOOK_UP = 0.5

#: Whatever n_jobs says, which a model's file may have said: so many threads do no harm.
_MOST_WORKERS = 1024


def n_workers(n_jobs):
    """How many workers there are for n_jobs.

    Not joblib's own number, which is 1, with a warning, in processes that may have no children:
    these may have threads.
    """
    backend, _ = get_active_backend(prefer="threads")
    _, asked = get_active_backend()  # with a preference, joblib forgets what it was told
    return min(_MOST_WORKERS, backend.effective_n_jobs(asked if n_jobs is None else n_jobs))


def run(function, tasks, costs, *, n_jobs, what, part=1.0, brief=False):
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
    what : str
        The phase of the work, for those who are told of its progress.
    part : float
        What part of the phase this is.
    brief : bool
        Whether an interruption can wait for the end of a task, so that a single worker needs no
        thread of its own.
    """
    order = sorted(range(len(tasks)), key=lambda i: -costs[i])
    results = [None] * len(tasks)
    with _closed(_stream(function, tasks, order, n_jobs, brief)) as stream:
        for i, result in _reported(stream, costs, what, part):
            results[i] = result
    return results


def interruptible(function, *args):
    """Call a function that takes long in C, so that an interruption ends it soon."""
    if threading.current_thread() is not threading.main_thread():
        return function(*args)
    with _closed(_in_threads(function, [args], [0], 1)) as stream:
        ((_, result),) = stream
    return result


@contextmanager
def in_order(function, tasks, costs, *, n_jobs, what, part=1.0):
    """Do the same, but give an iterator of the results in task order, which keeps none of them.

    Tasks are begun in order, too, so that few results have to wait for their turn; except that
    with several workers uncommonly dear ones come first, lest one of them is begun last.
    """
    limit = 2 * sum(costs) / max(1, len(costs))
    few = n_workers(n_jobs) == 1
    order = sorted(
        range(len(tasks)), key=lambda i: -costs[i] if costs[i] > limit and not few else 0
    )
    with _closed(_stream(function, tasks, order, n_jobs, False)) as stream:
        yield _sorted(_reported(stream, costs, what, part))


class _closed:
    """As contextlib.closing, but closes the generator however often that is interrupted."""

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
    """The results of a stream in the order of their tasks."""
    early = {}
    for i in itertools.count():
        while i not in early:
            try:
                done, early[done] = next(stream)
            except StopIteration:
                return
        yield early.pop(i)


def _stream(function, tasks, order, n_jobs, brief):
    """A generator of pairs (number of a task, its result)."""
    backend, _ = get_active_backend(prefer="threads")
    if type(backend) not in (ThreadingBackend, SequentialBackend):
        if type(backend).__name__ != "DaskDistributedBackend":
            return _by_joblib(function, tasks, order, n_jobs)
        if tasks and not _in_dask_task():
            return _by_dask(backend.client, function, tasks, order)
        return ((i, function(*tasks[i])) for i in order)  # what spreads fits spreads enough
    n = min(len(tasks), n_workers(n_jobs))
    # Only the main thread is ever interrupted, and only while it runs Python.
    if n <= 1 and (brief or threading.current_thread() is not threading.main_thread()):
        return ((i, function(*tasks[i])) for i in order)
    return _in_threads(function, tasks, order, n)


def _by_joblib(function, tasks, order, n_jobs):
    parallel = Parallel(n_jobs=n_jobs, return_as="generator", batch_size=1)
    yield from zip(order, parallel(delayed(function)(*tasks[i]) for i in order), strict=True)


def _in_dask_task():
    from distributed.worker import thread_state

    return hasattr(thread_state, "execution_state")


def _by_dask(client, function, tasks, order):
    """Spread tasks over a cluster. joblib would wait forever for arguments lost on their way."""
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
                if isinstance(numbered, CancelledError):  # given, not raised
                    raise numbered
                yield numbered
        finally:
            client.cancel(calls)

    yield from _persistently(attempt, order, (CancelledError, CommClosedError))


def _shared(tasks):
    """The large arguments that all tasks have in common, by their id."""
    from dask.sizeof import sizeof

    common = set(map(id, tasks[0])).intersection(*(map(id, args) for args in tasks))
    return {id(arg): arg for arg in tasks[0] if id(arg) in common and sizeof(arg) > _LARGE}


def _persistently(attempt, order, lost):
    """Attempt tasks until all have a result: those that are left when a worker is lost, again.

    dask computes lost results anew by itself, but not the arguments that were sent ahead.
    """
    left, losses = dict.fromkeys(order), 0
    while left:
        try:
            for i, result in attempt(list(left)):
                del left[i]
                yield i, result
        except lost:
            losses += 1
            if losses > _MOST_LOSSES:
                raise


def _numbered(i, function, *args):
    return i, function(*args)


def _in_threads(function, tasks, order, n_workers):
    """Threads of our own: joblib's would go on with what they have begun after an interruption."""
    flag, todo, done = CancelFlag(), queue.SimpleQueue(), queue.SimpleQueue()
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
        while not ended:  # however often it is interrupted
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
            progress.refresh()


def ranges(n, n_parts):
    """Split range(n) into at most n_parts non-empty (lo, hi), of nearly equal length."""
    n_parts = max(1, min(n, n_parts))
    edges = [n * i // n_parts for i in range(n_parts + 1)]
    return list(itertools.pairwise(edges))
