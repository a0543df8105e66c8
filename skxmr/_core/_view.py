"""Arrays with a C struct over them."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple


class CStruct(NamedTuple):
    """A C struct, and the objects that must live as long as it does."""

    struct: Any
    owners: tuple


class CView(ABC):
    """Base of the classes that hold arrays and a C struct over them.

    The view is made on first use and never pickled. It is made once per object, so that a view in
    use by another thread stays alive. Subclasses implement `_make_view` and `nbytes`.
    """

    _view: Any

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes in all arrays."""

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        # A copy, because another thread may make the view meanwhile.
        return {name: value for name, value in state.copy().items() if name != "_view"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        vars(self).pop("_view", None)  # None in pickles of earlier releases

    def __sizeof__(self) -> int:
        return super().__sizeof__() + self.nbytes  # dask sends large objects once, not per task

    @abstractmethod
    def _make_view(self) -> Any:
        """Make the view, which owns what it needs."""

    def _c_view(self) -> Any:
        """Return the view; any number of threads may call this at once."""
        try:
            return self._view
        except AttributeError:
            return vars(self).setdefault("_view", self._make_view())
