"""What an indexer has to provide."""

from ..tree import LabelTree


def check_indexer(indexer):
    """Check that an indexer is None, a LabelTree or an object that can be fitted."""
    fits = callable(getattr(indexer, "fit", None)) and not isinstance(indexer, type)
    if not (indexer is None or isinstance(indexer, LabelTree) or fits):
        raise TypeError(f"indexer must have a fit method or be a LabelTree, got {indexer!r}")


def takes_text(indexer):
    """Whether an indexer is fitted to labels' texts, as its scikit-learn tags say."""
    tags = getattr(indexer, "__sklearn_tags__", None)
    inputs = tags().input_tags if callable(tags) else None
    return inputs is not None and inputs.string and not inputs.two_d_array
