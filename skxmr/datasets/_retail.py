"""Purchases at an online shop."""

import lzma
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..recommenders import InteractionEncoder

_DATA = Path(__file__).parent / "data" / "retail_purchases"

#: Time of the first purchase.
_BEGIN = np.datetime64("2010-12-01T08:26", "m")


def load_retail_purchases():
    """Load a year of purchases at an online shop for gifts.

    The data are a part of the data set "Online Retail", in the public domain. They are part of the
    package; nothing is downloaded.

    Returns
    -------
    data : Bunch
        With the attributes

        log : InteractionLog
            The purchases with numbered users and items, as
            :class:`skxmr.recommenders.InteractionEncoder` returns them. Amounts are quantities.
        customers : ndarray of int, shape (n,)
            Number of the customer of each purchase.
        stock_codes : ndarray of str, shape (n,)
            Item of each purchase.
        times : ndarray of datetime64, shape (n,)
            In increasing order.
        quantities : ndarray of int, shape (n,)
            Number of pieces of each purchase.
        item_names : ndarray of object, shape (n_items,)
            Name of each item of the log, in the order of ``log.item_ids``.
        DESCR : str
            Source, license, and how the sample was drawn.

    Examples
    --------
    >>> from skxmr.datasets import load_retail_purchases
    >>> data = load_retail_purchases()
    >>> data.log.shape
    (2167, 3460)
    >>> data.item_names[data.log.items[0]]
    'GLASS STAR FROSTED T-LIGHT HOLDER'
    """
    users, items, minutes, quantities = zip(*_rows("purchases.tsv.xz"), strict=True)
    users = np.array(users, dtype=np.int64)
    items = np.array(items)
    times = _BEGIN + np.array(minutes, dtype=np.int64)
    quantities = np.array(quantities, dtype=np.int64)
    log = InteractionEncoder(amount="quantity").fit_transform((users, items, times, quantities))
    names = dict(_rows("items.tsv.xz"))
    return Bunch(
        log=log,
        customers=users,
        stock_codes=items,
        times=times,
        quantities=quantities,
        item_names=np.array([names[item] for item in log.item_ids.tolist()], dtype=object),
        DESCR=(_DATA / "description.rst").read_text(encoding="utf-8"),
    )


def _rows(name):
    """Return the rows of a table without its header."""
    text = lzma.decompress((_DATA / name).read_bytes()).decode("utf-8")
    return [tuple(line.split("\t")) for line in text.splitlines()[1:]]
