"""A cache of embeddings by the content of the texts.

Every block of new texts is one file. It is written under a temporary name and renamed, so that an
interruption loses at most one block, and several processes can share a folder.
"""

import hashlib
import os
import secrets
import warnings
import zipfile
from pathlib import Path

import numpy as np

from .._utils import caching

#: Smallest number of new texts that are worth a file.
_LEAST = 32


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
        self._blocks = {}

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
        self._read_new_blocks(width)
        known = np.zeros(len(texts), dtype=bool)
        truncated = np.zeros(len(texts), dtype=bool)
        embeddings = np.zeros((len(texts), width), dtype=np.float32)
        digests = _digests(texts)
        for block in self._blocks.values():
            rows = np.searchsorted(block["digests"][:, 0], digests[:, 0])
            rows[rows == len(block["digests"])] = 0
            hits = np.flatnonzero((block["digests"][rows] == digests).all(axis=1))
            known[hits] = True
            embeddings[hits] = block["embeddings"][rows[hits]]
            truncated[hits] = block["truncated"][rows[hits]]
        return known, embeddings, truncated

    def add(self, texts, embeddings, truncated):
        """Store the embeddings of new texts, which must differ from each other."""
        if len(texts) < _LEAST:
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

    def _read_new_blocks(self, width):
        for path in sorted(self.folder.glob("*.npz")) if self.folder.is_dir() else []:
            if path.name not in self._blocks:
                block = _read_block(path, width)
                if block is not None:
                    self._blocks[path.name] = block


def _read_block(path, width):
    """Return the arrays of a file, or None if it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            block = {name: file[name] for name in ("digests", "embeddings", "truncated")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    n = len(block["digests"])
    shapes = {"digests": (n, 2), "embeddings": (n, width), "truncated": (n,)}
    if n == 0 or any(block[name].shape != shape for name, shape in shapes.items()):
        return None
    return block


def _digests(texts):
    """Return a hash of each text, ndarray of uint64, shape (n_texts, 2)."""
    digests = b"".join(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for text in texts
    )
    return np.frombuffer(digests, dtype="<u8").reshape(len(texts), 2)
