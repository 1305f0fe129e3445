"""Benchmarks: one module per claim. Each measures a ratio of two things that run in the same call."""
