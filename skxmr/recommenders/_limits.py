"""The items that a recommendation may have."""

from typing import NamedTuple

from .._core import NumberSets
from ..linear._fitted import Names
from ..linear._inputs import check_label_sets


class Limits(NamedTuple):
    """The items that each row may have.

    Attributes
    ----------
    exclude_stored : bool
        Whether the entries of the row are excluded.
    among, exclude : NumberSets or None
    """

    exclude_stored: bool
    among: NumberSets | None
    exclude: NumberSets | None

    def of_rows(self, begin, end):
        """Return the limits of some rows."""
        sets = (
            sets if sets is None else sets.of_rows(begin, end)
            for sets in (self.among, self.exclude)
        )
        return Limits(self.exclude_stored, *sets)


def check_limits(recommender, exclude, candidates, n_rows):
    """Check the parameters `exclude` and `candidates` of rank."""
    known = n_rows, recommender.n_labels_, Names(values=recommender.classes_)
    among = check_label_sets(candidates, "candidates", *known)
    if isinstance(exclude, str):
        if exclude not in ("auto", "seen"):
            raise ValueError(
                "exclude must be 'auto', 'seen', None, a sequence of items or a sparse matrix, "
                f"got {exclude!r:.80}"
            )
        return Limits(exclude == "seen" or not recommender.repeat, among, None)
    return Limits(False, among, check_label_sets(exclude, "exclude", *known))
