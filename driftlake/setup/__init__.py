"""The first files of a project, and checks of an installation before it runs.

May import: provenance, report, delivery, training, connect, nightly, alerts, drift, quality, engines, profiles,
contract, privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: anything that happens in a run.
"""
