"""How well model versions do: by labels, by what scores promise, and beside a candidate.

May import: profiles, privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: the formulas (`driftlake.maths`), and reading and storing rows (`driftlake.nightly`).
"""
