"""Checks of inputs against their contract, quarantine of what breaks it, and records of both.

May import: privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: the rules themselves (`expectations`), and counting (`driftlake.profiles`).
"""
