"""A name in pickles of earlier releases; not used otherwise."""

from typing import Any

from ._neighbors import NeighborRows

#: Earlier names of arrays -> current names.
_RENAMED = {"carrier_ptr": "posting_ptr", "carriers": "postings"}


class Voters(NeighborRows):
    """NeighborRows under its earlier name. Unpickling makes a NeighborRows."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        renamed: dict[str, Any] = {
            field: {_RENAMED.get(name, name): value for name, value in state[field].items()}
            for field in ("arrays", "checksums")
            if field in state
        }
        self.__class__ = NeighborRows  # type: ignore[assignment]
        self.__setstate__({**state, **renamed})
