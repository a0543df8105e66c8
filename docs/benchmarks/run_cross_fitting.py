"""Compare embeddings of a fine-tuned encoder with cross-fitted ones.

    python docs/benchmarks/run_cross_fitting.py --encoder FOLDER --work WORK
        [--rows N] [--device cuda] [--objective flat] [--epochs E] [--weights W ...]

One encoder is fine-tuned on all titles of the bundled sample, and one on each half of them. Cross-
fitted embeddings of a training title are those of the encoder that was not trained on it. New
titles get the mean of both encoders. It writes WORK/cross_fitting.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import normalize

from skxmr import XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import ndcg_at_k, precision_at_k
from skxmr.text import NGramTfidfVectorizer
from skxmr.transformers import XRTransformerClassifier

THRESHOLDS = {"neighbors": 0.1, "both": 0.03}


def fine_tuned(args, weight, texts, Y):
    """Return the embedder of a classifier that is fine-tuned on these texts."""
    classifier = XRTransformerClassifier(
        args.encoder,
        objective=args.objective,
        classifier=XRLinearClassifier(n_neighbors=None, dense_use="neighbors", random_state=0),
        n_epochs=args.epochs,
        learning_rate=args.learning_rate,
        pretrained_weight=weight,
        device=args.device,
        memory=str(Path(args.work) / "cache"),  # keeps the encoder for the other weights
        random_state=0,
        n_jobs=args.jobs,
    )
    return classifier.fit(texts, Y).embedders_[0]


def main():
    """Fine-tune, and compare the rankings of the test titles."""
    args = parse()
    data = load_catalogue_subjects()
    rows = np.arange(len(data.text_train))[: args.rows]
    texts = [data.text_train[i] for i in rows]
    Y = data.Y_train[rows]
    new = list(data.text_test)
    vectorizer = NGramTfidfVectorizer()
    X = vectorizer.fit_transform(texts)
    X_new = vectorizer.transform(new)
    half = np.random.default_rng(0).permutation(len(texts)) % 2 == 0
    results = {}

    def measure(name, E, E_new):
        for use, threshold in THRESHOLDS.items():
            classifier = XRLinearClassifier(
                dense_columns=E.shape[1],
                dense_use=use,
                prune_threshold=threshold,
                random_state=0,
                n_jobs=args.jobs,
            )
            classifier.fit(sp.hstack([X, sp.csr_matrix(E)], format="csr"), Y)
            ranking = classifier.rank(sp.hstack([X_new, sp.csr_matrix(E_new)], format="csr"), 5)
            figures = [100 * precision_at_k(data.Y_test, ranking.labels, k) for k in (1, 3, 5)]
            figures.append(100 * ndcg_at_k(data.Y_test, ranking.labels, 5))
            results[f"{name}, {use}"] = [float(figure) for figure in figures]
            print(f"{name}, {use}", np.round(figures, 2), flush=True)
            path = Path(args.work) / "cross_fitting.json"
            path.write_text(json.dumps(results, indent=1))

    for weight in args.weights:
        embedder = fine_tuned(args, weight, texts, Y)
        measure(f"weight {weight}: all titles", embedder.transform(texts), embedder.transform(new))
        embedders = [
            fine_tuned(args, weight, [texts[i] for i in np.flatnonzero(part)], Y[part])
            for part in (half, ~half)
        ]
        E = [one.transform(texts) for one in embedders]
        both = normalize(sum(one.transform(new) for one in embedders))
        measure(f"weight {weight}: cross-fitted", np.where(half[:, None], E[1], E[0]), both)
        measure(f"weight {weight}: the half seen", np.where(half[:, None], E[0], E[1]), both)


def parse():
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--objective", default="flat", choices=["tree", "flat"])
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 0.4, 0.8])
    parser.add_argument("--jobs", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
