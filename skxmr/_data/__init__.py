"""Validated training data in a canonical order, and label embeddings."""
