"""Fits that are remembered: found again by what was given, and made once by all who ask at once."""

import copy
import fcntl
import hashlib
import io
import pickle
from contextlib import contextmanager, nullcontext
from pathlib import Path

import joblib
import numpy as np
import scipy.sparse as sp
from joblib.parallel import get_active_backend

#: Files that those wait for who are about to do the same work: few, so that none need ever be
#: deleted. Who waits for another work by chance merely waits.
_N_LOCKS = 256

#: What hashing raises of things that cannot be pickled, or are no arrays where these are wanted.
_NO_KEY = (TypeError, ValueError, AttributeError, pickle.PicklingError)


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
    except _NO_KEY:
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
    """Return a function that a memory caches, and whose results are mapped where they can be."""
    return _mapping(memory).cache(function, ignore=ignore)


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
    found = cache(memory, _computed, ["compute"])
    known = getattr(found, "check_call_in_cache", lambda *_: False)(key, compute)
    with nullcontext() if known else _alone(memory, work):
        return _anonymous(found(key, compute))


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
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha1(work.encode()).digest()
    with open(folder / f"{digest[0] % _N_LOCKS:02x}", "a") as file:
        _lock(file)
        yield  # closing the file unlocks it


def _folder(memory):
    """Where a memory's locks lie, if it has a folder."""
    location = getattr(getattr(memory, "store_backend", None), "location", None)
    is_folder = isinstance(location, str) and getattr(memory, "backend", None) == "local"
    return Path(location) / "skxmr" / "locks" if is_folder else None


def _lock(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # Whoever holds the lock may need the workers that wait here: dask lets them step aside.
        backend, _ = get_active_backend()
        with backend.retrieval_context():
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # a file system without locks: work is done twice, no more
        return
