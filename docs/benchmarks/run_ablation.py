"""Measure the gain and the cost of each option, and write the tables of ABLATION.md.

    python docs/benchmarks/run_ablation.py --work WORK [--corpora CORPORA] [--data NAME ...]

The data sets are those of compare.py. They are created in WORK if they do not exist. All test rows
are ranked; training and ranking use one thread. Results of other libraries on the same matrices are
read from results/NAME.json, which compare.py writes.
"""

import argparse
import gc
import json
import tempfile
from pathlib import Path

import numpy as np
from compare import make_environments, run
from data import prepare
from matrices import TOP_K, load, sample, single_rows
from measure import Stopwatch, call_seconds, size_on_disk
from plan import Measurement

from skxmr import KMeansIndexer, XRLinearClassifier
from skxmr.metrics import ndcg_at_k, precision_at_k, propensities, psp_at_k, recall_at_k

WIDE = KMeansIndexer(branching=32, max_leaf_size=400, balanced=False)
CLUSTERS = {"max_clusters_per_label": 2}
TREES = {"n_trees": 3}
PLAIN = {"n_neighbors": None}
NAMES = "names"  # key of label examples made from the names

#: name -> parameters. The settings of the neighbors were tuned on held-out training rows.
SETTINGS = {
    "no neighbors": PLAIN,
    "defaults: 20 neighbors": {},
    "neighbors tuned on held-out rows": {"n_neighbors": "auto"},
    "wide tree": {"indexer": WIDE},
    "matcher-aware negatives": {"negative_sampling": "tfn+man"},
    "2 clusters, no neighbors": {**CLUSTERS, **PLAIN},
    "2 clusters": CLUSTERS,
    "3 trees, no neighbors": {**TREES, **PLAIN},
    "3 trees": TREES,
    "3 trees, 2 clusters": {**TREES, **CLUSTERS},
    "names": {NAMES: "rows"},
    "names in the embedding": {"label_embedding": "pifa+features", NAMES: "features"},
    "names, 2 clusters": {**CLUSTERS, NAMES: "rows"},
    "names, 3 trees": {**TREES, NAMES: "rows"},
    "names, 3 trees, 2 clusters": {**TREES, **CLUSTERS, NAMES: "rows"},
}

#: name -> measurement of another library. All other parameters have their defaults.
PEERS = {
    "libpecos": Measurement("libpecos", "whole", ("tfn", "1")),
    "libpecos, 3 trees": Measurement("libpecos", "whole", ("tfn", "3")),
    "libpecos, tfn+man": Measurement("libpecos", "whole", ("tfn+man", "1")),
    "libpecos, names": Measurement("libpecos", "whole", ("names", "1")),
    "omikuji, 3 trees": Measurement("omikuji", "whole", ("3", "0")),
    "omikuji, 3 wide trees": Measurement("omikuji", "whole", ("3", "100")),
    "napkinXC PLT": Measurement("napkinxc", "whole"),
}
TIMEOUT = 7200  # seconds

MEASURES = ("P@1", "P@3", "P@5", "nDCG@5", "PSP@1", "PSP@3", "PSP@5", "R@10")


def quality(Y, labels, p):
    found = {f"P@{k}": precision_at_k(Y, labels, k=k) for k in (1, 3, 5)}
    found |= {f"PSP@{k}": psp_at_k(Y, labels, k=k, propensities=p) for k in (1, 3, 5)}
    return found | {"nDCG@5": ndcg_at_k(Y, labels, k=5), "R@10": recall_at_k(Y, labels, k=10)}


