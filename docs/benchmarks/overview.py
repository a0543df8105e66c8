"""The first tables of the results: one measure of each library on all data sets."""

from statistics import median

from plan import FASTEST
from tables import OTHERS, spread, table

#: Columns that differ from the names of the data sets.
HEADS = {
    "power-law-10000": "10,000 labels",
    "power-law-100000": "100,000 labels",
    "power-law-1000000": "1,000,000 labels",
}
LIBRARIES = {"skxmr": "skxmr", "libpecos": "libpecos"} | OTHERS


def _overview(title, unit, results, cell):
    """Return a section with a line for each library and a column for each data set."""
    rows = []
    for peer, text in LIBRARIES.items():
        cells = [cell(result, peer) for result in results]
        if any(cells):
            rows.append((text, *cells))
    header = (unit, *(HEADS.get(result.data, result.data) for result in results))
    return f"## {title}\n\n{table(header, rows)}"


def quality(results):
    """Return the precision at 1 and 5."""
    note = "Libraries that rank slowly were evaluated on a sample of the test rows.\n\n"
    return _overview("Quality", "P@1 / P@5, percent", results, _precisions) + note


def _precisions(result, peer):
    ranking = {"skxmr": "skxmr defaults", "libpecos": f"libpecos {FASTEST}"}.get(peer, peer)
    found = result.quality.get(ranking)
    return f"{100 * found['P@1']:.1f} / {100 * found['P@5']:.1f}" if found else ""


def training(results):
    """Return the time of a whole fit."""
    return _overview("Training", "CPU s of the whole fit", results, _fit_seconds)


def _fit_seconds(result, peer):
    bound = result.bound(f"{peer} train")
    return _number(result.whole_fit(peer, _variant(peer))) or (f"> {bound:,.0f}" if bound else "")


def latency(results):
    """Return the time of a call with one row."""
    return _overview("Latency", "median µs of a call with one row", results, _latency)


def _latency(result, peer):
    rows = {"skxmr": "skxmr rows defaults", "libpecos": f"libpecos rows {FASTEST}"}
    return _number(result.latencies(rows.get(peer, f"{peer} rows")), 1e6)


def memory(results):
    """Return the peak memory of training and the size of the model."""
    return _overview("Memory", "peak of training / model on disk, MB", results, _megabytes)


def _megabytes(result, peer):
    variant = _variant(peer)
    peak = _number(result.training_peak(peer, variant), 1e-6)
    disk = _number(result.fields(f"{peer} train {variant}".strip(), "model_bytes"), 1e-6)
    return f"{peak} / {disk}" if peak else ""


def _variant(peer):
    return "defaults" if peer == "skxmr" else ""


def _number(values, scale=1.0):
    """Return the median as text."""
    return spread([median(values)], scale) if values else ""


#: The tables, each with the titles of the plots that follow it.
SECTIONS = {
    quality: (),
    training: ("Quality over training time", "Time over the number of labels"),
    latency: ("Quality over latency",),
    memory: ("Memory",),
}
