"""Rankings limited to labels of given sets."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._core import NumberSets, indptr_of


class SetPair(NamedTuple):
    """The numbers that each row may have: those of one set, without those of another.

    Attributes
    ----------
    among : NumberSets or None
        The permitted numbers. None for all.
    exclude : NumberSets or None
        The numbers that are not permitted. None for none.
    """

    among: NumberSets | None
    exclude: NumberSets | None


class Constraint(NamedTuple):
    """The labels that a search may return, prepared for all trees of a ranker.

    Attributes
    ----------
    labels : SetPair
    slots_by_tree : tuple of SetPair
        The slots of these labels in each tree.
    """

    labels: SetPair
    slots_by_tree: tuple[SetPair, ...]

    @classmethod
    def for_trees(cls, trees: Sequence, labels: SetPair) -> "Constraint":
        """Prepare sets of labels for searches.

        Parameters
        ----------
        trees : sequence of TreeRanker
            The `trees` of the ranker.
        labels : SetPair
        """
        slots = [SetPair(*(_slots_of(tree, sets) for sets in labels)) for tree in trees]
        return cls(labels, tuple(slots))


def _slots_of(tree: Any, sets: NumberSets | None) -> NumberSets | None:
    """Return the slots of sets of labels in a tree, as sets."""
    if sets is None:
        return None
    pointers, slots = tree.label_slots
    begins = pointers[sets.members]
    lengths = pointers[sets.members + 1] - begins
    ends = indptr_of(lengths)
    which = np.repeat(begins - ends[:-1], lengths)
    which += np.arange(len(which))
    found = slots[which]
    if sets.is_shared:
        found.sort()
        return NumberSets.shared(found)
    # Sort by row, then by slot: both are below 2**31.
    rows = np.repeat(np.arange(len(sets.ptr) - 1), np.diff(ends[sets.ptr]))
    keys = rows << 31 | found
    keys.sort()
    members = (keys & (2**31 - 1)).astype(np.int32)
    return NumberSets(ends[sets.ptr], members, False)