def measure(params, work):
    gc.collect()
    X, Y, X_test, Y_test = (load(work, name) for name in ("X_train", "Y_train", "X_test", "Y_test"))
    of_labels, params = {}, dict(params)
    if NAMES in params:
        used = {"rows": "label_examples", "features": "label_features"}[params.pop(NAMES)]
        of_labels = {used: load(work, "X_labels")}
    watch, clf = Stopwatch(), XRLinearClassifier(**params, random_state=0, n_jobs=1)
    watch.time("fit", lambda: clf.fit(X, Y, **of_labels))
    labels, _ = watch.time("rank", lambda: clf.rank(X_test, TOP_K))
    calls = call_seconds(lambda row: clf.rank(row, TOP_K), single_rows(X_test))
    with tempfile.TemporaryDirectory() as folder:
        clf.save(Path(folder) / "model")
        size = size_on_disk(folder)
    cost = {
        "rows": X_test.shape[0],
        "fit_cpu_s": watch.seconds["fit"][0]["cpu"],
        "batch_us": 1e6 * watch.seconds["rank"][0]["cpu"] / X_test.shape[0],
        "row_p50_us": 1e6 * calls["p50"],
        "row_p99_us": 1e6 * calls["p99"],
        "megabytes": size / 1e6,
    }
    return quality(Y_test, labels, propensities(Y)) | cost


def measure_peer(name, pythons, work):
    """Measure another library in its own environment."""
    measurement = PEERS[name]
    found = run(measurement, pythons[measurement.peer], work, TIMEOUT)
    if "failed" in found:
        return found
    ranking = " ".join([measurement.peer, *(measurement.options or ["whole"])])
    labels = np.load(work / "rankings" / f"{ranking}.npy")
    seconds = {step: sum(t["cpu"] for t in passes) for step, passes in found["seconds"].items()}
    cost = {
        "rows": len(labels),
        "fit_cpu_s": seconds.get("fit", seconds.get("train")),
        "batch_us": 1e6 * seconds["predict"] / len(labels),
        "row_p50_us": 1e6 * found["latency"]["p50"],
        "row_p99_us": 1e6 * found["latency"]["p99"],
        "megabytes": found["model_bytes"] / 1e6,
    }
    Y_test = sample(load(work, "Y_test"), len(labels))
    return quality(Y_test, labels, propensities(load(work, "Y_train"))) | cost


def table(name, results):
    lines = [
        f"\n## {name}\n",
        "| | " + " | ".join(MEASURES) + " | fit, CPU s | batch µs | one row, p50 µs | MB |",
        "| --- |" + " ---: |" * (len(MEASURES) + 4),
    ]
    n_rows = max(found.get("rows", 0) for found in results.values())
    for setting in [s for s in (*SETTINGS, *PEERS) if s in results]:
        lines.append(line(setting, results[setting], n_rows))
    return lines


def line(name, found, n_rows):
    if "failed" in found:
        return f"| {name} | {found['failed']} |" + " |" * (len(MEASURES) + 3)
    some = f" ({found['rows']:,} of the test rows)" if found["rows"] < n_rows else ""
    costs = (found[key] for key in ("batch_us", "row_p50_us", "megabytes"))
    cells = [f"{100 * found[m]:.2f}" for m in MEASURES] + [f"{found['fit_cpu_s']:.1f}"]
    return f"| {name}{some} | " + " | ".join([*cells, *(f"{c:,.0f}" for c in costs)]) + " |"


def write_report(results, path):
    """Replace the tables after the text of the page."""
    text = path.read_text().split("\n## ")[0] if path.exists() else "# Ablation\n"
    tables = [line for name, found in results.items() for line in table(name, found)]
    path.write_text(text.rstrip("\n") + "\n" + "\n".join(tables) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--corpora", type=Path)
    parser.add_argument("--data", nargs="*", default=["sample"])
    parser.add_argument("--settings", nargs="*", default=[*SETTINGS, *PEERS])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "ablation.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    libraries = {PEERS[name].peer for name in options.settings if name in PEERS}
    pythons = make_environments(sorted(libraries), options.work / "environments")
    for name in options.data:
        work = options.work / name
        prepare(name, work, options.corpora)
        for setting in options.settings:
            if setting in PEERS:
                found = measure_peer(setting, pythons, work)
            else:
                found = measure(SETTINGS[setting], work)
            results.setdefault(name, {})[setting] = found
            print(name, setting, found, flush=True)
            path.write_text(json.dumps(results, indent=1) + "\n")
    write_report(results, options.out / "ABLATION.md")


if __name__ == "__main__":
    main()
