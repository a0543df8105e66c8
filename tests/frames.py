"""Which frames this scikit-learn knows."""

import polars as pl
import pytest
from sklearn.preprocessing import StandardScaler

_SEEN = hasattr(StandardScaler().fit(pl.DataFrame({"a": [0.0, 1.0]})), "feature_names_in_")

needs_polars = pytest.mark.skipif(
    not _SEEN, reason="this scikit-learn sees no names in the frames of this polars"
)
