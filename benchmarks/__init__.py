"""Measurements beside the tests: how fast, how large. ``make bench`` runs them all; README.md says how to read them."""
