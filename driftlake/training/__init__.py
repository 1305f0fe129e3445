"""A model version learned from its training data, held against its contract, and registered.

May import: nightly, alerts, drift, quality, engines, profiles, contract, privacy, inputs, lineage, lake, config, maths,
vocabulary, errors.
Not here: loading versions that are registered (`driftlake.lineage`).
"""
