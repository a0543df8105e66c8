"""Measure rankers of texts on the data of a published contest; see ABLATION.md.

    python docs/benchmarks/run_contest.py --corpora CORPORA [--settings NAME ...] [--validate]

CORPORA/gnd-subjects is the data of LLMs4Subjects (GermEval 2025): 90,452 training records, and the
19,949 records of the development part as test.jsonl. With --validate, 4,000 training records are
held out and ranked instead. The settings were chosen in this way. contest.json has the results.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from skxmr import TextReranker, make_text_ranker
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import f1_at_k, ndcg_at_k, precision_at_k

N_VALIDATION = 4000
PLAIN = {"use_label_texts": True}
NAMES = {"use_label_texts": True, "lead_weight": 8}
CLUSTERS = {"max_clusters_per_label": 2}


def ranker(**params):
    return make_text_ranker(n_jobs=1, random_state=0, **params)


def reranker(**params):
    return TextReranker(ranker(**params), random_state=0)


SETTINGS = {
    "names": lambda: ranker(**PLAIN),
    "names, lead": lambda: ranker(**NAMES),
    "names, lead, 2 clusters": lambda: ranker(**NAMES, **CLUSTERS),
    "names, lead, reranked": lambda: reranker(**NAMES),
    "names, lead, 2 clusters, reranked": lambda: reranker(**NAMES, **CLUSTERS),
}


def parts(data, validate):
    """Return texts and labels for training, and those that are ranked."""
    if not validate:
        return data.text_train, data.Y_train, data.text_test, data.Y_test
    rows = np.random.RandomState(7).permutation(len(data.text_train))
    held, kept = np.sort(rows[:N_VALIDATION]), np.sort(rows[N_VALIDATION:])
    train, test = ([data.text_train[i] for i in part] for part in (kept, held))
    return train, data.Y_train[kept], test, data.Y_train[held]


def measure(make, data, validate):
    texts, Y, texts_test, Y_test = parts(data, validate)
    model = make()
    start = time.process_time()
    model.fit(texts, Y, label_names=list(map(str, data.label_names)))
    fitted = time.process_time()
    ranking = model.rank(texts_test, 10)
    found = {"fit_cpu_s": fitted - start}
    found["batch_us"] = 1e6 * (time.process_time() - fitted) / len(texts_test)
    found |= quality(Y_test, ranking)
    if isinstance(model, TextReranker):
        found["before"] = quality(Y_test, model.estimator_.rank(texts_test, 10))
    return found


def quality(Y, ranking):
    found = {"F1@5": f1_at_k(Y, ranking, k=5), "nDCG@10": ndcg_at_k(Y, ranking, k=10)}
    return found | {f"P@{k}": precision_at_k(Y, ranking, k=k) for k in (1, 5)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    data = load_catalogue_subjects(options.corpora / "gnd-subjects")
    path = options.out / "contest.json"
    for setting in options.settings:
        found = measure(SETTINGS[setting], data, options.validate)
        print(setting, found, flush=True)
        results = json.loads(path.read_text()) if path.exists() else {}
        part = "validation" if options.validate else "test"
        results.setdefault(part, {})[setting] = found
        path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
