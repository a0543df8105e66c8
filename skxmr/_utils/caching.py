"""Caching of fits by their input. Concurrent fits of the same input compute the result once.

A cache only saves time. If it fails, for example on a full disk, the result is computed, with a
warning.
"""

import copy
import hashlib
import inspect
import io
import os
import pickle
import threading
import warnings
from collections import OrderedDict
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import scipy.sparse as sp
from joblib.parallel import get_active_backend
from sklearn.utils.validation import check_memory

from .._core import digest
from .locks import exclusive

#: Number of lock files of a cache. They are few, so that they need not be deleted. Two different
#: computations may share a lock; one then waits for the other.
_N_LOCKS = 256

#: Number of results that a process keeps in use. Their arrays are mapped, and take no memory of
#: their own.
_MOST_KEPT = 32


def open_memory(memory):
    """Return the cache for a parameter `memory`.

    Parameters
    ----------
    memory : None, str, path or joblib.Memory

    Returns
    -------
    memory : joblib.Memory or similar
        Without a cache if the folder cannot be used, with a warning.
    """
    memory = os.fspath(memory) if isinstance(memory, os.PathLike) else memory
    try:
        return check_memory(memory)
    except OSError as error:
        _warn(error)
        return joblib.Memory(None)


def remembers(memory):
    """Return whether a memory keeps anything. A joblib.Memory without a folder does not."""
    return getattr(memory, "store_backend", memory) is not None


def key_of(given, params):
    """Return a key of everything that a result depends on.

    Parameters
    ----------
    given : sequence
        Matrices, arrays, lists of strings, tuples with a matrix, None. Two matrices are equal if
        their arrays are.
    params : dict
        Values that joblib can hash.

    Returns
    -------
    key : str or None
        None if a value cannot be hashed.
    """
    try:
        content = [_content(value) for value in given]
        settings = [(name, _setting(value)) for name, value in sorted(params.items())]
        text = repr((content, settings)).encode("utf-8", "surrogatepass")
        return hashlib.sha1(text).hexdigest()
    except Exception:  # objects that cannot be pickled raise errors of any type
        return None


def _setting(value):
    """Return what identifies a value in the text of a key."""
    if type(value) in (str, int, float, bool, type(None)):
        return value
    return "object", joblib.hash(value, hash_name="sha1")


def _content(value):
    """Return what identifies an input, without the flags that SciPy sets on a matrix."""
    if sp.issparse(value):
        kind = isinstance(value, sp.sparray), tuple(map(int, value.shape)), value.dtype.str
        value = value if value.format == "csr" else value.tocsr()
        return "sparse", kind, *map(_content, (value.indptr, value.indices, value.data))
    if isinstance(value, (list, tuple)) and all(isinstance(text, str) for text in value):
        return "texts", _text_digest(value)
    if isinstance(value, tuple) and any(getattr(part, "ndim", 0) == 2 for part in value):
        return "tuple", [_content(part) for part in value]
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype.hasobject:
        return _setting(array)
    return "array", array.dtype.descr, array.shape, digest(array)


def _text_digest(texts):
    """Hash texts at once; joblib takes microseconds for each string."""
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    content = "".join(texts).encode("utf-8", "surrogatepass")
    return digest(lengths), digest(np.frombuffer(content, dtype=np.uint8))


