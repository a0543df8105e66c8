"""What earlier releases pickled from here; nothing else uses this module."""

from ._neighbors import NeighborRows

#: Names of arrays then -> now.
_RENAMED = {"carrier_ptr": "posting_ptr", "carriers": "postings"}


class Voters(NeighborRows):
    """NeighborRows under its old name: unpickling makes a NeighborRows of it."""

    def __setstate__(self, state):
        renamed = {
            field: {_RENAMED.get(name, name): value for name, value in state[field].items()}
            for field in ("arrays", "checksums")
            if field in state
        }
        self.__class__ = NeighborRows
        self.__setstate__({**state, **renamed})
