import os

from hypothesis import settings

# Deadlines measure the machine; in CI the same examples are drawn every time.
settings.register_profile("all", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, derandomize=True)


def pytest_configure(config):
    """Draw fewer examples where slow tests are skipped."""
    complete = "ci" if os.environ.get("CI") else "all"
    settings.load_profile("quick" if "not slow" in config.option.markexpr else complete)
