"""Write RESULTS.md and its plots from results of compare.py: python report.py RESULT.json ..."""

import sys
from pathlib import Path

import tables
from plots import draw
from results import Result
from targets import summary

HERE = Path(__file__).parent
ORDER = ("catalogue", "catalogue-bigrams", "records")


def report(results, plots):
    """Return the text of the page."""
    parts = ["# Results\n\n", _conditions(results), "## Targets\n\n", summary(results)]
    parts.append((HERE / "shortfalls.md").read_text() + "\n")
    for title, path in plots.items():
        parts.append(f"## {title}\n\n![{title}]({path.relative_to(HERE).as_posix()})\n\n")
    parts += [_section(result) for result in results]
    return "".join(parts).rstrip() + "\n"


def _conditions(results):
    """Describe the machine and the versions of the libraries."""
    machine = results[0].machine
    versions = {}
    for result in results:
        for peer, found in result.versions.items():
            versions[peer] = ", ".join(f"{name} {number}" for name, number in found.items())
    lines = [f"- {text}\n" for text in versions.values()]
    return (
        f"{machine['cpu']}, {machine['cores']} cores. One thread and one process at a time; median "
        "(range) over alternating runs. Times are CPU seconds unless the table says wall time. "
        "Each library has its own environment, so the versions of dependencies differ:\n\n"
        + "".join(lines)
        + "\n"
    )


def _section(result):
    n_train, n_features, n_nonzeros = result.sizes["X_train"]
    n_test, n_labels, _ = result.sizes["Y_test"]
    sections = (
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
        + "".join(section(result) for section in sections)
    )


def _repeats(result):
    n_peer, n_own = (len(result.runs(p)) for p in ("libpecos train", "skxmr train defaults"))
    return f"runs: {n_peer} of libpecos, {n_own} of skxmr"


def main(paths):
    """Write the page and the plots next to this file."""
    results = sorted(map(Result, paths), key=_sort_key)
    (HERE / "RESULTS.md").write_text(report(results, draw(results, HERE / "plots")))


def _sort_key(result):
    """Return the sort key: real data first, then synthetic data by the number of labels."""
    position = ORDER.index(result.data) if result.data in ORDER else len(ORDER)
    return position, result.sizes["Y_train"][1]


if __name__ == "__main__":
    main(sys.argv[1:])
