"""Fine-tuning of an encoder, stage by stage."""

import copy
import time
import warnings
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from .._utils import parallel, progress
from ._heads import solve_heads
from ._torch import import_extra, is_out_of_memory

#: The learning rate of the heads is this many times that of the encoder. Their weights are larger.
_HEAD_RATE = 10.0

#: Number of batches whose texts are sorted by length together.
_SORTED_BATCHES = 32

#: Number of rows whose embeddings the heads of the first stage are solved from, at most.
_MOST_SOLVED = 5_000

#: Similarities of texts and label names are divided by this temperature.
_TEMPERATURE = 0.05


class FineTuning(NamedTuple):
    """Settings of fine-tuning; XRTransformerClassifier describes them."""

    learning_rate: float
    warmup: float
    weight_decay: float
    max_grad_norm: float
    batch_size: int
    freeze_word_embeddings: bool
    frozen_layers: float
    pooling: str
    bfloat16: bool


def fine_tune(encoder, tokens, stages, settings, *, seed, device, n_jobs, checkpoints, embed):
    """Train an encoder on one stage after the other.

    Parameters
    ----------
    encoder : Encoder
        Its model is changed.
    tokens : list of Tokens
        Of each row.
    stages : list of Stage
    settings : FineTuning
    seed : int
    device : torch.device
    n_jobs : int or None
        Number of threads on a CPU.
    checkpoints : Checkpoints or None
    embed : callable
        ``embed(rows)`` returns the embeddings of rows by the current encoder.

    Returns
    -------
    losses : list of ndarray
        The loss of each step of each stage that was trained now.
    seconds : list of float
        The time of each of these stages.
    """
    torch = import_extra("torch")
    done = None if checkpoints is None else checkpoints.last(len(stages))
    embeddings = np.full((len(tokens), encoder.width), np.nan, dtype=np.float32)
    first = 0
    if done is not None:
        stage, weights, embeddings = done
        encoder.model.load_state_dict(weights)
        first = stage + 1
    losses = []
    seconds = []
    encoder.move(device)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), _threads(n_jobs, device):
        for number in range(first, len(stages)):
            rng = np.random.default_rng([seed, number])
            torch.manual_seed(int(rng.integers(1 << 62)))
            trainer = _Trainer(encoder, tokens, settings, device, rng, stages[number].phase)
            start = time.perf_counter()
            losses.append(stages[number].run(trainer, embeddings, embed))
            seconds.append(time.perf_counter() - start)
            if checkpoints is not None:
                checkpoints.write(number, encoder.model, embeddings)
    encoder.model.eval()
    return losses, seconds


class ClusterStage(NamedTuple):
    """A stage that trains the encoder together with the heads of the clusters of a level.

    Attributes
    ----------
    level : Level
    n_epochs : float
    phase : str
        Name for the progress report.
    """

    level: object
    n_epochs: float
    phase: str

    def run(self, trainer, embeddings, embed):
        """Train; return the losses. `embeddings` gets those of the rows in their last step."""
        torch = import_extra("torch")
        rows = trainer.with_tokens(np.flatnonzero(np.diff(self.level.relevance.indptr)))
        known = rows[np.isfinite(embeddings[rows, 0])]
        if len(known) < min(len(rows), _MOST_SOLVED):
            known = np.sort(trainer.rng.permutation(rows)[:_MOST_SOLVED])
            embeddings[known] = embed(known)
        device = trainer.device
        weight, bias = solve_heads(embeddings, self.level, known, device)
        heads = [torch.nn.Parameter(weight), torch.nn.Parameter(bias)]
        batches = trainer.batches(rows, self.n_epochs)

        def loss_of(batch):
            embedded = trainer.embed(batch)
            embeddings[batch] = embedded.detach().cpu().numpy()
            loss = _cluster_loss(embedded, heads, self.level, batch)
            return loss / trainer.batch_size

        return trainer.train(batches, loss_of, heads)


class NameStage(NamedTuple):
    """A stage that moves texts and the names of their labels together, by a contrastive loss.

    Attributes
    ----------
    Y : csr_matrix of shape (n_rows, n_labels)
    names : list of Tokens
        Of each label.
    n_epochs : float
    phase : str
    """

    Y: object
    names: list
    n_epochs: float
    phase: str

    def run(self, trainer, embeddings, embed):
        """Train; return the losses."""
        has_name = np.array([len(name.ids) > 0 for name in self.names])
        named = self.Y.multiply(has_name[np.newaxis]).tocsr()
        named.eliminate_zeros()
        rows = trainer.with_tokens(np.flatnonzero(np.diff(named.indptr)))
        batches = trainer.batches(rows, self.n_epochs)

        def loss_of(batch):
            first = named.indptr[batch]
            counts = named.indptr[batch + 1] - first
            labels = named.indices[first + (trainer.rng.random(len(batch)) * counts).astype(int)]
            embedded = trainer.embed(batch)
            embeddings[batch] = embedded.detach().cpu().numpy()
            of_names = trainer.embed_tokens([self.names[label] for label in labels])
            truth = np.asarray(self.Y[batch][:, labels].todense()) > 0
            return _contrastive_loss(embedded, of_names, truth) * (len(batch) / trainer.batch_size)

        return trainer.train(batches, loss_of, [])


