"""A shop: its items, the customers who bought them, and recommenders with several measures."""

from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from skxmr import SessionQueryCompleter
from skxmr.completion import training_pairs
from skxmr.datasets import load_retail_purchases
from skxmr.recommenders import ItemToItemRecommender, temporal_examples

#: Days before the end of the log whose purchases make a bestseller.
DAYS = 14


class Measure(NamedTuple):
    """A measure of relatedness to choose in the page."""

    title: str
    description: str
    recommender: ItemToItemRecommender


MEASURES = {
    "difference": Measure(
        "Difference (2003)",
        "How much more often buyers of one item buy the other than all customers do. "
        "Prefers bestsellers.",
        ItemToItemRecommender("difference", shrinkage=0),
    ),
    "cosine": Measure(
        "Cosine",
        "The buyers of both, divided by the geometric mean of the buyers of each.",
        ItemToItemRecommender("cosine", shrinkage=0),
    ),
    "published": Measure(
        "Corrected (2017)",
        "The buyers of both beyond those expected of customers who buy as much. "
        "Prefers rare items with little support.",
        ItemToItemRecommender("corrected", shrinkage=0),
    ),
    "corrected": Measure(
        "Corrected, shrunk",
        "The corrected measure, with a shrinkage of 5 against items with little support.",
        ItemToItemRecommender("corrected", shrinkage=5),
    ),
    "popular": Measure(
        "Corrected + bestsellers",
        "The same relatedness. The recommendations also prefer bestsellers of the last two weeks.",
        ItemToItemRecommender("corrected", shrinkage=5, popularity=10),
    ),
}


class Evidence(NamedTuple):
    """How many buyers of an item bought another one, and how many would by chance."""

    both: int
    expected: float


class Reason(NamedTuple):
    """An item of the basket, and its share in the score of a recommendation."""

    item: int
    share: float


class Shop:
    """Items with names, and a recommender for each measure.

    Parameters
    ----------
    log : InteractionLog
    names : sequence of str
        Name of each item. Several items may have the same name.
    """

    def __init__(self, log, names):
        self.ids = [str(item) for item in log.item_ids]
        self.names = [str(name) for name in names]
        self.number_of = {item: number for number, item in enumerate(self.ids)}
        # All customers with purchases. y has what each of them bought last, for the bestsellers.
        window = {"horizon": f"{DAYS}D", "targets": "all", "min_history": 0, "min_targets": 0}
        data = temporal_examples(log, 1, **window)
        self.recommenders = {
            name: clone(measure.recommender).fit(data.X, data.y, target_times=data.target_times)
            for name, measure in MEASURES.items()
        }
        bought = ((data.X + data.y) != 0).tocsr()
        self.n_purchases = len(log)
        self._buyers = bought.tocsc()
        self._n_items_of = np.diff(bought.indptr)
        self.n_buyers = np.diff(self._buyers.indptr)
        self._items_named = self._group_names()
        self._completer = self._fit_completer()

    def _group_names(self):
        """Return the items of each name, most bought first."""
        groups = {}
        for item in np.argsort(-self.n_buyers, kind="stable").tolist():
            groups.setdefault(self.names[item], []).append(item)
        return groups

    def _fit_completer(self):
        """Learn to complete names, those of much bought items first."""
        searches = [
            (name, int(self.n_buyers[items].sum()) + 1) for name, items in self._items_named.items()
        ]
        X, y, weights = training_pairs(searches, query=0, count=1, n_prefixes=8, random_state=0)
        return SessionQueryCompleter(random_state=0).fit(X, y, sample_weight=weights)

    def search(self, text, k):
        """Return the items whose names match what was typed."""
        completions = self._completer.complete(text, k=k)
        return [item for each in completions for item in self._items_named[each.query]][:k]

    def related(self, item, measure, k):
        """Return the items most related to an item, best first."""
        items = self.recommenders[measure].related([item], k).labels[0]
        return items[items >= 0].tolist()

    def recommend(self, basket, measure, k):
        """Return the items to recommend with a basket; bestsellers if it is empty."""
        items, scores = (part[0] for part in self.recommenders[measure].rank(as_row(basket), k))
        return items[(items >= 0) & (scores > 0)].tolist()

    def evidence(self, item, others):
        """Return the evidence that other items are related to an item.

        A buyer with c other purchases is expected to have an item with the probability
        1 - (1 - P) ** c, where P is the share of the item in all purchases.
        """
        buyers = self._buyers_of(item)
        n_others = self._n_items_of[buyers] - 1
        found = []
        for other in others:
            both = np.intersect1d(buyers, self._buyers_of(other), assume_unique=True)
            share = self.n_buyers[other] / self._buyers.nnz
            expected = -np.expm1(n_others * np.log1p(-share)).sum()
            found.append(Evidence(len(both), float(expected)))
        return found

    def _buyers_of(self, item):
        begin, end = self._buyers.indptr[item : item + 2]
        return self._buyers.indices[begin:end]

    def reasons(self, basket, measure, item, n=3):
        """Return the items of the basket that a recommendation is due to, largest share first.

        The second result is the share of popularity. What is missing to 1 is due to other items.
        """
        explained = self.recommenders[measure].explain(as_row(basket), item)
        if explained.is_cold:
            return [], 1.0
        pairs = zip(explained.history[:n], explained.contributions[:n], strict=True)
        shares = [Reason(int(i), float(part / explained.score)) for i, part in pairs if part > 0]
        return shares, float(explained.base / explained.score)


def as_row(basket):
    """Return a basket as a row with the weight 1 for each item."""
    items = np.sort(np.asarray(basket, dtype=np.int32))
    return items, np.ones(len(items), dtype=np.float32)


def open_shop():
    """Make the shop of the bundled purchases."""
    data = load_retail_purchases()
    # The names of the data are in capitals.
    return Shop(data.log, [name.capitalize() for name in data.item_names])
