"""Time NGramTfidfVectorizer and the vectorizers of scikit-learn, and write a table.

    python docs/benchmarks/run_text.py [CORPUS] [--repeats 3] [--out docs/benchmarks]

CORPUS is a folder for `skxmr.datasets.load_catalogue_subjects`. The default is the sample of the
package. Both libraries run in this process with one thread, in alternating runs.
"""

import argparse
import gc
import json
import platform
import time
from pathlib import Path
from statistics import median

import numpy as np
import sklearn
from measure import call_seconds
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion

import skxmr
from skxmr.datasets import load_catalogue_subjects
from skxmr.text import NGramTfidfVectorizer

N_CALLS = 1000

#: name -> parameters of each block of features, for both libraries
SETTINGS = {
    "words": [{"analyzer": "word"}],
    "words, pairs of words": [{"analyzer": "word", "ngram_range": (1, 2)}],
    "character trigrams of words": [{"analyzer": "char_wb", "ngram_range": (3, 3)}],
    "1 to 3 characters of words": [{"analyzer": "char_wb", "ngram_range": (1, 3)}],
    "words and trigrams": [
        {"analyzer": "word"},
        {"analyzer": "char_wb", "ngram_range": (3, 3)},
    ],
}


def make_skxmr(blocks):
    analyzers = [block["analyzer"] for block in blocks]
    ranges = [block.get("ngram_range", (1, 1)) for block in blocks]
    norms = {"block_norm": "l2", "norm": None}
    return NGramTfidfVectorizer(analyzers, ranges, min_df=2, **norms)


def make_sklearn(blocks):
    parts = [TfidfVectorizer(min_df=2, dtype=np.float32, **block) for block in blocks]
    if len(parts) == 1:
        return parts[0]
    return FeatureUnion([(block["analyzer"], p) for block, p in zip(blocks, parts, strict=True)])


MAKERS = {"skxmr": make_skxmr, "scikit-learn": make_sklearn}


def cpu_seconds(function, *arguments):
    gc.collect()
    start = time.process_time()
    result = function(*arguments)
    return time.process_time() - start, result


def measure(blocks, texts, titles, repeats):
    """Measure one setting with both libraries in alternating runs, in seconds."""
    seconds = {name: [] for name in MAKERS}
    calls, fitted = {}, {}
    for make in MAKERS.values():
        make(blocks).fit_transform(texts[:1000])
    for _ in range(repeats):
        for name, make in MAKERS.items():
            vectorizer = make(blocks)
            spent, X = cpu_seconds(vectorizer.fit_transform, texts)
            seconds[name].append(spent)
            fitted[name] = vectorizer, X
    for name, (vectorizer, _) in fitted.items():
        calls[name] = call_seconds(vectorizer.transform, titles)
    X, Y = (X for _, X in fitted.values())
    np.testing.assert_array_equal(*(v.get_feature_names_out() for v, _ in fitted.values()))
    shape = {"n_features": X.shape[1], "nnz": X.nnz, "largest_difference": float(abs(X - Y).max())}
    return {"fit_transform": seconds, "one_title": calls, **shape}


def markdown(result):
    lines = [
        "# Text features",
        "",
        f"The table reports `fit_transform` of {result['n_texts']:,} titles in CPU seconds on one "
        f"thread (median of {result['repeats']} runs) and `transform` of one title in "
        f"microseconds. It uses skxmr {result['versions']['skxmr']} and scikit-learn "
        f"{result['versions']['scikit-learn']} on an {result['processor']}.",
        "",
        "| | features | skxmr | scikit-learn | | one title, p50 / p99 | scikit-learn "
        "| largest difference |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, found in result["settings"].items():
        ours, theirs = (median(found["fit_transform"][library]) for library in MAKERS)
        calls = [found["one_title"][library] for library in MAKERS]
        times = [f"{1e6 * call['p50']:.0f} / {1e6 * call['p99']:.0f}" for call in calls]
        lines.append(
            f"| {name} | {found['n_features']:,} | {ours:.2f} | {theirs:.2f} "
            f"| {theirs / ours:.1f}x | {times[0]} | {times[1]} "
            f"| {found['largest_difference']:.0e} |"
        )
    lines += [
        "",
        "The columns of the two matrices are the same. The last column of the table is the largest "
        "difference of a weight. N-grams that occur in a single title are ignored. "
        "`docs/benchmarks/run_text.py` makes this page.",
    ]
    return "\n".join(lines) + "\n"


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("corpus", nargs="?", help="the bundled sample by default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    data = load_catalogue_subjects(options.corpus)
    texts, step = data.text_train, max(1, len(data.text_test) // N_CALLS)
    titles = [[text] for text in data.text_test[::step][:N_CALLS]]
    del data
    result = {
        "n_texts": len(texts),
        "repeats": options.repeats,
        "versions": {"skxmr": skxmr.__version__, "scikit-learn": sklearn.__version__},
        "processor": processor(),
        "settings": {},
    }
    for name, blocks in SETTINGS.items():
        result["settings"][name] = measure(blocks, texts, titles, options.repeats)
        print(name, result["settings"][name], flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "text.json").write_text(json.dumps(result, indent=1) + "\n")
    (options.out / "TEXT.md").write_text(markdown(result))


if __name__ == "__main__":
    main()
