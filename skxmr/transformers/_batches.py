"""Encoding of tokenized texts in batches of similar length."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np

from .._utils import parallel, progress
from ._torch import import_extra, is_out_of_memory, one_thread

#: The phase of a progress report.
PHASE = "encoding"

#: If memory is exhausted, batches of this fraction of the size are tried once.
_SMALLER = 4


def token_batches(lengths, batch_tokens):
    """Group texts of similar length.

    Parameters
    ----------
    lengths : ndarray of int, shape (n_texts,)
        Number of tokens of each text. Texts without tokens are in no batch.
    batch_tokens : int
        Maximum number of tokens of a batch with its padding. A longer text is a batch of its own.

    Returns
    -------
    batches : list of ndarray of int
        Positions of the texts. The longest ones come first, so that exhausted memory shows early.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    batches = []
    begin = 0
    while begin < len(order):
        size = max(1, batch_tokens // int(lengths[order[begin]]))
        batches.append(order[begin : begin + size])
        begin += size
    return batches


class BatchEncoder:
    """Encodes batches with fixed settings.

    Parameters
    ----------
    encoder : Encoder
    pooling : {"mean", "cls", "last"}
    normalize : bool
    batch_tokens : int
    device : torch.device
    bfloat16 : bool
    n_jobs : int or None
        Number of threads. Each computes on its own batches. Ignored with CUDA.
    """

    def __init__(self, encoder, *, pooling, normalize, batch_tokens, device, bfloat16, n_jobs):
        self.encoder = encoder
        self.pooling = pooling
        self.normalize = normalize
        self.batch_tokens = batch_tokens
        self.device = device
        self.bfloat16 = bfloat16
        self.n_workers = parallel.n_workers(n_jobs) if device.type == "cpu" else 1
        self._is_smaller = False

    def encode(self, tokens, n_texts):
        """Encode tokenized texts.

        Parameters
        ----------
        tokens : list of Tokens
        n_texts : int
            Number of texts of the whole work, for the progress report.

        Returns
        -------
        embeddings : ndarray of float32, shape (n, width)
            Zero for texts without tokens.
        """
        embeddings = np.zeros((len(tokens), self.encoder.width), dtype=np.float32)
        lengths = np.array([len(t.ids) for t in tokens], dtype=np.int64)
        batches = token_batches(lengths, self.batch_tokens)
        self.encoder.move(self.device)
        with _evaluating(self.encoder.model), _workers(self.n_workers) as run:
            for batch, rows in run(self._encode_batch, [(tokens, batch) for batch in batches]):
                embeddings[batch] = rows
                progress.advance(PHASE, len(batch) / n_texts)
        return embeddings

    def _encode_batch(self, tokens, batch):
        try:
            return batch, self._embed([tokens[i] for i in batch])
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        return batch, self._encode_parts(tokens, batch)

    def _encode_parts(self, tokens, batch):
        """Encode a batch in smaller parts, after the memory was exhausted."""
        torch = import_extra("torch")
        if not self._is_smaller:
            self._is_smaller = True
            self.batch_tokens = max(1, self.batch_tokens // _SMALLER)
            warnings.warn(
                f"the memory of the device {str(self.device)!r} is exhausted; the batches are now "
                f"smaller. batch_tokens={self.batch_tokens} avoids this",
                RuntimeWarning,
                stacklevel=2,
            )
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        parts = np.array_split(batch, min(_SMALLER, len(batch)))
        try:
            return np.concatenate([self._embed([tokens[i] for i in part]) for part in parts])
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise MemoryError(
                f"the memory of the device {str(self.device)!r} is exhausted with a quarter of "
                "batch_tokens as well; use smaller batch_tokens or max_length"
            ) from error

    def _embed(self, tokens):
        torch = import_extra("torch")
        inputs = self.encoder.pad(tokens, self.device)
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16),
            one_thread() if self.device.type == "cpu" else nullcontext(),
        ):
            return self.encoder.embed(inputs, self.pooling, self.normalize).cpu().numpy()


class _evaluating:
    """Switch a model to evaluation, without dropout, inside the block."""

    def __init__(self, model):
        self.model = model
        self.was_training = model.training

    def __enter__(self):
        if self.was_training:  # a visit of all modules takes a millisecond
            self.model.eval()

    def __exit__(self, *error):
        if self.was_training:
            self.model.train()


class _workers:
    """Run a function for many arguments in threads, and yield the results in order.

    After an error, the work that has not begun is dropped.
    """

    def __init__(self, n_workers):
        self.pool = ThreadPoolExecutor(n_workers) if n_workers > 1 else None

    def __enter__(self):
        return self.run

    def run(self, function, arguments):
        if self.pool is None:
            return (function(*args) for args in arguments)
        futures = [self.pool.submit(function, *args) for args in arguments]
        return (future.result() for future in futures)

    def __exit__(self, *error):
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
