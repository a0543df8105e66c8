"""Write RESULTS.md and its plots from what compare.py measured: python report.py RESULT.json ..."""

import sys
from pathlib import Path

import tables
from plots import draw
from results import Result
from targets import summary

HERE = Path(__file__).parent
ORDER = ("catalogue", "catalogue-bigrams", "records")


def report(results, plots):
    """The whole text."""
    parts = ["# Results\n\n", _circumstances(results), "## Targets\n\n", summary(results)]
    parts.append((HERE / "shortfalls.md").read_text() + "\n")
    for title, path in plots.items():
        parts.append(f"## {title}\n\n![{title}]({path.relative_to(HERE).as_posix()})\n\n")
    parts += [_section(result) for result in results]
    return "".join(parts).rstrip() + "\n"


def _circumstances(results):
    """What was run, on which machine."""
    machine = results[0].machine
    versions = {}
    for result in results:
        for peer, found in result.versions.items():
            versions[peer] = ", ".join(f"{name} {number}" for name, number in found.items())
    lines = [f"- {text}\n" for text in versions.values()]
    return (
        f"{machine['cpu']}, {machine['cores']} cores. One thread and one process at a time; median "
        "(range) over alternating runs. CPU seconds, unless wall time is named. A dependency that "
        "is listed for one library need not have the same version for another:\n\n"
        + "".join(lines)
        + "\n"
    )


def _section(result):
    n_train, n_features, n_nonzeros = result.sizes["X_train"]
    n_test, n_labels, _ = result.sizes["Y_test"]
    makers = (
        tables.training,
        tables.ranking,
        tables.quality,
        tables.memory,
        tables.instruction_sets,
        tables.threads,
    )
    return (
        f"## {result.data}\n\n"
        f"{n_train:,} training rows of {n_nonzeros / n_train:.1f} nonzeros, {n_test:,} test rows, "
        f"{n_features:,} features, {n_labels:,} labels. {result.date}, load "
        f"{result.machine['load']:.1f} at the start; {_repeats(result)}.\n\n"
        + "".join(make(result) for make in makers)
    )


def _repeats(result):
    n_peer, n_own = (len(result.runs(p)) for p in ("libpecos train", "skxmr train defaults"))
    return f"runs: {n_peer} of libpecos, {n_own} of skxmr"


def main(paths):
    """Write the report beside this file."""
    results = sorted(map(Result, paths), key=_place)
    (HERE / "RESULTS.md").write_text(report(results, draw(results, HERE / "plots")))


def _place(result):
    """Real data first, then made-up data by the number of labels."""
    known = ORDER.index(result.data) if result.data in ORDER else len(ORDER)
    return known, result.sizes["Y_train"][1]


if __name__ == "__main__":
    main(sys.argv[1:])
