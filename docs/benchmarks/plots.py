"""Plots of the results, as PNG files."""

from statistics import median

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from plan import FASTEST
from results import Result

COLORS = {
    "skxmr": "#1f5fbf",
    "libpecos": "#d9730d",
    "omikuji": "#2f8f5b",
    "napkinxc": "#8a4fbd",
    "libmultilabel": "#6b7280",
}
NAMES = {
    "skxmr": "skxmr",
    "libpecos": "libpecos",
    "omikuji": "omikuji",
    "napkinxc": "napkinXC",
    "libmultilabel": "LibMultiLabel",
}
VARIANTS = ("balanced", "defaults", "wide")
POWER_LAW = "power-law-"
MEGABYTE = 1e6
CROWDED = 10  # from this beam width on, points are close together
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "grid.color": "#e5e7eb",
    "axes.axisbelow": True,
    "axes.edgecolor": "#9ca3af",
    "legend.frameon": False,
}


def draw(results: list[Result], folder):
    """Draw all plots that have data; return the files by title."""
    folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update(STYLE)
    figures = {
        "Quality over training time": ("training", _training(results)),
        "Quality over latency": ("latency", _latency(results)),
        "Time over the number of labels": ("labels", _labels(results)),
        "Memory": ("memory", _memory(results)),
    }
    paths = {}
    for title, (name, figure) in figures.items():
        if figure:
            paths[title] = folder / f"{name}.png"
            figure.savefig(paths[title], dpi=120, bbox_inches="tight")
            plt.close(figure)
    return paths


def _panels(n, height=3.8):
    """Return a figure with n panels, two in a row, so that they are readable on a page."""
    n_rows = (n + 1) // 2
    size = (9.2, height * n_rows)
    figure, axes = plt.subplots(n_rows, 2, figsize=size, squeeze=False, layout="constrained")
    for unused in axes.ravel()[n:]:
        unused.remove()
    return figure, axes.ravel()[:n]


def _logarithmic(axis):
    """Use a logarithmic scale with plain numbers at 1, 2, 5, 10 and so on."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axis.set_minor_locator(NullLocator())


def _real(results):
    return [result for result in results if not result.data.startswith(POWER_LAW)]


def _training(results):
    """Plot P@1 over CPU seconds of the whole fit."""
    results = [result for result in _real(results) if _fits(result)]
    if not results:
        return None
    figure, axes = _panels(len(results))
    for axis, result in zip(axes, results, strict=True):
        for peer, variant, seconds, precision in _fits(result):
            axis.plot(seconds, precision, "o", color=COLORS[peer], markersize=8)
            text = f"{NAMES[peer]} {variant}".strip()
            left = peer == "omikuji" or variant == "balanced"
            axis.annotate(
                text,
                (seconds, precision),
                (-8 if left else 8, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
            )
        axis.set(title=result.data, xlabel="CPU s of the whole fit", ylabel="P@1, %")
        _logarithmic(axis.xaxis)
        axis.margins(0.4, 0.2)
    return figure


def _fits(result):
    """Return library, variant, seconds and precision of every whole fit."""
    models = [("skxmr", variant, f"skxmr {variant}") for variant in VARIANTS]
    models += [("libpecos", "", f"libpecos {FASTEST}")]
    models += [(peer, "", peer) for peer in ("omikuji", "napkinxc", "libmultilabel")]
    found = []
    for peer, variant, ranking in models:
        seconds = result.whole_fit(peer, variant)
        if seconds and ranking in result.quality:
            found.append((peer, variant, median(seconds), 100 * result.quality[ranking]["P@1"]))
    return found


def _latency(results):
    """Plot P@5 over the latency of one row per call, for several beam widths."""
    results = [result for result in results if result.beams("skxmr beams libpecos")]
    if not results:
        return None
    figure, axes = _panels(len(results))
    for axis, result in zip(axes, results, strict=True):
        for peer, model in (("libpecos", FASTEST), ("skxmr", "libpecos")):
            _beam_line(axis, result, peer, model)
        axis.set(title=result.data, xlabel="median µs of a call with one row", ylabel="P@5, %")
        _logarithmic(axis.xaxis)
        axis.margins(0.12, 0.12)
    axes[0].legend(loc="lower right")
    return figure


def _beam_line(axis, result, peer, model):
    beams = result.beams(f"{peer} beams {model}")
    prefix = "skxmr libpecos beam" if peer == "skxmr" else "libpecos beam"
    points = [(1e6 * t, 100 * result.quality[f"{prefix} {w}"]["P@5"]) for w, t in beams.items()]
    if not points:
        return
    axis.plot(*zip(*points, strict=True), "o-", color=COLORS[peer], label=NAMES[peer])
    below = True
    for width, point in zip(beams, points, strict=True):
        below = not below if int(width) >= CROWDED else below
        offset = (4, -11) if below else (-3, 7)
        axis.annotate(width, point, offset, textcoords="offset points", fontsize=8)


def _labels(results):
    """Plot training time and latency over the number of labels."""
    results = [result for result in results if result.data.startswith(POWER_LAW)]
    results.sort(key=lambda result: result.sizes["Y_train"][1])
    if not results:
        return None
    figure, axes = _panels(2)
    for peer in COLORS:
        variant = {"skxmr": "defaults"}.get(peer, "")
        rows = {"skxmr": "skxmr rows defaults", "libpecos": f"libpecos rows {FASTEST}"}
        name = rows.get(peer, f"{peer} rows")
        _line(axes[0], results, peer, lambda r, p=peer, v=variant: r.whole_fit(p, v), 1)
        _line(axes[1], results, peer, lambda r, n=name: r.latencies(n), 1e6)
    axes[0].set(title="training", ylabel="CPU s of the whole fit")
    axes[1].set(title="ranking", ylabel="median µs of a call with one row")
    for axis in axes:
        axis.set(xscale="log", xlabel="labels")
        _logarithmic(axis.yaxis)
    axes[0].legend()
    return figure


def _line(axis, results, peer, values, scale):
    points = [(r.sizes["Y_train"][1], scale * median(values(r))) for r in results if values(r)]
    if points:
        axis.plot(*zip(*points, strict=True), "o-", color=COLORS[peer], label=NAMES[peer])


def _memory(results):
    """Draw bars of peak memory and of models on disk."""
    results = [result for result in _real(results) if result.runs("libpecos train")]
    if not results:
        return None
    figure, axes = _panels(len(results))
    for axis, result in zip(axes, results, strict=True):
        for i, peer in enumerate(COLORS):
            bars = _bytes(result, peer)
            positions = [group + (i - 2) * 0.16 for group in range(len(bars))]
            drawn = axis.bar(positions, bars, 0.15, color=COLORS[peer], label=NAMES[peer])
            texts = [f"{bar:,.0f}" if bar else "" for bar in bars]
            axis.bar_label(drawn, texts, fontsize=7, padding=2, rotation=90)
        axis.set(title=result.data, ylabel="MB")
        axis.set_xticks(range(3), ["peak, training", "peak, ranking", "on disk"])
        axis.grid(axis="x", visible=False)
        axis.margins(y=0.2)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=len(COLORS))
    return figure


def _bytes(result, peer):
    variant = {"skxmr": "defaults"}.get(peer, "")
    predict = {"skxmr": "skxmr predict defaults", "libpecos": f"libpecos predict {FASTEST}"}
    groups = (
        result.training_peak(peer, variant),
        result.fields(predict.get(peer, f"{peer} predict"), "peak_bytes"),
        result.fields(f"{peer} train {variant}".strip(), "model_bytes"),
    )
    return [median(values) / MEGABYTE if values else 0 for values in groups]
