"""A cache of embeddings by the content of the texts.

Every block of new texts is one file. It is written under a temporary name and renamed, so that an
interruption loses at most one block, and several processes can share a folder.
"""

import hashlib
import os
import secrets
import warnings
from pathlib import Path

import numpy as np

from .._utils import caching
from .._utils.npy import read_archive

#: Smallest number of texts that are looked up, and of new texts that are worth a file.
LEAST = 32


def open_store(memory, key):
    """Return the store for a parameter `memory`, or None if it stores nothing.

    Parameters
    ----------
    memory : None, str, path or joblib.Memory
    key : callable
        Returns the key of the encoder and its settings, a string.
    """
    location = getattr(caching.open_memory(memory), "location", None)
    if location is None:
        return None
    return EmbeddingStore(Path(location) / "skxmr" / "embeddings" / key())


class EmbeddingStore:
    """The embeddings of one encoder with fixed settings.

    Parameters
    ----------
    folder : path
    """

    def __init__(self, folder):
        self.folder = folder

    def find(self, texts, width):
        """Look up texts.

        Returns
        -------
        known : ndarray of bool, shape (n_texts,)
        embeddings : ndarray of float32, shape (n_texts, width)
            Rows of texts that are not known are zero.
        truncated : ndarray of bool, shape (n_texts,)
            Whether the text was truncated.
        """
        known = np.zeros(len(texts), dtype=bool)
        truncated = np.zeros(len(texts), dtype=bool)
        embeddings = np.zeros((len(texts), width), dtype=np.float32)
        digests = _digests(texts)
        for path in sorted(self.folder.glob("*.npz")) if self.folder.is_dir() else []:
            found = _find_in_block(path, digests, width)
            if found is not None:
                hits, embeddings[hits], truncated[hits] = found
                known[hits] = True
        return known, embeddings, truncated

    def add(self, texts, embeddings, truncated):
        """Store the embeddings of new texts, which must differ from each other."""
        if len(texts) < LEAST:
            return
        digests = _digests(texts)
        order = np.argsort(digests[:, 0])
        name = secrets.token_hex(8)
        scratch = self.folder / f"{name}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(scratch, "xb") as file:
                np.savez(
                    file,
                    digests=digests[order],
                    embeddings=embeddings[order],
                    truncated=truncated[order],
                )
            os.replace(scratch, self.folder / f"{name}.npz")
        except OSError as error:
            warnings.warn(
                f"memory cannot be used, so embeddings are not cached: {error}", stacklevel=2
            )
            scratch.unlink(missing_ok=True)


def _find_in_block(path, digests, width):
    """Look up texts in a file.

    Returns
    -------
    found : tuple (hits, embeddings, truncated) or None
        `hits` are the positions of the texts that the file has. None if it has none of them, or is
        damaged.
    """
    try:
        stored = read_archive(path, ["digests"])["digests"]
        n = len(stored)
        if stored.shape != (n, 2) or n == 0:
            return None
        rows = np.searchsorted(stored[:, 0], digests[:, 0])
        rows[rows == n] = 0
        hits = np.flatnonzero((stored[rows] == digests).all(axis=1))
        if len(hits) == 0:
            return None
        found = read_archive(path, ["embeddings", "truncated"])
    except (OSError, ValueError):
        return None
    embeddings, truncated = found["embeddings"], found["truncated"]
    if embeddings.shape != (n, width) or truncated.shape != (n,):
        return None
    return hits, embeddings[rows[hits]], truncated[rows[hits]]


def _digests(texts):
    """Return a hash of each text, ndarray of uint64, shape (n_texts, 2)."""
    digests = b"".join(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for text in texts
    )
    return np.frombuffer(digests, dtype="<u8").reshape(len(texts), 2)
