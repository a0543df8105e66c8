"""Extreme multi-label ranking for scikit-learn."""
