"""Run skxmr beside libpecos on one thread and write everything that was measured as JSON."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import venv
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from skxmr._core import ISA
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import ndcg_at_k, precision_at_k, propensities, psp_at_k

HERE = Path(__file__).parent
PECOS_PACKAGES = ["libpecos==1.2.8", "numpy<2", "scipy<1.14"]
PREDICTIONS = 3  # passes over the test rows per process


def prepare(folder, work):
    """Write tf-idf and label matrices where all runners find them."""
    data = load_catalogue_subjects(folder)
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    matrices = {
        "X_train": vectorizer.fit_transform(data.text_train),
        "X_test": vectorizer.transform(data.text_test),
        "Y_train": data.Y_train,
        "Y_test": data.Y_test,
    }
    for name, matrix in matrices.items():
        sp.save_npz(work / f"{name}.npz", sp.csr_matrix(matrix), compressed=False)
    return matrices


def make_pecos_environment(folder):
    """Make a virtual environment with libpecos, unless it is there; returns its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PECOS_PACKAGES], check=True)
    return python


def run(python, script, *args):
    """Run one measurement in a process of its own, on one thread, and return its result."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        args = [str(out) if arg == "OUT" else str(arg) for arg in args]
        subprocess.run([str(python), str(HERE / script), *args], check=True, env=environment)
        return json.loads(out.read_text())


def measure(work, pecos_python, repeats):
    """Alternate the libraries, `repeats` times."""
    runs = {name: [] for name in ("pecos train", "skxmr train pecos", "skxmr train default")}
    runs |= {name: [] for name in ("pecos predict", "skxmr predict pecos", "skxmr predict default")}
    for i in range(repeats):
        print(f"round {i + 1} of {repeats}", flush=True)
        runs["pecos train"].append(run(pecos_python, "run_pecos.py", "train", work, "OUT"))
        for tree in ("pecos", "default"):
            result = run(sys.executable, "run_skxmr.py", "train", tree, work, "OUT")
            runs[f"skxmr train {tree}"].append(result)
        args = (work, "OUT", PREDICTIONS)
        runs["pecos predict"].append(run(pecos_python, "run_pecos.py", "predict", *args))
        for tree in ("pecos", "default"):
            result = run(sys.executable, "run_skxmr.py", "predict", tree, *args)
            runs[f"skxmr predict {tree}"].append(result)
    return runs


def quality(work, Y_train, Y_test):
    """Evaluate every ranking that the runners left."""
    p = propensities(Y_train)
    out = {}
    for path in sorted(work.glob("ranking_*.npy")):
        labels = np.load(path)
        name = path.stem.removeprefix("ranking_")
        out[name] = {f"P@{k}": precision_at_k(Y_test, labels, k=k) for k in (1, 3, 5)}
        out[name]["nDCG@5"] = ndcg_at_k(Y_test, labels, k=5)
        out[name]["PSP@5"] = psp_at_k(Y_test, labels, k=5, propensities=p)
    return out


def cpu_model():
    """Name of the processor, as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main():
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", help="the data; by default the bundled sample")
    parser.add_argument("--out", required=True, help="where to write the JSON")
    parser.add_argument("--work", help="folder for matrices, models and the environment to keep")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        work = Path(args.work or scratch).resolve()
        work.mkdir(parents=True, exist_ok=True)
        matrices = prepare(args.folder, work)
        load_before = os.getloadavg()
        runs = measure(work, make_pecos_environment(work / "pecos_environment"), args.repeats)
        result = {
            "date": date.today().isoformat(),
            "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "load": load_before},
            "versions": {n: version(n) for n in ("skxmr", "numpy", "scipy", "scikit-learn")},
            "peer": PECOS_PACKAGES[0],
            "isa": ISA,
            "data": {name: [*matrix.shape, int(matrix.nnz)] for name, matrix in matrices.items()},
            "runs": runs,
            "quality": quality(work, matrices["Y_train"], matrices["Y_test"]),
        }
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
