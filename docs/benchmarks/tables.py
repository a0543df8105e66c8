"""Tables of one data set, as Markdown."""

from statistics import median

from plan import DEFAULT, FASTEST
from results import ratio

OTHERS = {
    "omikuji": "omikuji, one tree",
    "napkinxc": "napkinXC PLT",
    "libmultilabel": "LibMultiLabel linear tree",
}
VARIANTS = {
    "same tree": "skxmr, the tree of libpecos",
    "defaults": "skxmr, no neighbors",
    "half": "skxmr, no neighbors, half precision",
    "balanced": "skxmr, balanced tree",
    "wide": "skxmr, wide tree",
}
QUALITY = ("P@1", "P@3", "P@5", "nDCG@5", "PSP@5")


def table(header, rows):
    """Return the lines of a table, or an empty string without rows."""
    lines = [header, ("---",) + ("---:",) * (len(header) - 1), *rows] if rows else []
    return "".join("| " + " | ".join(line) + " |\n" for line in lines) + "\n" * bool(rows)


def spread(values, scale=1.0):
    """Return median and range as text."""
    if not values:
        return ""
    middle = scale * median(values)
    digits = 2 if middle < 10 else 1 if middle < 100 else 0
    low, high = (f"{scale * f(values):,.{digits}f}" for f in (min, max))
    return f"{middle:,.{digits}f}" + (f" ({low}-{high})" if low != high else "")


def times(value):
    """Return a ratio of speeds as text."""
    if not value:
        return ""
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def training(result):
    """Return the table of training times."""
    peer = result.totals("libpecos train")
    same = result.totals("skxmr train same tree")
    index, own_index = result.totals("libpecos index"), result.totals("skxmr index")
    whole = result.whole_fit("libpecos")
    rows = [
        ("rankers: libpecos", _seconds(result, "libpecos train", peer), ""),
        (
            "rankers: skxmr, the same tree and settings",
            _seconds(result, "skxmr train same tree", same),
            times(ratio(peer, same)),
        ),
        ("tree: libpecos", _seconds(result, "libpecos index", index), ""),
        (
            "tree: skxmr, of the same kind",
            _seconds(result, "skxmr index", own_index),
            times(ratio(index, own_index)),
        ),
        ("whole fit: libpecos", _seconds(result, "libpecos train", whole), ""),
    ]
    rows += [
        (f"whole fit: {text}", _seconds(result, name, values), times(ratio(whole, values)))
        for text, name, values in _whole_fits(result)
    ]
    return table(("training", "CPU s", "times as fast as libpecos"), rows)


def _whole_fits(result):
    variants = [("skxmr", variant, text) for variant, text in VARIANTS.items()]
    for peer, variant, text in [*variants[1:], *((p, "", text) for p, text in OTHERS.items())]:
        name = f"{peer} train {variant}".strip()
        if result.has(name):
            yield text, name, result.whole_fit(peer, variant)


def _seconds(result, name, values):
    return spread(values) or result.failure(name)


def ranking(result):
    """Return the table of ranking times, in a batch and with one row per call."""
    kinds = [kind for kind in (DEFAULT, FASTEST, "CSC") if result.has(f"libpecos predict {kind}")]
    models = [(f"libpecos {kind}", f"libpecos, {kind}") for kind in kinds]
    models += [("skxmr libpecos", "skxmr, the model of libpecos")]
    models += [(f"skxmr {variant}", text) for variant, text in VARIANTS.items()]
    models += OTHERS.items()
    best = fastest_batch(result)
    rows = [_ranking_row(result, model, text, best) for model, text in models]
    header = (
        "ranking, beam 10, k 10",
        "CPU us per query in a batch",
        "times as fast as libpecos's best",
    )
    header += ("us per call with one row: p50", "p99", "peak MB")
    return table(header, [row for row in rows if row])


def fastest_batch(result):
    """Return the seconds per query of the fastest weight type of libpecos on this data."""
    found = [result.per_query(f"libpecos predict {kind}") for kind in (DEFAULT, FASTEST)]
    return min(filter(None, found), key=median, default=[])


def _ranking_row(result, model, text, best):
    peer, _, variant = model.partition(" ")
    name, rows = (f"{peer} {task} {variant}".strip() for task in ("predict", "rows"))
    if not result.has(name):
        return None
    values = result.per_query(name)
    return (
        text,
        spread(values, 1e6) or result.failure(name),
        times(ratio(best, values)),
        spread(result.latencies(rows), 1e6),
        spread(result.latencies(rows, "p99"), 1e6),
        megabytes(result.fields(name, "peak_bytes")),
    )


def megabytes(values):
    """Return the median as text."""
    return f"{median(values) / 1e6:,.0f}" if values else ""


def quality(result):
    """Return the table of the quality."""
    names = {f"libpecos {FASTEST}": "libpecos", "skxmr libpecos": "skxmr, the model of libpecos"}
    names |= {f"skxmr {variant}": text for variant, text in VARIANTS.items()} | OTHERS
    rows = []
    for name, text in names.items():
        if found := result.quality.get(name):
            partly = found["rows"] < result.sizes["X_test"][0]
            text += f" ({found['rows']:,} of the test rows)" if partly else ""
            rows.append((text, *(f"{100 * found[column]:.2f}" for column in QUALITY)))
    return table(("quality, per cent", *QUALITY), rows)


def memory(result):
    """Return the table of peak memory in training and of models on disk."""
    fits = [("libpecos", "", "libpecos")]
    fits += [("skxmr", variant, text) for variant, text in VARIANTS.items()]
    fits += [(peer, "", text) for peer, text in OTHERS.items()]
    rows = []
    for peer, variant, text in fits:
        name = f"{peer} train {variant}".strip()
        if result.runs(name):
            disk = megabytes(result.fields(name, "model_bytes"))
            rows.append((text, megabytes(result.training_peak(peer, variant)), disk))
    lines = table(("memory", "peak of training, MB", "model on disk, MB"), rows)
    if openings := result.openings("skxmr open defaults"):
        lines += (
            f"Opening the saved model of skxmr with `mmap=True`: {spread(openings, 1e3)} ms.\n\n"
        )
    return lines


def instruction_sets(result):
    """Return the table of the instruction sets."""
    rows = []
    for isa in ("baseline", "avx2", "avx512"):
        train, predict = f"skxmr train same tree {isa}", f"skxmr predict libpecos {isa}"
        if result.has(train):
            seconds = spread(result.totals(train)) or result.failure(train)
            rows.append((isa, seconds, spread(result.per_query(predict), 1e6)))
    header = ("instruction set", "training on the tree of libpecos, CPU s")
    return table((*header, "ranking with its model, CPU us per query"), rows)


def threads(result):
    """Return the table of wall times with one and two threads."""
    rows = []
    for task, values in (
        ("training on the tree of libpecos, s", _walls(result, "skxmr train same tree")),
        ("ranking with its model, us per query", _walls(result, "skxmr predict libpecos")),
    ):
        if values[1]:
            scale = 1e6 if "us" in task else 1.0
            rows.append((task, *(spread(v, scale) for v in values), f"{ratio(*values):.2f}"))
    return table(("wall time", "1 thread", "2 threads", "times as fast"), rows)


def _walls(result, name):
    names = (name, f"{name} 2 threads")
    if "predict" in name:
        return [result.per_query(n, clock="wall") for n in names]
    return [result.totals(n, "wall") for n in names]
