"""Draws docs/images/calibration.png: how often labels are true beside what scores make of it."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator

from skxmr import CalibratedRanker, XRLinearClassifier
from skxmr.calibration import reliability_curve
from skxmr.datasets import load_catalogue_subjects
from skxmr.inspection import ReliabilityDisplay

K = 5
N_BINS = 15

INK, BEFORE, AFTER = "#24292f", "#d97b29", "#2563a8"

RANKERS = {
    "default: products of hinges": {},
    "log loss: products of probabilities": {"loss": "log_loss", "post_processor": "sigmoid"},
}


def split():
    """Features and labels of rows to fit to, to calibrate with and to look at."""
    data = load_catalogue_subjects()
    rows = np.random.default_rng(0).permutation(len(data.text_train))
    texts = np.array(data.text_train, dtype=object)[rows]
    held_out = len(rows) // 5
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32).fit(texts[held_out:])
    return [
        (vectorizer.transform(texts[held_out:]), data.Y_train[rows[held_out:]]),
        (vectorizer.transform(texts[:held_out]), data.Y_train[rows[:held_out]]),
        (vectorizer.transform(data.text_test), data.Y_test),
    ]


def curves(params, fit, held_out, test):
    """Reliability of the first labels of test rows, before and after calibration."""
    ranker = XRLinearClassifier(random_state=0, **params).fit(*fit)
    calibrated = CalibratedRanker(FrozenEstimator(ranker), cv="prefit", k=K, random_state=0)
    calibrated.fit(*held_out)
    X, Y = test
    return [reliability_curve(Y, r.rank(X, K), n_bins=N_BINS) for r in (ranker, calibrated)]


def draw(ax, title, before, after):
    """Both curves; the area of a dot is the number of labels in its bin."""
    for name, color, curve in (("scores", BEFORE, before), ("calibrated", AFTER, after)):
        display = ReliabilityDisplay(curve, name=name).plot(ax, color=color)
        print(f"{title}, {display.line_.get_label()}")
    ax.set_title(title, color=INK, fontsize=11.5)
    ax.set_ylabel("")


def main():
    """Draw one panel for each ranker."""
    parts = split()
    figure, axes = plt.subplots(1, len(RANKERS), figsize=(10, 5.6), sharey=True)
    for ax, (title, params) in zip(axes, RANKERS.items(), strict=True):
        draw(ax, title, *curves(params, *parts))
    axes[0].set_ylabel("share of labels that are true")
    note = f"first {K} labels of 5,000 test rows of the catalogue sample; larger dots: more labels"
    figure.text(0.5, 0.02, note, ha="center", color="#57606a", fontsize=9.5)
    figure.subplots_adjust(left=0.07, right=0.98, top=0.93, bottom=0.13, wspace=0.08)
    path = Path(__file__).parent / "images" / "calibration.png"
    figure.savefig(path, dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main()
