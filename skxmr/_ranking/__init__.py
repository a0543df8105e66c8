"""Ranking: from a row and trained models to labels and their explanation."""
