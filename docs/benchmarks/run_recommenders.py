"""Speed and memory of item-to-item recommendations, beside implicit.

Install implicit==0.7.3 first.
Fits and rankings of the two libraries alternate in one process and one thread. The figures are
medians of CPU times. The peak memory is that of a new process for each library. `--large` measures
ten times as many purchases with skxmr alone, in two threads, and updates with `partial_fit`.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from functools import partial

import numpy as np
import scipy.sparse as sp
from measure import forget_peak, peak_bytes

from skxmr.recommenders import ItemToItemRecommender


def random_purchases(n, n_users, n_items, seed=0):
    """Purchases of users and items whose popularity follows power laws."""
    rng = np.random.default_rng(seed)
    users = power_law(rng, n, n_users, 0.6)
    items = power_law(rng, n, n_items, 0.8)
    matrix = sp.csr_matrix((np.ones(n, dtype=np.float32), (users, items)), (n_users, n_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def power_law(rng, n, size, exponent):
    """Draw numbers whose probability falls with a power of their rank, in a random order."""
    weights = np.arange(1, size + 1, dtype=np.float64) ** -exponent
    drawn = np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(n))
    return rng.permutation(size)[np.minimum(drawn, size - 1)]


def cpu_times(calls, repeats):
    """Return the median CPU seconds of each call, by name. The calls alternate."""
    times = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            times[name].append(time.process_time() - begin)
    return {name: float(np.median(values)) for name, values in times.items()}


def fit_implicit(model, K, X):
    """Fit one of implicit's models."""
    warnings.filterwarnings("ignore", "Method expects CSR input")  # its own conversion
    recommender = model(K=K, num_threads=1)
    recommender.fit(X, show_progress=False)
    return recommender


def fit_skxmr(relatedness, K, X):
    """Fit an ItemToItemRecommender with as many related items as implicit has besides the item."""
    recommender = ItemToItemRecommender(
        relatedness, shrinkage=0, n_related=K - 1, max_history=X.shape[1], n_jobs=1
    )
    return recommender.fit(X)


def fit_times(X, K, repeats):
    """Return the times of fits."""
    from implicit.nearest_neighbours import CosineRecommender

    return cpu_times(
        {
            "implicit cosine": partial(fit_implicit, CosineRecommender, K, X),
            "skxmr cosine": partial(fit_skxmr, "cosine", K, X),
            "skxmr corrected": partial(fit_skxmr, "corrected", K, X),
        },
        repeats,
    )


def rank_times(X, K, repeats, n_rows=2000, n_single=300):
    """Return the microseconds per user, of many users at once and of single users."""
    from implicit.nearest_neighbours import CosineRecommender

    peer = fit_implicit(CosineRecommender, K, X)
    own = fit_skxmr("cosine", K, X)
    rng = np.random.default_rng(1)
    users = np.sort(rng.choice(X.shape[0], n_rows, replace=False))
    rows = X[users]
    batch = cpu_times(
        {
            "implicit": lambda: peer.recommend(users, rows, N=10),
            "skxmr": lambda: own.rank(rows, 10),
        },
        repeats,
    )
    singles = [(int(user), X[user]) for user in users[:n_single]]
    single = {"implicit": [], "skxmr": []}
    for user, row in singles:
        for name, call in (
            ("implicit", partial(peer.recommend, user, row, N=10)),
            ("skxmr", partial(own.rank, row, 10)),
        ):
            call()
            begin = time.perf_counter_ns()
            call()
            single[name].append(time.perf_counter_ns() - begin)
    return {
        "batch": {name: value / n_rows * 1e6 for name, value in batch.items()},
        "single p50": {name: float(np.median(values)) / 1e3 for name, values in single.items()},
    }


def megabytes():
    """Return the peak memory of this process."""
    return round(peak_bytes() / 2**20)


def measure_memory(arguments):
    """Print the memory of this process before a fit, and its peak during the fit."""
    X = random_purchases(arguments.purchases, arguments.users, arguments.items)
    library, relatedness, K = arguments.memory_of.split(",")
    if library == "implicit":
        from implicit.nearest_neighbours import CosineRecommender

    forget_peak()
    before = megabytes()
    if library == "implicit":
        fit_implicit(CosineRecommender, int(K), X)
    else:
        fit_skxmr(relatedness, int(K), X)
    print(json.dumps({"before": before, "peak": megabytes()}))


def peak_memory(arguments, K):
    """Return the megabytes of new processes before a fit, and their peaks during it."""
    sizes = [f"--{name}={getattr(arguments, name)}" for name in ("purchases", "users", "items")]
    results = {}
    for fit in ("implicit,cosine", "skxmr,cosine", "skxmr,corrected"):
        command = [sys.executable, __file__, *sizes, f"--memory-of={fit},{K}"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        results[fit.replace(",", " ")] = json.loads(output)
    return results


def measure_large(arguments, n_added=10_000, n_updates=4):
    """Print the seconds and the memory of a fit with many purchases, and of updates."""
    rng = np.random.default_rng(2)
    X = random_purchases(10 * arguments.purchases, arguments.users, arguments.items)
    order = rng.permutation(X.nnz)
    coo = X.tocoo()
    n_first = X.nnz - n_updates * n_added
    first, *added = (
        sp.csr_matrix((coo.data[part], (coo.row[part], coo.col[part])), X.shape)
        for part in np.split(order, np.arange(n_first, X.nnz, n_added))
    )
    users = np.arange(X.shape[0])
    results = {"purchases": X.nnz, "megabytes before": megabytes()}
    recommender, whole = (
        ItemToItemRecommender(max_history=X.shape[1], n_jobs=arguments.jobs) for _ in range(2)
    )
    calls = {
        "fit": lambda: recommender.fit(first, users=users),
        "first partial_fit": lambda: whole.partial_fit(first, users=users),
    }
    for i, part in enumerate(added):
        calls[f"update {i + 1}"] = partial(whole.partial_fit, part, users=users)
    for name, call in calls.items():
        wall = time.perf_counter()
        cpu = time.process_time()
        call()
        results[name] = {
            "seconds": time.perf_counter() - wall,
            "CPU seconds": time.process_time() - cpu,
            "megabytes": megabytes(),
        }
        print(name, results[name], file=sys.stderr)
    recommender.fit(X, users=users)
    results["partial_fit equals fit"] = all(
        np.array_equal(array, whole._model.arrays[name])
        for name, array in recommender._model.arrays.items()
    )
    print(json.dumps(results, indent=2))


def measure_speed(arguments):
    """Print the times of both libraries."""
    X = random_purchases(arguments.purchases, arguments.users, arguments.items)
    results = {"purchases": X.nnz, "pairs counted": int((np.diff(X.indptr) ** 2.0).sum())}
    for K in (20, 50):
        results[f"K={K}"] = {
            "fit seconds": fit_times(X, K, arguments.repeats),
            "microseconds per user": rank_times(X, K, arguments.repeats),
            "peak megabytes": peak_memory(arguments, K),
        }
    print(json.dumps(results, indent=2))


def main():
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--purchases", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--jobs", type=int, default=2, help="threads of --large")
    parser.add_argument("--memory-of", metavar="LIBRARY,MEASURE,K")
    arguments = parser.parse_args()
    if arguments.memory_of:
        measure_memory(arguments)
    elif arguments.large:
        measure_large(arguments)
    else:
        measure_speed(arguments)


if __name__ == "__main__":
    main()
