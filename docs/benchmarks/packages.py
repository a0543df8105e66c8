"""Debian packages as a data set: the dependencies of a package from its description.

Input is a folder with two files of a Debian release from one of its mirrors:

    curl -O http://deb.debian.org/debian/dists/bookworm/main/binary-amd64/Packages.xz
    curl -O http://deb.debian.org/debian/dists/bookworm/main/i18n/Translation-en.xz
"""

import hashlib
import lzma
import re
from collections import Counter
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.utils import Bunch

MIN_ROWS = 2  # training rows of a label


def load_packages(folder):
    """Return texts and dependencies. A tenth of the packages is held out by the md5 of the name.

    A label is a package on which at least two packages of the training part depend. Its text is its
    name and, if it is in the release, its description.
    """
    folder = Path(folder)
    described = {p["Package"]: _text(p) for p in _paragraphs(folder / "Translation-en.xz")}
    needs = {p["Package"]: _needed(p) for p in _paragraphs(folder / "Packages.xz")}
    names = sorted(name for name in described.keys() & needs.keys() if needs[name])
    parts = {False: [], True: []}
    for name in names:
        parts[hashlib.md5(name.encode()).digest()[0] < 26].append(name)
    count = Counter(label for name in parts[False] for label in needs[name])
    labels = sorted(label for label, n in count.items() if n >= MIN_ROWS)
    number = {label: i for i, label in enumerate(labels)}
    found = {"label_names": [f"{label} {described.get(label, '')}" for label in labels]}
    for part, of_part in zip(("train", "test"), (parts[False], parts[True]), strict=True):
        known = [[number[n] for n in sorted(needs[name]) if n in number] for name in of_part]
        kept = [i for i, some in enumerate(known) if some]
        found[f"text_{part}"] = [described[of_part[i]] for i in kept]
        found[f"Y_{part}"] = _indicator([known[i] for i in kept], len(labels))
    return Bunch(**found)


def _paragraphs(path):
    """Yield the fields of each paragraph of a control file, with continued lines joined."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        paragraphs = file.read().split("\n\n")
    for paragraph in paragraphs:
        fields = re.findall(r"^([\w-]+): ?(.*(?:\n .*)*)", paragraph, re.MULTILINE)
        if fields:
            yield dict(fields)


def _text(paragraph):
    return re.sub(r"\n \.?", "\n", paragraph["Description-en"])


def _needed(paragraph):
    """Return the names of the dependencies, and of alternatives the first one."""
    depends = paragraph.get("Depends", "")
    return {re.split(r"[ (:|]", part.strip())[0] for part in depends.split(",") if part.strip()}


def _indicator(rows, n_labels):
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.concatenate(rows)
    ones = np.ones(len(indices), dtype=np.float32)
    Y = sp.csr_matrix((ones, indices, indptr), shape=(len(rows), n_labels))
    Y.sort_indices()
    return Y
