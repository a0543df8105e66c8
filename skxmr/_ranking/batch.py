"""Rankings of many rows, in parallel."""

import numpy as np

from .._utils import parallel
from .base import Ranker, SearchOptions, rank_block

#: Rows times beam width of a block of rows. An interruption waits for the end of a block.
_BLOCK = 1 << 16

#: Rows of a block if it may be ranked repeatedly. The blocks must not depend on the beam width.
_REPEATED_BLOCK = 1 << 12


def rank_all(ranker: Ranker, X, k: int, options: SearchOptions, *, n_jobs=None, what="ranking"):
    """Rank labels for all rows of a canonical matrix, block by block.

    Parameters
    ----------
    ranker : Ranker
    X : csr_matrix of float32, shape (n_rows, n_features)
        Canonical.
    k : int
    options : SearchOptions
        Its frontier, restriction and constraint have a row for each row of `X`.
    n_jobs : int, optional
    what : str
        Name of the work in progress reports.

    Returns
    -------
    labels, scores : ndarray of shape (n_rows, k)
        As Ranker.rank returns them.
    """
    n_workers = parallel.n_workers(n_jobs)
    n_blocks = X.shape[0] * min(options.beam_width, ranker.max_level_width) // _BLOCK + 1
    if ranker.repeats:
        n_blocks = X.shape[0] // _REPEATED_BLOCK + 1
    blocks = parallel.ranges(X.shape[0], max(n_blocks, 1 if n_workers == 1 else 8 * n_workers))
    results = parallel.run(
        rank_block,
        [(ranker, X, begin, end, k, options) for begin, end in blocks],
        [end - begin for begin, end in blocks],
        n_jobs=n_jobs,
        what=what,
        brief=True,
    )
    return joined_rankings(results)


def joined_rankings(parts):
    """Join the rankings of blocks of rows.

    Parameters
    ----------
    parts : sequence of tuple (labels, scores)
        At least one, with as many columns each.
    """
    labels, scores = zip(*parts, strict=True)
    return np.concatenate(labels), np.concatenate(scores)
