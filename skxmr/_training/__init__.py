"""Training: from examples and a label tree to the layers of rankers."""
