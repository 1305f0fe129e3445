"""A project's first files, and what is found out about an installation before it runs.

May import: provenance, report, delivery, training, nightly, alerts, drift, quality, engines, profiles, contract,
privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: anything that a run does.
"""
