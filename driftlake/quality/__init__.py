"""Quality of model versions: from labels, estimated from scores, and compared with a candidate.

May import: profiles, privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: the formulas (`driftlake.maths`), and reading and storing rows (`driftlake.nightly`).
"""
