"""Validated training data in a canonical order."""
