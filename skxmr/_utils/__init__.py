"""Helpers that know nothing of rankers."""
