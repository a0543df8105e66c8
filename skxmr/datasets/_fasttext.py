"""Text files of fastText."""

from sklearn.utils import Bunch

from ._files import as_path
from ._lines import text_lines


def load_fasttext(path, *, prefix="__label__"):
    """Load a file of labeled texts in the format of fastText's supervised mode.

    Each line is a text. Words that begin with the prefix are its labels [1]_.

    Parameters
    ----------
    path : str or os.PathLike
        File in UTF-8, plain or with the suffix ``.gz``, ``.bz2`` or ``.xz``. A byte order mark and
        blank lines are ignored.
    prefix : str, default="__label__"
        Beginning of a label, the parameter `label` of fastText.

    Returns
    -------
    corpus : Bunch
        With the attributes

        texts : list of str
            The other words of each line, joined by spaces.
        labels : list of list of str
            The different labels of each line, without the prefix.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    TypeError
        If `path` is neither a str nor an ``os.PathLike``, or `prefix` is not a str.
    ValueError
        If the file is not UTF-8, `prefix` is empty, a label consists of the prefix only, or no line
        has a label.

    References
    ----------
    .. [1] fastText, "Text classification",
       https://fasttext.cc/docs/en/supervised-tutorial.html

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skxmr.datasets import load_fasttext
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "train.txt")
    ...     _ = path.write_text("__label__bread __label__flour Which flour for bread ?")
    ...     corpus = load_fasttext(path)
    >>> corpus.texts, corpus.labels
    (['Which flour for bread ?'], [['bread', 'flour']])
    """
    path = as_path(path, "path")
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a str, got {prefix!r}")
    if not prefix:
        raise ValueError("prefix must not be empty")
    texts, labels = [], []
    for number, line in text_lines(path):
        words = line.split()
        given = [word.removeprefix(prefix) for word in words if word.startswith(prefix)]
        if "" in given:
            raise ValueError(f"{path}, line {number}: expected a label after {prefix!r}")
        texts.append(" ".join(word for word in words if not word.startswith(prefix)))
        labels.append(list(dict.fromkeys(given)))
    if not any(labels):
        raise ValueError(f"{path}: expected words that begin with {prefix!r}, found none")
    return Bunch(texts=texts, labels=labels)
