"""Measure dense neighbors on the bundled sample, and write EMBEDDINGS.md.

    python docs/benchmarks/run_embeddings.py --embeddings FOLDER

FOLDER has the embeddings of the sample's texts, one row per text, as NumPy arrays: train.npy,
test.npy and names.npy, of `text_train`, `text_test` and `label_names`. The time to compute them is
not part of the tables. `--only features` replaces the section on embeddings as features, and
`--rows` is the number of training rows of that section.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from skxmr import XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import precision_at_k

SEEDS = (0, 1, 2)

#: Parameters, whether X has embeddings, and whether the label names are label examples.
SETTINGS = {
    "tf-idf, no neighbors": ({"n_neighbors": None}, False, False),
    "tf-idf, the default": ({}, False, False),
    "tf-idf, the default, with names": ({}, False, True),
    "dense neighbors": ({}, True, False),
    "dense neighbors, without those by tf-idf": ({"n_neighbors": None}, True, False),
    "dense neighbors, with names": ({}, True, True),
    "dense neighbors, with names, without those by tf-idf": ({"n_neighbors": None}, True, True),
    "dense neighbors among all rows, with names": ({"dense_candidates": "all"}, True, True),
}

WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def matrices(folder):
    """Return the matrices of training, test and names, with and without embeddings."""
    data = load_catalogue_subjects()
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    plain = {"train": vectorizer.fit_transform(data.text_train)}
    plain["test"] = vectorizer.transform(data.text_test)
    plain["names"] = vectorizer.transform(list(data.label_names))
    dense = {
        name: sp.hstack([X, sp.csr_matrix(np.load(folder / f"{name}.npy"))], format="csr")
        for name, X in plain.items()
    }
    return data, plain, dense


def precisions(clf, X, Y):
    """Return P@1, P@3 and P@5 in percent, and the CPU microseconds per row."""
    start = time.process_time()
    labels, _ = clf.rank(X, 5)
    us = 1e6 * (time.process_time() - start) / X.shape[0]
    return [100 * precision_at_k(Y, labels, k=k) for k in (1, 3, 5)], us


def row_of(name, values):
    """Return a line of a table from the values of each seed."""
    p, *rest = values
    mean = " | ".join(f"{value:.1f}" for value in np.mean(p, axis=0))
    return f"| {name} | {mean} | {' | '.join(rest)} |"


def compare(data, plain, dense):
    """Return the lines of the table of all settings."""
    lines = [
        "| | P@1 | P@3 | P@5 | fit, CPU s | rank, CPU µs per row | bytes per training row |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, (params, embedded, named) in SETTINGS.items():
        parts = dense if embedded else plain
        found = []
        for seed in SEEDS:
            clf = XRLinearClassifier(random_state=seed, n_jobs=1, **params)
            start = time.process_time()
            clf.fit(parts["train"], data.Y_train, label_examples=parts["names"] if named else None)
            seconds = time.process_time() - start
            found.append((*precisions(clf, parts["test"], data.Y_test), seconds))
        p, us, seconds = zip(*found, strict=True)
        stored = sum(rows.nbytes for rows in clf._fitted.neighbors_by_kind.values())
        rest = f"{min(seconds):.1f}", f"{min(us):.0f}", f"{stored / len(data.text_train):.0f}"
        lines.append(row_of(name, (p, *rest)))
        print(lines[-1], flush=True)
    return lines


def by_weight(data, dense):
    """Return the lines of the table of dense neighbor weights."""
    lines = ["| weight | P@1 | P@3 | P@5 | with names: P@1 | P@3 | P@5 |"]
    lines.append("| ---: " * 7 + "|")
    fitted = [
        [
            XRLinearClassifier(random_state=seed, n_jobs=1).fit(
                dense["train"], data.Y_train, label_examples=names
            )
            for seed in SEEDS
        ]
        for names in (None, dense["names"])
    ]
    for weight in WEIGHTS:
        means = []
        for classifiers in fitted:
            for clf in classifiers:
                clf.set_params(dense_neighbor_weight=weight)
            found = [precisions(clf, dense["test"], data.Y_test)[0] for clf in classifiers]
            means += [f"{value:.1f}" for value in np.mean(found, axis=0)]
        lines.append(f"| {weight} | {' | '.join(means)} |")
        print(lines[-1], flush=True)
    return lines


def feature_matrices(folder, n_rows):
    """Return the training and test matrices with embeddings as features, and the labels of rows.

    The embeddings are halved, as PECOS does.
    """
    data, plain, _ = matrices(folder)
    kinds = {}
    halved = {name: 0.5 * np.load(folder / f"{name}.npy") for name in ("train", "test")}
    halved["train"] = halved["train"][:n_rows]
    plain["train"] = plain["train"][:n_rows]
    parts = {name: sp.csr_matrix(E, dtype=np.float32) for name, E in halved.items()}
    kinds["tf-idf and embeddings"] = {
        name: sp.hstack([plain[name], E], format="csr") for name, E in parts.items()
    }
    kinds["embeddings only"] = parts
    return data, kinds, halved["train"].shape[1]


def as_features(folder, n_rows):
    """Return the lines of the table of embeddings as features, dense and as sparse columns."""
    data, kinds, n_dense = feature_matrices(folder, n_rows)
    Y = data.Y_train[:n_rows]
    lines = [
        "| X | weights | fit, CPU s | rank, CPU µs per row | one row, µs | P@1 | P@3 | P@5 | MB |",
        "| --- | --- " + "| ---: " * 7 + "|",
    ]
    for kind, parts in kinds.items():
        ways = {
            "sparse": {"dense_columns": 0},
            "dense": {"dense_columns": n_dense},
            "dense, float16": {"dense_columns": n_dense, "weight_dtype": "float16"},
        }
        found = {way: [] for way in ways}
        for seed in SEEDS:  # interleaved, so that other processes affect all ways alike
            for way, params in ways.items():
                found[way].append(_measure(parts, Y, data.Y_test, seed, params))
        medians = {way: np.median(values, axis=0) for way, values in found.items()}
        for way, values in medians.items():
            seconds, us, one, p1, p3, p5, mb = values
            ratios = medians["sparse"] / values
            speed = [
                f"{value:.{digits}f} ({ratio:.1f}x)"
                for value, digits, ratio in zip((seconds, us, one), (1, 0, 0), ratios, strict=False)
            ]
            cells = [kind, way, *speed, f"{p1:.1f}", f"{p3:.1f}", f"{p5:.1f}", f"{mb:.1f}"]
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    return lines


def _measure(parts, Y, Y_test, seed, params):
    """Return the CPU seconds of fit, CPU microseconds per row, precisions and megabytes."""
    clf = XRLinearClassifier(
        dense_use="features",
        n_neighbors=None,
        prune_threshold=0.03,
        random_state=seed,
        n_jobs=1,
        **params,
    )
    start = time.process_time()
    clf.fit(parts["train"], Y)
    seconds = time.process_time() - start
    clf.rank(parts["test"][:100], 5)
    p, us = precisions(clf, parts["test"], Y_test)
    rows = [parts["test"][i] for i in range(500)]
    start = time.process_time()
    for row in rows:
        clf.rank(row, 5)
    one = 1e6 * (time.process_time() - start) / len(rows)
    return seconds, us, one, *p, clf._fitted.rankers[0].nbytes / 1e6


def _with_section(text, title, lines):
    """Return a page with the table of a section replaced. The text around the table stays."""
    parts = text.split("\n## ")
    for i, part in enumerate(parts):
        if not part.startswith(title):
            continue
        kept = part.rstrip("\n").split("\n")
        rows = [number for number, line in enumerate(kept) if line.startswith("|")]
        kept[rows[0] : rows[-1] + 1] = lines
        parts[i] = "\n".join(kept) + "\n"
    return "\n## ".join(parts)


def main():
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--embeddings", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "EMBEDDINGS.md")
    parser.add_argument("--only", choices=["neighbors", "features"])
    parser.add_argument("--rows", type=int, default=None)
    options = parser.parse_args()
    text = options.out.read_text()
    if options.only != "features":
        data, plain, dense = matrices(options.embeddings)
        text = _with_section(text, "Settings", compare(data, plain, dense))
        text = _with_section(text, "Weight of the dense neighbors", by_weight(data, dense))
    if options.only != "neighbors":
        lines = as_features(options.embeddings, options.rows)
        text = _with_section(text, "Embeddings as features", lines)
    options.out.write_text(text)


if __name__ == "__main__":
    main()
