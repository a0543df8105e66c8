"""Draws docs/images/label_trees.png: eight strings as a plain tree, a hybrid and a trie."""

from pathlib import Path

import matplotlib.pyplot as plt

from skxmr import KMeansIndexer, TrieHybridIndexer, TrieIndexer
from skxmr.indexers._texts import default_vectorizer
from skxmr.inspection import LabelTreeDisplay

TEXTS = ["a", "ab", "abc", "abd", "abfgh", "abfgi", "bcde", "bcdf"]
TYPED = "ab"

INK, FAINT = "#24292f", "#7a838c"

OPTIONS = {"branching": 2, "balanced": False, "random_state": 0}


def fit_trees():
    """The three fitted indexers with their titles."""
    plain = KMeansIndexer(max_leaf_size=1, **OPTIONS)
    hybrid = TrieHybridIndexer(trie_depth=1, max_leaf_size=1, **OPTIONS)
    return [
        ("KMeansIndexer", plain.fit(default_vectorizer(TEXTS).fit_transform(TEXTS))),
        ("TrieHybridIndexer(trie_depth=1)", hybrid.fit(TEXTS)),
        ("TrieIndexer", TrieIndexer(max_leaf_size=1).fit(TEXTS)),
    ]


def draw_tree(ax, title, fitted):
    """One tree, with the labels that complete what was typed in bold."""
    options = {"kind": "nodes", "family": "monospace", "fontsize": 10.5, "color": FAINT}
    display = LabelTreeDisplay.from_estimator(fitted, label_names=TEXTS, ax=ax, **options)
    for text in display.texts_.values():
        if text.get_text().startswith(TYPED):
            text.set(color=INK, weight="bold")
    ax.set_title(title, color=INK, fontsize=11.5, pad=12, x=0.55)


def main():
    """Draw the three trees side by side."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), width_ratios=(1, 1, 1.25))
    for ax, (title, fitted) in zip(axes, fit_trees(), strict=True):
        draw_tree(ax, title, fitted)
    note = f"boxes: prefixes    dots: clusters by k-means    bold: labels that complete “{TYPED}”"
    figure.text(0.5, 0.03, note, ha="center", color="#57606a", fontsize=10)
    figure.subplots_adjust(left=0.02, right=0.99, top=0.87, bottom=0.1, wspace=0.06)
    path = Path(__file__).parent / "images" / "label_trees.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    main()
