"""From texts and labels to fine-tuned encoders."""

import numpy as np

from .._utils import caching, progress
from .._utils.targets import known_truth
from ..indexers import KMeansIndexer
from ..linear import XRLinearClassifier
from ._batches import BatchEncoder
from ._checkpoint import open_checkpoints
from ._embedder import TransformerEmbedder
from ._encoder import load_encoder
from ._finetuning import ClusterStage, FineTuning, NameStage, copied, fine_tune
from ._held_out import chosen_weight, split
from ._levels import flat_level, tree_levels
from ._torch import chosen_device, computes_in_bfloat16

#: Number of texts that are tokenized at a time.
_BLOCK = 1 << 13

#: Parameters that the fine-tuned weights depend on, besides the texts and the labels.
_AFFECTING = (
    "objective indexer max_clusters training_beam_width n_epochs learning_rate warmup weight_decay "
    "max_grad_norm batch_size freeze_word_embeddings frozen_layers pooling max_length prefix dtype"
).split()

#: Parameters of TransformerEmbedder that have the same name here.
_OF_EMBEDDER = "pooling max_length prefix batch_tokens device dtype memory n_jobs verbose".split()


def fine_tuned_embedders(classifier, texts, X, y, *, label_text, label_names, seed):
    """Fine-tune all encoders.

    Parameters
    ----------
    classifier : XRTransformerClassifier
        With valid parameters.
    texts : list of str
    X : csr_matrix of float32, shape (n_texts, n_features)
        tf-idf features.
    y, label_text, label_names
        As fit takes them.
    seed : int or None

    Returns
    -------
    embedders : list of TransformerEmbedder
        Fitted.
    losses : list of list of ndarray
    seconds : list of list of float
    weights : list of float
        The weight of the weights before fine-tuning, for each encoder.
    """
    encoders = classifier.encoder if isinstance(classifier.encoder, list) else [classifier.encoder]
    # All of them are read before any work.
    embedders = [_embedder(classifier, encoder).fit(texts) for encoder in encoders]
    n = max(int(classifier.n_encoders), len(encoders))
    if classifier.objective is None:
        nothing = [[] for _ in range(n)]
        return [embedders[i % len(encoders)] for i in range(n)], nothing, nothing, [1.0] * n
    matcher, Y = _matcher(classifier, X, y, label_names, seed)
    names = _names(classifier, matcher, label_text)
    levels = _levels(classifier, matcher, X, Y)
    _check_epochs(classifier.n_epochs, len(levels))
    kept, held_out = split(classifier, len(texts), seed)
    levels = [level if level is None else level.rows(kept) for level in levels]
    kept_texts = [texts[row] for row in kept]
    tuned = []
    losses = []
    seconds = []
    weights = []
    for number in range(n):
        source = embedders[number % len(encoders)]
        with progress.part(f"encoder {number + 1} of {n}" if n > 1 else ""):
            encoder = load_encoder(source.encoder)
            trained, of_levels, times = _fine_tuned(
                classifier, encoder, kept_texts, Y[kept], levels, names, seed, number
            )

            def averaged(weight, encoder=encoder, trained=trained, source=source):
                embedder = source
                if weight < 1:
                    pair = _averaged(trained, encoder, weight)
                    embedder = _embedder(classifier, pair).fit(texts[:1])
                    embedder.truncated_share_ = source.truncated_share_
                return embedder

            weight = chosen_weight(
                classifier, averaged, texts, X, Y, label_text, kept, held_out, seed
            )
        tuned.append(averaged(weight))
        losses.append(of_levels)
        seconds.append(times)
        weights.append(weight)
    return tuned, losses, seconds, weights


def _embedder(classifier, encoder):
    params = {name: getattr(classifier, name) for name in _OF_EMBEDDER}
    return TransformerEmbedder(encoder, **params)


def _matcher(classifier, X, y, label_names, seed):
    """Fit the classifier of the preliminary tree; return it and the labels as a matrix."""
    indexer = classifier.indexer
    if indexer is None:
        indexer = KMeansIndexer(branching=8, max_leaf_size=12)
    matcher = XRLinearClassifier(
        indexer,
        n_neighbors=None,
        dense_columns=0,
        n_jobs=classifier.n_jobs,
        random_state=0 if seed is None else seed,
        verbose=classifier.verbose,
    )
    given = {} if label_names is None else {"label_names": label_names}
    matcher.fit(X, y, **given)
    return matcher, known_truth(matcher, y, X.shape[0])


