"""Traces a row back through runs to input files and lineage, and writes the result as text.

May import: nightly, alerts, drift, quality, engines, profiles, contract, privacy, inputs, lineage, lake, config, maths,
vocabulary, errors.
Not here: recording any of it (`driftlake.lake`, `driftlake.contract`).
"""
