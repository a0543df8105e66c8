"""A virtual environment for each library, with only its own dependencies."""

import json
import subprocess
import venv
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

#: Arguments of each call of pip.
PACKAGES = {
    # Its metadata requires PyTorch and more, which the linear models do not use. They would
    # increase its memory.
    "libpecos": [["--no-deps", "libpecos==1.2.8"], ["numpy<2", "scipy<1.14", "scikit-learn"]],
    "omikuji": [["omikuji==0.5.2", "numpy", "scipy"]],
    "napkinxc": [["napkinxc==0.7.2", "numpy", "scipy"]],
    "libmultilabel": [["libmultilabel==0.10"]],
    "skxmr": [[str(REPOSITORY)]],
}
SHOWN = ("numpy", "scipy", "scikit-learn")


def make_environment(peer, folder):
    """Create the environment of a library unless it exists; return its Python."""
    folder = folder / peer
    python, done = folder / "bin" / "python", folder / "packages.json"
    # skxmr is always installed again, because its sources may have changed.
    if peer == "skxmr" or not done.exists() or json.loads(done.read_text()) != PACKAGES[peer]:
        venv.create(folder, with_pip=True)
        for packages in PACKAGES[peer]:
            subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        done.write_text(json.dumps(PACKAGES[peer]))
    return python


def versions(peer, python):
    """Return the versions of the library and of its dependencies."""
    result = subprocess.run(
        [python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True
    )
    found = {package["name"].lower(): package["version"] for package in json.loads(result.stdout)}
    return {name: found[name] for name in (peer, *SHOWN) if name in found}
