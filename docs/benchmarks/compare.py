"""Measure skxmr and other libraries, with one thread and one process at a time, and write JSON.

There is one file per data set. Results in the file of libraries that are not measured are kept.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
from datetime import date
from pathlib import Path

from data import prepare
from environments import make_environment, versions
from plan import PEERS, plan
from quality import quality

HERE = Path(__file__).parent
THREAD_VARIABLES = ("OMP", "OPENBLAS", "MKL", "NUMBA", "RAYON")


def run(measurement, python, work, timeout):
    """Run one measurement in its own process; return its result or the failure."""
    script = HERE / f"run_{measurement.peer}.py"
    environment = dict(os.environ)
    environment |= {f"{name}_NUM_THREADS": "1" for name in THREAD_VARIABLES}
    environment |= {"SKXMR_ISA": measurement.isa} if measurement.isa else {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        args = [python, script, measurement.task, work, out, *measurement.options]
        try:
            subprocess.run(
                list(map(str, args)),
                check=True,
                env=environment,
                timeout=timeout,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"over {timeout:g} s", "over": timeout}
        except subprocess.CalledProcessError as error:
            return {"failed": _reason(error)}
        return {**json.loads(out.read_text()), "load": os.getloadavg()[0]}


def _reason(error):
    """Return the last line of output of a process, or the signal that ended it."""
    lines = error.stderr.strip().splitlines()
    if error.returncode < 0 or not lines:
        return f"exit status {error.returncode}"
    return lines[-1][:300]


class Comparison:
    """Measurements of one data set, written to a file after each of them."""

    def __init__(self, data, peers, pythons, args):
        self.work = args.work / data
        self.path = args.out / f"{data}.json"
        self.timeout = args.timeout
        self.pythons = pythons
        self.plan = [m for m in plan(data) if m.peer in peers]
        self.repeats = {False: args.repeats, True: min(args.repeats, args.slow_repeats)}
        self.result = self._start(data, peers, args.corpora)

    def _start(self, data, peers, corpora):
        prepare(data, self.work, corpora)
        # Rankings of an earlier comparison would be taken for results of this one.
        for path in (self.work / "rankings").glob("*.npy"):
            path.unlink()
        return {
            "data": data,
            "sizes": json.loads((self.work / "sizes.json").read_text()),
            "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "load": os.getloadavg()[0]},
            "repeats": self.repeats[False],
            "slow_repeats": self.repeats[True],
            **self._kept(peers),
        }

    def _kept(self, peers):
        """Return the results in the file of libraries that are not measured now."""
        old = json.loads(self.path.read_text()) if self.path.exists() else {}
        kept = {
            part: {name: v for name, v in old.get(part, {}).items() if not name.startswith(peers)}
            for part in ("versions", "runs", "quality")
        }
        kept["versions"] |= {peer: versions(peer, self.pythons[peer]) for peer in peers}
        return kept

    def measure(self):
        """Run the measurements in rounds, alternating the libraries."""
        for i in range(max(self.repeats.values())):
            for measurement in self.plan:
                if i < self.repeats[measurement.extra]:
                    self._measure(measurement)

    def _measure(self, measurement):
        runs = self.result["runs"]
        if self._failed(measurement.name):
            return
        if self._failed(measurement.needs):
            found = {"failed": f"needs {measurement.needs}"}
        else:
            python = self.pythons[measurement.peer]
            found = run(measurement, python, self.work, self.timeout)
        runs.setdefault(measurement.name, []).append(found)
        self._write()
        print(self.result["data"], measurement.name, _summary(found), flush=True)

    def _failed(self, name):
        return any("failed" in found for found in self.result["runs"].get(name, ()))

    def evaluate(self):
        """Evaluate the rankings that the measurements wrote."""
        self.result["quality"] |= quality(self.work)
        self._write()

    def _write(self):
        self.result["date"] = date.today().isoformat()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.result, indent=1) + "\n")


def _summary(found):
    if "failed" in found:
        return found["failed"]
    steps = [f"{step} {passes[-1]['cpu']:.2f} s" for step, passes in found["seconds"].items()]
    return ", ".join(steps) or f"p50 {1e6 * found['latency']['p50']:.0f} us"


def make_environments(peers, folder):
    """Return the Python of each library that can be installed."""
    pythons = {}
    for peer in peers:
        try:
            pythons[peer] = make_environment(peer, folder)
        except subprocess.CalledProcessError as error:
            print(f"{peer} is skipped: {error}", flush=True)
    return pythons


def cpu_model():
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["sample"], metavar="NAME")
    parser.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS)
    parser.add_argument("--corpora", type=Path, help="folder of yso-finna-en and gnd-subjects")
    parser.add_argument("--work", type=Path, required=True, help="matrices, models, environments")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--slow-repeats",
        type=int,
        default=1,
        help="repeats of other runs",
    )
    parser.add_argument("--timeout", type=float, default=1200, help="seconds per measurement")
    return parser.parse_args()


def main():
    """Run the comparison."""
    args = parse_arguments()
    args.work = args.work.resolve()
    pythons = make_environments(args.peers, args.work / "environments")
    for data in args.data:
        comparison = Comparison(data, tuple(pythons), pythons, args)
        comparison.measure()
        comparison.evaluate()


if __name__ == "__main__":
    main()
