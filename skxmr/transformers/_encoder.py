"""An encoder: a transformer model with its tokenizer, loaded from a local folder."""

import hashlib
import json
import os
import threading
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._torch import import_extra

POOLINGS = ("auto", "mean", "cls", "last")

#: Names of the weights of a model in a folder. Large models have an index and several files.
_WEIGHT_PATTERNS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin")

#: Files with the tokens of a tokenizer. Without any, transformers makes one that knows no words.
_TOKENIZER_PATTERNS = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken")

#: Pooling in the configuration of sentence-transformers, and the one of this package.
_CONFIGURED_POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}

#: Encoders of folders that are in use, by the folder and the times of its files.
_loaded = weakref.WeakValueDictionary()
_load_lock = threading.Lock()


class Tokens(NamedTuple):
    """The tokens of one text.

    Attributes
    ----------
    ids : ndarray of int32
        Empty if the text has no tokens besides the special ones.
    types : ndarray of int32 or None
        The types of the tokens, for models that have several.
    truncated : bool
        Whether the text has more tokens.
    """

    ids: np.ndarray
    types: np.ndarray | None
    truncated: bool


class Encoder:
    """A model and its tokenizer.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase
    folder : path, optional
        Where they were loaded from. It may hold the pooling of sentence-transformers.

    Attributes
    ----------
    width : int
        Number of columns of an embedding.
    """

    def __init__(self, model, tokenizer, folder=None):
        self.model = model.get_encoder() if model.config.is_encoder_decoder else model
        self.tokenizer = tokenizer
        self.folder = folder
        self.width = int(self.model.config.hidden_size)
        self._fingerprint = None
        self._check_tokenizer()

    def _check_tokenizer(self):
        ids = self.tokenizer.get_vocab().values()
        n_vectors = self.model.get_input_embeddings().weight.shape[0]
        if max(ids, default=-1) >= n_vectors:
            raise ValueError(
                "the tokenizer of encoder must fit its model, but it has tokens up to number "
                f"{max(ids)} and the model has {n_vectors} token vectors"
            )

    @property
    def max_length(self):
        """Largest number of tokens that the model accepts, or None."""
        positions = getattr(self.model.config, "max_position_embeddings", None)
        if positions is None or positions <= 0:
            return None
        # The position numbers of RoBERTa and its relatives start after that of the padding.
        offset = getattr(getattr(self.model, "embeddings", None), "padding_idx", None)
        types = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer")
        if self.model.config.model_type in types and offset is not None:
            positions -= offset + 1
        return int(positions)

    def move(self, device):
        """Move the model to a device, unless it is there."""
        current = next(self.model.parameters()).device
        if current.type != device.type or (device.index is not None and current != device):
            self.model.to(device)

    def pooling(self, asked):
        """Return the pooling for the parameter `pooling`."""
        if asked != "auto":
            return asked
        if self.folder is None:
            return "mean"
        if any(module.endswith(".Dense") for module in self._modules()):
            raise ValueError(
                "encoder has a layer after its pooling (sentence-transformers' Dense), which is "
                "not applied; state pooling to use the embeddings before this layer"
            )
        config = _read_json(self.folder / "1_Pooling" / "config.json", {})
        active = [name for name, value in config.items() if value is True and "mode" in name]
        if not active:
            return "mean"
        if len(active) > 1 or active[0] not in _CONFIGURED_POOLINGS:
            raise ValueError(
                f"encoder has the pooling {', '.join(active)}, which is not known; state pooling "
                "as 'mean', 'cls' or 'last'"
            )
        return _CONFIGURED_POOLINGS[active[0]]

    def _modules(self):
        modules = _read_json(self.folder / "modules.json", [])
        return [str(module.get("type", "")) for module in modules]

    def fingerprint(self):
        """Return a hash of the weights and the tokenizer."""
        if self._fingerprint is None:
            digest = hashlib.sha1()
            for name, value in sorted(self.model.state_dict().items()):
                digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
                value = value.detach().cpu().contiguous().reshape(-1)
                digest.update(value.view(import_extra("torch").uint8).numpy())
            digest.update(self._tokenizer_content())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def _tokenizer_content(self):
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is not None:
            content = json.loads(backend.to_str())
            # Calls of the tokenizer set these two.
            content.pop("truncation", None)
            content.pop("padding", None)
            return json.dumps(content, sort_keys=True).encode()
        return json.dumps(sorted(self.tokenizer.get_vocab().items())).encode()

    def tokenize(self, texts, max_length):
        """Return the Tokens of each text."""
        plain = self._call_tokenizer(texts)
        ids = plain["input_ids"]
        types = plain.get("token_type_ids", [None] * len(texts))
        n_special = self.tokenizer.num_special_tokens_to_add()
        long = [i for i, tokens in enumerate(ids) if len(tokens) > max_length]
        if long:
            cut = self._call_tokenizer(
                [texts[i] for i in long], truncation=True, max_length=max_length
            )
            for position, i in enumerate(long):
                ids[i] = cut["input_ids"][position]
                if types[i] is not None:
                    types[i] = cut["token_type_ids"][position]
        truncated = set(long)
        return [
            Tokens(
                np.array(ids[i] if len(ids[i]) > n_special else [], dtype=np.int32),
                None if types[i] is None else np.array(types[i], dtype=np.int32),
                i in truncated,
            )
            for i in range(len(texts))
        ]

    def _call_tokenizer(self, texts, **options):
        return self.tokenizer(
            texts, padding=False, return_attention_mask=False, verbose=False, **options
        )

    def pad(self, tokens, device):
        """Return the inputs of the model for texts, as tensors of shape (n_texts, max_length)."""
        torch = import_extra("torch")
        length = max(len(t.ids) for t in tokens)
        pad_id = self.tokenizer.pad_token_id or 0
        ids = np.full((len(tokens), length), pad_id, dtype=np.int64)
        mask = np.zeros((len(tokens), length), dtype=np.int64)
        has_types = all(t.types is not None for t in tokens)
        pad_type = getattr(self.tokenizer, "pad_token_type_id", 0)
        types = np.full((len(tokens), length), pad_type, dtype=np.int64)
        on_left = getattr(self.tokenizer, "padding_side", "right") == "left"
        for row, t in enumerate(tokens):
            begin = length - len(t.ids) if on_left else 0
            span = slice(begin, begin + len(t.ids))
            ids[row, span] = t.ids
            mask[row, span] = 1
            if has_types:
                types[row, span] = t.types
        inputs = {"input_ids": ids, "attention_mask": mask}
        if has_types:
            inputs["token_type_ids"] = types
        return {name: torch.from_numpy(value).to(device) for name, value in inputs.items()}

    def embed(self, inputs, pooling, normalize):
        """Return the embeddings of a batch, a tensor of float32, shape (n_texts, width)."""
        torch = import_extra("torch")
        hidden = self.model(**inputs).last_hidden_state.float()
        pooled = pool(hidden, inputs["attention_mask"], pooling)
        return torch.nn.functional.normalize(pooled, dim=1) if normalize else pooled