def _names(classifier, matcher, label_text):
    """Return the names of the labels for the objective "names"."""
    n_labels = matcher.n_labels_
    if label_text is not None and len(label_text) != n_labels:
        raise ValueError(f"label_text must have {n_labels} texts, got {len(label_text)}")
    if classifier.objective != "names" or label_text is not None:
        return label_text
    classes = matcher.classes_
    if not all(isinstance(name, str) for name in classes):
        raise ValueError('label_text must be given with objective="names", got None')
    return [str(name) for name in classes]


def _levels(classifier, matcher, X, Y):
    if classifier.objective == "names":
        return [None]
    most = int(classifier.max_clusters)
    if classifier.objective == "flat":
        return [flat_level(matcher.tree_, Y, most)]
    return tree_levels(
        matcher,
        X,
        Y,
        width=int(classifier.training_beam_width),
        max_clusters=most,
        n_jobs=classifier.n_jobs,
    )


def _check_epochs(n_epochs, n_levels):
    if isinstance(n_epochs, (list, tuple)) and len(n_epochs) != n_levels:
        raise ValueError(
            f"n_epochs must be a number or have one entry for each of the {n_levels} levels, got "
            f"{len(n_epochs)}"
        )


def _fine_tuned(classifier, encoder, texts, Y, levels, names, seed, number):
    """Fine-tune a copy of an encoder; return it, the losses and the seconds."""
    device = chosen_device(classifier.device)
    settings = settings_of(classifier, encoder, device)
    content = [texts, Y, names if classifier.objective == "names" else None]
    key = _key(classifier, encoder, content, seed, number)
    trained = copied(encoder)
    tokens = _tokenized(trained, texts, classifier)
    batches = BatchEncoder(
        trained,
        pooling=settings.pooling,
        normalize=True,
        batch_tokens=int(classifier.batch_tokens),
        device=device,
        bfloat16=settings.bfloat16,
        n_jobs=classifier.n_jobs,
    )
    stages = _stages(classifier, trained, Y, levels, names)
    phases = {stage.phase: stage.n_epochs for stage in stages}
    with progress.reporting("fine-tuning", phases, classifier.verbose):
        losses, seconds = fine_tune(
            trained,
            tokens,
            stages,
            settings,
            seed=int(key[:8], 16) if seed is None else seed + number,
            device=device,
            n_jobs=classifier.n_jobs,
            checkpoints=open_checkpoints(classifier.memory, key),
            embed=lambda rows: batches.encode([tokens[row] for row in rows], np.inf),
        )
    return trained, losses, seconds


def settings_of(classifier, encoder, device):
    """Return the FineTuning of the parameters of a classifier."""
    return FineTuning(
        learning_rate=float(classifier.learning_rate),
        warmup=float(classifier.warmup),
        weight_decay=float(classifier.weight_decay),
        max_grad_norm=float(classifier.max_grad_norm),
        batch_size=int(classifier.batch_size),
        freeze_word_embeddings=bool(classifier.freeze_word_embeddings),
        frozen_layers=float(classifier.frozen_layers),
        pooling=encoder.pooling(classifier.pooling),
        bfloat16=computes_in_bfloat16(classifier.dtype, device),
    )


def _stages(classifier, encoder, Y, levels, names):
    epochs = classifier.n_epochs
    if not isinstance(epochs, (list, tuple)):
        epochs = [epochs] * len(levels)
    if classifier.objective == "names":
        of_names = _tokenized(encoder, names, classifier)
        return [NameStage(Y, of_names, float(epochs[0]), "label names")]
    return [
        ClusterStage(level, float(n), f"level {i + 1} of {len(levels)}")
        for i, (level, n) in enumerate(zip(levels, epochs, strict=True))
    ]


def _tokenized(encoder, texts, classifier):
    prefix = classifier.prefix
    tokens = []
    for begin in range(0, len(texts), _BLOCK):
        block = [prefix + text if text.strip() else "" for text in texts[begin : begin + _BLOCK]]
        tokens += encoder.tokenize(block, int(classifier.max_length))
    return tokens


def _key(classifier, encoder, content, seed, number):
    """Return the key of the checkpoints: everything that the weights depend on."""
    params = {name: getattr(classifier, name) for name in _AFFECTING}
    params |= {"encoder": encoder.fingerprint(), "seed": seed, "number": number}
    return caching.key_of(content, params)


def _averaged(trained, encoder, weight):
    """Average the weights with those before fine-tuning; return a pair (model, tokenizer)."""
    model = copied(trained).model
    if weight > 0:
        pretrained = encoder.model.state_dict()
        averaged = {}
        for name, value in model.state_dict().items():
            before = pretrained[name].to(value.device)
            averaged[name] = value.lerp(before, weight) if value.is_floating_point() else value
        model.load_state_dict(averaged)
    return model, trained.tokenizer
