"""How well model versions do: by labels, by what scores promise, and beside a candidate.

May import: profiles, lineage, lake, config, maths. Not here: the formulas (maths/), and reading and storing rows (nightly/).
"""
