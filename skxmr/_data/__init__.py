"""What fit is given, checked and in canonical order, and the label embeddings of it."""
