"""examples/shop_app with a shop of a few items."""

import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np

from skxmr.recommenders import InteractionEncoder

FOLDER = Path(__file__).parents[1] / "examples" / "shop_app"

MARKUP = "<b onmouseover=alert(1)>bold</b>"

#: Ids and names. Two items have the same name, and one id has characters that a URL escapes.
ITEMS = {
    "10": "Tea cup",
    "11": "Tea pot",
    "12": "Saucer",
    "13": "Lantern",
    "14": "Candle",
    "15": "Lantern",
    "16/a&b#c ?": MARKUP,
    "17": "Lonely chair",
}

#: Items that are bought together, and how often.
BASKETS = [
    (["10", "11", "12"], 6),
    (["10", "11"], 4),
    (["13", "14"], 6),
    (["13", "14", "15"], 3),
    (["14", "16/a&b#c ?"], 4),
    (["12", "13"], 2),
    (["17"], 1),
]

#: Of the customers of each basket with a lantern, those who buy in the last two weeks.
N_LATE = 3


def load(name):
    """A module of the example, which is no package."""
    sys.path.insert(0, str(FOLDER))
    try:
        if name == "shop":
            return importlib.import_module("shop")
        spec = importlib.util.spec_from_file_location(f"shop_app_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(FOLDER))


def make_shop():
    users, items, days = [], [], []
    for basket, times in BASKETS:
        for number in range(times):
            user = len(users)
            users += [user] * len(basket)
            items += basket
            days += [40.0 if number < N_LATE and "13" in basket else 1.0] * len(basket)
    log = InteractionEncoder(unit="D").fit_transform((np.array(users), np.array(items), days))
    return load("shop").Shop(log, [ITEMS[item] for item in log.item_ids.tolist()])
