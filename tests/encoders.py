"""A small random encoder that tests write themselves, and texts for it.

PyTorch and transformers are needed.
"""

from pathlib import Path

import numpy as np
import scipy.sparse as sp

from skxmr import KMeansIndexer
from skxmr.transformers import XRTransformerClassifier

WORDS = (
    "cat cats dog dogs bird birds fish sea land river sky tree trees music organ church book books "
    "history of the and in a guide to art war peace love time city stone water fire light night "
    "day wood snow rain sun"
).split()


N_LABELS = 40


def make_texts(n, seed=0):
    """Texts with one word for each of two labels, and two more words."""
    rng = np.random.default_rng(seed)
    Y = np.zeros((n, N_LABELS), dtype=np.float32)
    texts = []
    for row in Y:
        labels = rng.choice(N_LABELS, 2, replace=False)
        row[labels] = 1
        texts.append(" ".join([*(WORDS[label] for label in labels), *rng.choice(WORDS, 2)]))
    return texts, sp.csr_matrix(Y)


TEXTS, Y = make_texts(200)
NEW, NEW_Y = make_texts(60, seed=1)
NAMES = WORDS[:N_LABELS]
INDEXER = KMeansIndexer(branching=4, max_leaf_size=3)


def make_classifier(folder, **params):
    """Return a classifier that is fine-tuned in a second."""
    defaults = {
        "indexer": INDEXER,
        "learning_rate": 1e-3,
        "n_epochs": 2,
        "pretrained_weight": 0.0,
        "random_state": 0,
    }
    return XRTransformerClassifier(folder, **{**defaults, **params})


def write_encoder(folder, *, seed=0, hidden=32, layers=2, positions=160):
    """Write a random BERT with a WordPiece vocabulary of `WORDS` and letters into a folder."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    tokens += [t for t in letters if t not in tokens] + [f"##{letter}" for letter in letters]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"))
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=positions,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def read_pair(folder):
    """Return the model and the tokenizer of a folder."""
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder, local_files_only=True)
    return model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True)
