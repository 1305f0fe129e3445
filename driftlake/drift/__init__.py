"""Windows of daily counts compared with their references: features, segments, combinations, importance.

May import: profiles, lineage, lake, config, maths. Not here: the statistics (maths/), and reading and storing rows (nightly/).
"""
