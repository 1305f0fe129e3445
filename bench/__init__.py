"""Measurements: one module per claim, each a ratio of things run side by side in the same call."""
