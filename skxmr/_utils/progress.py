"""How far a fit is, for those who wait for it."""

import threading
import time
from contextlib import contextmanager

_local = threading.local()

#: Seconds between two lines, where there is no bar.
_INTERVAL = 5.0

#: A phase's own pace counts from this many seconds and this share of it on.
_SETTLED = 2.0, 0.05


@contextmanager
def reporting(what, estimates, verbose):
    """Report on the work that this thread waits for inside the block.

    Parameters
    ----------
    what : str
        What is being done.
    estimates : dict of str to float
        The phases in their order and the seconds each is expected to take, roughly: what counts are
        their proportions. They may be revised by `expect`.
    verbose : int
        Whether to report at all.
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
    """Do phases that are done several times, such as "training, round 1", the name of a part.

    Inside the block, a phase is the part's own where the estimates have one: "phase, name". Parts
    of parts come first: "phase, inner, outer".
    """
    before = getattr(_local, "parts", ())
    _local.parts = (name, *before)
    try:
        yield
    finally:
        _local.parts = before


def expect(phase, seconds):
    """Revise what a phase is expected to take."""
    _tell("expect", phase, seconds)


def advance(phase, share):
    """Note that a further share of a phase is done."""
    _tell("advance", phase, share)


def refresh():
    """Show that time passes."""
    _tell("show")


def _tell(method, *args):
    progress = getattr(_local, "progress", None)
    if progress is not None:
        getattr(progress, method)(*args)


class _Progress:
    """A tqdm bar if tqdm is installed, else a line every few seconds."""

    def __init__(self, what, estimates):
        self.what, self.estimates = what, dict(estimates)
        self.phase, self.share = next(iter(self.estimates)), 0.0
        self.start = self.phase_start = self.shown = time.monotonic()
        self.end = self.foreseen_end()
        self.bar = _make_bar(what)

    def expect(self, phase, seconds):
        phase = self.own(phase)
        if phase in self.estimates:
            self.estimates[phase] = seconds

    def advance(self, phase, share):
        phase = self.own(phase)
        if phase not in self.estimates:
            return
        if phase != self.phase:
            self.phase, self.share, self.phase_start = phase, 0.0, time.monotonic()
        self.share = min(1.0, self.share + share)
        self.end = self.foreseen_end()
        self.show()

    def own(self, phase):
        """The phase of this part, where it has its own, or of a part around it."""
        parts = getattr(_local, "parts", ())
        names = (", ".join((phase, *parts[i:])) for i in range(len(parts) + 1))
        return next((name for name in names if name in self.estimates), phase)

    def foreseen_end(self):
        """By the pace so far: of the phase for what is left of it, of all phases for the others."""
        now, phases = time.monotonic(), list(self.estimates)
        at = phases.index(self.phase)
        before = sum(self.estimates[p] for p in phases[:at])
        after = sum(self.estimates[p] for p in phases[at + 1 :])
        phase, in_phase = self.estimates[self.phase], now - self.phase_start
        overall = pace = (now - self.start + 1) / (before + phase * self.share + 1)
        if in_phase >= _SETTLED[0] and self.share >= _SETTLED[1]:
            pace = in_phase / (phase * self.share)
        return now + pace * phase * (1 - self.share) + overall * after

    def show(self):
        now = time.monotonic()
        if self.bar is None and now - self.shown < _INTERVAL:
            return
        self.shown = now
        spent = now - self.start
        left = max(self.end - now, 0.05 * spent if self.share < 1 else 0.0)
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
