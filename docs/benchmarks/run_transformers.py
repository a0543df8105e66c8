"""Compare text encoders: frozen, XR-Transformer, X-Transformer and contrastive.

    python docs/benchmarks/run_transformers.py --encoder FOLDER --work WORK
        [--corpora CORPORA] [--data NAME] [--rows N] [--test-rows N]
        [--seeds N] [--first-seed SEED] [--device cuda] [--minutes M] [--epochs E]
        [--max-length L] [--systems NAME ...]

It writes WORK/transformers.json after every result. Systems that would begin after `--minutes` are
left out, and the file says so. Repeat the command to continue: WORK/cache keeps fine-tuned encoders
and embeddings, and results in the file are not computed again.

Each system has a line for each use of the embeddings: for neighbors, as features, and for both.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from data import TEXTS
from measure import peak_bytes

from skxmr import XRLinearClassifier
from skxmr.metrics import f1_at_k, ndcg_at_k, precision_at_k, propensities, psp_at_k
from skxmr.pipeline import make_pipeline
from skxmr.text import NGramTfidfVectorizer
from skxmr.transformers import XRTransformerClassifier

#: Objective of each system, and whether the names of labels are additional training rows.
SYSTEMS = {
    "linear": (None, False),
    "linear, names": (None, True),
    "frozen": (None, False),
    "frozen, names": (None, True),
    "XR-Transformer": ("tree", False),
    "XR-Transformer, names": ("tree", True),
    "X-Transformer": ("flat", False),
    "contrastive, names": ("names", True),
}
USES = ("neighbors", "features", "both")

#: Pruning threshold of each use. More rows of features need smaller weights.
THRESHOLDS = {"neighbors": 0.1, "features": 0.03, "both": 0.03}
N_SINGLE = 50  # texts whose ranking is timed one by one


def read(args):
    """Return training texts, their labels, test texts, their labels, and the names of labels."""
    folder, reader, _ = TEXTS[args.data]
    data = reader(folder and Path(args.corpora) / folder)
    train = some_rows(len(data.text_train), args.rows)
    test = some_rows(len(data.text_test), args.test_rows)
    return (
        [data.text_train[i] for i in train],
        data.Y_train[train],
        [data.text_test[i] for i in test],
        data.Y_test[test],
        [str(name) for name in data.label_names],
    )


def some_rows(n, most):
    """Return row numbers at equal distances, all of them if there are not more."""
    if most is None or most >= n:
        return np.arange(n)
    return np.linspace(0, n - 1, most).astype(int)


def make_model(args, system, use, seed):
    """Return the classifier of a system."""
    linear = XRLinearClassifier(
        max_clusters_per_label=args.clusters,
        dense_use=use,
        n_dense_neighbors=args.dense_neighbors,
        prune_threshold=THRESHOLDS[use],
        random_state=seed,
        n_jobs=args.jobs,
    )
    if system.startswith("linear"):
        return make_pipeline(NGramTfidfVectorizer(), linear)
    return XRTransformerClassifier(
        args.encoder,
        classifier=linear,
        objective=SYSTEMS[system][0],
        n_epochs=args.epochs,
        learning_rate=args.learning_rate,
        frozen_layers=args.frozen_layers,
        freeze_word_embeddings=not args.train_word_embeddings,
        batch_size=args.batch_size,
        pretrained_weight=args.pretrained_weight,
        max_length=args.max_length,
        batch_tokens=args.batch_tokens,
        device=args.device,
        memory=str(Path(args.work) / "cache"),
        random_state=seed,
        n_jobs=args.jobs,
        verbose=1,
    )


def measure(args, data, system, use, seed):
    """Fit and rank; return the figures."""
    texts, Y, new, new_Y, names = data
    model = make_model(args, system, use, seed)
    start = time.perf_counter(), time.process_time()
    argument = "label_examples" if system.startswith("linear") else "label_text"
    given = {argument: names} if SYSTEMS[system][1] else {}
    model.fit(texts, Y, **given)
    fit = time.perf_counter() - start[0], time.process_time() - start[1]
    start = time.perf_counter()
    labels = model.rank(new, 10).labels
    rank = time.perf_counter() - start
    single = []
    for text in new[:N_SINGLE]:
        start = time.perf_counter()
        model.rank([text], 5)
        single.append(time.perf_counter() - start)
    return {
        "precision": [100 * float(precision_at_k(new_Y, labels, k)) for k in (1, 3, 5)],
        "f1_5": float(f1_at_k(new_Y, labels, 5)),
        "ndcg10": float(ndcg_at_k(new_Y, labels, 10)),
        "psp5": 100 * float(psp_at_k(new_Y, labels, 5, propensities=propensities(Y))),
        "fit_seconds": fit[0],
        "fit_cpu_seconds": fit[1],
        "level_seconds": getattr(model, "seconds_", [[]])[0],
        "levels": [
            {"steps": len(loss), "first": float(loss[:20].mean()), "last": float(loss[-20:].mean())}
            for loss in getattr(model, "losses_", [[]])[0]
        ],
        "pretrained_weight": getattr(model, "pretrained_weights_", [None])[0],
        "batch_us": 1e6 * rank / len(new),
        "single_ms": 1e3 * float(np.median(single)),
        "peak_mb": peak_bytes() / 2**20,
        "peak_mb_of_device": peak_of_device(),
    }


def peak_of_device():
    """Return the peak of the memory of the CUDA device that tensors had so far, in MB, or 0."""
    try:
        import torch
    except ModuleNotFoundError:
        return 0.0
    return torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else 0.0


def main():
    """Measure all systems, seed after seed, and write the results."""
    args = parse()
    path = Path(args.work) / "transformers.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(path.read_text()) if path.exists() else {}
    data = read(args)
    deadline = time.monotonic() + 60 * args.minutes
    left_out = []
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for system in args.systems:
            for use in args.uses if not system.startswith("linear") else USES[:1]:
                key = f"{args.data}, {len(data[0])} rows, seed {seed}: {system}, {use}"
                if key in results:
                    continue
                if time.monotonic() > deadline:
                    left_out.append(key)
                    continue
                results[key] = measure(args, data, system, use, seed)
                print(key, json.dumps(results[key]), flush=True)
                path.write_text(json.dumps({**results, "left out": left_out}, indent=1))
    path.write_text(json.dumps({**results, "left out": left_out}, indent=1))


def number_or_auto(number):
    """Return a function that reads a number, or "auto"."""
    return lambda text: text if text == "auto" else number(text)


def parse():
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--corpora")
    parser.add_argument("--data", default="sample", choices=TEXTS)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--test-rows", type=int)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument("--uses", nargs="+", default=USES, choices=USES)
    parser.add_argument("--clusters", type=int, default=1, help="max_clusters_per_label")
    parser.add_argument(
        "--dense-neighbors",
        type=number_or_auto(int),
        default=50,
        help="n_dense_neighbors; auto chooses their number, weight and power on held-out rows",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=1e6)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--frozen-layers", type=float, default=0.0)
    parser.add_argument("--train-word-embeddings", action="store_true")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--pretrained-weight", type=number_or_auto(float), default="auto")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--jobs", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
