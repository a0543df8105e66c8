"""Checkpoints of fine-tuning: the encoder after each stage, as one safetensors file."""

import os
import secrets
import warnings
from pathlib import Path

from .._utils import caching
from ._torch import import_extra

#: Name of the embeddings in a file. Other names are those of the weights of the model.
_EMBEDDINGS = "skxmr.embeddings"


def open_checkpoints(memory, key):
    """Return the checkpoints for a parameter `memory`, or None if it stores nothing."""
    location = getattr(caching.open_memory(memory), "location", None)
    if location is None:
        return None
    return Checkpoints(Path(location) / "skxmr" / "fine-tuning" / key)


class Checkpoints:
    """The stages of one fine-tuning that are complete.

    A file is written under a temporary name and renamed. An interruption therefore leaves the
    stages before.

    Parameters
    ----------
    folder : path
    """

    def __init__(self, folder):
        self.folder = folder

    def last(self, n_stages):
        """Return the number of the last complete stage, its weights and embeddings, or None."""
        for stage in range(n_stages - 1, -1, -1):
            content = self._read(stage)
            if content is not None:
                return stage, content, content.pop(_EMBEDDINGS).numpy()
        return None

    def _read(self, stage):
        path = self._path(stage)
        if not path.is_file():
            return None
        try:
            return import_extra("safetensors.torch").load_file(path)
        except Exception as error:  # damaged files raise an error of the package
            warnings.warn(
                f"a checkpoint of fine-tuning is damaged and is ignored: {error}", stacklevel=2
            )
            return None

    def write(self, stage, model, embeddings):
        """Write a stage, and remove the one before."""
        torch = import_extra("torch")
        content = {
            name: value.detach().cpu().contiguous().clone()
            for name, value in model.state_dict().items()
        }
        content[_EMBEDDINGS] = torch.from_numpy(embeddings)
        scratch = self.folder / f"{secrets.token_hex(8)}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            import_extra("safetensors.torch").save_file(content, scratch)
            os.replace(scratch, self._path(stage))
            if stage:
                self._path(stage - 1).unlink(missing_ok=True)
        except OSError as error:
            warnings.warn(
                f"memory cannot be used, so the fine-tuning is not stored: {error}", stacklevel=2
            )
            scratch.unlink(missing_ok=True)

    def _path(self, stage):
        return self.folder / f"stage-{stage}.safetensors"
