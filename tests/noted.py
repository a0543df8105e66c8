"""An indexer that says when it works; apart, so that other processes can import it."""

import time

from skxmr import KMeansIndexer


class NotedIndexer(KMeansIndexer):
    """Notes in a file that it clustered, whichever process did, and takes a while."""

    def __init__(self, note=None, branching=4, max_leaf_size=5, n_jobs=None, random_state=0):
        super().__init__(branching, max_leaf_size, n_jobs=n_jobs, random_state=random_state)
        self.note = note

    def fit(self, X, y=None):
        with open(self.note, "a") as file:
            file.write(f"{X.nnz}\n")
        time.sleep(0.05)
        return super().fit(X, y)
