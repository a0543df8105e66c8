"""Estimators around a ranker."""