def cache(memory, function, ignore):
    """Return a function whose results are cached, and memory-mapped if possible.

    Parameters
    ----------
    memory : joblib.Memory or similar
    function : callable
    ignore : list of str
        Arguments that do not affect the result.

    Returns
    -------
    cached : callable
    """
    if not remembers(memory):  # hashing takes time
        return function
    signature = inspect.signature(function)
    name = f"{function.__module__}.{function.__qualname__}"

    def cached(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        params = {key: value for key, value in given.items() if key not in ignore}
        once = _Once(partial(function, *args, **kwargs))
        return _remembered(memory, key_of([], {"function": name, "arguments": params}), once)

    return cached


def _mapping(memory):
    """Return the same cache, but with memory-mapped results if it can map them."""
    plain = isinstance(memory, joblib.Memory) and _folder(memory) is not None
    if not plain or memory.compress or memory.mmap_mode is not None:
        return memory
    memory = copy.copy(memory)
    memory.mmap_mode = "r"
    # The store decides whether results are mapped, not the argument of Memory.cache.
    memory.store_backend = copy.copy(memory.store_backend)
    memory.store_backend.mmap_mode = "r"
    return memory


def recall(memory, key, work, compute):
    """Return a cached result, or compute and cache it.

    Parameters
    ----------
    memory : joblib.Memory or similar
    key : str or None
        Key of the result. None: it is not cached.
    work : str
        Key of the expensive part of the computation. Of all threads and processes that share a
        cache, only one at a time computes with the same `work`; the others can then use its result.
    compute : callable
        Called without arguments.

    Returns
    -------
    result : object
        Its arrays may be memory-mapped and read-only. They are ordinary arrays, not
        ``numpy.memmap``, and stay valid after the cache is deleted. Several calls may return the
        same object.
    """
    if key is None:
        return compute()
    kept = _KEPT.find(memory, key)
    if kept is not None:
        return kept
    with ExitStack() as locks:
        if not _is_known(memory, key):
            locks.enter_context(_alone(memory, work))
        result = _anonymous(_remembered(memory, key, _Once(compute)))
    _KEPT.add(memory, key, result)
    return result


def _is_known(memory, key):
    try:
        return _has(_mapping(memory).cache(_computed, ignore=["compute"]), key)
    except Exception:  # the cache is used once more, and its failure is reported then
        return False


def _has(cached, key):
    return getattr(cached, "check_call_in_cache", lambda *_: False)(key, None)


class _KeptResults:
    """The last results that this process has computed or read, with mapped arrays.

    A result is returned while the cache has it.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._results = OrderedDict()

    def find(self, memory, key):
        """Return a result, or None."""
        folder = _folder(memory)
        with self._lock:
            cached, result = self._results.get((folder, key), (None, None))
            if cached is None:
                return None
            self._results.move_to_end((folder, key))
        try:
            is_there = _has(cached, key)
        except Exception:  # as in _is_known
            is_there = False
        if not is_there:
            with self._lock:
                self._results.pop((folder, key), None)
        return result if is_there else None

    def add(self, memory, key, result):
        """Keep a result, if the cache maps its arrays and has stored it."""
        mapping = _mapping(memory)
        folder = _folder(memory)
        if folder is None or getattr(mapping, "compress", True) or not _is_known(memory, key):
            return
        cached = mapping.cache(_computed, ignore=["compute"])
        with self._lock:
            self._results[folder, key] = cached, result
            while len(self._results) > _MOST_KEPT:
                self._results.popitem(last=False)


_KEPT = _KeptResults()


class _Once:
    """A computation that runs at most once.

    Attributes
    ----------
    error : BaseException or None
        Raised by the computation.
    """

    def __init__(self, compute):
        self._compute = compute
        self._results = []
        self.error = None

    def __call__(self):
        if not self._results:
            try:
                self._results.append(self._compute())
            except BaseException as error:
                self.error = error
                raise
        return self._results[0]


def _remembered(memory, key, once):
    """Return a cached result, or compute it, also if the cache fails."""
    if key is None:
        return once()
    try:
        return _mapping(memory).cache(_computed, ignore=["compute"])(key, once)
    except Exception as error:  # a full disk, no permission, a damaged entry
        if once.error is not None:
            raise
        _warn(error)
        return once()


def _warn(error):
    warnings.warn(
        f"memory cannot be used, so this fit is not cached: {type(error).__name__}: {error}",
        stacklevel=2,
    )


def _computed(key, compute):
    return compute()


class _Pickler(pickle.Pickler):
    """Pickler that shares the memory of mapped arrays instead of copying it."""

    def reducer_override(self, obj):
        return np.asarray(obj).__reduce_ex__(5) if isinstance(obj, np.memmap) else NotImplemented


def _anonymous(result):
    """Rebuild an object with ordinary arrays on the same memory.

    joblib sends mapped arrays to other processes by the name of their file, which may have been
    deleted by then.
    """
    frame = io.BytesIO()
    buffers = []
    _Pickler(frame, protocol=5, buffer_callback=buffers.append).dump(result)
    return pickle.loads(frame.getbuffer(), buffers=[memoryview(buffer) for buffer in buffers])


@contextmanager
def _alone(memory, work):
    """Wait until no other thread or process that shares the cache does this work."""
    folder = _folder(memory)
    if folder is None:
        yield
        return
    digest = hashlib.sha1(work.encode()).digest()
    path = folder / f"{digest[0] % _N_LOCKS:02x}"
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive(path, os.O_RDWR | os.O_CREAT, _releasing_worker))
        except OSError:  # file systems without locks: the work may be done twice
            pass
        yield


def _folder(memory):
    """Return the folder of the locks of a cache, or None if it has no folder."""
    location = getattr(getattr(memory, "store_backend", None), "location", None)
    is_folder = isinstance(location, str) and getattr(memory, "backend", None) == "local"
    return Path(location) / "skxmr" / "locks" if is_folder else None


def _releasing_worker():
    """Return a context in which dask may use this worker for other tasks.

    The task that holds the lock may need it.
    """
    backend, _ = get_active_backend()
    return backend.retrieval_context()
