"""Promises about inputs checked, what breaks them set aside, and records of both.

May import: privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: the promises themselves (`expectations`), and counting (`driftlake.profiles`).
"""
