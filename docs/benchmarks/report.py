"""Write RESULTS.md, TARGETS.md and the plots: python report.py RESULT.json ...

The arguments are results of compare.py.
"""

import sys
from pathlib import Path

import overview
import tables
from plots import draw
from results import Result
from targets import summary

HERE = Path(__file__).parent
ORDER = ("catalogue", "catalogue-bigrams", "records")
RESULTS = """\
# Results

skxmr is compared with libpecos, omikuji, napkinXC and the linear tree of LibMultiLabel on the same
matrices, with one thread, one tree, a beam width of 10 and the best 10 labels. skxmr runs without
nearest neighbors here. They are enabled by default. The [ablation](ABLATION.md) reports their gain
and their cost. [Targets](TARGETS.md) lists the goals, by how much some are missed, and what was
tried.

*Catalogue* and *sample* are titles of a library, *catalogue-bigrams* adds word pairs, *records*
have abstracts, and the columns with numbers of labels are synthetic rows. [Benchmarks](README.md)
describes the methods and the data.

"""
TARGETS = """\
# Targets

This page is for contributors. It lists the goals of skxmr compared with other libraries, and the
[results](RESULTS.md) on each data set. `docs/benchmarks/targets.py` defines them.

"""


def results_page(results, plots):
    """Return the text of RESULTS.md."""
    parts = [RESULTS]
    for section, titles in overview.SECTIONS.items():
        parts.append(section(results))
        parts += [_picture(title, plots[title]) for title in titles if title in plots]
    parts += ["## Conditions\n\n", _conditions(results)]
    parts += [_section(result) for result in results]
    return "".join(parts).rstrip() + "\n"


def _picture(title, path):
    return f"![{title}]({path.relative_to(HERE).as_posix()})\n\n"


def targets_page(results):
    """Return the text of TARGETS.md."""
    return TARGETS + summary(results) + (HERE / "shortfalls.md").read_text()


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
    """Write the pages and the plots next to this file."""
    results = sorted(map(Result, paths), key=_sort_key)
    (HERE / "RESULTS.md").write_text(results_page(results, draw(results, HERE / "plots")))
    (HERE / "TARGETS.md").write_text(targets_page(results))


def _sort_key(result):
    """Return the sort key: real data first, then synthetic data by the number of labels."""
    position = ORDER.index(result.data) if result.data in ORDER else len(ORDER)
    return position, result.sizes["Y_train"][1]


if __name__ == "__main__":
    main(sys.argv[1:])
