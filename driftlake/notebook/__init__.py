"""What a notebook or a script calls: comparing data frames, measuring a labelled frame, reading a project.

May import: setup, provenance, report, delivery, training, connect, nightly, alerts, drift, quality, engines,
profiles, contract, privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: formulas. The numbers come from the functions that the nightly stages call.
"""
