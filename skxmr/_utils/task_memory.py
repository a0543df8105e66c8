"""The memory that a task may take."""

import os

from .._core import Scratch
from .parallel import in_dask_task

#: Fraction of the memory of a task above which a copy of rows is mapped from a file.
_FRACTION = 1 / 4

#: Number of tasks that a machine is taken to run at once, other than those of dask.
_TASKS = 4


def scratch_of_task():
    """Return where and when the task that runs in this thread maps scratch memory from a file.

    The memory of a dask worker is its limit. Its files are in its local directory.

    Returns
    -------
    scratch : Scratch
    """
    if in_dask_task():
        from distributed import get_worker

        worker = get_worker()
        limit = worker.memory_manager.memory_limit
        if limit:
            share = limit / worker.state.nthreads
            return Scratch(int(_FRACTION * share), worker.local_directory)
    return Scratch(int(_FRACTION * _physical_memory() / _TASKS))


def _physical_memory():
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
