"""Why an item is recommended."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Reasons:
    """The score of an item, as a sum over the history.

    Attributes
    ----------
    item : int
    score : float
        Sum of the contributions and of `base`.
    history : ndarray of int32, shape (n,)
        Items of the history, by decreasing contribution.
    contributions : ndarray of float, shape (n,)
        Contribution of each of them.
    is_cold : bool
        Whether the row has no history, so that the score is the popularity of the item.
    base : float
        Part of the score that does not depend on the history.
    """

    item: int
    score: float
    history: np.ndarray
    contributions: np.ndarray
    is_cold: bool
    base: float = 0.0

    def to_text(self, names=None, n=3):
        """Return the reasons as a sentence.

        Parameters
        ----------
        names : sequence of str, default=None
            Name of each item. None: the numbers.
        n : int, default=3
            Largest number of items of the history.

        Returns
        -------
        text : str
        """

        def name_of(item):
            return str(item) if names is None else str(names[item])

        if self.is_cold:
            return f"{name_of(self.item)}: popular"
        bought = [
            name_of(item)
            for item, part in zip(self.history[:n], self.contributions[:n], strict=True)
            if part > 0
        ]
        if not bought:
            return f"{name_of(self.item)}: popular" if self.base > 0 else name_of(self.item)
        return f"{name_of(self.item)}: because you bought {', '.join(bought)}"
