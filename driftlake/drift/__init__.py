"""Comparing windows of daily counts with their references: features, segments, combinations, importance.

May import: profiles, privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: the statistics (`driftlake.maths`), and reading and storing rows (`driftlake.nightly`).
"""
