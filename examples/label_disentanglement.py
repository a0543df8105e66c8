"""Labels with two meanings
========================

A label tree puts every label into one cluster. A label with two meanings is then not found for rows
that the search leads to the cluster of its other meaning. With two clusters per label, it is found
in both. This example uses synthetic data, where "apple" is a fruit and a computer, and titles of a
library catalog. It prints some labels with their neighbors in both clusters, and the quality on
unseen titles with one cluster per label and with two.

.. code-block:: sh

    python examples/label_disentanglement.py [--data FOLDER] [--clusters M] [--n-jobs N]

Without a folder, it uses the sample of skxmr.
"""

# sphinx_gallery_thumbnail_path = "images/thumbnails/label_disentanglement.png"

import argparse
import time

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from skxmr import KMeansIndexer, XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.embeddings import pifa
from skxmr.metrics import precision_at_k

FRUITS = "banana cherry grape lemon melon orange peach pear plum quince".split()
COMPUTERS = "cpu disk kernel keyboard laptop monitor mouse printer server tablet".split()
WORDS = {
    "fruit": "juice sweet ripe tree orchard harvest jam peel seed basket".split(),
    "computer": "software install boot driver screen update network code fast cable".split(),
}


# %%
# Texts in which apple is a fruit or a computer
# ---------------------------------------------
def planted_texts(n=3000, seed=0):
    """Draw texts about fruits and computers with their labels; apple is both."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(n):
        kind, names = (("fruit", FRUITS), ("computer", COMPUTERS))[rng.integers(2)]
        subject = rng.choice(["apple", *names], p=[0.2, *[0.08] * 10])
        second = rng.choice(names)
        texts.append(" ".join([subject, second, *rng.choice(WORDS[kind], 4)]))
        labels.append({subject, second})
    names = np.array(sorted({"apple", *FRUITS, *COMPUTERS}), dtype=object)
    return texts, sp.csr_matrix([[float(n in row) for n in names] for row in labels]), names


# %%
# The neighbors of a label in its clusters
# ----------------------------------------
# The other labels of each cluster, and the similarity of these groups.
def clusters_of(tree, label):
    """List the labels of each cluster that contains a label."""
    pointers = tree.child_ptr[-1]
    leaves = tree.parents(tree.n_levels)[tree.slot_label == label]
    return [tree.slot_label[pointers[leaf] : pointers[leaf + 1]] for leaf in leaves]


def groups_of(tree, Z, label, size=4):
    """Return, per cluster of a label, the most similar labels that are in no other of them."""
    clusters = clusters_of(tree, label)
    held = np.bincount(np.concatenate(clusters), minlength=tree.n_labels)
    alone = [cluster[held[cluster] == 1] for cluster in clusters]
    features = Z[label].toarray().ravel()
    similarities = [Z[others] @ features for others in alone]
    pairs = zip(alone, similarities, strict=True)
    return [labels[np.argsort(-similarity)[:size]] for labels, similarity in pairs]


def ambiguity(tree, Z, label):
    """Return how much more similar a label is to its two groups than the groups to each other."""
    groups = groups_of(tree, Z, label)
    if len(groups) != 2 or min(map(len, groups)) < 3:
        return -np.inf
    sums = (np.asarray(Z[group].sum(axis=0)).ravel() for group in groups)
    first, second = (features / np.linalg.norm(features) for features in sums)
    similarities = (Z[label] @ features for features in (first, second))
    return min(similarity.item() for similarity in similarities) - float(first @ second)


def show_groups(tree, Z, names, labels):
    """Print the neighbors of labels, per cluster."""
    for label in labels:
        print(f"  {names[label]}")
        for i, group in enumerate(groups_of(tree, Z, label), 1):
            print(f"    cluster {i}: " + "; ".join(names[group]))


# %%
# One cluster per label, and two
# ------------------------------
# First with the synthetic texts, then with titles.
def planted(n_jobs):
    """Show that the planted label is in two clusters."""
    texts, Y, names = planted_texts()
    X = TfidfVectorizer(dtype=np.float32).fit_transform(texts)
    apple = names.tolist().index("apple")
    print("synthetic: apple is a fruit and a computer")
    for n_clusters in (1, 2):
        clf = XRLinearClassifier(
            KMeansIndexer(branching=2, max_leaf_size=11),
            max_clusters_per_label=n_clusters,
            training_beam_width=1,
            beam_width=1,
            n_jobs=n_jobs,
            random_state=0,
        ).fit(X[:2000], Y[:2000])
        about = X[2000:][Y[2000:, [apple]].toarray().ravel() > 0]
        found = (clf.rank(about, 2)[0] == apple).any(axis=1).mean()
        print(
            f"  {n_clusters} per label: apple is in {len(clusters_of(clf.tree_, apple))}, ", end=""
        )
        print(f"and found for {found:.0%} of its rows by a beam of one cluster")
    show_groups(clf.tree_, pifa(X, Y), names, [apple])


def train(data, X, n_clusters, n_jobs):
    """Fit a classifier and print its quality and speed."""
    clf = XRLinearClassifier(max_clusters_per_label=n_clusters, n_jobs=n_jobs, random_state=0)
    print(f"  {n_clusters:8}  ", end="", flush=True)
    start = time.perf_counter()
    clf.fit(X[0], data.Y_train)
    fitted = time.perf_counter()
    labels, _ = clf.rank(X[1], 5)
    took = 1e6 * (time.perf_counter() - fitted) / len(labels)
    precisions = "  ".join(f"{precision_at_k(data.Y_test, labels, k=k):.4f}" for k in (1, 3, 5))
    print(f"{precisions}  {fitted - start:7.1f}  {took:12.0f}")
    return clf


# %%
# All together
# ------------
def main():
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the full data; by default the bundled sample")
    parser.add_argument("--clusters", type=int, default=2, help="clusters per label, 2 to 6")
    parser.add_argument("--n-jobs", type=int, default=2)
    args = parser.parse_args()
    planted(args.n_jobs)

    data = load_catalogue_subjects(args.data)
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    X = vectorizer.fit_transform(data.text_train), vectorizer.transform(data.text_test)
    print(f"\ncatalogue: {len(data.text_train):,} titles, {data.Y_train.shape[1]:,} labels")
    print("  clusters     P@1     P@3     P@5    fit s  µs per query")
    for n_clusters in range(1, args.clusters + 1):
        clf = train(data, X, n_clusters, args.n_jobs)
        if n_clusters == 2:
            two = clf.tree_

    print("\nlabels with the least similar groups")
    Z = pifa(X[0], data.Y_train)
    often = np.flatnonzero(data.Y_train.getnnz(axis=0) >= 20)
    scores = np.array([ambiguity(two, Z, label) for label in often])
    show_groups(two, Z, data.label_names, often[np.argsort(-scores)[:12]])


if __name__ == "__main__":
    main()