def _cluster_loss(embedded, heads, level, batch):
    """Return the sum of the squared hinge losses of the candidates of a batch, with costs."""
    torch = import_extra("torch")
    weight, bias = heads
    device = embedded.device
    relevance = level.relevance[batch]
    if level.candidates is None:
        margins = embedded @ weight.T + bias
        costs = torch.from_numpy(relevance.toarray()).to(device)
        present = torch.ones_like(costs)
    else:
        candidates = level.candidates[batch]
        lengths = np.diff(candidates.indptr)
        filled = np.arange(lengths.max())[np.newaxis] < lengths[:, np.newaxis]
        clusters = np.zeros(filled.shape, dtype=np.int64)
        clusters[filled] = candidates.indices
        dense = relevance.toarray()
        of_candidates = np.take_along_axis(dense, clusters, axis=1) * filled
        clusters = torch.from_numpy(clusters).to(device)
        costs = torch.from_numpy(of_candidates).to(device)
        present = torch.from_numpy(filled.astype(np.float32)).to(device)
        margins = torch.einsum("bd,bcd->bc", embedded, weight[clusters]) + bias[clusters]
    is_positive = costs > 0
    signs = torch.where(is_positive, 1.0, -1.0)
    costs = torch.where(is_positive, costs, present)
    return (costs * torch.relu(1 - signs * margins) ** 2).sum()


def _contrastive_loss(embedded, of_names, truth):
    """Return the mean cross-entropy of each text's name among the names of the batch.

    Other names that are true for a text are left out of its sum.
    """
    torch = import_extra("torch")
    logits = embedded @ of_names.T / _TEMPERATURE
    others = torch.from_numpy(truth & ~np.eye(len(truth), dtype=bool)).to(logits.device)
    logits = logits.masked_fill(others, -torch.inf)
    return torch.nn.functional.cross_entropy(
        logits, torch.arange(len(logits), device=logits.device)
    )


