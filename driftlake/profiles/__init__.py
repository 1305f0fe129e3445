"""Counting a day: from Parquet to rows of the profile tables.

May import: privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: running the counting on threads or on Spark (`driftlake.engines`), and comparing counts (`driftlake.drift`,
`driftlake.quality`).
"""
