"""Metadata routing of scorers."""

import copy

from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRequest


class ScoreRequests:
    """Base class of scorers that can request ``sample_weight``.

    A request returns another scorer, unlike in scikit-learn: the scorers of the module are shared.
    """

    _weight_request = None

    def set_score_request(self, *, sample_weight):
        """Return a scorer that requests sample weights if metadata routing is enabled.

        Parameters
        ----------
        sample_weight : bool, str or None
            True to request the weights, False to ignore them, None to raise an error if weights
            are given. A string requests the weights under that name.

        Returns
        -------
        scorer : callable
            A new scorer. This scorer is not changed.

        Raises
        ------
        RuntimeError
            Unless ``sklearn.set_config(enable_metadata_routing=True)``.
        ValueError
            If `sample_weight` is not a valid request.
        """
        if not get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "set_score_request needs sklearn.set_config(enable_metadata_routing=True)"
            )
        other = copy.copy(self)
        other._weight_request = sample_weight
        other.get_metadata_routing()  # raises an error for an invalid request
        return other

    def get_metadata_routing(self):
        """Return the request of metadata.

        Returns
        -------
        requests : MetadataRequest
        """
        requests = MetadataRequest(owner=repr(self))
        requests.score.add_request(param="sample_weight", alias=self._weight_request)
        return requests
