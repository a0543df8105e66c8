"""Saves models that contain others, and what they rank, with the skxmr that is installed.

    PYTHONPATH=tests python tests/data/saved/models/make.py FOLDER

What lies beside this file was written by skxmr 0.2.0, format version 6. Do not make it again: it
stands for models that users have.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from saved_models import completer, composed_model, texts_of

import skxmr


def main():
    out = Path(sys.argv[1])
    expected = {}
    for name, model in {"composed": composed_model(), "completer": completer()}.items():
        with tempfile.TemporaryDirectory() as folder:
            skxmr.save(model, folder)
            shutil.make_archive(str(out / name), "zip", folder)
        expected[f"{name}.labels"], expected[f"{name}.scores"] = skxmr.rank(
            model, texts_of(model), 3
        )
    np.savez_compressed(out / "expected.npz", **expected)


if __name__ == "__main__":
    main()
