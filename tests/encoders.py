"""A small random encoder that tests write themselves; PyTorch and transformers are needed."""

from pathlib import Path

WORDS = (
    "cat cats dog dogs bird birds fish sea land river sky tree trees music organ church book books "
    "history of the and in a guide to art war peace love time city stone water fire light night "
    "day wood snow rain sun"
).split()


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
