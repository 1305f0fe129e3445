"""Registration of model versions: checking training data against its contract and learning bins from it.

May import: nightly, alerts, drift, quality, engines, profiles, contract, privacy, inputs, lineage, lake, config, maths,
vocabulary, errors.
Not here: loading registered versions (`driftlake.lineage`).
"""
