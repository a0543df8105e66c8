"""Progress reports of a fit."""

import threading
import time
from contextlib import contextmanager

_local = threading.local()

#: Seconds between two lines, without a bar.
_INTERVAL = 5.0

#: The pace of a phase is measured in this phase after this many seconds, ...
_SETTLED_SECONDS = 2.0

#: ... and after this fraction of the phase. Before, the pace of all phases is used.
_SETTLED_FRACTION = 0.05


@contextmanager
def reporting(what, estimates, verbose):
    """Report the progress of the work of this thread inside the block.

    Parameters
    ----------
    what : str
        Name of the work.
    estimates : dict of str to float
        Phases in their order, and the approximate seconds of each. Only their proportions matter.
        `expect` changes them.
    verbose : int
        Whether to report.
    """
    before = getattr(_local, "progress", None)
    _local.progress = _Progress(what, estimates) if verbose else None
    try:
        yield
        _tell("finish")
    finally:
        _tell("close")
        _local.progress = before


@contextmanager
def part(name):
    """Name a part of the work, for phases that run several times, such as "training, round 1".

    Inside the block, a phase stands for "phase, name" if the estimates have it. In nested parts,
    the inner name comes first: "phase, inner, outer".
    """
    before = getattr(_local, "parts", ())
    _local.parts = (name, *before)
    try:
        yield
    finally:
        _local.parts = before


def expect(phase, seconds):
    """Change the expected seconds of a phase."""
    _tell("expect", phase, seconds)


def advance(phase, fraction):
    """Record that a further fraction of a phase is done."""
    _tell("advance", phase, fraction)


def refresh():
    """Update the time that is shown."""
    _tell("show")


def _tell(method, *args):
    progress = getattr(_local, "progress", None)
    if progress is not None:
        getattr(progress, method)(*args)


class _Progress:
    """A tqdm bar if tqdm is installed, otherwise a line every few seconds."""

    def __init__(self, what, estimates):
        self.what = what
        self.estimates = dict(estimates)
        self.phase = next(iter(self.estimates))
        self.done = 0.0  # fraction of the phase
        self.start = self.phase_start = self.shown = time.monotonic()
        self.end = self.estimated_end()
        self.bar = _make_bar(what)

    def expect(self, phase, seconds):
        phase = self.own(phase)
        if phase in self.estimates:
            self.estimates[phase] = seconds

    def advance(self, phase, fraction):
        phase = self.own(phase)
        if phase not in self.estimates:
            return
        if phase != self.phase:
            self.phase = phase
            self.done = 0.0
            self.phase_start = time.monotonic()
        self.done = min(1.0, self.done + fraction)
        self.end = self.estimated_end()
        self.show()

    def own(self, phase):
        """Return the name of a phase in the innermost part that has it in the estimates."""
        parts = getattr(_local, "parts", ())
        for i in range(len(parts)):
            name = ", ".join((phase, *parts[i:]))
            if name in self.estimates:
                return name
        return phase

    def estimated_end(self):
        """Estimate the time of the end from the pace of this phase and of all phases so far."""
        now = time.monotonic()
        phases = list(self.estimates)
        index = phases.index(self.phase)
        before = sum(self.estimates[phase] for phase in phases[:index])
        after = sum(self.estimates[phase] for phase in phases[index + 1 :])
        current = self.estimates[self.phase]
        in_phase = now - self.phase_start
        overall = (now - self.start + 1) / (before + current * self.done + 1)
        pace = overall
        if in_phase >= _SETTLED_SECONDS and self.done >= _SETTLED_FRACTION:
            pace = in_phase / (current * self.done)
        return now + pace * current * (1 - self.done) + overall * after

    def show(self):
        now = time.monotonic()
        if self.bar is None and now - self.shown < _INTERVAL:
            return
        self.shown = now
        spent = now - self.start
        left = max(self.end - now, 0.05 * spent if self.done < 1 else 0.0)
        percent = 100 * spent / max(spent + left, 1e-9)
        if self.bar is None:
            print(f"{self.what}: {self.phase}, {percent:.0f} %, {_about(left)}", flush=True)
            return
        self.bar.n = percent
        self.bar.set_description_str(f"{self.what}: {self.phase}", refresh=False)
        self.bar.set_postfix_str(_about(left))

    def finish(self):
        took = time.monotonic() - self.start
        if self.bar is None:
            print(f"{self.what}: done in {took:.1f} s", flush=True)
            return
        self.bar.n = 100
        self.bar.set_description_str(self.what, refresh=False)
        self.bar.set_postfix_str("done")

    def close(self):
        if self.bar is not None:
            self.bar.close()


def _about(seconds):
    if seconds < 100:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left"


def _make_bar(what):
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
    return tqdm(total=100, desc=what, bar_format=layout)
