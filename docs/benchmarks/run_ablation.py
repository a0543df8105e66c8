"""Measure what each way to rank better gains and costs, and write the tables of ABLATION.md.

    python docs/benchmarks/run_ablation.py --work WORK [--corpora CORPORA] [--data NAME ...]

Data sets are those of compare.py, made under WORK if they are not there. All test rows are ranked;
training and ranking use one thread. What other libraries reach on the same matrices is taken from
results/NAME.json, where compare.py left it.
"""

import argparse
import gc
import json
import tempfile
from pathlib import Path

from data import prepare
from matrices import TOP_K, load, single_rows
from measure import Stopwatch, call_seconds, size_on_disk

from skxmr import KMeansIndexer, XRLinearClassifier
from skxmr.metrics import ndcg_at_k, precision_at_k, propensities, psp_at_k, recall_at_k

WIDE = KMeansIndexer(branching=32, max_leaf_size=400, balanced=False)

#: name -> parameters. How votes count was settled on rows held out of training.
SETTINGS = {
    "defaults": {},
    "votes": {"n_neighbors": 20},
    "wide tree": {"indexer": WIDE},
    "2 clusters": {"max_clusters_per_label": 2},
    "matcher's negatives too": {"negative_sampling": "tfn+man"},
    "2 clusters, votes": {"max_clusters_per_label": 2, "n_neighbors": 20},
    "3 trees": {"n_trees": 3},
    "3 trees, votes": {"n_trees": 3, "n_neighbors": 20},
    "3 trees, 2 clusters, votes": {"n_trees": 3, "max_clusters_per_label": 2, "n_neighbors": 20},
}

PEERS = {
    "libpecos": "libpecos BINARY_SEARCH_CHUNKED",
    "omikuji, one tree": "omikuji",
    "napkinXC PLT": "napkinxc",
    "LibMultiLabel tree": "libmultilabel",
}

MEASURES = ("P@1", "P@3", "P@5", "nDCG@5", "PSP@1", "PSP@3", "PSP@5", "R@10")


def quality(Y, labels, p):
    found = {f"P@{k}": precision_at_k(Y, labels, k=k) for k in (1, 3, 5)}
    found |= {f"PSP@{k}": psp_at_k(Y, labels, k=k, propensities=p) for k in (1, 3, 5)}
    return found | {"nDCG@5": ndcg_at_k(Y, labels, k=5), "R@10": recall_at_k(Y, labels, k=10)}


def measure(params, work):
    gc.collect()
    X, Y, X_test, Y_test = (load(work, name) for name in ("X_train", "Y_train", "X_test", "Y_test"))
    watch, clf = Stopwatch(), XRLinearClassifier(**params, random_state=0, n_jobs=1)
    watch.time("fit", lambda: clf.fit(X, Y))
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


def peers(name):
    path = Path(__file__).parent / "results" / f"{name}.json"
    if not path.exists():
        return {}
    found = json.loads(path.read_text())["quality"]
    return {peer: found[key] for peer, key in PEERS.items() if key in found}


def percent(found, measure):
    return f"{100 * found[measure]:.2f}" if measure in found else ""


def table(name, results):
    lines = [
        f"\n## {name}\n",
        "| | " + " | ".join(MEASURES) + " | fit, CPU s | batch µs | one row, p50 µs | MB |",
        "| --- |" + " ---: |" * (len(MEASURES) + 4),
    ]
    for setting in [setting for setting in SETTINGS if setting in results]:
        found = results[setting]
        costs = (found[key] for key in ("batch_us", "row_p50_us", "megabytes"))
        cells = [percent(found, m) for m in MEASURES] + [f"{found['fit_cpu_s']:.1f}"]
        lines.append(f"| {setting} | " + " | ".join([*cells, *(f"{c:.0f}" for c in costs)]) + " |")
    n_rows = max(found["rows"] for found in results.values())
    for peer, found in peers(name).items():
        some = f" ({found['rows']:,} of the test rows)" if found["rows"] < n_rows else ""
        cells = [percent(found, m) for m in MEASURES]
        lines.append(f"| {peer}{some} | " + " | ".join(cells) + " | | | | |")
    return lines


def write_report(results, path):
    """Replace the tables of the report, which follow its text."""
    text = path.read_text().split("\n## ")[0] if path.exists() else "# Ablation\n"
    tables = [line for name, found in results.items() for line in table(name, found)]
    path.write_text(text.rstrip("\n") + "\n" + "\n".join(tables) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--corpora", type=Path)
    parser.add_argument("--data", nargs="*", default=["sample"])
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    path = options.out / "ablation.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in options.data:
        prepare(name, options.work / name, options.corpora)
        for setting in options.settings:
            found = measure(SETTINGS[setting], options.work / name)
            results.setdefault(name, {})[setting] = found
            print(name, setting, {k: round(float(v), 4) for k, v in found.items()}, flush=True)
            path.write_text(json.dumps(results, indent=1) + "\n")
    write_report(results, options.out / "ABLATION.md")


if __name__ == "__main__":
    main()
