"""Time steps of fine-tuning by the number of clusters: flat, and with the candidates of a beam.

    python docs/benchmarks/run_cluster_cost.py --encoder FOLDER [--device cuda] [--steps N]

The rows of the bundled sample get made-up clusters, three each; times do not depend on them. "flat"
has all clusters as negatives, and "tree" 24 of them, as a level of XR-Transformer has.
"""

import argparse
import time

import numpy as np
import scipy.sparse as sp

from skxmr.datasets import load_catalogue_subjects
from skxmr.transformers import XRTransformerClassifier
from skxmr.transformers._encoder import load_encoder
from skxmr.transformers._finetuning import ClusterStage, copied, fine_tune
from skxmr.transformers._levels import Level
from skxmr.transformers._torch import chosen_device
from skxmr.transformers._training import settings_of

N_TRUE = 3
N_CANDIDATES = 24
CLUSTERS = (448, 4096, 32768, 131072)


def made_up_level(rng, n_rows, n_clusters, flat):
    """Return a level in which each row has some clusters."""

    def matrix(n):
        indices = np.sort(rng.integers(0, n_clusters, (n_rows, n)), axis=1)
        entries = (np.ones(indices.size, np.float32), indices.ravel(), np.arange(n_rows + 1) * n)
        made = sp.csr_matrix(entries, shape=(n_rows, n_clusters))
        made.sum_duplicates()
        made.data[:] = 1
        return made

    relevance = matrix(N_TRUE)
    candidates = None
    if not flat:
        candidates = sp.csr_matrix(relevance + matrix(N_CANDIDATES))
        candidates.data[:] = 1
    return Level(relevance, candidates)


def main():
    """Print the times of the steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--frozen-layers", type=float, default=0.67)
    args = parser.parse_args()
    device = chosen_device(args.device)
    encoder = load_encoder(args.encoder)
    texts = load_catalogue_subjects().text_train[: 32 * args.steps]
    tokens = encoder.tokenize(list(texts), 128)
    classifier = XRTransformerClassifier(encoder, frozen_layers=args.frozen_layers)
    settings = settings_of(classifier, encoder, device)
    rng = np.random.default_rng(0)
    known = rng.normal(size=(len(texts), encoder.width)).astype(np.float32)
    for n_clusters in CLUSTERS:
        for flat in (True, False):
            level = made_up_level(rng, len(texts), n_clusters, flat)
            stage = ClusterStage(level, 1.0, "steps")
            trained = copied(encoder)
            start = []

            def embed(rows, start=start):
                start[:] = [time.process_time(), time.perf_counter()]
                return known[rows]

            fine_tune(
                trained,
                tokens,
                [stage],
                settings,
                seed=0,
                device=device,
                n_jobs=1,
                checkpoints=None,
                embed=embed,
            )
            cpu = 1e3 * (time.process_time() - start[0]) / args.steps
            wall = 1e3 * (time.perf_counter() - start[1]) / args.steps
            name = "flat" if flat else "tree"
            print(f"{n_clusters:,} clusters, {name}: {cpu:.0f} CPU ms, {wall:.0f} ms per step")


if __name__ == "__main__":
    main()
