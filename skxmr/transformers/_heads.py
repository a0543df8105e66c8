"""Heads: the linear rankers of clusters on embeddings, before the encoder is fine-tuned."""

import numpy as np

from ._torch import import_extra

#: The covariance of the embeddings is shrunk towards a multiple of the identity by this share.
_SHRINKAGE = 0.1

#: Number of rows per product of matrices.
_BLOCK = 1 << 12


def solve_heads(embeddings, level, rows, device):
    """Return the heads of all clusters of a level, by one linear solve.

    The direction of a head is that of a linear discriminant: the difference of the mean embedding
    of its positives from that of all rows, multiplied by the inverse covariance. Its scale and its
    bias are the least-squares fit of the margins 1 and -1 on the candidates of the cluster, in
    which positives and negatives weigh the same.

    Parameters
    ----------
    embeddings : ndarray of float32, shape (n_rows, width)
    level : Level
    rows : ndarray of int
        The rows whose embeddings are known.
    device : torch.device

    Returns
    -------
    weight : tensor of float32, shape (n_clusters, width)
    bias : tensor of float32, shape (n_clusters,)
    """
    torch = import_extra("torch")
    known = embeddings[rows]
    positives = level.relevance[rows]
    mean = known.mean(axis=0, dtype=np.float64)
    counts = np.asarray(positives.sum(axis=0)).ravel()
    sums = np.asarray(positives.T @ known, dtype=np.float64)
    means = sums / np.maximum(counts, 1)[:, np.newaxis]
    # Few positives say little about the mean of a cluster.
    differences = (means - mean) * (counts / (counts + 1))[:, np.newaxis]
    centered = torch.from_numpy(known - mean.astype(np.float32)).to(device)
    covariance = (centered.T @ centered).double().cpu() / max(len(known), 1)
    width = covariance.shape[0]
    level_of_identity = float(covariance.trace()) / width + 1e-12
    shrunk = (1 - _SHRINKAGE) * covariance
    shrunk += _SHRINKAGE * level_of_identity * torch.eye(width, dtype=torch.float64)
    directions = torch.linalg.solve(shrunk, torch.from_numpy(differences.T)).T.float()
    directions = torch.nn.functional.normalize(directions, dim=1)
    scale, bias = _calibrated(directions.numpy(), known, positives, _candidates(level, rows))
    weight = directions * torch.from_numpy(scale)[:, None]
    return weight.to(device), torch.from_numpy(bias).to(device)


def _candidates(level, rows):
    return None if level.candidates is None else level.candidates[rows]


def _calibrated(directions, known, positives, candidates):
    """Return the scale and the bias of each direction.

    Means and variances of the scores of positives and negatives are sums over the candidates.
    """
    n_clusters = len(directions)
    totals = np.zeros((2, 3, n_clusters))  # of negatives and positives: count, sum, squares
    for begin in range(0, len(known), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        is_positive = positives[block].tocoo()
        if candidates is None:
            scores = known[block] @ directions.T
            values = scores[is_positive.row, is_positive.col].astype(np.float64)
            whole = np.ones(len(scores)), scores.sum(axis=0), (scores**2).sum(axis=0)
            _add(totals[1], is_positive.col, values)
            totals[0, 0] += len(scores)
            totals[0, 1] += whole[1]
            totals[0, 2] += whole[2]
            _add(totals[0], is_positive.col, values, sign=-1)
            continue
        pairs = candidates[block].tocoo()
        values = np.einsum("ij,ij->i", known[block][pairs.row], directions[pairs.col])
        truth = np.asarray(positives[block][pairs.row, pairs.col]).ravel() > 0
        _add(totals[0], pairs.col[~truth], values[~truth])
        _add(totals[1], pairs.col[truth], values[truth])
    counts = np.maximum(totals[:, 0], 1)
    means = totals[:, 1] / counts
    variances = np.maximum(totals[:, 2] / counts - means**2, 0)
    gap = np.maximum(means[1] - means[0], 1e-3)
    # Least squares of the margins 1 and -1, each side with half of the weight.
    scale = 2 * gap / (gap**2 + 2 * variances.sum(axis=0) + 1e-3)
    empty = totals[1, 0] == 0
    scale[empty] = 0
    bias = -scale * means.mean(axis=0)
    bias[empty] = -1
    return scale.astype(np.float32), bias.astype(np.float32)


def _add(totals, clusters, values, sign=1):
    n = totals.shape[1]
    for power in range(3):
        totals[power] += sign * np.bincount(clusters, weights=values**power, minlength=n)
