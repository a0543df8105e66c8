"""Write RESULTS.md from what compare.py measured: python report.py RESULT.json > RESULTS.md."""

import json
import sys
from statistics import median


def seconds(runs, *steps):
    """Sum some steps of each run."""
    return [sum(run["seconds"][step] for step in steps) for run in runs]


def predictions(runs, kind):
    """Every pass over the test rows with one kind of model."""
    return [
        value
        for run in runs
        for step, value in run["seconds"].items()
        if step.startswith(f"{kind}/")
    ]


def spread(values, scale=1.0, digits=1):
    """Median and range, as text."""
    low, mid, high = (scale * f(values) for f in (min, median, max))
    return f"{mid:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def table(header, rows):
    """Print a table."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def training(runs):
    """CPU seconds of training."""
    peer = seconds(runs["pecos train"], "train")
    whole_peer = seconds(runs["pecos train"], "embed", "index", "train")
    same = seconds(runs["skxmr train pecos"], "fit")
    own = seconds(runs["skxmr train default"], "fit")
    rows = [
        ("libpecos, rankers only", spread(peer), "1"),
        ("skxmr, the same tree and settings", spread(same), ratio(peer, same)),
        ("libpecos, whole fit, defaults", spread(whole_peer), "1"),
        ("skxmr, whole fit, defaults", spread(own), ratio(whole_peer, own)),
    ]
    table(("training", "CPU s", "times as fast"), rows)


def ranking(runs, n_rows):
    """Microseconds per query in batches."""
    kinds = ("BINARY_SEARCH_CHUNKED", "HASH_CHUNKED")
    peers = {kind: predictions(runs["pecos predict"], kind) for kind in kinds}
    best = min(peers.values(), key=median)
    rows = [
        (f"libpecos, {kind}", spread(values, 1e6 / n_rows), ratio(best, values))
        for kind, values in peers.items()
    ]
    for tree, name in (("pecos", "skxmr, the model of libpecos"), ("default", "skxmr, defaults")):
        values = predictions(runs[f"skxmr predict {tree}"], tree)
        rows.append((name, spread(values, 1e6 / n_rows), ratio(best, values)))
    table(("ranking in one batch, beam 10, k 10", "CPU us per query", "times as fast"), rows)


def ratio(baseline, values):
    """How many times smaller the median is."""
    return f"{median(baseline) / median(values):.1f}"


def quality(result):
    """Precision and the rest."""
    names = {
        "pecos": "libpecos, defaults",
        "pecos_model_in_skxmr": "skxmr, the model of libpecos",
        "skxmr_pecos": "skxmr, trained on the tree of libpecos",
        "skxmr_default": "skxmr, defaults",
    }
    columns = list(result["quality"]["pecos"])
    rows = [
        (text, *(f"{100 * result['quality'][name][column]:.2f}" for column in columns))
        for name, text in names.items()
    ]
    table(("quality, per cent", *columns), rows)


def memory(runs):
    """Peak memory of a training process, and bytes on disk."""
    names = {
        "pecos train": "libpecos, defaults",
        "skxmr train pecos": "skxmr, the same tree",
        "skxmr train default": "skxmr, defaults",
    }
    rows = [
        (
            text,
            f"{median(run['peak_bytes'] for run in runs[name]) / 1e6:.0f}",
            f"{median(run['model_bytes'] for run in runs[name]) / 1e6:.0f}",
        )
        for name, text in names.items()
    ]
    table(("memory", "peak of the training process, MB", "model on disk, MB"), rows)


def main(path):
    """Print the report."""
    with open(path) as file:
        result = json.load(file)
    n_train, n_features, _ = result["data"]["X_train"]
    n_test, n_labels, _ = result["data"]["Y_test"]
    machine, runs = result["machine"], result["runs"]
    print("# Results\n")
    print(
        f"{n_train:,} training rows, {n_test:,} test rows, {n_features:,} tf-idf features, "
        f"{n_labels:,} labels. {result['date']}, {machine['cpu']}, {machine['cores']} cores, load "
        f"{machine['load'][0]:.1f} at the start, kernels {result['isa']}, one thread, "
        f"{len(runs['pecos train'])} alternating runs: median (range). {result['peer']}, "
        + ", ".join(f"{name} {number}" for name, number in result["versions"].items())
        + ".\n"
    )
    training(runs)
    ranking(runs, n_test)
    quality(result)
    memory(runs)
    tree = runs["skxmr train default"][0]["tree"]
    print(f"The default tree here: `{tree}`.")


if __name__ == "__main__":
    main(sys.argv[1])
