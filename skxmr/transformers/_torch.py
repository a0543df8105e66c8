"""PyTorch and transformers: their import, devices, precision and threads."""

import importlib
import threading
from contextlib import contextmanager

from .._utils.params import check_option

DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("auto", "float32", "bfloat16")


def import_extra(name):
    """Import a package of the extra "transformer".

    Raises
    ------
    ImportError
        If it is not installed. The message names the extra.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != name.partition(".")[0]:
            raise
        raise ImportError(
            f"{name} is not installed; text encoders need the extra: "
            'pip install "skxmr[transformer]"'
        ) from error


def chosen_device(device):
    """Return the torch device for the parameter `device`.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"} or str such as "cuda:1"

    Raises
    ------
    ValueError
        If it is none of these, or if there is no such device.
    """
    torch = import_extra("torch")
    if not (isinstance(device, str) and device.startswith("cuda:") and device[5:].isdigit()):
        check_option(device, "device", DEVICES)
    has_cuda = torch.cuda.is_available()
    if device == "auto":
        return torch.device("cuda" if has_cuda else "cpu")
    if device.startswith("cuda"):
        n_devices = torch.cuda.device_count() if has_cuda else 0
        if int(device[5:] or 0) >= n_devices:
            raise ValueError(
                f"device must be available, got {device!r}, but PyTorch has {n_devices} CUDA "
                "devices; use 'auto' to fall back to the CPU"
            )
    return torch.device(device)


def computes_in_bfloat16(dtype, device):
    """Return whether the products of matrices are computed in bfloat16.

    "auto" means bfloat16 on devices with instructions for it. Other CPUs are slower with it.
    """
    check_option(dtype, "dtype", DTYPES)
    if dtype != "auto":
        return dtype == "bfloat16"
    torch = import_extra("torch")
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


_one_thread_lock = threading.Lock()


@contextmanager
def one_thread():
    """Let this thread of Python compute without further threads.

    Sums are then computed in one order, and results do not depend on the number of jobs.
    """
    torch = import_extra("torch")
    # The setting belongs to the calling thread, and is the default of threads that start later.
    with _one_thread_lock:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _one_thread_lock:
            torch.set_num_threads(before)


def is_out_of_memory(error):
    """Return whether an error of PyTorch means that memory is exhausted, on any device."""
    torch = import_extra("torch")
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
