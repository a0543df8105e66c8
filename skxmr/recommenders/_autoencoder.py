"""Autoencoders, of histories or from histories to the next items."""

from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state, gen_batches

from .._core import stop_if_cancelled
from .._utils import parallel
from .._utils.pairs import row_of_entries
from .._utils.params import check_boolean, check_integer, check_real, check_seed
from ._base import BaseRecommender
from ._inputs import latest_rows, whole_histories
from ._prior import check_days, log_shares, log_shift, without_cold_rows
from ._row_weights import check_half_life, window_weights
from ._times import days_of
from ._unit_rows import scaled_rows

#: Default numbers of epochs.
_ORDERED_EPOCHS, _UNORDERED_EPOCHS = 6, 30

#: Decay rates and the constant of Adam.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


def _check_sizes(value, name):
    if not isinstance(value, (tuple, list)) or not value:
        raise TypeError(f"{name} must be a tuple of at least one integer, got {value!r:.80}")
    for size in value:
        check_integer(size, name, 1)


class AutoencoderRecommender(BaseRecommender):
    """Recommend by a neural network with a bottleneck.

    The input is the history, scaled to unit norm, with dropout. Hidden layers have the activation
    tanh. The output is a probability for each item, and the loss is the multinomial log loss of the
    targets [1]_. It is minimized by Adam. The biases of the output begin with the logarithms of the
    shares of the items in the targets, so that the first steps need not learn what is popular.

    With ``ordered=False``, the targets are the history itself. With ``ordered=True``, the network
    learns to predict y, which came after X.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(100,)
        Number of units of each hidden layer.
    ordered : bool, default=False
        Whether to learn from X to y instead of within the histories, X and y together.
    dropout : float, default=0.5
        Fraction of the entries of the input that are set to 0 in training.
    alpha : float, default=1e-5
        L2 penalty of the weights.
    learning_rate : float, default=0.002
        Step size of Adam.
    batch_size : int, default=128
        Rows per step.
    n_epochs : int, default=None
        Number of passes over the rows. None: 6 if `ordered`, otherwise 30.
    min_support : int, default=1
        Fewest rows that have an item as a target. The network has no output for rarer items, which
        are ranked last. A larger value makes fit faster.
    window_half_life : str, number or timedelta, default=None
        If `ordered`, rows whose targets are older by this have half of the weight; a number is
        days. It needs `target_times` in fit.
    prior_shift : float, default=0
        Strength of a shift towards the items that were popular in the last days, as in
        :class:`PriorShift`; 1 replaces the popularity in the training rows. It needs `target_times`
        in fit.
    prior_window : str, number or timedelta, default="7D"
        These last days.
    random_state : int, RandomState or None, default=None
        Seed of the weights, the order of the rows and the dropout.
    repeat : bool, default=False
        Whether items of the history may be recommended.
    n_jobs : int, default=None
        Number of threads of `rank`. Those of fit depend on the BLAS library.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray of float32
        Weights and biases of the layers. The last layer has the items of `kept_`.
    kept_ : ndarray of int
        Items with at least `min_support` targets.
    loss_curve_ : list of float
        Mean loss of each epoch.
    n_features_in_, n_labels_ : int
        Number of items.
    classes_ : ndarray of shape (n_items,)
        Column names of X, or column numbers.
    popularity_ : ndarray of float32, shape (n_items,)
        Scores of rows without a history.

    Notes
    -----
    Scores are logarithms of probabilities, plus the shift.

    References
    ----------
    .. [1] D. Liang et al., "Variational autoencoders for collaborative filtering", WWW 2018.

    Examples
    --------
    >>> from skxmr.recommenders import AutoencoderRecommender
    >>> X = [[1, 0, 0], [0, 1, 0]] * 10
    >>> y = [[0, 1, 0], [0, 0, 1]] * 10
    >>> recommender = AutoencoderRecommender((4,), ordered=True, dropout=0, random_state=0)
    >>> recommender.set_params(n_epochs=100, learning_rate=0.05).fit(X, y).rank(X[:2], k=1).labels
    array([[1],
           [2]], dtype=int32)
    """

    _checks = {
        "hidden_layer_sizes": _check_sizes,
        "ordered": check_boolean,
        "dropout": lambda value, name: check_real(value, name, 0, most=0.99),
        "alpha": lambda value, name: check_real(value, name, 0),
        "learning_rate": lambda value, name: check_real(value, name, 0, above=True),
        "batch_size": lambda value, name: check_integer(value, name, 1),
        "n_epochs": lambda value, name: value is None or check_integer(value, name, 1),
        "min_support": lambda value, name: check_integer(value, name, 1),
        "window_half_life": check_half_life,
        "prior_shift": lambda value, name: check_real(value, name, 0),
        "prior_window": check_days,
        "random_state": check_seed,
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        ordered=False,
        dropout=0.5,
        alpha=1e-5,
        learning_rate=0.002,
        batch_size=128,
        n_epochs=None,
        min_support=1,
        window_half_life=None,
        prior_shift=0.0,
        prior_window="7D",
        random_state=None,
        repeat=False,
        n_jobs=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.ordered = ordered
        self.dropout = dropout
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.min_support = min_support
        self.window_half_life = window_half_life
        self.prior_shift = prior_shift
        self.prior_window = prior_window
        self.random_state = random_state
        self.repeat = repeat
        self.n_jobs = n_jobs

    def _learn(self, training):
        if self.ordered and training.y is None:
            raise ValueError("y must be given if ordered=True, got None")
        weights = self._row_weights(training)
        self._shift = None
        if self.prior_shift:
            days = days_of(self.prior_window, "prior_window")
            learned = without_cold_rows(training.X, weights) if self.ordered else None
            shift = log_shift(training, days, learned)
            self._shift = np.float32(self.prior_shift) * shift
        X = training.X
        y = training.y
        if not self.ordered:
            X = y = whole_histories(training)
        self.kept_ = self._items_with_targets(y)
        y = y[:, self.kept_]
        filled = np.flatnonzero((np.diff(X.indptr) > 0) & (np.diff(y.indptr) > 0))
        if not len(filled):
            expected = "a purchase and a target in y" if self.ordered else "a purchase"
            raise ValueError(f"X must have at least one row with {expected}, got none")
        network = _Network(self, X.shape[1], len(self.kept_), check_random_state(self.random_state))
        parts = (X[filled], y[filled], weights[filled].astype(np.float32))
        self.loss_curve_ = parallel.interruptible(network.fit, *parts)
        self.coefs_ = network.weights[::2]
        self.intercepts_ = network.weights[1::2]

    def _row_weights(self, training):
        """Return the weights of the rows that the network learns from."""
        if self.ordered:
            return window_weights(training, self.window_half_life)
        return np.ones(len(latest_rows(training)))

    def _items_with_targets(self, y):
        """Return the items that the network has an output for."""
        counts = np.bincount(y.indices[y.data > 0], minlength=y.shape[1])
        if not counts.any():
            return np.arange(y.shape[1])
        if counts.max() < self.min_support:
            raise ValueError(
                f"min_support must be at most {counts.max()}, the largest number of rows with the "
                f"same target, got {self.min_support}"
            )
        return np.flatnonzero(counts >= self.min_support)

    def _dense_scores(self, X):
        logits = _forward(_unit_rows(X), [*zip(self.coefs_, self.intercepts_, strict=True)])[-1]
        known = logits - _log_sum_exp(logits)
        if self._shift is not None:
            known += self._shift[self.kept_]
        if len(self.kept_) == self.n_labels_:
            return known
        least = known.min(axis=1, keepdims=True, initial=0)
        scores = np.repeat(least - 1, self.n_labels_, axis=1)
        scores[:, self.kept_] = known
        return scores


class _Network:
    """Layers and their training."""

    def __init__(self, params, n_inputs, n_outputs, rng):
        self.params = params
        self.rng = rng
        sizes = [n_inputs, *params.hidden_layer_sizes, n_outputs]
        self.weights = []
        for n_in, n_out in pairwise(sizes):
            bound = np.sqrt(6.0 / (n_in + n_out))
            weight = rng.uniform(-bound, bound, (n_in, n_out)).astype(np.float32)
            self.weights += [weight, np.zeros(n_out, dtype=np.float32)]
        self.moments = [(np.zeros_like(w), np.zeros_like(w)) for w in self.weights]
        self.n_steps = 0

    def fit(self, X, y, row_weights):
        """Learn from rows, and return the mean loss of each epoch."""
        X = _unit_rows(X)
        self.weights[-1][:] = log_shares(y.T @ row_weights)
        losses = []
        for _ in range(self._n_epochs()):
            order = self.rng.permutation(X.shape[0])
            total = 0.0
            for batch in gen_batches(len(order), int(self.params.batch_size)):
                stop_if_cancelled()
                rows = order[batch]
                total += self._step(self._dropped(X[rows]), y[rows], row_weights[rows])
            losses.append(total / max(1, len(order)))
        return losses

    def _n_epochs(self):
        if self.params.n_epochs is not None:
            return int(self.params.n_epochs)
        return _ORDERED_EPOCHS if self.params.ordered else _UNORDERED_EPOCHS

    def _dropped(self, X):
        rate = self.params.dropout
        if not rate:
            return X
        kept = self.rng.random(X.nnz) >= rate
        data = np.where(kept, X.data / np.float32(1 - rate), np.float32(0))
        return sp.csr_matrix((data, X.indices, X.indptr), shape=X.shape)

    def _step(self, X, y, row_weights):
        """Make one step of Adam, and return the sum of the losses of the rows."""
        layers = [*zip(self.weights[::2], self.weights[1::2], strict=True)]
        outputs = _forward(X, layers)
        loss, error = _loss_and_error(outputs[-1], y, row_weights)
        gradients = []
        for i in range(len(layers) - 1, -1, -1):
            source = X if i == 0 else outputs[i - 1]
            gradient = source.T @ error
            if self.params.alpha:
                gradient += np.float32(self.params.alpha) * layers[i][0]
            gradients += [error.sum(axis=0), gradient]
            if i > 0:
                error = (error @ layers[i][0].T) * (1 - outputs[i - 1] ** 2)
        self._update(gradients[::-1])
        return loss

    def _update(self, gradients):
        """Change the weights. The gradients are overwritten, as new arrays would take longer."""
        self.n_steps += 1
        rate = self.params.learning_rate * np.sqrt(1 - _BETA2**self.n_steps)
        rate = np.float32(rate / (1 - _BETA1**self.n_steps))
        for weight, gradient, (first, second) in zip(
            self.weights, gradients, self.moments, strict=True
        ):
            first *= np.float32(_BETA1)
            first += np.float32(1 - _BETA1) * gradient
            gradient *= gradient
            gradient *= np.float32(1 - _BETA2)
            second *= np.float32(_BETA2)
            second += gradient
            np.sqrt(second, out=gradient)
            gradient += np.float32(_EPSILON)
            np.divide(first, gradient, out=gradient)
            gradient *= rate
            weight -= gradient


def _loss_and_error(logits, y, row_weights):
    """Return the sum of the losses, and the gradient of their mean, which replaces the logits."""
    rows = row_of_entries(y)
    n_targets = np.asarray(y.sum(axis=1), dtype=np.float32).ravel()
    scale = row_weights / np.float32(len(row_weights))
    logits -= logits.max(axis=1, keepdims=True)
    of_targets = logits[rows, y.indices]
    error = np.exp(logits, out=logits)
    totals = error.sum(axis=1)
    loss = -((of_targets - np.log(totals)[rows]) * y.data * row_weights[rows]).sum()
    error *= (n_targets * scale / totals)[:, np.newaxis]
    error[rows, y.indices] -= y.data * scale[rows]
    return float(loss), error


def _unit_rows(X):
    """Return rows of weights, scaled to unit norm."""
    X, norms = scaled_rows(X)
    scale = np.float32(1) / np.maximum(norms, np.float32(1e-30))
    X.data *= np.repeat(scale, np.diff(X.indptr))
    return X


def _forward(X, layers):
    """Return the outputs of all layers. The last one has no activation."""
    outputs = []
    source = X
    for i, (weight, bias) in enumerate(layers):
        output = np.asarray(source @ weight) + bias
        source = output if i == len(layers) - 1 else np.tanh(output)
        outputs.append(source)
    return outputs


def _log_sum_exp(logits):
    most = logits.max(axis=1, keepdims=True)
    return most + np.log(np.exp(logits - most).sum(axis=1, keepdims=True))
