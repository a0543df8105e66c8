import os

import pytest
from hypothesis import settings

# The fixtures import skxmr, so that the process that only starts the workers does not.

# Deadlines measure the machine; in CI the same examples are drawn every time.
settings.register_profile("all", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=15)
settings.register_profile("ci", deadline=None, derandomize=True)


def pytest_configure(config):
    """Draw fewer examples where slow tests are skipped."""
    complete = "ci" if os.environ.get("CI") else "all"
    settings.load_profile("quick" if "not slow" in config.option.markexpr else complete)


@pytest.fixture
def trainings(monkeypatch):
    """Count the trainings that really happen."""
    from skxmr._training import trees

    calls = []
    train = trees.train_layers

    def counted(*args, **kwargs):
        calls.append(1)
        return train(*args, **kwargs)

    monkeypatch.setattr(trees, "train_layers", counted)
    return calls


@pytest.fixture
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    from saved_models import saved_model

    return saved_model(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def model(original, tmp_path):
    """A copy of the saved model, to be changed."""
    from saved_models import copy_of

    return copy_of(original, tmp_path / "model")


@pytest.fixture(scope="module")
def frame():
    from saved_models import named_rows

    return named_rows()