def pool(hidden, mask, pooling):
    """Pool the vectors of the tokens of each text.

    Parameters
    ----------
    hidden : tensor of shape (n_texts, length, width)
    mask : tensor of shape (n_texts, length)
        1 for tokens, 0 for padding on either side.
    pooling : {"mean", "cls", "last"}

    Returns
    -------
    pooled : tensor of shape (n_texts, width)
    """
    if pooling == "mean":
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1)
    rows = import_extra("torch").arange(len(mask), device=mask.device)
    if pooling == "cls":
        return hidden[rows, mask.argmax(1)]
    return hidden[rows, mask.shape[1] - 1 - mask.flip(1).argmax(1)]


def load_encoder(encoder):
    """Return the Encoder for the parameter `encoder`: a folder or a pair.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If the folder does not hold a model with weights and a tokenizer, or if they do not fit.
    """
    import_extra("torch")
    if isinstance(encoder, (str, os.PathLike)):
        return _load_folder(Path(encoder))
    if isinstance(encoder, tuple) and len(encoder) == 2:
        return _take_pair(*encoder)
    raise TypeError(
        "encoder must be a local folder, a pair (model, tokenizer) or an object with transform, "
        f"got {encoder!r:.80}"
    )


def _take_pair(model, tokenizer):
    transformers = import_extra("transformers")
    if not isinstance(model, transformers.PreTrainedModel):
        raise TypeError(
            "the first part of encoder must be a transformers.PreTrainedModel, got "
            f"{type(model).__name__}"
        )
    if not isinstance(tokenizer, transformers.PreTrainedTokenizerBase):
        raise TypeError(
            "the second part of encoder must be a transformers tokenizer, got "
            f"{type(tokenizer).__name__}"
        )
    return Encoder(model, tokenizer)


def _load_folder(folder):
    if not folder.is_dir():
        raise ValueError(
            f"encoder must be a local folder with a model, got {str(folder)!r}, which is not a "
            "folder; models are not downloaded"
        )
    if not (folder / "config.json").is_file():
        raise ValueError(f"encoder must be a folder with a config.json, got {str(folder)!r}")
    if not _has_file(folder, _WEIGHT_PATTERNS):
        raise ValueError(
            "encoder must be a folder with the weights of a model, such as model.safetensors, got "
            f"{str(folder)!r}"
        )
    if not _has_file(folder, _TOKENIZER_PATTERNS):
        raise ValueError(
            "encoder must be a folder with a tokenizer, such as tokenizer.json, got "
            f"{str(folder)!r}"
        )
    key = (
        str(folder.resolve()),
        tuple(
            (path.name, path.stat().st_mtime_ns, path.stat().st_size)
            for path in sorted(folder.iterdir())
            if path.is_file()
        ),
    )
    with _load_lock:
        encoder = _loaded.get(key)
        if encoder is None:
            encoder = _loaded[key] = read_folder(folder)
    return encoder


def _has_file(folder, patterns):
    return any(path.is_file() for pattern in patterns for path in folder.glob(pattern))


def read_folder(folder):
    """Return the Encoder of a folder that has the necessary files."""
    transformers = import_extra("transformers")
    with _quiet(transformers):
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # missing and damaged files raise errors of many types
            raise ValueError(
                f"encoder must be a folder with a tokenizer, but that of {str(folder)!r} cannot be "
                f"read: {error}"
            ) from error
        try:
            model, info = transformers.AutoModel.from_pretrained(
                folder, local_files_only=True, dtype="float32", output_loading_info=True
            )
        except Exception as error:
            raise ValueError(
                f"encoder must be a folder with a model, but that of {str(folder)!r} cannot be "
                f"read: {error}"
            ) from error
    missing = sorted(name for name in info["missing_keys"] if "pooler" not in name)
    if missing:
        raise ValueError(
            f"encoder must be a folder with all weights of its model, but {str(folder)!r} lacks "
            f"{len(missing)} of them, such as {missing[0]!r}"
        )
    return Encoder(model.eval(), tokenizer, folder)


@contextmanager
def _quiet(transformers):
    """Suppress the progress bars and reports of transformers while a folder is read."""
    logging = transformers.utils.logging
    verbosity = logging.get_verbosity()
    had_bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bars:
            logging.enable_progress_bar()


def _read_json(path, default):
    if not path.is_file():
        return default
    return json.loads(path.read_text(encoding="utf-8"))
