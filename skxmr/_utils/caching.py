"""Fits that are remembered: found again by what was given, and made once by all who ask at once.

A memory saves time and nothing else depends on it: where it fails, as on a full disk, the result is
computed, and a warning says so.
"""

import copy
import hashlib
import inspect
import io
import os
import pickle
import warnings
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import scipy.sparse as sp
from joblib.parallel import get_active_backend
from sklearn.utils.validation import check_memory

from .locks import exclusive

#: Files that those wait for who are about to do the same work: few, so that none need ever be
#: deleted. Who waits for another work by chance merely waits.
_N_LOCKS = 256


def open_memory(memory):
    """Return what was given as `memory` as something that caches; where it cannot, with a warning.

    Parameters
    ----------
    memory : None, str, path or joblib.Memory
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
    """Return a name for all that a result depends on, or None where it has none.

    Parameters
    ----------
    given : sequence
        Matrices, arrays, lists of strings, None. Two matrices are the same if their arrays are.
    params : dict
        Whatever joblib can hash.
    """
    try:
        content = [_content(value) for value in given], sorted(params.items())
        return joblib.hash(content, hash_name="sha1")
    except Exception:  # whatever an object that cannot be pickled, or is no array, raises
        return None


def _content(value):
    """What counts of an input: not what scipy notes on an object as it learns it."""
    if sp.issparse(value):
        kind = isinstance(value, sp.sparray), value.shape, value.dtype.str
        value = value if value.format == "csr" else value.tocsr()
        return "sparse", kind, value.indptr, value.indices, value.data
    if isinstance(value, (list, tuple)) and all(isinstance(text, str) for text in value):
        return "texts", _text_digest(value)
    return value if value is None else np.asarray(value)


def _text_digest(texts):
    """Joblib takes microseconds for each string."""
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    digest = hashlib.sha1(lengths)
    digest.update("".join(texts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def cache(memory, function, ignore):
    """Return a function whose results a memory keeps, and that are mapped where they can be.

    Parameters
    ----------
    memory : joblib.Memory or alike
    function : callable
    ignore : list of str
        Arguments that the result does not depend on.
    """
    if not remembers(memory):  # hashing takes time
        return function
    signature, name = inspect.signature(function), f"{function.__module__}.{function.__qualname__}"

    def cached(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        params = {key: value for key, value in given.items() if key not in ignore}
        once = _Once(partial(function, *args, **kwargs))
        return _remembered(memory, key_of([], {"function": name, "arguments": params}), once)

    return cached


def _mapping(memory):
    """The same memory, but one that maps what it has: its store decides, not what `cache` takes."""
    plain = isinstance(memory, joblib.Memory) and _folder(memory) is not None
    if not plain or memory.compress or memory.mmap_mode is not None:
        return memory
    memory = copy.copy(memory)
    memory.mmap_mode = "r"
    memory.store_backend = copy.copy(memory.store_backend)
    memory.store_backend.mmap_mode = "r"
    return memory


def recall(memory, key, work, compute):
    """Return what is computed, from the memory if it has it.

    Parameters
    ----------
    memory : joblib.Memory or alike
    key : str or None
        Names the result. With None it is not remembered.
    work : str
        Names the dear part of the work: only one of all threads and processes that share a memory
        and name the same work computes at a time, lest each does what the next would find.
    compute : callable
        Takes nothing.

    Returns
    -------
    result : object
        Its arrays may be mapped, and read-only, but do not say so: it outlives the memory.
    """
    if key is None:
        return compute()
    with ExitStack() as locks:
        if not _is_known(memory, key):
            locks.enter_context(_alone(memory, work))
        return _anonymous(_remembered(memory, key, _Once(compute)))


def _is_known(memory, key):
    try:
        found = _mapping(memory).cache(_computed, ignore=["compute"])
        return getattr(found, "check_call_in_cache", lambda *_: False)(key, None)
    except Exception:  # the memory is asked once more, and its failure told then
        return False


class _Once:
    """Computes something once, and knows what came of it."""

    def __init__(self, compute):
        self._compute, self._results, self.error = compute, [], None

    def __call__(self):
        if not self._results:
            try:
                self._results.append(self._compute())
            except BaseException as error:
                self.error = error
                raise
        return self._results[0]


def _remembered(memory, key, once):
    """Return what is computed, from the memory if it has it; without it if it fails."""
    if key is None:
        return once()
    try:
        return _mapping(memory).cache(_computed, ignore=["compute"])(key, once)
    except Exception as error:  # a full disk, no permission, a damaged entry and what else befalls
        if once.error is not None:
            raise
        _warn(error)
        return once()


def _warn(error):
    warnings.warn(
        f"memory cannot be used, so this fit is not remembered: {type(error).__name__}: {error}",
        stacklevel=2,
    )


def _computed(key, compute):
    return compute()


class _Pickler(pickle.Pickler):
    """Hands out the memory of mapped arrays, too, instead of a copy."""

    def reducer_override(self, obj):
        return np.asarray(obj).__reduce_ex__(5) if isinstance(obj, np.memmap) else NotImplemented


def _anonymous(result):
    """Rebuild an object on the memory of its arrays.

    joblib would send mapped arrays to other processes by the name of a file, which by then may be
    gone.
    """
    frame, buffers = io.BytesIO(), []
    _Pickler(frame, protocol=5, buffer_callback=buffers.append).dump(result)
    return pickle.loads(frame.getbuffer(), buffers=[memoryview(buffer) for buffer in buffers])


@contextmanager
def _alone(memory, work):
    """Wait until nobody else who shares the memory does this work."""
    folder = _folder(memory)
    if folder is None:
        yield
        return
    digest = hashlib.sha1(work.encode()).digest()
    path = folder / f"{digest[0] % _N_LOCKS:02x}"
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive(path, os.O_RDWR | os.O_CREAT, _stepping_aside))
        except OSError:  # as in a file system without locks: work is done twice, no more
            pass
        yield


def _folder(memory):
    """Where a memory's locks lie, if it has a folder."""
    location = getattr(getattr(memory, "store_backend", None), "location", None)
    is_folder = isinstance(location, str) and getattr(memory, "backend", None) == "local"
    return Path(location) / "skxmr" / "locks" if is_folder else None


def _stepping_aside():
    """Whoever holds a lock may need the workers that wait for it: dask lets them step aside."""
    backend, _ = get_active_backend()
    return backend.retrieval_context()
