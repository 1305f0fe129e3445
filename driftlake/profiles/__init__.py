"""A day counted: from Parquet to rows of the profile tables.

May import: privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: who counts (`driftlake.engines`), and comparing counts (`driftlake.drift`, `driftlake.quality`).
"""
