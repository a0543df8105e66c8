"""Post-processors: how the search turns a ranker's margin into the score of a node."""

import math
from typing import NamedTuple

import numpy as np

from .._core import HINGE, LOG_HINGE, LOG_SIGMOID, NOOP, SIGMOID


class PostProcessor(NamedTuple):
    """How a margin becomes a score, and how it is joined to the score of the parent node.

    Attributes
    ----------
    name : str
    code : int
        Number of the formula in C.
    power : int
        Power of the hinge.
    is_log : bool
        Whether scores are logarithms, which are added to the parent's.
    in_unit_interval : bool
        Whether scores lie in [0, 1] and are multiplied with the parent's.
    """

    name: str
    code: int
    power: int
    is_log: bool
    in_unit_interval: bool

    @property
    def can_be_combined(self) -> bool:
        """Whether the scores of several rankers can be added up. Margins cannot."""
        return self.is_log or self.in_unit_interval

    @property
    def unreached_score(self) -> float:
        """Score of a label that the beam does not reach, in dense output."""
        return 0.0 if self.in_unit_interval else float(np.finfo(np.float32).min)

    def weighted(self, score, weight: float):
        """Return scores multiplied by a weight, or their logarithms plus that of the weight."""
        if self.in_unit_interval:
            return score * np.float32(weight)
        return score + np.float32(math.log(weight))

    def root_score(self, weight: float) -> float:
        """Return the score of the root so that the scores of all labels are weighted."""
        return weight if self.in_unit_interval else math.log(weight)


def _hinges(code, prefix, **kind):
    return [PostProcessor(f"{prefix}l{p}-hinge", code, p, **kind) for p in (1, 2, 3, 4)]


#: All post-processors by name. The formulas are in csrc/kernels/scoring.c.
POST_PROCESSORS = {
    processor.name: processor
    for processor in (
        PostProcessor("noop", NOOP, 1, is_log=False, in_unit_interval=False),
        PostProcessor("sigmoid", SIGMOID, 1, is_log=False, in_unit_interval=True),
        PostProcessor("log-sigmoid", LOG_SIGMOID, 1, is_log=True, in_unit_interval=False),
        *_hinges(HINGE, "", is_log=False, in_unit_interval=True),
        *_hinges(LOG_HINGE, "log-", is_log=True, in_unit_interval=False),
    )
}


def without_logarithm(processor: PostProcessor) -> PostProcessor:
    """Return the post-processor whose scores are those before the logarithm is taken."""
    return POST_PROCESSORS[processor.name.removeprefix("log-")]