class _Trainer:
    """Trains the encoder for one stage.

    Parameters
    ----------
    encoder : Encoder
    tokens : list of Tokens
    settings : FineTuning
    device : torch.device
    rng : numpy Generator
    phase : str
    """

    def __init__(self, encoder, tokens, settings, device, rng, phase):
        self.encoder = encoder
        self.tokens = tokens
        self.settings = settings
        self.device = device
        self.rng = rng
        self.phase = phase
        self.batch_size = settings.batch_size
        self._n_parts = 1

    def with_tokens(self, rows):
        """Return the rows that have tokens."""
        filled = [row for row in rows if len(self.tokens[row].ids)]
        if not filled:
            raise ValueError("fine-tuning must have texts with labels and tokens, got none")
        return np.array(filled, dtype=np.int64)

    def batches(self, rows, n_epochs):
        """Return batches of rows of similar length, in random order, for some epochs."""
        n_total = max(1, round(n_epochs * len(rows)))
        order = []
        for begin in range(0, n_total, len(rows)):
            order.append(self.rng.permutation(rows)[: n_total - begin])
        batches = []
        for permuted in order:
            for begin in range(0, len(permuted), _SORTED_BATCHES * self.batch_size):
                part = permuted[begin : begin + _SORTED_BATCHES * self.batch_size]
                lengths = [len(self.tokens[row].ids) for row in part]
                part = part[np.argsort(lengths, kind="stable")]
                pieces = [
                    part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)
                ]
                batches += [pieces[i] for i in self.rng.permutation(len(pieces))]
        return batches

    def embed(self, batch):
        """Return the embeddings of rows, with gradients."""
        return self.embed_tokens([self.tokens[row] for row in batch])

    def embed_tokens(self, tokens):
        """Return the embeddings of tokenized texts, with gradients."""
        torch = import_extra("torch")
        inputs = self.encoder.pad(tokens, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bfloat16):
            return self.encoder.embed(inputs, self.settings.pooling, True)

    def train(self, batches, loss_of, heads):
        """Take one step of the optimizer per batch; return the losses.

        Parameters
        ----------
        batches : list of ndarray of int
        loss_of : callable
            ``loss_of(rows)`` returns the loss of a batch, or of a part of it. The losses of the
            parts sum to that of the batch.
        heads : list of Parameter
        """
        torch = import_extra("torch")
        model = self.encoder.model
        model.train()
        with _frozen(model, self.settings):
            optimizer = self._optimizer(heads)
            warmup = max(1, round(self.settings.warmup * len(batches)))
            schedule = torch.optim.lr_scheduler.LambdaLR(
                optimizer, lambda step: _rate(step, warmup, len(batches))
            )
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            losses = np.empty(len(batches))
            for step, batch in enumerate(batches):
                losses[step] = self._backward(batch, loss_of, optimizer)
                if not np.isfinite(losses[step]):
                    raise ValueError(
                        "fine-tuning must have finite losses, but the loss of step "
                        f"{step} is {losses[step]}; use a smaller learning_rate"
                    )
                torch.nn.utils.clip_grad_norm_(parameters, self.settings.max_grad_norm)
                optimizer.step()
                schedule.step()
                progress.advance(self.phase, 1 / len(batches))
        model.eval()
        return losses

    def _optimizer(self, heads):
        torch = import_extra("torch")
        decayed = []
        others = []
        for name, parameter in self.encoder.model.named_parameters():
            if parameter.requires_grad:
                is_matrix = parameter.ndim > 1 and "norm" not in name.lower()
                (decayed if is_matrix else others).append(parameter)
        rate = self.settings.learning_rate
        groups = [
            {"params": decayed, "weight_decay": self.settings.weight_decay, "lr": rate},
            {"params": others, "weight_decay": 0.0, "lr": rate},
        ]
        if heads:
            groups.append({"params": heads, "weight_decay": 0.0, "lr": rate * _HEAD_RATE})
        return torch.optim.AdamW(groups, fused=True)

    def _backward(self, batch, loss_of, optimizer):
        """Compute the gradients of a batch; return its loss.

        If memory is exhausted, this and all later batches are divided into parts, once.
        """
        while True:
            try:
                return self._backward_parts(batch, loss_of, optimizer)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._reduce_memory(error)  # raises the second time

    def _reduce_memory(self, error):
        """Divide the batches from now on; raise MemoryError if they are divided already."""
        if self._n_parts > 1:
            raise MemoryError(
                f"the memory of the device {str(self.device)!r} is exhausted with a quarter of "
                "batch_size as well; use a smaller batch_size or max_length"
            ) from error
        self._n_parts = 4
        warnings.warn(
            f"the memory of the device {str(self.device)!r} is exhausted; gradients are now summed "
            "over parts of the batches",
            RuntimeWarning,
            stacklevel=2,
        )
        if self.device.type == "cuda":
            import_extra("torch").cuda.empty_cache()

    def _backward_parts(self, batch, loss_of, optimizer):
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part in np.array_split(batch, min(self._n_parts, len(batch))):
            loss = loss_of(part)
            loss.backward()
            total += float(loss.detach())
        return total


def _rate(step, warmup, n_steps):
    """Return the factor of the learning rate: linear up to 1 and down to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (n_steps - step) / max(1, n_steps - warmup))


@contextmanager
def _frozen(model, settings):
    """Train the weights inside the block that the settings do not freeze."""
    before = {name: p.requires_grad for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    if settings.freeze_word_embeddings:
        model.get_input_embeddings().weight.requires_grad_(False)
    for module in lower_modules(model, settings.frozen_layers):
        module.requires_grad_(False)
    try:
        yield
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(before[name])


def lower_modules(model, share):
    """Return the modules below the layers that are trained.

    Gradients end at the lowest layer that is trained, so that the time of a step falls as well.

    Parameters
    ----------
    model : PreTrainedModel
    share : float in [0, 1)
        Share of the layers, from the input. It is rounded to whole layers, and one is trained.

    Returns
    -------
    modules : list of Module
        The embeddings of tokens and positions, and the lower layers. Empty if there are none.

    Raises
    ------
    ValueError
        If the layers of the model are not found.
    """
    n_layers = getattr(model.config, "num_hidden_layers", None) or 0
    n_frozen = min(round(share * n_layers), n_layers - 1)
    if share == 0 or n_frozen < 1:
        return []
    is_list = import_extra("torch").nn.ModuleList
    lists = [m for m in model.modules() if isinstance(m, is_list) and len(m) == n_layers]
    if len(lists) != 1:
        raise ValueError(
            f"frozen_layers must be 0 for this encoder, got {share}: its layers are not found"
        )
    words = model.get_input_embeddings()
    holder = next(m for m in model.children() if any(part is words for part in m.modules()))
    has_layers = any(part is lists[0] for part in holder.modules())
    return [words if has_layers else holder, *lists[0][:n_frozen]]


@contextmanager
def _threads(n_jobs, device):
    """Compute with this number of threads on a CPU."""
    torch = import_extra("torch")
    if device.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(parallel.n_workers(n_jobs))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def copied(encoder):
    """Return an Encoder with a copy of the model, which can be trained."""
    other = copy.copy(encoder)
    other.model = copy.deepcopy(encoder.model)
    other._fingerprint = None
    return other
