"""What scorers ask for when metadata are routed."""

import copy

from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRequest


class ScoreRequests:
    """A scorer that may be given ``sample_weight``, if it asked for it.

    As scikit-learn's own, but that a request makes another scorer: those of a module are shared.
    """

    _weight_request = None

    def set_score_request(self, *, sample_weight):
        """Return a scorer that asks for weights of rows, where metadata are routed.

        Parameters
        ----------
        sample_weight : bool, str or None
            True to be given them, False not to be, None to have an error raised where weights are
            given; a string to be given those of that name.

        Returns
        -------
        scorer : callable
            Another one; this one stays as it is.

        Raises
        ------
        RuntimeError
            Unless ``sklearn.set_config(enable_metadata_routing=True)``.
        """
        if not get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "set_score_request needs sklearn.set_config(enable_metadata_routing=True)"
            )
        other = copy.copy(self)
        other._weight_request = sample_weight
        other.get_metadata_routing()  # refuses what is no request
        return other

    def get_metadata_routing(self):
        """Return what is asked for, as scikit-learn's routers want to know it."""
        requests = MetadataRequest(owner=repr(self))
        requests.score.add_request(param="sample_weight", alias=self._weight_request)
        return requests
