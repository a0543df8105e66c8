"""Draw the sample behind `skxmr.datasets.load_catalogue_subjects` from the full corpus.

    python make_catalogue_sample.py FULL_FOLDER OUTPUT_FOLDER

FULL_FOLDER has the files train.jsonl.xz, test.jsonl.xz and labels.json. The sample is written to
OUTPUT_FOLDER under the same names. No step depends on the machine or on a random number generator,
so every run writes the same bytes with the same release line of liblzma.

1. Keep the rows with 2 to 10 labels and a text of at most 160 characters. Rows with one label are
   dropped, because they are most likely to lack labels: the corpus lists at most 339 texts per
   subject.
2. Select the labels from the train rows only. Repeatedly drop the label with the fewest remaining
   rows (the first id in string order among equals) and all rows that have it, until 5,000 labels
   are left. All labels of the remaining rows are then among the 5,000.
3. Keep the test rows whose labels are all among the 5,000, except those whose text equals that of
   a kept train row except for case, spacing and punctuation.
4. Of these, keep the 5,000 rows with the smallest SHA-256 of the seed and the text.
"""

import argparse
import hashlib
import heapq
import json
import lzma
import re
from collections import Counter, defaultdict
from pathlib import Path

LABELS_PER_ROW = range(2, 11)
MAX_CHARACTERS = 160
N_LABELS = 5000
N_TEST = 5000
SEED = "catalogue-sample-0"
# Text compresses better with more context bits for literals and none for alignment.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "pb": 0}]


def read_rows(path):
    with lzma.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [
        r for r in rows if len(r["labels"]) in LABELS_PER_ROW and len(r["text"]) <= MAX_CHARACTERS
    ]


def write_rows(path, rows):
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_bytes(lzma.compress("".join(lines).encode("utf-8"), filters=FILTERS))


def write_names(path, names):
    lines = [
        f"{json.dumps(i)}: {json.dumps(n, ensure_ascii=False)}" for i, n in sorted(names.items())
    ]
    path.write_bytes(("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8"))


def peel(rows, n_labels):
    """Drop the rarest label and its rows until `n_labels` are left; return rows and labels."""
    rows_of = defaultdict(list)
    for i, row in enumerate(rows):
        for label in row["labels"]:
            rows_of[label].append(i)
    count = {label: len(members) for label, members in rows_of.items()}
    kept = [True] * len(rows)
    heap = [(n, label) for label, n in count.items()]
    heapq.heapify(heap)
    while len(count) > n_labels:
        n, label = heapq.heappop(heap)
        if count.get(label) != n:  # an outdated entry: the count has decreased since
            continue
        del count[label]
        for i in (i for i in rows_of[label] if kept[i]):
            kept[i] = False
            for other in set(rows[i]["labels"]) & count.keys():
                count[other] -= 1
                heapq.heappush(heap, (count[other], other))
    return [row for row, keep in zip(rows, kept, strict=True) if keep], set(count)


def plain(text):
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def choose_test(rows, labels, train):
    seen = {plain(row["text"]) for row in train}
    rows = [r for r in rows if labels.issuperset(r["labels"]) and plain(r["text"]) not in seen]

    def draw(i):
        return hashlib.sha256((SEED + rows[i]["text"]).encode("utf-8")).digest()

    return [rows[i] for i in sorted(sorted(range(len(rows)), key=draw)[:N_TEST])]


def report(output, train, test, labels):
    per_label = sorted(Counter(label for row in train for label in row["labels"]).values())
    middle = len(per_label) // 2
    print(f"{len(train)} train rows, {len(test)} test rows, {len(labels)} labels")
    print(f"train rows per label: {per_label[0]} .. {per_label[middle]} .. {per_label[-1]}")
    print(f"labels per train row: {sum(per_label) / len(train):.2f}")
    for path in sorted(output.iterdir()):
        print(f"{path.stat().st_size:>9} {path.name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("full", type=Path, help="folder of the full corpus")
    parser.add_argument("output", type=Path, help="folder to write the sample to")
    folders = parser.parse_args()
    train, labels = peel(read_rows(folders.full / "train.jsonl.xz"), N_LABELS)
    test = choose_test(read_rows(folders.full / "test.jsonl.xz"), labels, train)
    names = json.loads((folders.full / "labels.json").read_text(encoding="utf-8"))
    folders.output.mkdir(parents=True, exist_ok=True)
    write_rows(folders.output / "train.jsonl.xz", train)
    write_rows(folders.output / "test.jsonl.xz", test)
    write_names(folders.output / "labels.json", {label: names[label] for label in labels})
    report(folders.output, train, test, labels)


if __name__ == "__main__":
    main()
