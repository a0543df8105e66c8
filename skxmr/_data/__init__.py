"""What fit is given, checked and in canonical order."""
